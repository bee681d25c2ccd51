package robustness

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
)

// seed makes every scene and every alteration the same on each run; another
// value is another suite, whose figures must not be compared.
const seed = 0x7475_7465_6c61

// motif draws one kind of scene. What is where, how large and in what colours
// is random, so that two scenes of one motif are no more alike than two
// photographs of it.
type motif struct {
	name  string
	paint func(*canvas)
}

func motifs() []motif {
	return []motif{
		{"ranges", ranges}, {"skyline", skyline}, {"fruit", fruit}, {"marble", marble},
		{"glass", glass}, {"arcs", arcs}, {"julia", julia}, {"clouds", clouds},
		{"trees", trees}, {"bubbles", bubbles}, {"flowers", flowers}, {"fields", fields},
		{"letters", letters}, {"boxes", boxes}, {"planets", planets}, {"ripples", ripples},
	}
}

// scene draws the scene of a number.
func scene(number int) (name string, p *image.RGBA) {
	all, sizes := motifs(), sceneSizes()
	m, size := all[number%len(all)], sizes[number%len(sizes)]
	c := newCanvas(size.X, size.Y, rand.New(rand.NewPCG(seed, uint64(number))))
	m.paint(c)
	c.grain(8)
	return m.name, c.RGBA
}

// sceneSizes has a length without a common divisor with the number of motifs,
// so that every motif comes in every size.
func sceneSizes() []image.Point {
	return []image.Point{{640, 480}, {480, 640}, {640, 360}, {512, 512}, {600, 400}, {427, 640}, {640, 427}}
}

// ranges are mountains one before the other, paler the farther.
func ranges(c *canvas) {
	haze := c.hue(0.8)
	c.sky(c.hue(0.5), haze)
	c.ellipse(c.hue(1), point{c.between(0, 1), c.between(0.05, 0.5)}, c.between(0.03, 0.12), 1, 0)
	layers := 3 + c.rnd.IntN(4)
	base, n := c.hue(0.25), c.noise()
	for i := range layers {
		near := float64(i+1) / float64(layers)
		foot := mix(c.between(0.2, 0.5), 0.95, near*near)
		height, width := c.between(0.15, 0.5), c.between(1.5, 6)
		c.ridge(blend(haze, base, near), n+noise(100*i), foot, height, width)
	}
}

// ridge fills all below a rough line.
func (c *canvas) ridge(with color.RGBA, n noise, foot, height, width float64) {
	for x := range c.Rect.Dx() {
		u := float64(x) / c.w
		top := foot - height*(n.rough(u*width, 7, 5)-0.4)
		for y := max(0, int(top*c.h)); y < c.Rect.Dy(); y++ {
			v := float64(y) / c.h
			c.SetRGBA(x, y, shade(with, 0.7+0.6*n.rough(u*20, v*20, 3), 0))
		}
	}
}

// skyline is a town at any hour, its windows lit or not.
func skyline(c *canvas) {
	c.sky(c.ink(), c.ink())
	for range 14 + c.rnd.IntN(14) {
		width, height := c.between(0.05, 0.22), c.between(0.1, 0.85)
		c.tower(c.between(-0.05, 1), 1-height, width, height)
	}
}

func (c *canvas) tower(x, y, width, height float64) {
	wall := c.ink()
	c.box(wall, x, y, width, height)
	lit, dark, share := c.hue(0.9), shade(wall, 0.6, 0), c.rnd.Float64()
	step := c.between(0.015, 0.03)
	for v := y + step; v < y+height-step; v += 1.6 * step {
		for u := x + step/2; u < x+width-step; u += 1.6 * step {
			window := dark
			if c.rnd.Float64() < share {
				window = lit
			}
			c.box(window, u, v, step, step)
		}
	}
}

// fruit is a heap of shaded balls on a wooden table.
func fruit(c *canvas) {
	c.wood(c.hue(0.5), c.between(0, 2*math.Pi))
	for range 5 + c.rnd.IntN(12) {
		c.ball(c.ink(), point{c.between(0, 1), c.between(0.05, 0.95)}, c.between(0.05, 0.2))
	}
}

// wood fills the picture with the rings of a cut trunk, stretched along an
// angle.
func (c *canvas) wood(k color.RGBA, angle float64) {
	n, rings := c.noise(), c.between(4, 20)
	sin, cos := math.Sincos(angle)
	c.each(func(x, y float64) color.RGBA {
		along, across := x*cos+y*sin, y*cos-x*sin
		v := across + 0.4*n.rough(along, across*3, 4)
		return shade(k, 0.7+0.5*math.Abs(math.Sin(v*rings)), 0)
	})
}

// ball draws a sphere lit from the upper left, and its shadow.
func (c *canvas) ball(k color.RGBA, at point, radius float64) {
	c.ellipse(color.RGBA{0, 0, 0, 110}, point{at.x + radius/3, at.y + radius/2}, radius*1.05, 0.9, 0)
	const rings = 14
	for i := range rings {
		t := float64(i) / rings
		middle := point{at.x - radius*t*0.35, at.y - radius*t*0.35*c.w/c.h}
		c.ellipse(shade(k, 0.45+t, 90*t*t*t), middle, radius*(1-t), 1, 0)
	}
}

