package feature

import (
	"image"
	"math/rand/v2"
)

// picture draws a scene of its own for every seed: many overlapping discs and
// bars of all sizes over a slope, with a little grain.
func picture(seed uint64, w, h int) *image.Gray {
	r := rand.New(rand.NewPCG(seed, 1))
	g := image.NewGray(image.Rect(0, 0, w, h))
	for i := range g.Pix {
		g.Pix[i] = uint8(80 + 60*(i%w)/w + 60*(i/w)/h)
	}
	for range 140 {
		size := 6 + r.Float64()*r.Float64()*float64(w)/4
		disc(g, r, r.Float64()*float64(w), r.Float64()*float64(h), size, size*(0.3+0.7*r.Float64()))
	}
	for i, v := range g.Pix {
		g.Pix[i] = uint8(min(max(float64(v)+2*r.NormFloat64(), 0), 255))
	}
	return g
}

// disc fills an ellipse, half of them with a bar across.
func disc(g *image.Gray, r *rand.Rand, cx, cy, a, b float64) {
	shade, other, bar := uint8(r.IntN(256)), uint8(r.IntN(256)), r.IntN(2) == 0
	for y := max(int(cy-b), 0); y < min(int(cy+b), g.Rect.Dy()); y++ {
		for x := max(int(cx-a), 0); x < min(int(cx+a), g.Rect.Dx()); x++ {
			dx, dy := (float64(x)-cx)/a, (float64(y)-cy)/b
			if dx*dx+dy*dy > 1 {
				continue
			}
			g.Pix[y*g.Stride+x] = shade
			if bar && dx > dy-0.2 && dx < dy+0.2 {
				g.Pix[y*g.Stride+x] = other
			}
		}
	}
}

// random is a set of as many places as there can be, of no picture.
func random(seed uint64) Set {
	r := rand.New(rand.NewPCG(seed, 2))
	s := Set{width: workingSide, height: workingSide}
	for range maxPoints {
		at := func() uint16 { return uint16(r.IntN(workingSide * subpixel)) }
		s.points = append(s.points, point{at(), at(), uint8(r.IntN(80)), uint8(r.IntN(256)), description{r.Uint64(), r.Uint64()}})
	}
	return s
}
