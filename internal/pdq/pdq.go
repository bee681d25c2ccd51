// Package pdq computes PDQ, the perceptual hash of pictures that the field's
// near-duplicate hash sets are written in.
//
// Start with [Grid], which says which pixels of a picture are looked at, fill a
// [Luma] with their brightness, and call [Hash] or [Dihedral]. [Distance]
// compares two hashes. Where only a [Plane] is at hand, which may be reduced, call
// [Plane.View]: it hashes the picture or a [Cut] of it.
//
// Promised: for the same pixels the hash and the quality are bit for bit those
// of the C++ reference (ThreatExchange, pdq/cpp), on every processor: products
// are rounded to float32 one by one, so that no compiler fuses them into
// additions. Not promised: that another decoder, which makes slightly other
// pixels of the same file, leads to the same hash; a few bits may differ.
//
// Views of planes are not promised to be bit for bit those hashes: of full planes
// a bit or two may differ by rounding, of reduced ones some more ([Plane.Doubt],
// [Margin]).
//
// A hash says that two pictures look alike, never what they show. A picture of
// low quality has too little detail to be told from others: below 50 its hash
// must not be matched.
//
// Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
// Algorithm", Facebook 2019, and the reference implementation where the paper is
// silent.
package pdq

import (
	"encoding/binary"
	"math/bits"

	"tutela"
)

const (
	smallest = 5   // sides below this, in pixels, are not hashed
	largest  = 512 // sides above this are sampled down to it
	block    = 64  // side of the picture after downsampling
	side     = 16  // side of the part of its spectrum that is hashed
)

// Luma is the brightness of a picture, 0 to 255, row by row from the top left.
type Luma struct {
	Width, Height int       // pixels
	Pix           []float32 // Width × Height values
}

// Brightness is the luma of a pixel as the reference weighs it (ITU-R BT.601).
func Brightness(r, g, b uint8) float32 {
	const weightR, weightG, weightB float32 = 0.299, 0.587, 0.114
	rg := float32(weightR*float32(r)) + float32(weightG*float32(g))
	return rg + float32(weightB*float32(b))
}

// Grid says which columns and rows of a picture are looked at: all of them, or
// 512 of each, taken at equal steps, if either side is longer than 512 pixels.
// The shape of the picture is not kept. Sides must be at least 1.
func Grid(width, height int) (columns, rows []int) {
	if width <= largest && height <= largest {
		return steps(width, width), steps(height, height)
	}
	return steps(width, largest), steps(height, largest)
}

// steps are n places at equal steps among length.
func steps(length, n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = int(int64(i) * int64(length) / int64(n))
	}
	return at
}

// Hash is the PDQ of a picture and its quality, 0 to 100. A side below 5 pixels
// gives the zero hash of quality 0.
func Hash(l *Luma) (hash tutela.PDQ, quality int) { return See(l).Hash() }

// The indices of [Dihedral]'s hashes, named as the reference names them. They
// are hashes of the picture turned counter-clockwise by the angle, mirrored top
// to bottom (FlipX) and left to right (FlipY), and mirrored at the diagonal from
// the top left (FlipPlus1) and from the top right (FlipMinus1).
const (
	Original = iota
	Rotate90
	Rotate180
	Rotate270
	FlipX
	FlipY
	FlipPlus1
	FlipMinus1
)

// variantNames are how the reference prints the variants.
var variantNames = [8]string{"orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus1", "flipminus1"}

// VariantName is the reference's name of one of [Dihedral]'s eight.
func VariantName(variant int) string { return variantNames[variant] }

// Dihedral is the hashes of a picture in all eight ways it can be turned and
// mirrored, at little more than the price of one; the first is that of [Hash].
// They differ from hashes of the turned pixels, mostly by 0 to 20 bits and at
// times by nearly 31, because the reference takes its thumbnail half a step off
// the middle; only FlipPlus1 is free of that.
func Dihedral(l *Luma) (hashes [8]tutela.PDQ, quality int) { return See(l).Dihedral() }

// What counts as alike (PDQ's authors recommend both; ThreatExchange,
// hashing.pdf).
const (
	MinQuality = 50 // hashes of poorer pictures are not matched: flat pictures all look alike
	MaxRadius  = 31 // bits in which the hashes of two pictures that are alike may differ
)

// Distance is how many of the 256 bits differ. Two hashes match at 31 or less.
func Distance(a, b tutela.PDQ) (d int) {
	for i := 0; i < len(a); i += 8 {
		d += bits.OnesCount64(binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]))
	}
	return d
}

// thumb is the picture after downsampling.
type thumb [block][block]float32

// quality counts steep edges. The division truncates and works on float32, as
// in the reference, before the absolute value is taken.
func (t *thumb) quality() int {
	sum := 0
	for i := range block {
		for j := range block {
			if i+1 < block {
				sum += steepness(t[i][j], t[i+1][j])
			}
			if j+1 < block {
				sum += steepness(t[i][j], t[i][j+1])
			}
		}
	}
	return min(sum/90, 100)
}

func steepness(u, v float32) int {
	d := int(float32(float32(u-v)*100) / 255)
	if d < 0 {
		return -d
	}
	return d
}
