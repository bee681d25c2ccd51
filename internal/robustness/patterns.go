package robustness

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// marble is noise bent by noise, in three colours.
func marble(c *canvas) {
	n, low, middle, high := c.noise(), c.ink(), c.ink(), c.ink()
	size, bend := c.between(1.5, 5), c.between(0.5, 4)
	c.each(func(x, y float64) color.RGBA {
		u, v := x*size, y*size
		w := n.rough(u+bend*n.rough(u, v, 4), v+bend*(n+50).rough(u, v, 4), 5)
		return blend(blend(low, middle, w*3-0.7), high, w*3-1.4)
	})
}

// glass is a window of many panes, each all that is nearest to a point.
func glass(c *canvas) {
	panes := c.panes(12 + c.rnd.IntN(40))
	n := c.noise()
	c.each(func(x, y float64) color.RGBA {
		first, second := nearest(panes, x, y)
		if second.distance-first.distance < 0.012 {
			return color.RGBA{20, 20, 20, 255}
		}
		return shade(panes[first.index].k, 0.6+0.7*n.rough(x*8, y*8, 3), 0)
	})
}

// pane is a point and a colour.
type pane struct {
	point
	k     color.RGBA
	angle float64
}

func (c *canvas) panes(count int) []pane {
	panes := make([]pane, count)
	for i := range panes {
		panes[i] = pane{point{c.between(0, 1), c.between(0, 1)}, c.ink(), c.between(0, math.Pi)}
	}
	return panes
}

type near struct {
	index    int
	distance float64
}

// nearest are the two panes whose points lie nearest.
func nearest(panes []pane, x, y float64) (first, second near) {
	first, second = near{0, math.Inf(1)}, near{0, math.Inf(1)}
	for i, p := range panes {
		d := math.Hypot(x-p.x, y-p.y)
		switch {
		case d < first.distance:
			first, second = near{i, d}, first
		case d < second.distance:
			second = near{i, d}
		}
	}
	return first, second
}

// fields is farmland from above: furrows in every direction, and a river.
func fields(c *canvas) {
	panes, n := c.panes(15+c.rnd.IntN(30)), c.noise()
	water, start, swing := c.hue(0.4), c.between(0.1, 0.9), c.between(0.2, 0.8)
	c.each(func(x, y float64) color.RGBA {
		if math.Abs(x-start-swing*(n.rough(y*2, 3, 3)-0.5)) < 0.03 {
			return water
		}
		first, _ := nearest(panes, x+0.03*n.at(x*9, y*9), y)
		p := panes[first.index]
		sin, cos := math.Sincos(p.angle)
		furrow := 0.85 + 0.15*math.Sin((x*cos+y*sin)*150)
		return shade(p.k, furrow*(0.6+0.6*n.rough(x*6, y*6, 3)), 0)
	})
}

// arcs is a pavement of quarter circles, each tile turned at random.
func arcs(c *canvas) {
	tiles, n, low, high := c.between(3, 9), c.noise(), c.ink(), c.ink()
	thick := c.between(0.1, 0.3)
	c.each(func(x, y float64) color.RGBA {
		u, v := x*tiles, y*tiles*c.h/c.w
		i, j := math.Floor(u), math.Floor(v)
		u, v = u-i, v-j
		if n.corner(int64(i), int64(j)) < 0.5 {
			u = 1 - u
		}
		on := math.Abs(math.Hypot(u, v)-0.5) < thick || math.Abs(math.Hypot(1-u, 1-v)-0.5) < thick
		if on {
			return shade(high, 0.5+n.corner(int64(i)+90, int64(j)), 0)
		}
		return shade(low, 0.5+n.corner(int64(i), int64(j)+90), 0)
	})
}

// julia is a fractal around a random constant near the rim of the Mandelbrot
// set.
func julia(c *canvas) {
	angle := c.between(0, 2*math.Pi)
	r := complex(0.5, 0) * cis(angle)
	constant := r - cis(2*angle)/4 + complex(c.between(-0.03, 0.03), c.between(-0.03, 0.03))
	middle := complex(c.between(-0.5, 0.5), c.between(-0.5, 0.5))
	zoom, turn := c.between(1.2, 2.6), cis(c.between(0, 6))
	low, high, rings := c.ink(), c.ink(), c.between(0.1, 0.5)
	c.each(func(x, y float64) color.RGBA {
		z := middle + turn*complex((x-0.5)*zoom, (y-0.5)*zoom*c.h/c.w)
		steps := escape(z, constant)
		return shade(blend(low, high, 0.5+0.5*math.Sin(steps*rings)), 0.5+0.02*steps, 0)
	})
}

