package pdq

import (
	"math"
	"slices"
	"sync"

	"tutela"
)

// spectrum is the lowest frequencies of a thumb but the zeroth, rows first.
type spectrum [side][side]float32

// basis is the part of the discrete cosine transform that is needed.
type basis [side][block]float32

// newBasis computes in float64 what the reference does, and rounds where it does.
func newBasis() *basis {
	scale := float64(float32(math.Sqrt(2.0 / block)))
	var d basis
	for i := range d {
		for j := range d[i] {
			d[i][j] = float32(scale * math.Cos(math.Pi/2/block*float64(i+1)*float64(2*j+1)))
		}
	}
	return &d
}

// cosines are the same for every picture.
var cosines = sync.OnceValue(newBasis)

// transform is B = D·A·Dᵀ, summed in the reference's order.
func (t *thumb) transform() *spectrum {
	d := cosines()
	var half [side][block]float32
	for i := range half {
		for k := range block { // row by row of A: each sum still grows in order of k
			f := d[i][k]
			for j, a := range &t[k] {
				half[i][j] += float32(f * a)
			}
		}
	}
	var s spectrum
	for i := range s {
		for j := range s[i] {
			var sum float32
			for k, h := range &half[i] {
				sum += float32(h * d[j][k])
			}
			s[i][j] = sum
		}
	}
	return &s
}

// variant turns the picture by turning its spectrum: mirroring negates every
// other frequency, swapping rows and columns transposes.
func (s *spectrum) variant(v int) *spectrum {
	var out spectrum
	for i := range s {
		for j, f := range s[i] {
			switch v {
			case Original:
				out[i][j] = f
			case Rotate90:
				out[j][i] = negateIf(j%2 == 0, f)
			case Rotate180:
				out[i][j] = negateIf((i+j)%2 == 1, f)
			case Rotate270:
				out[j][i] = negateIf(i%2 == 0, f)
			case FlipX:
				out[i][j] = negateIf(i%2 == 0, f)
			case FlipY:
				out[i][j] = negateIf(j%2 == 0, f)
			case FlipPlus1:
				out[j][i] = f
			case FlipMinus1:
				out[j][i] = negateIf((i+j)%2 == 1, f)
			}
		}
	}
	return &out
}

func negateIf(odd bool, f float32) float32 {
	if odd {
		return -f
	}
	return f
}

// hash sets bit k where frequency k is above the median. Bit 0 is the last of
// the printed digits.
func (s *spectrum) hash() (h tutela.PDQ) {
	m := s.median()
	for i := range s {
		for j, f := range s[i] {
			if f > m {
				k := i*side + j
				h[len(h)-1-k/8] |= 1 << (k % 8)
			}
		}
	}
	return h
}

// median is the 128th smallest of the 256 frequencies, which is what Torben's
// method in the reference arrives at without sorting.
func (s *spectrum) median() float32 {
	var all [side * side]float32
	for i := range s {
		copy(all[i*side:], s[i][:])
	}
	slices.Sort(all[:])
	return all[len(all)/2-1]
}
