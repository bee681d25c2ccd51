package pdq

// The reference blurs the picture with two passes of a box filter along rows
// and columns (together nearly a tent, after Jarosz) and then keeps 64×64 pixels
// of it. Its passes run over the whole picture. Here a row flows through all of
// them before the next is touched, and the last pass computes only the columns
// that are kept. Every number that remains is made by the same operations in the
// same order, so it is the same to the last bit.

// fill downsamples the picture. Sides must be at least 5. A picture that has the
// thumb's size already is taken as it is.
func (t *thumb) fill(l *Luma) {
	if l.Width == block && l.Height == block {
		for i := range t {
			copy(t[i][:], l.Pix[i*block:])
		}
		return
	}
	columns, along, down := centres(l.Width), window(l.Width), window(l.Height)
	blurred, kept := make([]float32, l.Width), make([]float32, block)
	second := newColumnBox(block, down, t.keeper(l.Height))
	first := newColumnBox(l.Width, down, func(row []float32) {
		boxRow(row, blurred, along)
		for i, x := range columns {
			kept[i] = blurred[x]
		}
		second.push(kept)
	})
	for y := range l.Height {
		boxRow(l.Pix[y*l.Width:(y+1)*l.Width], blurred, along)
		first.push(blurred)
	}
	first.finish()
	second.finish()
}

// keeper takes the rows of the blurred picture from the top and keeps those that
// belong into the thumb. A low picture's rows are kept more than once.
func (t *thumb) keeper(height int) func(row []float32) {
	rows := centres(height)
	y, next := 0, 0
	return func(row []float32) {
		for ; next < block && rows[next] == y; next++ {
			copy(t[next][:], row)
		}
		y++
	}
}

// window is the length of the box: half of what one pixel of the thumb covers,
// rounded up, since it is applied twice.
func window(length int) int { return (length + 2*block - 1) / (2 * block) }

// centres are the places among length that the thumb keeps.
func centres(length int) (at [block]int) {
	for i := range at {
		at[i] = int(int64(2*i+1) * int64(length) / (2 * block))
	}
	return at
}

// ahead is how far the box reaches behind the place it is computed for: half of
// it, the longer half if it is odd.
func ahead(window int) int { return window / 2 }

// boxRow writes to out the mean of in over a box around every place. At the ends
// the box is cut off. The sum is carried along: add what comes in, subtract what
// leaves, in this order.
func boxRow(in, out []float32, window int) {
	var sum float32
	lead, n := ahead(window), len(in)
	for i := range lead {
		sum += in[i]
	}
	for i := lead; i < window; i++ {
		sum += in[i]
		out[i-lead] = sum / float32(i+1)
	}
	full := float32(window)
	for i := window; i < n; i++ {
		sum += in[i]
		sum -= in[i-window]
		out[i-lead] = sum / full
	}
	for i := range lead {
		sum -= in[n-window+i]
		out[n-lead+i] = sum / float32(window-1-i)
	}
}

// columnBox is boxRow for all columns at once, fed row by row.
type columnBox struct {
	window, lead int
	rows         [][]float32 // the last window rows, in a ring
	pushed       int         // rows so far
	sum, out     []float32
	emit         func(row []float32) // must not keep row
}

func newColumnBox(width, window int, emit func([]float32)) *columnBox {
	c := &columnBox{window: window, lead: ahead(window), emit: emit}
	all := make([]float32, (window+2)*width)
	c.sum, c.out = all[:width], all[width:2*width]
	for i := range window {
		c.rows = append(c.rows, all[(2+i)*width:][:width])
	}
	return c
}

// push takes the next row and emits the one that lies in the middle of the box,
// if the box has come that far.
func (c *columnBox) push(row []float32) {
	old := c.rows[c.pushed%c.window]
	c.pushed++
	if c.pushed <= c.window {
		for i, v := range row {
			c.sum[i] += v
		}
	} else {
		for i, v := range row {
			c.sum[i] = float32(c.sum[i]+v) - old[i]
		}
	}
	copy(old, row)
	if c.pushed > c.lead {
		c.mean(min(c.pushed, c.window))
	}
}

// finish emits the rows at the bottom, where the box is cut off. At least window
// rows must have been pushed.
func (c *columnBox) finish() {
	for i := range c.lead {
		for j, v := range c.rows[(c.pushed+i)%c.window] {
			c.sum[j] -= v
		}
		c.mean(c.window - 1 - i)
	}
}

func (c *columnBox) mean(count int) {
	n := float32(count)
	for i, v := range c.sum {
		c.out[i] = v / n
	}
	c.emit(c.out)
}
