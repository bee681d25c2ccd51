package picture

import (
	"image"
	"image/color"
)

// canvasKind is how the pixels of a canvas are made of bytes.
type canvasKind int

const (
	canvasGrey    canvasKind = iota // 1 byte
	canvasIndexed                   // 1 byte, an index into a palette
	canvasRGB                       // 4 bytes, the last of which is not used
	canvasCMYK                      // 4 bytes
)

// canvas is a picture in the making, painted channel by channel.
type canvas struct {
	kind          canvasKind
	width, height int
	step          int // bytes from a pixel to the next
	pix           []byte
}

func newCanvas(kind canvasKind, width, height int) *canvas {
	c := &canvas{kind: kind, width: width, height: height, step: 1}
	if kind == canvasRGB || kind == canvasCMYK {
		c.step = 4
	}
	c.pix = make([]byte, width*height*c.step)
	return c
}

// channels is how many there are to paint.
func (c *canvas) channels() int {
	switch c.kind {
	case canvasRGB:
		return 3
	case canvasCMYK:
		return 4
	}
	return 1
}

// row is where a channel of a row begins; its samples stand step bytes apart.
func (c *canvas) row(y, channel int) []byte {
	return c.pix[y*c.width*c.step+channel : (y+1)*c.width*c.step]
}

// image is what was painted. Only an indexed one has a palette, which must have
// an entry for every index.
func (c *canvas) image(palette color.Palette) image.Image {
	r := image.Rect(0, 0, c.width, c.height)
	switch c.kind {
	case canvasIndexed:
		return &image.Paletted{Pix: c.pix, Stride: c.width, Rect: r, Palette: palette}
	case canvasRGB:
		for i := 3; i < len(c.pix); i += 4 {
			c.pix[i] = 255
		}
		return &image.NRGBA{Pix: c.pix, Stride: 4 * c.width, Rect: r}
	case canvasCMYK:
		return &image.CMYK{Pix: c.pix, Stride: 4 * c.width, Rect: r}
	}
	return &image.Gray{Pix: c.pix, Stride: c.width, Rect: r}
}
