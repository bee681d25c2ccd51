package pdq

import (
	"image"
	"slices"
)

// Up to the median PDQ is linear: sampling the picture down to 512 columns,
// blurring twice and keeping 64 of them is one matrix for the columns, and
// another for the rows. Both are nearly empty. Where only the means of 8×8 pixels
// are at hand, each sampled column is read from the means around it
// (insideMean), and the matrix stays that of the whole picture. (PDQ of the means, as
// if they were the picture, is another hash: 14 bits away on average.)

// Plane is the brightness of a picture at full or at reduced size.
type Plane struct {
	Width, Height int     // of the whole picture, in pixels, at least 1
	Scale         int     // each value is about the mean of Scale × Scale pixels; at least 1
	Pix           []uint8 // ceil(Width/Scale) × ceil(Height/Scale) values, row by row
}

// size is how many values a row and a column have.
func (p *Plane) size() image.Point {
	return image.Pt((p.Width+p.Scale-1)/p.Scale, (p.Height+p.Scale-1)/p.Scale)
}

// Bounds is the whole picture.
func (p *Plane) Bounds() image.Rectangle { return image.Rect(0, 0, p.Width, p.Height) }

// Whole is the cut of the whole picture.
func (p *Plane) Whole() Cut { return Cut{Part: p.Bounds()} }

// Cut says what of a picture is looked at, as if it were cut out and then
// mirrored.
type Cut struct {
	Part  image.Rectangle // in pixels of the whole picture
	FlipX bool            // top to bottom
	FlipY bool            // left to right
}

// View looks at a cut. One that reaches beyond the picture, at most by the
// picture's own size, sees it mirrored there. One with a side below 5 pixels is an
// empty View.
func (p *Plane) View(c Cut) *View {
	if c.Part.Dx() < smallest || c.Part.Dy() < smallest {
		return &View{}
	}
	v := &View{any: true}
	p.sample(p.columns(c, block), p.rows(c, block), func(i int, row []float32) { copy(v.small[i][:], row) })
	return v
}

// columns and rows are the matrices that take a cut to n × n values.
func (p *Plane) columns(c Cut, n int) axis {
	r := c.Part
	return newAxis(p.Width, p.Scale, places(r.Min.X, r.Max.X, gridSize(r.Dx(), r.Dy()).X, c.FlipY), n)
}

func (p *Plane) rows(c Cut, n int) axis {
	r := c.Part
	return newAxis(p.Height, p.Scale, places(r.Min.Y, r.Max.Y, gridSize(r.Dx(), r.Dy()).Y, c.FlipX), n)
}

// Columns and Rows are what [Grid] says of a cut that lies inside the picture,
// counted in the whole picture.
func (c Cut) Columns() []int {
	return places(c.Part.Min.X, c.Part.Max.X, gridSize(c.Part.Dx(), c.Part.Dy()).X, c.FlipY)
}

// Rows are the rows of the cut, as Columns are its columns.
func (c Cut) Rows() []int {
	return places(c.Part.Min.Y, c.Part.Max.Y, gridSize(c.Part.Dx(), c.Part.Dy()).Y, c.FlipX)
}

// places are the samples of from…to, from its end on if it is flipped.
func places(from, to, grid int, flipped bool) []int {
	at := steps(to-from, grid)
	for i, x := range at {
		at[i] = from + x
		if flipped {
			at[i] = to - 1 - x
		}
	}
	return at
}

// gridSize is how many columns and rows [Grid] gives.
func gridSize(width, height int) image.Point {
	if width <= largest && height <= largest {
		return image.Pt(width, height)
	}
	return image.Pt(largest, largest)
}

// sample applies both matrices and gives out the rows of the result.
func (p *Plane) sample(x, y axis, emit func(i int, row []float32)) {
	n := len(x)
	first, end := y.span()
	lines := make([]float32, (end-first)*n)
	p.across(x, first, end, lines)
	row := make([]float32, n)
	for i, t := range y {
		clear(row)
		for k, w := range t.weights {
			for j, v := range lines[(t.first+k-first)*n:][:n] {
				row[j] += float32(w * v)
			}
		}
		emit(i, row)
	}
}

// together is how many rows go across at once: sums that do not wait for each
// other.
const together = 4

// across applies the columns' matrix to rows from first to before end.
func (p *Plane) across(x axis, first, end int, lines []float32) {
	width, n := p.size().X, len(x)
	values := make([]float32, together*width)
	for r := first; r < end; r += together {
		rows := min(together, end-r)
		for i, v := range p.Pix[r*width:][:rows*width] {
			values[i] = float32(v)
		}
		if rows == together {
			x.applyTogether(values, width, lines[(r-first)*n:][:together*n])
			continue
		}
		for i := range rows {
			x.apply(values[i*width:][:width], lines[(r-first+i)*n:][:n])
		}
	}
}

// taps are the places, from first on, that flow into one value, and by how much.
type taps struct {
	first   int
	weights []float32
}

// axis is the matrix for the columns, or for the rows, of a plane.
type axis []taps

