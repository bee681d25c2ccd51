package jpeg

import "encoding/binary"

// sequential reads a scan of processes 1 and 2: T.81, F.2.
type sequential struct {
	stream     *stream
	scan       *scan
	steps      []step // the blocks of an MCU
	predictors [4]int
	picture    *picture // where luma goes in full; nil at scale 8
}

// step is one block of an MCU.
type step struct {
	skips     *skips
	predictor *int
	dc        []int16 // the component's plane
	at        int     // the block's place in dc
	across    int     // from there to the same block of the next MCU
	part      *part
	x, y      int // its place in the MCU, blocks
	full      *blockReader
}

// prepare allocates what the frame needs.
func (d *decoder) prepare() {
	f := &d.frame
	d.stream = &stream{data: d.data}
	d.skips, d.values = map[[2]*huffman]*skips{}, map[*huffman]*valueTable{}
	for i := range f.components {
		c := &f.components[i]
		c.dc = make([]int16, c.stride*f.rows*c.v)
	}
	if f.progressive {
		d.progress = newProgress(f, d.options.Scale)
	}
	if d.options.Scale != 8 {
		d.y = newPlane(ceilDiv(f.width, int(d.options.Scale)), ceilDiv(f.height, int(d.options.Scale)))
	}
}

// sequential prepares a scan's tables. Of a component that has had its scan,
// another one is not read.
func (d *decoder) sequential(sc *scan) (coder, error) {
	c := &sequential{stream: d.stream, scan: sc}
	for i := range sc.of {
		p := &sc.of[i]
		if p.component.read {
			return nil, nil
		}
		if err := d.quantise(p.component); err != nil {
			return nil, err
		}
		if err := d.addSteps(c, p); err != nil {
			return nil, err
		}
	}
	for _, p := range sc.of {
		p.component.read = true
	}
	return c, nil
}

func (d *decoder) addSteps(c *sequential, p *part) error {
	dc, err := d.table(0, p.dc)
	if err != nil {
		return err
	}
	ac, err := d.table(1, p.ac)
	if err != nil {
		return err
	}
	st := step{predictor: &c.predictors[p.index], dc: p.component.dc, across: p.h, part: p}
	if p.index == 0 && d.options.Scale != 8 {
		st.full = &blockReader{stream: d.stream, dc: d.valuesOf(dc), ac: d.valuesOf(ac), dcCodes: dc, acCodes: ac}
		c.picture = newPicture(&d.y, d.options.Scale, p.component.quantised)
	} else {
		st.skips = d.skipsOf(dc, ac)
	}
	for st.y = range p.v {
		for st.x = range p.h {
			c.steps = append(c.steps, st)
		}
	}
	return nil
}

func (d *decoder) skipsOf(dc, ac *huffman) *skips {
	key := [2]*huffman{dc, ac}
	if d.skips[key] == nil {
		d.skips[key] = newSkips(dc, ac)
	}
	return d.skips[key]
}

func (d *decoder) valuesOf(h *huffman) *valueTable {
	if d.values[h] == nil {
		d.values[h] = newValues(h)
	}
	return d.values[h]
}

func (c *sequential) restart() { c.predictors = [4]int{} }

func (c *sequential) forget(row, column int) {
	c.place(row, column)
	for i := range c.steps {
		st := &c.steps[i]
		st.dc[st.at] = 0
		if st.full != nil {
			st.full.block = [64]int32{}
			c.draw(st, row, column)
		}
	}
}

// place sets the steps to an MCU.
func (c *sequential) place(row, column int) {
	for i := range c.steps {
		st := &c.steps[i]
		st.at = (row*st.part.v+st.y)*st.part.component.stride + column*st.part.h + st.x
	}
}

func (c *sequential) decode(row, column, most, safe int) (read int, ok bool) {
	c.place(row, column)
	if c.picture == nil {
		return c.stream.skim(c.steps, most, safe)
	}
	for read < most && (read == 0 || c.stream.next <= safe) {
		if !c.mcu(row, column+read) {
			return read, false
		}
		read++
	}
	return read, true
}

// mcu reads one MCU, luma in full.
func (c *sequential) mcu(row, column int) bool {
	for i := range c.steps {
		st := &c.steps[i]
		if st.full == nil {
			if _, ok := c.stream.skim(c.steps[i:i+1], 1, 0); !ok {
				return false
			}
			continue
		}
		difference, ok := st.full.read()
		if !ok {
			return false
		}
		*st.predictor += difference
		st.dc[st.at] = int16(*st.predictor)
		st.full.block[0] = int32(st.dc[st.at])
		st.at += st.across
		c.draw(st, row, column)
	}
	return true
}

