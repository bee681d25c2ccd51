package jpeg

// The inverse transforms, in the integer arithmetic of libjpeg's "islow": the
// factorisation of C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical fast
// 1-D DCT algorithms with 11 multiplications", ICASSP 1989, with 13 bits behind
// the point for the constants and 2 for what lies between columns and rows.
const (
	point = 13
	guard = 2
)

// A constant is its value times 2¹³, rounded.
const (
	c0298 = 2446
	c0390 = 3196
	c0541 = 4433
	c0765 = 6270
	c0899 = 7373
	c1175 = 9633
	c1501 = 12299
	c1847 = 15137
	c1961 = 16069
	c2053 = 16819
	c2562 = 20995
	c3072 = 25172

	// those of the transform of eight coefficients into two samples
	c0720 = 5906
	c0850 = 6967
	c1272 = 10426
	c3624 = 29692
)

// eight are a row or a column.
type eight [8]int32

// transform makes 8×8 samples of a block of quantised coefficients.
func transform(block *[64]int32, q *quantisation, samples *[64]uint8) {
	var between [64]int32
	for x := range 8 {
		column(block, q, x, &between)
	}
	for y := range 8 {
		r := (*eight)(between[y*8:])
		r.inverse(point + guard + 3)
		to := samples[y*8:][:8]
		for x, v := range r {
			to[x] = clamp(v)
		}
	}
}

// column transforms a column; most have no more than their first coefficient.
func column(block *[64]int32, q *quantisation, x int, to *[64]int32) {
	b := block[x:]
	if b[8]|b[16]|b[24]|b[32]|b[40]|b[48]|b[56] == 0 {
		first := b[0] * q[x] << guard
		for y := 0; y < 64; y += 8 {
			to[x+y] = first
		}
		return
	}
	var c eight
	for y := range 8 {
		c[y] = b[y*8] * q[x+y*8]
	}
	c.inverse(point - guard)
	for y := range 8 {
		to[x+y*8] = c[y]
	}
}

// inverse transforms eight coefficients into eight samples, and takes bits off
// them, rounding.
func (c *eight) inverse(bits uint) {
	half := int32(1) << (bits - 1)

	z := (c[2] + c[6]) * c0541
	e2, e3 := z-c[6]*c1847, z+c[2]*c0765
	e0, e1 := (c[0]+c[4])<<point+half, (c[0]-c[4])<<point+half
	a0, a1, a2, a3 := e0+e3, e1+e2, e1-e2, e0-e3

	z1, z2, z3, z4 := (c[7]+c[1])*c0899, (c[5]+c[3])*c2562, c[7]+c[3], c[5]+c[1]
	z5 := (z3 + z4) * c1175
	z3, z4 = z5-z3*c1961, z5-z4*c0390
	b0 := c[1]*c1501 - z1 + z4
	b1 := c[3]*c3072 - z2 + z3
	b2 := c[5]*c2053 - z2 + z4
	b3 := c[7]*c0298 - z1 + z3

	*c = eight{
		(a0 + b0) >> bits, (a1 + b1) >> bits, (a2 + b2) >> bits, (a3 + b3) >> bits,
		(a3 - b3) >> bits, (a2 - b2) >> bits, (a1 - b1) >> bits, (a0 - b0) >> bits,
	}
}

// transformTo2 makes 2×2 samples of a block. The even coefficients but the first
// do not contribute.
func transformTo2(block *[64]int32, q *quantisation, samples *[4]uint8) {
	var upper, lower eight
	for _, x := range [...]int{0, 1, 3, 5, 7} {
		at := func(y int) int32 { return block[x+8*y] * q[x+8*y] }
		upper[x], lower[x] = pair(at(0), at(1), at(3), at(5), at(7), point-guard+2)
	}
	for y, r := range [...]*eight{&upper, &lower} {
		left, right := pair(r[0], r[1], r[3], r[5], r[7], point+guard+3+2)
		samples[2*y], samples[2*y+1] = clamp(left), clamp(right)
	}
}

// pair makes two samples of five coefficients, and takes bits off them.
func pair(c0, c1, c3, c5, c7 int32, bits uint) (first, second int32) {
	even := c0<<(point+2) + 1<<(bits-1)
	odd := c1*c3624 - c3*c1272 + c5*c0850 - c7*c0720
	return (even + odd) >> bits, (even - odd) >> bits
}
