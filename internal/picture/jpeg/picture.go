package jpeg

// picture is where blocks become samples.
type picture struct {
	plane   *Plane
	side    int // samples a side that become of a block: 8 or 2
	divisor *quantisation
}

func newPlane(width, height int) Plane {
	p := Plane{Width: width, Height: height, Pix: make([]uint8, width*height)}
	for i := range p.Pix {
		p.Pix[i] = 128
	}
	return p
}

func newPicture(p *Plane, scale Scale, q *quantisation) *picture {
	return &picture{plane: p, side: 8 / int(scale), divisor: q}
}

// draw transforms a block and puts it where it belongs, counted in blocks. What
// lies beyond the plane is dropped.
func (p *picture) draw(block *[64]int32, column, row int) {
	x, y := column*p.side, row*p.side
	if x >= p.plane.Width || y >= p.plane.Height {
		return
	}
	var samples [64]uint8
	if p.side == 8 {
		transform(block, p.divisor, &samples)
	} else {
		transformTo2(block, p.divisor, (*[4]uint8)(samples[:]))
	}
	width, height := min(p.side, p.plane.Width-x), min(p.side, p.plane.Height-y)
	for i := range height {
		copy(p.plane.Pix[(y+i)*p.plane.Width+x:][:width], samples[i*p.side:])
	}
}

// reduced makes one sample of each block's DC coefficient, which is eight times
// the block's mean. Like libjpeg it takes what is out of range modulo 1024.
func (c *component) reduced() Plane {
	p := Plane{Width: c.wide, Height: c.high, Pix: make([]uint8, c.wide*c.high)}
	divisor := int32(1)
	if c.quantised != nil { // else its scan was never met, and all is 0
		divisor = c.quantised[0]
	}
	for y := range p.Height {
		from, to := c.dc[y*c.stride:][:p.Width], p.Pix[y*p.Width:][:p.Width]
		for x, dc := range from {
			to[x] = clampModulo((int32(dc)*divisor + 4) >> 3)
		}
	}
	return p
}

// clampModulo moves a sample from around 0 to around 128 and clamps it, looking
// at its lower ten bits only.
func clampModulo(v int32) uint8 { return clamp(v << 22 >> 22) }

// clamp moves a sample from around 0 to around 128.
func clamp(v int32) uint8 { return uint8(max(0, min(255, v+128))) }
