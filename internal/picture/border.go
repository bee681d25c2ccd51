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
	captionMost  = 0.4 // share of the height that a caption may take, at most
	captionBare  = 3   // one of so many values beside the letters has the bar's shade, at least
)

// surround says what is taken for a border above and below a picture.
type surround int

const (
	border    surround = iota // one shade
	captioned                 // one shade with letters on it
)

// withoutBorder is the part of the picture inside its border; ok is false if it
// has none, or is nothing else.
func withoutBorder(p *pdq.Plane, kind surround) (inner image.Rectangle, ok bool) {
	w, h := (p.Width+p.Scale-1)/p.Scale, (p.Height+p.Scale-1)/p.Scale
	reach := edge.border
	if kind == captioned {
		reach = edge.caption
	}
	top := reach(edge{h, p.Scale, func(i int) line { return line{p.Pix[i*w:], w, 1} }})
	bottom := reach(edge{h, p.Scale, func(i int) line { return line{p.Pix[(h-1-i)*w:], w, 1} }})
	from, to := top/p.Scale, h-bottom/p.Scale
	if from >= to {
		return inner, false
	}
	rest := p.Pix[from*w : to*w]
	left := edge{w, p.Scale, func(i int) line { return line{rest[i:], to - from, w} }}.border()
	right := edge{w, p.Scale, func(i int) line { return line{rest[w-1-i:], to - from, w} }}.border()
	whole := p.Bounds()
	inner = image.Rect(left, top, p.Width-right, p.Height-bottom).Intersect(whole)
	few := float64(inner.Dx()) < (1-borderMost)*float64(p.Width) || float64(inner.Dy()) < (1-borderMost)*float64(p.Height)
	return inner, inner != whole && !few
}

// edge is one of the four sides of a plane, seen from outside.
type edge struct {
	n, scale int
	at       func(i int) line // from the outermost
}

// border is how far a border reaches inward, in pixels of the whole picture.
func (e edge) border() int {
	shade := e.at(0).mean()
	for i := range e.n {
		if !e.at(i).isFlat(shade) {
			return e.within(i, shade)
		}
	}
	return e.n * e.scale
}

// caption is how far a border reaches that may have letters on it: up to the last
// line of one shade with nothing but bar and letters before it.
func (e edge) caption() int {
	shade, bar := e.at(0).mean(), 0
	for i := range int(captionMost * float64(e.n)) {
		l := e.at(i)
		if l.isFlat(shade) {
			bar = i + 1
		} else if l.strays(shade) > l.n-l.n/captionBare {
			break
		}
	}
	return e.within(bar, shade)
}

// within is where the border ends, of which the first i lines are. The line
// behind them, in a reduced plane, may hold the end of the border and the
// beginning of the picture: how much of each is told by the line behind it.
func (e edge) within(i, shade int) int {
	if i == 0 || i+1 >= e.n || e.scale == 1 {
		return i * e.scale
	}
	mixed, behind := e.at(i).contrast(shade), e.at(i+1).contrast(shade)
	return i*e.scale + max(e.scale-(e.scale*mixed+behind/2)/max(behind, 1), 0)
}

// line is a row or a column of a plane.
type line struct {
	values    []uint8
	n, stride int
}

func (l line) mean() int {
	sum := 0
	for i := range l.n {
		sum += int(l.values[i*l.stride])
	}
	return sum / l.n
}

func (l line) isFlat(shade int) bool { return l.strays(shade) <= l.n/borderStray }

// strays counts the values that are off the shade.
func (l line) strays(shade int) (n int) {
	for i := range l.n {
		if d := int(l.values[i*l.stride]) - shade; d > borderSpread || d < -borderSpread {
			n++
		}
	}
	return n
}

// contrast is how far a line is off the shade, over all.
func (l line) contrast(shade int) (sum int) {
	for i := range l.n {
		d := int(l.values[i*l.stride]) - shade
		sum += max(d, -d)
	}
	return sum
}