// newAxis makes the matrix that takes a plane's length, sampled at places of the
// full length, to n values.
func newAxis(length, scale int, at []int, n int) axis {
	for i := range at {
		at[i] = mirror(at[i], length)
	}
	last := (length - 1) / scale
	inside := insideMean(scale)
	reach := len(inside[0]) / 2
	a := make(axis, n)
	var room [8]float32
	slab := make([]float32, 0, 4*(len(at)/scale+2*n))
	for i := range a {
		first, blur := blurAt(i, n, len(at), room[:0])
		places := at[first:][:len(blur)]
		lo := max(slices.Min(places)/scale-reach, 0)
		hi := min(slices.Max(places)/scale+reach, last)
		var weights []float32
		slab, weights = cutOff(slab, hi-lo+1)
		t := taps{lo, weights}
		for k, w := range blur {
			for j, part := range inside[places[k]%scale] {
				place := min(max(places[k]/scale+j-reach, 0), last)
				t.weights[place-lo] += float32(w * part)
			}
		}
		a[i] = t
	}
	return a
}

// cutOff takes n zeros from the rest of a slab, or from a new one.
func cutOff(slab []float32, n int) (rest, taken []float32) {
	if cap(slab) < n {
		return slab, make([]float32, n)
	}
	return slab[n:n:cap(slab)], slab[:n:n]
}

// insideMean says how each of the pixels that a mean stands for is read from
// that mean and its neighbours: two before it, itself, and two behind. Through
// the sums of all pixels up to the six edges of the five goes one polynomial; its
// slope is the brightness. This gives back some of the sharpness that the means
// have lost.
func insideMean(scale int) [][]float32 {
	if scale == 1 {
		return [][]float32{{1}}
	}
	all := make([][]float32, scale)
	for i := range all {
		all[i] = slopeAt((float64(i)+0.5)/float64(scale) + 2)
	}
	return all
}

// slopeAt is how much each of five means, of unit length from 0 to 5, weighs in
// the slope at x of the polynomial through their sums: of Lagrange's polynomials
// for the edges behind it, the slopes, added up.
func slopeAt(x float64) []float32 {
	const edges = 6
	weights := make([]float32, edges-1)
	for k := 1; k < edges; k++ {
		slope := 0.0
		for skip := range edges {
			if skip == k {
				continue
			}
			term := 1 / float64(k-skip)
			for e := range edges {
				if e != k && e != skip {
					term *= (x - float64(e)) / float64(k-e)
				}
			}
			slope += term
		}
		for mean := range k {
			weights[mean] += float32(slope)
		}
	}
	return weights
}

// mirror brings a place beyond the picture back into it.
func mirror(x, length int) int {
	if x < 0 {
		x = -1 - x
	}
	if x >= length {
		x = 2*length - 1 - x
	}
	return min(max(x, 0), length-1)
}

// blurAt is what flows into one of the n places that are kept of a grid, after
// the reference's two boxes: how much of each sample from first on.
func blurAt(i, n, grid int, room []float32) (first int, weights []float32) {
	w := window(grid)
	from, to := boxAt(int(int64(2*i+1)*int64(grid)/int64(2*n)), grid, w)
	weights = room
	first, _ = boxAt(from, grid, w)
	_, end := boxAt(to-1, grid, w)
	for range end - first {
		weights = append(weights, 0)
	}
	for m := from; m < to; m++ {
		lo, hi := boxAt(m, grid, w)
		for k := lo; k < hi; k++ {
			weights[k-first] += 1 / float32((to-from)*(hi-lo))
		}
	}
	return first, weights
}

// boxAt is what a box around a place covers, cut off at the ends.
func boxAt(at, length, window int) (from, to int) {
	end := at + ahead(window) + 1
	return max(0, end-window), min(length, end)
}

// span is the range of places that flow into anything.
func (a axis) span() (first, end int) {
	first = a[0].first
	for _, t := range a {
		first, end = min(first, t.first), max(end, t.first+len(t.weights))
	}
	return first, end
}

func (a axis) apply(in, out []float32) {
	for i, t := range a {
		values := in[t.first:][:len(t.weights)]
		var sum float32
		for k, w := range t.weights {
			sum += float32(w * values[k])
		}
		out[i] = sum
	}
}

// applyTogether is apply for four rows that lie one behind the other.
func (a axis) applyTogether(in []float32, width int, out []float32) {
	n := len(a)
	for i, t := range a {
		k := len(t.weights)
		v0, v1 := in[t.first:][:k], in[width+t.first:][:k]
		v2, v3 := in[2*width+t.first:][:k], in[3*width+t.first:][:k]
		var s0, s1, s2, s3 float32
		for j, w := range t.weights {
			s0 += float32(w * v0[j])
			s1 += float32(w * v1[j])
			s2 += float32(w * v2[j])
			s3 += float32(w * v3[j])
		}
		out[i], out[n+i], out[2*n+i], out[3*n+i] = s0, s1, s2, s3
	}
}
