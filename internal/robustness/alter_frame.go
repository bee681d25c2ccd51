package robustness

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

// What is laid over a picture, cut off it, put around it, or turns it.

func watermark(b *bench) image.Image {
	c := b.copied()
	plate := image.Rect(b.width()*7/10, b.height()*88/100, b.width()*99/100, b.height()*98/100)
	draw.Draw(c, plate, image.NewUniform(color.NRGBA{255, 255, 255, 200}), image.Point{}, draw.Over)
	c.write("example.org", black, plate.Inset(2))
	return c
}

func captionBar(b *bench) image.Image {
	bar := b.height() * 15 / 100
	c := b.framed(image.Rect(0, 0, b.width(), b.height()+bar), image.Pt(0, bar), white)
	c.write("WHEN YOU SEE IT AGAIN", black, image.Rect(b.width()/20, bar/5, b.width()*19/20, bar*4/5))
	return c
}

func captionBelow(b *bench) image.Image {
	bar := b.height() * 20 / 100
	c := b.framed(image.Rect(0, 0, b.width(), b.height()+bar), image.Point{}, white)
	c.write("and they never knew", black, image.Rect(b.width()/5, b.height()+bar/4, b.width()*4/5, b.height()+bar*3/4))
	return c
}

func bigText(b *bench) image.Image {
	c := b.copied()
	c.rimmed("HELLO", image.Rect(b.width()/20, b.height()/20, b.width()*19/20, b.height()*7/20))
	c.rimmed("WORLD", image.Rect(b.width()/20, b.height()*13/20, b.width()*19/20, b.height()*19/20))
	return c
}

// rimmed writes white letters with black rims.
func (c *canvas) rimmed(text string, over image.Rectangle) {
	rim := max(1, c.Rect.Dx()/160)
	for _, by := range []image.Point{{-rim, -rim}, {rim, -rim}, {-rim, rim}, {rim, rim}} {
		c.write(text, black, over.Add(by))
	}
	c.write(text, white, over)
}

func crop(share float64) func(*bench) image.Image {
	return func(b *bench) image.Image {
		x, y := int(float64(b.width())*share+0.5), int(float64(b.height())*share+0.5)
		return b.SubImage(image.Rect(x, y, b.width()-x, b.height()-y))
	}
}

func randomCrop(share float64) func(*bench) image.Image {
	return func(b *bench) image.Image {
		width, height := int(float64(b.width())*share), int(float64(b.height())*share)
		at := image.Pt(b.rnd.IntN(b.width()-width+1), b.rnd.IntN(b.height()-height+1))
		return b.SubImage(image.Rectangle{at, at.Add(image.Pt(width, height))})
	}
}

// tilted turns a picture by a small angle in its frame.
func tilted(degrees float64) func(*bench) image.Image {
	return func(b *bench) image.Image {
		sin, cos := math.Sincos(degrees * math.Pi / 180)
		x, y := float64(b.width())/2, float64(b.height())/2
		c := b.framed(b.Rect, b.Rect.Max, black)
		about := f64.Aff3{cos, -sin, x - x*cos + y*sin, sin, cos, y - x*sin - y*cos}
		draw.BiLinear.Transform(c, about, b.RGBA, b.Rect, draw.Src, nil)
		return c
	}
}

func rotate90(b *bench) image.Image {
	return rearranged(b.RGBA, b.height(), b.width(), func(x, y int) (int, int) { return b.width() - 1 - y, x })
}

func rotate180(b *bench) image.Image {
	return rearranged(b.RGBA, b.width(), b.height(), func(x, y int) (int, int) { return b.width() - 1 - x, b.height() - 1 - y })
}

func rotate270(b *bench) image.Image {
	return rearranged(b.RGBA, b.height(), b.width(), func(x, y int) (int, int) { return y, b.height() - 1 - x })
}

func mirrored(b *bench) image.Image {
	return rearranged(b.RGBA, b.width(), b.height(), func(x, y int) (int, int) { return b.width() - 1 - x, y })
}

func flipped(b *bench) image.Image {
	return rearranged(b.RGBA, b.width(), b.height(), func(x, y int) (int, int) { return x, b.height() - 1 - y })
}

// borderOf puts a frame around a picture, so many hundredths of the width wide.
func borderOf(percent int) func(*bench) image.Image {
	return func(b *bench) image.Image {
		wide := b.width() * percent / 100
		k := color.RGBA{uint8(b.rnd.IntN(256)), uint8(b.rnd.IntN(256)), uint8(b.rnd.IntN(256)), 255}
		return b.framed(image.Rect(0, 0, b.width()+2*wide, b.height()+2*wide), image.Pt(wide, wide), k)
	}
}

func letterbox(b *bench) image.Image {
	bar := b.height() * 15 / 100
	return b.framed(image.Rect(0, 0, b.width(), b.height()+2*bar), image.Pt(0, bar), black)
}

func pillarbox(b *bench) image.Image {
	bar := b.width() * 25 / 100
	return b.framed(image.Rect(0, 0, b.width()+2*bar, b.height()), image.Pt(bar, 0), black)
}

// mosaic puts the picture into one of four tiles, and three others beside it.
func mosaic(b *bench) image.Image {
	mine := b.rnd.IntN(4)
	x, y := b.width()/2, b.height()/2
	out := image.NewRGBA(image.Rect(0, 0, 2*x, 2*y))
	for tile := range 4 {
		var p image.Image = b.RGBA
		if tile != mine {
			p = b.another()
		}
		at := image.Pt(tile%2*x, tile/2*y)
		draw.Draw(out, image.Rectangle{at, at.Add(image.Pt(x, y))}, fitted(p, x, y), image.Point{}, draw.Src)
	}
	return out
}

// fitted is a picture at another size; what has no size of its own, as black
// has, stays.
func fitted(p image.Image, width, height int) image.Image {
	if _, endless := p.(*image.Uniform); endless {
		return p
	}
	return scaled(p, width, height)
}

func (b *bench) copied() *canvas { return b.framed(b.Rect, image.Point{}, black) }

// framed is a canvas of one colour with the picture at a place.
func (b *bench) framed(size image.Rectangle, at image.Point, k color.RGBA) *canvas {
	c := newCanvas(size.Dx(), size.Dy(), b.rnd)
	draw.Draw(c.RGBA, c.Rect, image.NewUniform(k), image.Point{}, draw.Src)
	draw.Draw(c.RGBA, b.Rect.Add(at), b.RGBA, image.Point{}, draw.Src)
	return c
}