func cis(angle float64) complex128 {
	sin, cos := math.Sincos(angle)
	return complex(cos, sin)
}

// escape is after how many steps z ← z² + constant has left for good.
func escape(z, constant complex128) float64 {
	const most = 60
	for i := range most {
		z = z*z + constant
		if a := real(z)*real(z) + imag(z)*imag(z); a > 64 {
			return float64(i) + 1 - math.Log2(math.Log2(a)/6)
		}
	}
	return most
}

// bubbles lie over one another, half transparent.
func bubbles(c *canvas) {
	c.sky(c.ink(), c.ink())
	for range 30 + c.rnd.IntN(60) {
		k := c.ink()
		k.A = uint8(90 + c.rnd.IntN(150))
		radius := c.between(0.01, 0.5)
		c.ellipse(k, point{c.between(-0.1, 1.1), c.between(-0.1, 1.1)}, radius*radius+0.02, c.between(0.6, 1), c.between(0, 3))
	}
}

// boxes are blocks seen from a corner, piled at random.
func boxes(c *canvas) {
	c.wood(c.hue(0.6), c.between(0, 6))
	for range 10 + c.rnd.IntN(25) {
		c.block(point{c.between(0, 1), c.between(0.1, 1)}, c.between(0.04, 0.2), c.between(0.03, 0.3))
	}
}

// block draws three faces of a block whose lower front corner is at a point.
func (c *canvas) block(at point, side, height float64) {
	k, rise := c.ink(), side*0.5*c.w/c.h
	left, right := point{at.x - side, at.y - rise}, point{at.x + side, at.y - rise}
	up := func(p point) point { return point{p.x, p.y - height} }
	c.polygon(shade(k, 0.6, 0), at, left, up(left), up(at))
	c.polygon(shade(k, 0.95, 0), at, right, up(right), up(at))
	c.polygon(shade(k, 1.3, 20), up(at), up(left), point{at.x, at.y - 2*rise - height}, up(right))
}

// letters is a poster of a few large signs.
func letters(c *canvas) {
	c.sky(c.ink(), c.ink())
	for range 4 + c.rnd.IntN(8) {
		sign := string(rune('A' + c.rnd.IntN(26)))
		height := c.between(0.2, 0.7) * c.h
		at := image.Pt(int(c.between(-0.1, 0.9)*c.w), int(c.between(-0.1, 0.7)*c.h))
		c.write(sign, c.ink(), image.Rectangle{at, at.Add(image.Pt(int(height*0.6), int(height)))})
	}
}

// write draws a line of text stretched over a rectangle.
func (c *canvas) write(text string, k color.RGBA, over image.Rectangle) {
	face := basicfont.Face7x13
	small := image.NewAlpha(image.Rect(0, 0, face.Advance*len(text), face.Height))
	d := font.Drawer{Dst: small, Src: image.Opaque, Face: face, Dot: fixed.P(0, face.Ascent)}
	d.DrawString(text)
	large := image.NewAlpha(image.Rectangle{Max: over.Size()})
	draw.BiLinear.Scale(large, large.Rect, small, small.Rect, draw.Src, nil)
	draw.DrawMask(c.RGBA, over, image.NewUniform(color.NRGBA(k)), image.Point{}, large, image.Point{}, draw.Over)
}

// ripples are waves from several sources on dark or bright water.
func ripples(c *canvas) {
	sources, low, high := c.panes(2+c.rnd.IntN(4)), c.ink(), c.ink()
	n, fine := c.noise(), c.between(8, 50)
	c.each(func(x, y float64) color.RGBA {
		sum := 0.0
		for _, s := range sources {
			d := math.Hypot(x-s.x, (y-s.y)*c.h/c.w)
			sum += math.Sin(d*fine+s.angle) / (0.3 + 2*d)
		}
		return shade(blend(low, high, 0.5+sum/4), 0.5+n.rough(x*3, y*3, 4), 0)
	})
}
