package demo

import (
	"image"
	"image/color"
	"math/rand/v2"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// seed makes every drawing the same; another value draws another album.
const seed = 0x7475_7465_6c61

// canvas is a picture in the making and the randomness that is its own.
type canvas struct {
	*image.RGBA
	rnd *rand.Rand
}

// paint draws the picture of that number: one of four motifs, with enough
// shapes on it that its perceptual hash is of good quality and unlike any other.
func paint(number int) *image.RGBA {
	size := sizes()[number%len(sizes())]
	c := &canvas{image.NewRGBA(image.Rectangle{Max: size}), rand.New(rand.NewPCG(seed, uint64(number)))}
	c.gradient()
	switch number % 4 {
	case 0:
		c.hills()
	case 1:
		c.clouds()
	case 2:
		c.letters()
	case 3:
		c.tiles()
	}
	c.shapes(12)
	return c.RGBA
}

// sizes has a length without a common divisor with the number of motifs, so
// that every motif comes in every size.
func sizes() []image.Point {
	return []image.Point{{640, 480}, {1024, 768}, {800, 600}, {640, 480}, {1280, 960}, {768, 1024}, {1600, 1200}}
}

func (c *canvas) colour() color.RGBA {
	return color.RGBA{uint8(c.rnd.IntN(256)), uint8(c.rnd.IntN(256)), uint8(c.rnd.IntN(256)), 255}
}

// within is a random number from n/8 up to n, for lengths that shall be seen.
func (c *canvas) within(n int) int { return n/8 + c.rnd.IntN(n-n/8) }

// gradient fills the picture from one colour at the top to another below.
func (c *canvas) gradient() {
	top, bottom := c.colour(), c.colour()
	height := c.Rect.Dy()
	for y := range height {
		mix := func(a, b uint8) uint8 { return uint8((int(a)*(height-y) + int(b)*y) / height) }
		row := color.RGBA{mix(top.R, bottom.R), mix(top.G, bottom.G), mix(top.B, bottom.B), 255}
		c.fill(image.Rect(0, y, c.Rect.Dx(), y+1), row)
	}
}

func (c *canvas) fill(r image.Rectangle, with color.RGBA) {
	draw.Draw(c.RGBA, r, image.NewUniform(with), image.Point{}, draw.Src)
}

// hills draws ranges one before the other, each a line of random slopes.
func (c *canvas) hills() {
	width, height := c.Rect.Dx(), c.Rect.Dy()
	for hill := range 4 {
		ground := c.colour()
		y, slope := height*(hill+1)/6+c.rnd.IntN(height/6), 0
		for x := range width {
			if x%(width/9) == 0 {
				slope = c.rnd.IntN(5) - 2
			}
			y = min(max(y+slope*(x%2), 0), height)
			c.fill(image.Rect(x, y, x+1, height), ground)
		}
	}
}

// clouds scales a few random points up until they flow into each other.
func (c *canvas) clouds() { c.enlarge(9, 7, draw.ApproxBiLinear) }

// tiles is the same with hard edges.
func (c *canvas) tiles() { c.enlarge(11, 8, draw.NearestNeighbor) }

func (c *canvas) enlarge(across, down int, by draw.Scaler) {
	small := image.NewRGBA(image.Rect(0, 0, across, down))
	for y := range down {
		for x := range across {
			small.SetRGBA(x, y, c.colour())
		}
	}
	by.Scale(c.RGBA, c.Rect, small, small.Rect, draw.Src, nil)
}

// letters writes random words and enlarges them to the whole picture.
func (c *canvas) letters() {
	small := image.NewRGBA(image.Rect(0, 0, 56, 42))
	draw.ApproxBiLinear.Scale(small, small.Rect, c.RGBA, c.Rect, draw.Src, nil)
	for line := range 3 {
		pen := font.Drawer{Dst: small, Src: image.NewUniform(c.colour()), Face: basicfont.Face7x13, Dot: fixed.P(0, 13*(line+1)-2)}
		for range 8 {
			pen.DrawString(string(rune('A' + c.rnd.IntN(26))))
		}
	}
	draw.NearestNeighbor.Scale(c.RGBA, c.Rect, small, small.Rect, draw.Src, nil)
}

// shapes lays n discs and bars over the picture.
func (c *canvas) shapes(n int) {
	width, height := c.Rect.Dx(), c.Rect.Dy()
	for i := range n {
		at := image.Pt(c.rnd.IntN(width), c.rnd.IntN(height))
		if i%2 == 0 {
			c.disc(at, c.within(height/4), c.colour())
			continue
		}
		half := image.Pt(c.within(width/8), c.within(height/5))
		c.fill(image.Rectangle{at.Sub(half), at.Add(half)}, c.colour())
	}
}

func (c *canvas) disc(at image.Point, radius int, with color.RGBA) {
	half := 0
	for y := -radius; y <= radius; y++ {
		for half*half+y*y < radius*radius {
			half++
		}
		for half > 0 && half*half+y*y > radius*radius {
			half--
		}
		c.fill(image.Rect(at.X-half, at.Y+y, at.X+half, at.Y+y+1), with)
	}
}

// grain adds noise of up to strength levels, as a camera's sensor does. Drawn
// pictures without it compress to almost nothing.
func grain(img *image.RGBA, strength int, rnd *rand.Rand) {
	for i := 0; i < len(img.Pix); i += 16 {
		noise := rnd.Uint32()
		for j := i; j < min(i+16, len(img.Pix)); j += 4 {
			step := int(noise&0xff)*(2*strength+1)>>8 - strength
			noise >>= 8
			for k := range 3 {
				img.Pix[j+k] = uint8(min(max(int(img.Pix[j+k])+step, 0), 255))
			}
		}
	}
}
