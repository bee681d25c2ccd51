package feature

import (
	"cmp"
	"math"
	"slices"
)

const (
	minContrast = 0.5 // grey levels by which a blob must stand out
	edgeRatio   = 10.0
	margin      = 4 // pixels at the edges of an octave without spots
	cells       = 8 // along each side of the picture, for spreading
)

// spot is a place where the picture has a blob of a certain size.
type spot struct {
	octave, step int
	x, y         float64 // in pixels of the octave
	sigma        float64 // in pixels of the octave
	strength     float64 // grey levels
	turn         int     // its place among the strongest of its cell
}

func detect(pyramid []octave) []spot {
	var out []spot
	for i := range pyramid {
		for step := 1; step <= steps; step++ {
			out = pyramid[i].extrema(out, i, step)
		}
	}
	return out
}

func (o *octave) extrema(out []spot, index, step int) []spot {
	below, at, above := o.diffs[step-1], o.diffs[step], o.diffs[step+1]
	w, h := at.w, at.h
	for y := margin; y < h-margin; y++ {
		for x := margin; x < w-margin; x++ {
			i := y*w + x
			v := at.pix[i]
			if v > -minContrast*0.8 && v < minContrast*0.8 {
				continue
			}
			if !extreme(at.pix, below.pix, above.pix, i, w, v) {
				continue
			}
			if s, ok := o.refine(index, step, x, y); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func extreme(at, below, above []float32, i, w int, v float32) bool {
	if v > 0 {
		return v > at[i-1] && v > at[i+1] && v >= top(at[i-w-1:][:3]) && v >= top(at[i+w-1:][:3]) &&
			v >= top(below[i-w-1:][:3]) && v >= top(below[i-1:][:3]) && v >= top(below[i+w-1:][:3]) &&
			v >= top(above[i-w-1:][:3]) && v >= top(above[i-1:][:3]) && v >= top(above[i+w-1:][:3])
	}
	return v < at[i-1] && v < at[i+1] && v <= bottom(at[i-w-1:][:3]) && v <= bottom(at[i+w-1:][:3]) &&
		v <= bottom(below[i-w-1:][:3]) && v <= bottom(below[i-1:][:3]) && v <= bottom(below[i+w-1:][:3]) &&
		v <= bottom(above[i-w-1:][:3]) && v <= bottom(above[i-1:][:3]) && v <= bottom(above[i+w-1:][:3])
}

func top(v []float32) float32    { return max(v[0], v[1], v[2]) }
func bottom(v []float32) float32 { return min(v[0], v[1], v[2]) }

// refine fits a parabola through the neighbours and drops what is an edge.
func (o *octave) refine(index, step, x, y int) (spot, bool) {
	d := func(s, dx, dy int) float64 {
		p := o.diffs[step+s]
		return float64(p.pix[(y+dy)*p.w+x+dx])
	}
	v := d(0, 0, 0)
	gx, gy, gs := (d(0, 1, 0)-d(0, -1, 0))/2, (d(0, 0, 1)-d(0, 0, -1))/2, (d(1, 0, 0)-d(-1, 0, 0))/2
	xx, yy := d(0, 1, 0)+d(0, -1, 0)-2*v, d(0, 0, 1)+d(0, 0, -1)-2*v
	ss := d(1, 0, 0) + d(-1, 0, 0) - 2*v
	xy := (d(0, 1, 1) + d(0, -1, -1) - d(0, 1, -1) - d(0, -1, 1)) / 4
	det, trace := xx*yy-xy*xy, xx+yy
	if det <= 0 || trace*trace*edgeRatio >= (edgeRatio+1)*(edgeRatio+1)*det {
		return spot{}, false
	}
	dx, dy := -(yy*gx-xy*gy)/det, -(xx*gy-xy*gx)/det
	ds := 0.0
	if ss != 0 {
		ds = -gs / ss
	}
	if math.Abs(dx) > 1 || math.Abs(dy) > 1 || math.Abs(ds) > 1 {
		return spot{}, false
	}
	strength := math.Abs(v + (gx*dx+gy*dy+gs*ds)/2)
	if strength < minContrast {
		return spot{}, false
	}
	return spot{octave: index, step: step, x: float64(x) + dx, y: float64(y) + dy, sigma: sigmaOf(float64(step) + ds), strength: strength}, true
}

// spread orders spots so that every part of the picture has its turn: first the
// strongest of each cell, then each cell's second, and so on. Text or a frame
// laid over a part takes the places of that part only.
func spread(spots []spot, p plane) []spot {
	slices.SortStableFunc(spots, func(a, b spot) int { return cmp.Compare(b.strength, a.strength) })
	var taken [cells * cells]int
	for i := range spots {
		c := spots[i].cell(p)
		spots[i].turn = taken[c]
		taken[c]++
	}
	slices.SortStableFunc(spots, func(a, b spot) int { return cmp.Compare(a.turn, b.turn) })
	return spots
}

func (s *spot) cell(p plane) int {
	scale := float64(int(1) << s.octave)
	column, row := int(s.x*scale*cells/float64(p.w)), int(s.y*scale*cells/float64(p.h))
	return min(max(row, 0), cells-1)*cells + min(max(column, 0), cells-1)
}