func (c *sequential) draw(st *step, row, column int) {
	c.picture.draw(&st.full.block, column*st.part.h+st.x, row*st.part.v+st.y)
}

// skim reads MCUs of which only the DC coefficients are kept; see [coder] for
// most, safe and what is returned. Nearly all the time at scale 8 is spent here,
// waiting for one table entry to know where to look for the next.
//
// Two entries take at most 56 bits, as many as a refill gives. Where a block ends
// cannot be predicted, and each wrong guess of the processor costs as much as two
// entries; so it is asked after three of them only. Those behind the end of the
// block are masked: they take no bits. k counts coefficients, less 64.
func (s *stream) skim(steps []step, most, safe int) (read int, ok bool) {
	bits, count, next := s.bits, s.count, s.next
	buf := &s.buf
	for {
		for i := range steps {
			st := &steps[i]
			ac := st.skips.ac

			bits |= binary.BigEndian.Uint64(buf[next&within:]) >> (count & 63)
			next += int(63-count) >> 3
			count |= 56
			dc := st.skips.dc[bits>>(64-window)]
			difference := int(int32(dc) >> 16)
			e1, e2, e3 := uint16(dc), uint16(0), uint16(0)
			bits <<= e1 & 63
			count -= uint(e1 & 63)
			k := int(e1>>8) - 64
			e2 = ac[bits>>(64-window)] & uint16(k>>63)
			bits <<= e2 & 63
			count -= uint(e2 & 63)
			k += int(e2 >> 8)
			for {
				for k < 0 {
					bits |= binary.BigEndian.Uint64(buf[next&within:]) >> (count & 63)
					next += int(63-count) >> 3
					count |= 56
					e1 = ac[bits>>(64-window)]
					bits <<= e1 & 63
					count -= uint(e1 & 63)
					k += int(e1 >> 8)
					e2 = ac[bits>>(64-window)] & uint16(k>>63)
					bits <<= e2 & 63
					count -= uint(e2 & 63)
					k += int(e2 >> 8)

					bits |= binary.BigEndian.Uint64(buf[next&within:]) >> (count & 63)
					next += int(63-count) >> 3
					count |= 56
					e3 = ac[bits>>(64-window)] & uint16(k>>63)
					bits <<= e3 & 63
					count -= uint(e3 & 63)
					k += int(e3 >> 8)
				}
				if finished(k) {
					break
				}
				e := last(e1, e2, e3)
				s.seek(next*8 - int(count) - int(e&63))
				difference, k = s.single(st.skips, difference, k-int(e>>8))
				bits, count, next = s.bits, s.count, s.next
				if k >= 0 && !finished(k) {
					return read, false
				}
				e1, e2, e3 = 0, 0, 0
			}
			*st.predictor += difference
			st.dc[st.at] = int16(*st.predictor)
			st.at += st.across
		}
		read++
		s.bits, s.count, s.next = bits, count, next
		if read == most || next > safe {
			return read, true
		}
	}
}

// finished reports whether k, less 64, is a block's end: with its last
// coefficient, or told by a code after fewer. Else an entry reached beyond it, or
// knew nothing.
func finished(k int) bool { return k == 0 || uint(k-ended+64) < 64 }

// last is the last entry that was not masked.
func last(e1, e2, e3 uint16) uint16 {
	switch {
	case e3 != 0:
		return e3
	case e2 != 0:
		return e2
	}
	return e1
}

// single passes over one code word and its value, where the tables do not help.
// The DC difference becomes another one if it is the first of its block. k
// is far out of range afterwards if there is no such code.
func (s *stream) single(t *skips, difference, k int) (int, int) {
	codes := t.acCodes
	if k == -64 {
		codes = t.dcCodes
	}
	symbol, length := codes.decode(s.bits)
	if length == 0 {
		return 0, 2 * unknown
	}
	s.drop(uint(length))
	run, size := int(symbol>>4), uint(symbol&15)
	if k == -64 {
		return s.value(size), k + 1
	}
	s.drop(size)
	if size == 0 && run != 15 {
		return difference, k + ended
	}
	return difference, k + run + 1
}
