package robustness

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// canvas is a picture in the making and the randomness that is its own. Lengths
// and places on it are told in parts of its width and height, 0 to 1.
type canvas struct {
	*image.RGBA
	rnd  *rand.Rand
	w, h float64 // pixels
}

func newCanvas(width, height int, rnd *rand.Rand) *canvas {
	return &canvas{image.NewRGBA(image.Rect(0, 0, width, height)), rnd, float64(width), float64(height)}
}

// between is a random number of a range.
func (c *canvas) between(low, high float64) float64 { return low + (high-low)*c.rnd.Float64() }

// ink is a random colour.
func (c *canvas) ink() color.RGBA {
	return color.RGBA{uint8(c.rnd.IntN(256)), uint8(c.rnd.IntN(256)), uint8(c.rnd.IntN(256)), 255}
}

// hue is a random colour of about that brightness, 0 to 1.
func (c *canvas) hue(light float64) color.RGBA {
	return shade(c.ink(), 0.35+light*1.3, light*40)
}

func (c *canvas) noise() noise { return noise(c.rnd.Uint64()) }

// each sets every pixel to what paint says of its place.
func (c *canvas) each(paint func(x, y float64) color.RGBA) {
	for y := range c.Rect.Dy() {
		for x := range c.Rect.Dx() {
			c.SetRGBA(x, y, paint(float64(x)/c.w, float64(y)/c.h))
		}
	}
}

// sky fills the picture from one colour above to another below.
func (c *canvas) sky(top, bottom color.RGBA) {
	c.each(func(_, y float64) color.RGBA { return blend(top, bottom, y) })
}

// point is a place on a canvas.
type point struct{ x, y float64 }

// polygon fills an outline.
func (c *canvas) polygon(with color.RGBA, outline ...point) {
	over := c.around(outline)
	if over.Empty() {
		return
	}
	r := vector.NewRasterizer(over.Dx(), over.Dy())
	for i, p := range outline {
		x, y := float32(p.x*c.w)-float32(over.Min.X), float32(p.y*c.h)-float32(over.Min.Y)
		if i == 0 {
			r.MoveTo(x, y)
			continue
		}
		r.LineTo(x, y)
	}
	r.ClosePath()
	r.Draw(c.RGBA, over, image.NewUniform(color.NRGBA(with)), image.Point{})
}

// around is the part of the canvas in which all points lie.
func (c *canvas) around(points []point) (r image.Rectangle) {
	for _, p := range points {
		x, y := int(math.Floor(p.x*c.w)), int(math.Floor(p.y*c.h))
		r = r.Union(image.Rect(x, y, x+2, y+2))
	}
	return r.Intersect(c.Rect)
}

// box fills a rectangle from its top left corner.
func (c *canvas) box(with color.RGBA, x, y, width, height float64) {
	c.polygon(with, point{x, y}, point{x + width, y}, point{x + width, y + height}, point{x, y + height})
}

// ellipse fills an ellipse that is turned by an angle; radius is in parts of
// the width, flat how much shorter the second radius is.
func (c *canvas) ellipse(with color.RGBA, at point, radius, flat, angle float64) {
	const corners = 40
	outline := make([]point, corners)
	sin, cos := math.Sincos(angle)
	for i := range outline {
		s, k := math.Sincos(2 * math.Pi * float64(i) / corners)
		dx, dy := radius*k, radius*flat*s
		outline[i] = point{at.x + dx*cos - dy*sin, at.y + (dx*sin+dy*cos)*c.w/c.h}
	}
	c.polygon(with, outline...)
}

// stroke draws a line that narrows from one width to another, in parts of the
// picture's width.
func (c *canvas) stroke(with color.RGBA, from, to point, thick, thin float64) {
	dx, dy := (to.x-from.x)*c.w, (to.y-from.y)*c.h
	length := math.Hypot(dx, dy)
	if length == 0 {
		return
	}
	nx, ny := -dy/length/2, dx/length/2
	side := func(p point, width float64) point {
		return point{p.x + nx*width, p.y + ny*width*c.w/c.h}
	}
	c.polygon(with, side(from, thick), side(to, thin), side(to, -thin), side(from, -thick))
}

// grain lays the unrest of a sensor over the picture, which no real picture is
// without.
func (c *canvas) grain(strength float64) {
	for i := 0; i < len(c.Pix); i += 4 {
		d := (c.rnd.Float64() - 0.5) * strength
		for k := range 3 {
			c.Pix[i+k] = clamp(float64(c.Pix[i+k]) + d)
		}
	}
}

func clamp(v float64) uint8 { return uint8(max(0, min(255, v+0.5))) }

// blend is the colour that lies between two.
func blend(a, b color.RGBA, t float64) color.RGBA {
	t = max(0, min(1, t))
	part := func(a, b uint8) uint8 { return clamp(mix(float64(a), float64(b), t)) }
	return color.RGBA{part(a.R, b.R), part(a.G, b.G), part(a.B, b.B), 255}
}

// shade multiplies a colour and adds to it.
func shade(k color.RGBA, by, plus float64) color.RGBA {
	part := func(v uint8) uint8 { return clamp(float64(v)*by + plus) }
	return color.RGBA{part(k.R), part(k.G), part(k.B), k.A}
}

// scaled is a picture at another size, each pixel the weighted mean of those it
// covers.
func scaled(p image.Image, width, height int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, max(1, width), max(1, height)))
	draw.BiLinear.Scale(out, out.Rect, p, p.Bounds(), draw.Src, nil)
	return out
}
