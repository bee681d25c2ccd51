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

// spans weighs the pixels of a side of length from for each of to results: the
// mean over what it covers if it shrinks, linear interpolation if it grows.
func spans(from, to int) []span {
	out := make([]span, to)
	step := float64(from) / float64(to)
	reach := max(step, 1)
	for i := range out {
		centre := (float64(i)+0.5)*step - 0.5
		lo, hi := int(math.Ceil(centre-reach)), int(math.Floor(centre+reach))
		lo, hi = max(lo, 0), min(hi, from-1)
		var sum float64
		weights := make([]float32, 0, hi-lo+1)
		for j := lo; j <= hi; j++ {
			weight := 1 - math.Abs(float64(j)-centre)/reach
			weights = append(weights, float32(weight))
			sum += weight
		}
		for j := range weights {
			weights[j] /= float32(sum)
		}
		out[i] = span{lo, weights}
	}
	return out
}

func resize(g *image.Gray, w, h int) plane {
	out := newPlane(w, h)
	columns, rows := spans(g.Rect.Dx(), w), spans(g.Rect.Dy(), h)
	sum := make([]float32, g.Rect.Dx())
	for y, r := range rows {
		clear(sum)
		for i, weight := range r.weights {
			line := g.Pix[(r.from+i)*g.Stride:]
			for x := range sum {
				sum[x] += weight * float32(line[x])
			}
		}
		to := out.row(y)
		for x, c := range columns {
			var v float32
			for i, weight := range c.weights {
				v += weight * sum[c.from+i]
			}
			to[x] = v
		}
	}
	return out
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
	middle := padded[reach : reach+n]
	w0 := weights[0]
	for x, v := range middle {
		out[x] = w0 * v
	}
	for i := 1; i <= reach; i++ {
		w := weights[i]
		left, right := padded[reach-i:][:n], padded[reach+i:][:n]
		out := out[:n]
		for x := range out {
			out[x] += w * (left[x] + right[x])
		}
	}
}

func (p plane) blurColumns(weights []float32) plane {
	out := newPlane(p.w, p.h)
	for y := range p.h {
		to := out.row(y)
		w0 := weights[0]
		for x, v := range p.row(y)[:len(to)] {
			to[x] = w0 * v
		}
		for i := 1; i < len(weights); i++ {
			w := weights[i]
			up, down := p.row(max(y-i, 0))[:len(to)], p.row(min(y+i, p.h-1))[:len(to)]
			for x := range to {
				to[x] += w * (up[x] + down[x])
			}
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
