package carve

// Huffman codes of progressive JPEG: ITU-T T.81, annex G.

// mostBlocks is how many blocks of 64 coefficients are remembered, of all
// components (32 MiB). The codes of larger pictures are not followed.
const mostBlocks = 4 << 20

// spectral is what a scan of a progressive picture holds: the bits of
// coefficients from to to, for the first time or (refine) one bit more.
type spectral struct {
	from, to int
	refine   bool
}

// progress is what must be known of the scans before.
type progress struct {
	spectral
	rest  int         // blocks that the scan says nothing more of
	known [4][]uint64 // of each component and block, a bit for each coefficient that is not zero
}

// take reads the end of a scan header.
func (p *progress) take(b []byte) bool {
	p.spectral = spectral{from: int(b[0]), to: int(b[1]), refine: b[2]>>4 != 0}
	p.rest = 0
	return p.from <= p.to && p.to < 64 && (p.from > 0 || p.to == 0)
}

// remember makes room for the blocks of a component.
func (p *progress) remember(v *view, component, blocks int) {
	if p.known[component] == nil {
		v.aside += int64(8 * blocks)
		p.known[component] = make([]uint64, blocks)
	}
}

// first steps over the AC coefficients of a block in the first scan that holds
// them (G.1.2.2).
func (p *progress) first(b *bitReader, ac *huffman, known *uint64) bool {
	if p.rest > 0 {
		p.rest--
		return true
	}
	for k := p.from; k <= p.to; k++ {
		rs := b.symbol(ac)
		if rs < 0 {
			return false
		}
		run, size := rs>>4, rs&15
		if size == 0 && run < 15 {
			return p.end(b, run)
		}
		if k += run; k > p.to {
			return false
		}
		if size > 0 {
			*known |= 1 << k
			if b.take(size) < 0 {
				return false
			}
		}
	}
	return true
}

// end takes how many blocks have no more coefficients, this one among them.
func (p *progress) end(b *bitReader, bits int) bool {
	more := b.take(bits)
	p.rest = 1<<bits + more - 1
	return more >= 0
}

// more steps over one bit more of the AC coefficients of a block (G.1.2.3).
func (p *progress) more(b *bitReader, ac *huffman, known *uint64) bool {
	k := p.from
	if p.rest > 0 {
		p.rest--
		_, ok := p.correct(b, *known, k, 64)
		return ok
	}
	for ; k <= p.to; k++ {
		rs := b.symbol(ac)
		run, size := rs>>4, rs&15
		if rs < 0 || size > 1 {
			return false
		}
		if size == 0 && run < 15 {
			if !p.end(b, run) {
				return false
			}
			_, ok := p.correct(b, *known, k, 64)
			return ok
		}
		if size == 1 && b.take(1) < 0 {
			return false
		}
		var ok bool
		if k, ok = p.correct(b, *known, k, run); !ok {
			return false
		}
		if size == 1 {
			if k > p.to {
				return false
			}
			*known |= 1 << k
		}
	}
	return true
}

// correct takes a bit for each coefficient that is known, and stops at the one
// behind zeros others.
func (p *progress) correct(b *bitReader, known uint64, k, zeros int) (int, bool) {
	for ; k <= p.to; k++ {
		if known>>k&1 == 1 {
			if b.take(1) < 0 {
				return k, false
			}
			continue
		}
		if zeros == 0 {
			break
		}
		zeros--
	}
	return k, true
}