// clouds drift over a sky.
func clouds(c *canvas) {
	n, top, bottom, white := c.noise(), c.hue(0.3), c.hue(0.7), c.hue(1)
	size, cover := c.between(1.5, 5), c.between(0.35, 0.55)
	c.each(func(x, y float64) color.RGBA {
		thick := (n.rough(x*size, y*size*1.5, 6) - cover) * 5
		lit := 0.6 + 0.6*n.rough(x*size+0.1, y*size*1.5+0.1, 4)
		return blend(blend(top, bottom, y), shade(white, lit, 0), thick)
	})
}

// trees stand on a hill.
func trees(c *canvas) {
	c.sky(c.hue(0.9), c.hue(0.6))
	c.ridge(c.hue(0.3), c.noise(), c.between(0.55, 0.9), c.between(0.05, 0.4), c.between(0.5, 3))
	for range 2 + c.rnd.IntN(4) {
		bark, leaf := c.hue(0.1), c.ink()
		foot := point{c.between(0.05, 0.95), c.between(0.7, 1.05)}
		c.branch(bark, leaf, foot, -math.Pi/2+c.between(-0.2, 0.2), c.between(0.1, 0.24), 7)
	}
}

// branch draws a branch and those that grow from it.
func (c *canvas) branch(bark, leaf color.RGBA, from point, angle, length float64, left int) {
	sin, cos := math.Sincos(angle)
	to := point{from.x + length*cos, from.y + length*sin*c.w/c.h}
	c.stroke(bark, from, to, length/6, length/9)
	if left == 0 {
		c.ellipse(shade(leaf, c.between(0.6, 1.4), 0), to, c.between(0.006, 0.02), 0.7, angle)
		return
	}
	for _, turn := range []float64{-c.between(0.2, 0.7), c.between(0.2, 0.7)} {
		c.branch(bark, leaf, to, angle+turn, length*c.between(0.65, 0.85), left-1)
	}
}

// flowers grow in a meadow, seen from above or from the side.
func flowers(c *canvas) {
	n, k, size := c.noise(), c.hue(0.35), c.between(3, 15)
	c.each(func(x, y float64) color.RGBA { return shade(k, 0.4+1.2*n.rough(x*size, y*size*0.4, 4), 0) })
	for range 3 + c.rnd.IntN(12) {
		c.flower(point{c.between(0, 1), c.between(0, 1)}, c.between(0.06, 0.25))
	}
}

func (c *canvas) flower(at point, radius float64) {
	petals, k, turn := 5+c.rnd.IntN(9), c.ink(), c.between(0, 3)
	for i := range petals {
		angle := turn + 2*math.Pi*float64(i)/float64(petals)
		sin, cos := math.Sincos(angle)
		middle := point{at.x + radius*0.6*cos, at.y + radius*0.6*sin*c.w/c.h}
		c.ellipse(shade(k, 0.75+0.4*float64(i%2), 0), middle, radius*0.5, 0.42, angle)
	}
	c.ball(c.hue(0.6), at, radius*0.28)
}

// planets hang among stars.
func planets(c *canvas) {
	n, k, size := c.noise(), c.hue(0.4), c.between(1.5, 4)
	c.each(func(x, y float64) color.RGBA {
		v := n.rough(x*size, y*size, 5)
		return shade(k, v*v*v*4, 0)
	})
	for range 150 {
		c.ellipse(c.hue(0.9), point{c.between(0, 1), c.between(0, 1)}, c.between(0.001, 0.005), 1, 0)
	}
	for range 1 + c.rnd.IntN(4) {
		c.planet(point{c.between(0, 1), c.between(0, 1)}, c.between(0.08, 0.35))
	}
}

// planet draws a sphere of cloudy bands, lit from one side.
func (c *canvas) planet(at point, radius float64) {
	n, k, other, bands := c.noise(), c.ink(), c.ink(), c.between(2, 12)
	sin, cos := math.Sincos(c.between(0, 2*math.Pi))
	c.within(at, radius, func(x, y float64) color.RGBA {
		v := (x*sin + y*cos) * bands
		surface := blend(k, other, n.rough(v+2*n.at(x*3, y*3), v, 4)*1.6-0.3)
		return shade(surface, max(0.05, math.Sqrt(max(0, 1-x*x-y*y))*0.5+0.6*(x*cos-y*sin)+0.3), 0)
	})
}

// within sets the pixels of a disc; x and y run from -1 to 1 over it.
func (c *canvas) within(at point, radius float64, paint func(x, y float64) color.RGBA) {
	r := radius * c.w
	for py := max(0, int(at.y*c.h-r)); py < min(c.Rect.Dy(), int(at.y*c.h+r)); py++ {
		for px := max(0, int(at.x*c.w-r)); px < min(c.Rect.Dx(), int(at.x*c.w+r)); px++ {
			x, y := (float64(px)-at.x*c.w)/r, (float64(py)-at.y*c.h)/r
			if x*x+y*y < 1 {
				c.SetRGBA(px, py, paint(x, y))
			}
		}
	}
}
