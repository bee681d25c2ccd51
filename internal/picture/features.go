package picture

import (
	"image"

	"tutela/internal/feature"
	"tutela/internal/picture/jpeg"
)

// enoughSide is the longer side, in pixels, from which a reduced picture shows the
// same places as the whole one: package feature works on 384. Measured on the
// drawings of the tests: of the places of the exact set, the reduced one finds
// again at least half on the same map; a match asks for a fifth.
const enoughSide = 512

// showsPlaces reports whether features can be had from reduced planes.
func showsPlaces(p *jpeg.Planes) bool { return max(p.Y.Width, p.Y.Height) >= enoughSide }

func featuresOf(g *image.Gray) []byte {
	b, _ := feature.Extract(g).AppendBinary(nil) // never fails
	return b
}

// grayOf are the planes of a JPEG as a picture, which shares their pixels.
func grayOf(p *jpeg.Planes) *image.Gray {
	return &image.Gray{Pix: p.Y.Pix, Stride: p.Y.Width, Rect: image.Rect(0, 0, p.Y.Width, p.Y.Height)}
}

// gray is the picture's brightness. What has a plane of it shares that; of other
// large pictures it is made by means over squares, to cost little memory.
func (p *Picture) gray() *image.Gray {
	switch m := p.Image.(type) {
	case *image.Gray:
		return m
	case *image.YCbCr:
		return &image.Gray{Pix: m.Y, Stride: m.YStride, Rect: m.Rect}
	case *image.NYCbCrA:
		return &image.Gray{Pix: m.Y, Stride: m.YStride, Rect: m.Rect}
	}
	return reduced(p.Image, max(1, max(p.Width, p.Height)/(2*enoughSide)))
}

// reduced makes one pixel of each square of k×k. A last row or column that is not
// whole is left out.
func reduced(m image.Image, k int) *image.Gray {
	at, b := brightness(m), m.Bounds()
	g := image.NewGray(image.Rect(0, 0, b.Dx()/k, b.Dy()/k))
	for i := range g.Pix {
		x0, y0 := b.Min.X+i%g.Stride*k, b.Min.Y+i/g.Stride*k
		sum := float32(0)
		for y := y0; y < y0+k; y++ {
			for x := x0; x < x0+k; x++ {
				sum += at(x, y)
			}
		}
		g.Pix[i] = uint8(sum/float32(k*k) + 0.5)
	}
	return g
}
