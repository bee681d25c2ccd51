package feature

import (
	"image"
	"math"
)

// plane is a grey picture, 0 to 255, row by row from the top left.
type plane struct {
	w, h int
	pix  []float32
}

func newPlane(w, h int) plane { return plane{w, h, make([]float32, w*h)} }

func (p plane) row(y int) []float32 { return p.pix[y*p.w : (y+1)*p.w] }

// working scales a picture so that its longer side is workingSide.
func working(g *image.Gray) plane {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	scale := workingSide / float64(max(w, h))
	return resize(g, max(1, int(float64(w)*scale+0.5)), max(1, int(float64(h)*scale+0.5)))
}

// span is the part of a row or column that one pixel of the result covers.
type span struct {
	from    int
	weights []float32
}

// spans weighs the pixels of a side of length from for each of to results: a
// tent over what a result covers if the side shrinks, linear interpolation
// between two pixels if it grows.
func spans(from, to int) []span {
	out := make([]span, to)
	step := float64(from) / float64(to)
	for i := range out {
		out[i] = tent((float64(i)+0.5)*step-0.5, max(step, 1), from)
	}
	return out
}

func tent(centre, reach float64, length int) span {
	first, last := max(int(math.Ceil(centre-reach)), 0), min(int(math.Floor(centre+reach)), length-1)
	s := span{first, make([]float32, 0, last-first+1)}
	var sum float64
	for i := first; i <= last; i++ {
		weight := 1 - math.Abs(float64(i)-centre)/reach
		s.weights = append(s.weights, float32(weight))
		sum += weight
	}
	for i := range s.weights {
		s.weights[i] /= float32(sum)
	}
	return s
}

func resize(g *image.Gray, w, h int) plane {
	out := newPlane(w, h)
	columns := spans(g.Rect.Dx(), w)
	line := make([]float32, g.Rect.Dx())
	for y, rows := range spans(g.Rect.Dy(), h) {
		clear(line)
		for i, weight := range rows.weights {
			for x, v := range g.Pix[(rows.from+i)*g.Stride:][:len(line)] {
				line[x] += weight * float32(v)
			}
		}
		to := out.row(y)
		for x := range to {
			to[x] = columns[x].mean(line)
		}
	}
	return out
}

func (s *span) mean(line []float32) (v float32) {
	for i, weight := range s.weights {
		v += weight * line[s.from+i]
	}
	return v
}

// half keeps every second pixel of every second row.
func (p plane) half() plane {
	out := newPlane((p.w+1)/2, (p.h+1)/2)
	for y := range out.h {
		from, to := p.row(2*y), out.row(y)
		for x := range to {
			to[x] = from[2*x]
		}
	}
	return out
}

// gaussian is the right half of a normal curve's weights, the middle first.
func gaussian(sigma float64) []float32 {
	n := int(math.Ceil(3*sigma)) + 1
	weights := make([]float32, n)
	sum := 0.0
	for i := range weights {
		v := math.Exp(-float64(i*i) / (2 * sigma * sigma))
		weights[i] = float32(v)
		if i > 0 {
			v *= 2
		}
		sum += v
	}
	for i := range weights {
		weights[i] /= float32(sum)
	}
	return weights
}

// blur smooths by a normal curve of sigma pixels. The outermost pixels are
// repeated beyond the edges.
func (p plane) blur(sigma float64) plane {
	weights := gaussian(sigma)
	out := newPlane(p.w, p.h)
	reach := len(weights) - 1
	padded := make([]float32, p.w+2*reach)
	for y := range p.h {
		blurRow(p.row(y), out.row(y), padded, weights)
	}
	return out.blurColumns(weights)
}

func blurRow(in, out, padded, weights []float32) {
	reach := len(weights) - 1
	n := len(in)
	for i := range reach {
		padded[i], padded[reach+n+i] = in[0], in[n-1]
	}
	copy(padded[reach:], in)
	for x, v := range padded[reach:][:n] {
		out[x] = weights[0] * v
	}
	for i := 1; i <= reach; i++ {
		addBoth(out[:n], padded[reach-i:][:n], padded[reach+i:][:n], weights[i])
	}
}

// addBoth adds to out what lies at both sides, weighted. All are of one length.
func addBoth(out, before, after []float32, weight float32) {
	before, after = before[:len(out)], after[:len(out)]
	for x := range out {
		out[x] += weight * (before[x] + after[x])
	}
}

func (p plane) blurColumns(weights []float32) plane {
	out := newPlane(p.w, p.h)
	for y := range p.h {
		to := out.row(y)
		for x, v := range p.row(y) {
			to[x] = weights[0] * v
		}
		for i := 1; i < len(weights); i++ {
			addBoth(to, p.row(max(y-i, 0)), p.row(min(y+i, p.h-1)), weights[i])
		}
	}
	return out
}

const (
	steps     = 3   // blurs in which the size doubles
	baseSigma = 1.6 // blur of an octave's first step, in its pixels
	minSide   = 16  // pixels below which there is no further octave
)

// octave is one size of the picture, blurred step by step, and the differences
// between neighbouring steps.
type octave struct {
	scale float64 // pixels of the working picture per pixel
	blurs [steps + 3]plane
	diffs [steps + 2]plane
}

// pyramid is the picture at ever coarser sizes (Lowe 2004, section 3).
func pyramid(p plane) []octave {
	var out []octave
	base := p.blur(math.Sqrt(baseSigma*baseSigma - 0.5*0.5))
	for scale := 1.0; min(base.w, base.h) >= minSide; scale *= 2 {
		o := octave{scale: scale}
		o.blurs[0] = base
		for i := 1; i < len(o.blurs); i++ {
			before := sigmaOf(float64(i - 1))
			after := sigmaOf(float64(i))
			o.blurs[i] = o.blurs[i-1].blur(math.Sqrt(after*after - before*before))
			o.diffs[i-1] = difference(o.blurs[i], o.blurs[i-1])
		}
		out = append(out, o)
		base = o.blurs[steps].half()
	}
	return out
}

// sigmaOf is the blur of a step in pixels of its octave.
func sigmaOf(step float64) float64 { return baseSigma * math.Exp2(step/steps) }

func difference(a, b plane) plane {
	out := newPlane(a.w, a.h)
	for i, v := range a.pix {
		out.pix[i] = v - b.pix[i]
	}
	return out
}
