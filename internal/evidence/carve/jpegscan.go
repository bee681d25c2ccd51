package carve

// part is a component of the picture, as the frame header describes it.
type part struct {
	id            byte
	index         int
	across, below int // sampling factors
}

// selected is a component of a scan with its tables.
type selected struct {
	part
	dc, ac     *huffman
	prediction int
}

// follows reports whether the codes of the scan can be followed: Huffman codes of
// sequential and progressive pictures, with the tables there.
func (j *jpegWalk) follows() bool {
	sequential, progressive := j.process == 0xc0 || j.process == 0xc1, j.process == 0xc2
	for _, c := range j.scanned {
		if c.dc == nil && (sequential || j.from0() && !j.progress.refine) || c.ac == nil && (sequential || !j.from0()) {
			return false
		}
	}
	return sequential || progressive && (j.width/8+4)*(j.height/8+4)*len(j.parts) <= mostBlocks
}

// from0 reports whether a progressive scan holds DC coefficients.
func (j *jpegWalk) from0() bool { return j.progress.from == 0 }

// tables takes Huffman tables (B.2.4.2).
func (j *jpegWalk) tables(body []byte) bool {
	if !saneTables(body, huffmanTable) {
		return false
	}
	for len(body) > 0 {
		n := huffmanTable(body)
		class, number := body[0]>>4, body[0]&15
		if class > 1 || number > 3 {
			return false
		}
		h := newHuffman(body[1:17], body[17:n])
		if h == nil {
			return false
		}
		j.huffman[class][number] = h
		body = body[n:]
	}
	return true
}

// choose takes the components of a scan header and their tables (B.2.3).
func (j *jpegWalk) choose(body []byte) bool {
	j.scanned = j.scanned[:0]
	for ; len(body) >= 2+3; body = body[2:] {
		c := selected{}
		for _, p := range j.parts {
			if p.id == body[0] {
				c.part = p
			}
		}
		if c.across == 0 || body[1]>>4 > 3 || body[1]&15 > 3 {
			return false
		}
		c.dc, c.ac = j.huffman[0][body[1]>>4], j.huffman[1][body[1]&15]
		j.scanned = append(j.scanned, c)
	}
	return j.process != 0xc2 || j.progress.take(body) && (j.from0() || len(j.scanned) == 1)
}

// units are how many minimum coded units a scan has (A.2). A scan of one
// component has a block in each.
func (j *jpegWalk) units() int {
	across, below := 1, 1
	for _, p := range j.parts {
		across, below = max(across, p.across), max(below, p.below)
	}
	if len(j.scanned) > 1 {
		return ceil(j.width, 8*across) * ceil(j.height, 8*below)
	}
	c := &j.scanned[0]
	n := ceil(ceil(j.width*c.across, across), 8) * ceil(ceil(j.height*c.below, below), 8)
	c.across, c.below = 1, 1
	return n
}

func ceil(a, b int) int { return (a + b - 1) / b }

// codes steps over the codes of a scan up to the marker behind them.
func (j *jpegWalk) codes() bool {
	b := &bitReader{v: j.v, at: j.pos}
	ok := j.follow(b)
	j.v.took(b.i)
	j.pos = b.place()
	if !ok && j.v.why == "" {
		// What was there instead began at a sector, this one at the latest.
		j.pos = max((j.pos-int64(b.n/8)-j.from)&^(sector-1)+j.from, j.firstScan)
	}
	return ok
}

func (j *jpegWalk) follow(b *bitReader) bool {
	restart := byte(0)
	left, units := j.restarts, j.units()
	j.v.took(units / 4) // units that cost no bits cost time
	for n := range units {
		if !j.unit(b, n, units) {
			return false
		}
		if left--; left == 0 && n < units-1 {
			if !j.restart(b, restart) {
				return false
			}
			left, restart = j.restarts, (restart+1)&7
		}
	}
	return b.marker()
}

// unit steps over minimum coded unit number n.
func (j *jpegWalk) unit(b *bitReader, n, units int) bool {
	most := 2048 << max(j.precision-8, 0)
	p := &j.progress
	for i := range j.scanned {
		c := &j.scanned[i]
		if j.process == 0xc2 && !j.from0() {
			return j.ac(b, c, n, units)
		}
		for range c.across * c.below {
			ok := false
			switch {
			case j.process != 0xc2:
				ok = b.block(c.dc, c.ac, &c.prediction, most)
			case p.refine:
				ok = b.take(1) >= 0
			default:
				ok = b.dc(c.dc, &c.prediction, most)
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

// ac steps over the AC coefficients of block number n in a progressive scan.
func (j *jpegWalk) ac(b *bitReader, c *selected, n, blocks int) bool {
	p := &j.progress
	p.remember(j.v, c.index, blocks)
	known := &p.known[c.index][n]
	if p.refine {
		return p.more(b, c.ac, known)
	}
	return p.first(b, c.ac, known)
}

// restart steps over a restart marker (F.2.1.3).
func (j *jpegWalk) restart(b *bitReader, number byte) bool {
	if !b.marker() {
		return false
	}
	at := b.place()
	for j.v.is(at, "\xff\xff") {
		at++
	}
	if !j.v.is(at, string([]byte{0xff, markerRST0 + number})) {
		return false
	}
	b.turn(at + 2)
	j.progress.rest = 0
	for i := range j.scanned {
		j.scanned[i].prediction = 0
	}
	return true
}
