package pdq

import (
	"math"

	"tutela"
)

// View is a part of a picture as PDQ sees it: 64×64 values. It must not be used
// by two goroutines at once.
type View struct {
	small thumb
	any   bool      // false if the part was too small
	made  *spectrum // of small, when it was first asked for
}

func (v *View) spectrum() *spectrum {
	if v.made == nil {
		v.made = v.small.transform()
	}
	return v.made
}

// See looks at a picture the exact way: the View's Hash is what [Hash] gives.
func See(l *Luma) *View {
	if l.Width < smallest || l.Height < smallest {
		return &View{}
	}
	v := &View{any: true}
	v.small.fill(l)
	return v
}

// Hash is the PDQ of the part and its quality, 0 to 100.
func (v *View) Hash() (hash tutela.PDQ, quality int) {
	if !v.any {
		return tutela.PDQ{}, 0
	}
	return v.spectrum().hash(), v.small.quality()
}

// Quality is that of [View.Hash] alone.
func (v *View) Quality() int {
	if !v.any {
		return 0
	}
	return v.small.quality()
}

// Transposed is the hash of the part mirrored at the diagonal from the top left.
func (v *View) Transposed() tutela.PDQ {
	if !v.any {
		return tutela.PDQ{}
	}
	return v.spectrum().variant(FlipPlus1).hash()
}

// Dihedral is what [Dihedral] is of the part.
func (v *View) Dihedral() (hashes [8]tutela.PDQ, quality int) {
	if !v.any {
		return hashes, 0
	}
	s := v.spectrum()
	for i := range hashes {
		hashes[i] = s.variant(i).hash()
	}
	return hashes, v.small.quality()
}

// Entropy is how many bits the brightness of one of the 4,096 values tells, in
// steps of 8: 0 for a flat picture, at most 5. Pages of text have 1 to 3,
// photographs mostly above 4.
func (v *View) Entropy() float64 {
	var counts [32]int
	for i := range v.small {
		for _, b := range v.small[i] {
			counts[min(max(int(b), 0), 255)/8]++
		}
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / (block * block)
			bits -= p * math.Log2(p)
		}
	}
	return bits
}
