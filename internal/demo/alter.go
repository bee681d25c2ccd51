package demo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// alteration makes a copy whose digest is another and whose perceptual hash is
// near. Cropping, captions and rotation are not among them: PDQ does not
// survive those. The value is what people are told.
type alteration string

const (
	reencoded  alteration = "saved again as JPEG at quality 35"
	halved     alteration = "scaled to half its width and height"
	brightened alteration = "made brighter"
	blurred    alteration = "blurred a little"
	lossless   alteration = "scaled down and saved as PNG"
	fewColours alteration = "scaled down and saved as GIF with few colours"
	thumbnail  alteration = "shrunk to a thumbnail"
)

// of makes the altered copy of a picture.
func (a alteration) of(s still) (still, error) {
	src, _, err := image.Decode(bytes.NewReader(s.data))
	if err != nil {
		return still{}, fmt.Errorf("decode %s: %w", s.name, err)
	}
	copied, err := a.encode(src)
	if err != nil {
		return still{}, fmt.Errorf("%s %s: %w", s.name, a, err)
	}
	return copied, nil
}

func (a alteration) encode(src image.Image) (still, error) {
	width := src.Bounds().Dx()
	switch a {
	case reencoded:
		return encode("copy", jpg(35), src)
	case halved:
		return encode("copy", jpg(85), scaled(src, width/2))
	case brightened:
		return encode("copy", jpg(85), shaded(src, 24))
	case blurred:
		return encode("copy", jpg(85), scaled(scaled(src, width/4), width))
	case lossless:
		return encode("copy", format{extension: "png"}, scaled(src, 400))
	case fewColours:
		return encode("copy", format{extension: "gif"}, scaled(src, 480))
	case thumbnail:
		return encode("copy", format{extension: "png"}, scaled(src, 200))
	}
	panic("internal error: no such alteration: " + string(a))
}

// scaled keeps the ratio of the sides.
func scaled(src image.Image, width int) *image.RGBA {
	b := src.Bounds()
	dst := image.NewRGBA(image.Rect(0, 0, width, b.Dy()*width/b.Dx()))
	draw.BiLinear.Scale(dst, dst.Rect, src, b, draw.Src, nil)
	return dst
}

// shaded adds levels to every channel.
func shaded(src image.Image, levels int) *image.RGBA {
	dst := image.NewRGBA(src.Bounds())
	draw.Draw(dst, dst.Rect, src, dst.Rect.Min, draw.Src)
	for i, v := range dst.Pix {
		if i%4 != 3 {
			dst.Pix[i] = uint8(min(int(v)+levels, 255))
		}
	}
	return dst
}

// posterise rounds every channel to six levels. The palette is a cube, so the
// nearest colour is found by arithmetic.
func posterise(src image.Image) *image.Paletted {
	rgba := shaded(src, 0)
	dst := image.NewPaletted(rgba.Rect, colourCube())
	for i := range dst.Pix {
		level := func(channel int) uint8 { return uint8((int(rgba.Pix[4*i+channel]) + 25) / 51) }
		dst.Pix[i] = 36*level(0) + 6*level(1) + level(2)
	}
	return dst
}

func colourCube() color.Palette {
	var cube color.Palette
	for i := range 216 {
		cube = append(cube, color.RGBA{uint8(i / 36 * 51), uint8(i / 6 % 6 * 51), uint8(i % 6 * 51), 255})
	}
	return cube
}
