package picture

import (
	"image"

	"tutela/internal/pdq"
)

// A border is what surrounds a picture in one shade: bars above and below or at
// the sides, or a frame. JPEG makes it a little uneven.
const (
	borderSpread = 12  // how far a value may be off the border's shade
	borderStray  = 50  // one of so many values may be farther off
	borderMost   = 0.8 // share of a side that may be border, at most
)

// withoutBorder is the part of the picture inside its border; ok is false if it
// has none, or is nothing else.
func withoutBorder(p *pdq.Plane) (inner image.Rectangle, ok bool) {
	w := (p.Width + p.Scale - 1) / p.Scale
	h := (p.Height + p.Scale - 1) / p.Scale
	in := image.Rect(0, 0, w, h)
	in.Min.Y = countBorder(h, func(i int) line { return line{p.Pix[i*w:], w, 1} })
	in.Max.Y = h - countBorder(h, func(i int) line { return line{p.Pix[(h-1-i)*w:], w, 1} })
	if in.Dy() < 1 {
		return inner, false
	}
	rest := p.Pix[in.Min.Y*w : in.Max.Y*w]
	in.Min.X = countBorder(w, func(i int) line { return line{rest[i:], in.Dy(), w} })
	in.Max.X = w - countBorder(w, func(i int) line { return line{rest[w-1-i:], in.Dy(), w} })
	whole := p.Bounds()
	inner = image.Rect(in.Min.X*p.Scale, in.Min.Y*p.Scale, in.Max.X*p.Scale, in.Max.Y*p.Scale).Intersect(whole)
	few := float64(inner.Dx()) < (1-borderMost)*float64(p.Width) || float64(inner.Dy()) < (1-borderMost)*float64(p.Height)
	return inner, inner != whole && !few
}

// line is a row or a column of a plane.
type line struct {
	values    []uint8
	n, stride int
}

// countBorder is how many of n lines, from the first on, are border. Between the
// border and the picture a line may hold both: it is counted too.
func countBorder(n int, at func(i int) line) int {
	shade := at(0).mean()
	for i := range n {
		if !at(i).isFlat(shade) {
			return i
		}
	}
	return n
}

func (l line) mean() int {
	sum := 0
	for i := range l.n {
		sum += int(l.values[i*l.stride])
	}
	return sum / l.n
}

func (l line) isFlat(shade int) bool {
	stray := 0
	for i := range l.n {
		if d := int(l.values[i*l.stride]) - shade; d > borderSpread || d < -borderSpread {
			stray++
		}
	}
	return stray <= l.n/borderStray
}
