package pdq

import "math"

// A mean does not tell what the single pixels were that PDQ samples. The rougher
// the picture, the more each frequency may be off, and the more frequencies lie
// so close to the median that their bit may tip.

// offPerRoughness is about how far a frequency of a reduced picture is off, of
// its roughness. Measured, of 0.01 to 0.16 what told best which hashes differ.
const offPerRoughness = 0.08

// Doubt is about how many bits of the hash of the whole picture may be other than
// those of the exact hash: 1 to 3 for most photographs, 10 and more for fine
// patterns, whose hash hangs on which pixels are sampled. It is an order, not a
// measure.
func (p *Plane) Doubt(v *View) (bits float64) {
	if !v.any {
		return 0
	}
	s := v.spectrum()
	m, off := s.median(), offPerRoughness*p.roughness()
	for i := range s {
		for _, f := range s[i] {
			bits += tips(math.Abs(float64(f-m)), off)
		}
	}
	return bits
}

// tips is how likely a frequency is on the other side of the median.
func tips(gap, off float64) float64 {
	if off == 0 {
		return 0
	}
	return 0.5 * math.Erfc(gap/(off*math.Sqrt2))
}

// roughness is the root mean square of how far each value is off the line
// through its neighbours, doubled: of every fourth row.
func (p *Plane) roughness() float64 {
	size := p.size()
	sum, n := 0, 0
	for y := 0; y+2 < size.Y; y += 4 {
		row, next, third := p.row(y), p.row(y+1), p.row(y+2)
		for x := range max(size.X-2, 0) {
			v := int(row[x])
			across := v - 2*int(row[x+1]) + int(row[x+2])
			down := v - 2*int(next[x]) + int(third[x])
			sum, n = sum+across*across+down*down, n+2
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(float64(sum) / float64(n))
}

func (p *Plane) row(y int) []uint8 {
	width := p.size().X
	return p.Pix[y*width:][:width]
}
