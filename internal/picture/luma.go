package picture

import (
	"image"
	"image/color"

	"tutela/internal/pdq"
)

// Luma is the brightness of the pixels that the perceptual hash looks at, at
// most 512×512 of them. Only those are converted to RGB, each exactly as
// converting the whole picture would, so a large picture costs no more than a
// small one.
func (p *Picture) Luma() *pdq.Luma {
	return p.lumaOf(pdq.Cut{Part: image.Rect(0, 0, p.Width, p.Height)})
}

// lumaOf is the Luma of a cut, which must lie inside the picture.
func (p *Picture) lumaOf(c pdq.Cut) *pdq.Luma {
	columns, rows := c.Columns(), c.Rows()
	l := &pdq.Luma{Width: len(columns), Height: len(rows), Pix: make([]float32, 0, len(columns)*len(rows))}
	at, origin := brightness(p.Image), p.Image.Bounds().Min
	for _, y := range rows {
		for _, x := range columns {
			l.Pix = append(l.Pix, at(origin.X+x, origin.Y+y))
		}
	}
	return l
}

// brightness returns how a pixel's luma is read. Grey stays what it is, as the
// reference has it; alpha is passed over.
func brightness(m image.Image) func(x, y int) float32 {
	switch m := m.(type) {
	case *image.YCbCr:
		return ofYCbCr(m)
	case *image.NYCbCrA:
		return ofYCbCr(&m.YCbCr)
	case *image.Gray:
		return func(x, y int) float32 { return float32(m.Pix[m.PixOffset(x, y)]) }
	case *image.Gray16: // big-endian samples: the first byte is the upper half
		return func(x, y int) float32 { return float32(m.Pix[m.PixOffset(x, y)]) }
	case *image.Paletted:
		return ofPaletted(m)
	case *image.CMYK:
		return func(x, y int) float32 {
			p := m.Pix[m.PixOffset(x, y):][:4]
			return pdq.Brightness(color.CMYKToRGB(p[0], p[1], p[2], p[3]))
		}
	}
	at := coloursOf(m)
	return func(x, y int) float32 { return pdq.Brightness(at(x, y)) }
}

func ofYCbCr(m *image.YCbCr) func(x, y int) float32 {
	return func(x, y int) float32 {
		c := m.COffset(x, y)
		return pdq.Brightness(color.YCbCrToRGB(m.Y[m.YOffset(x, y)], m.Cb[c], m.Cr[c]))
	}
}

// ofPaletted converts each colour once: there are more pixels than colours.
func ofPaletted(m *image.Paletted) func(x, y int) float32 {
	var table [256]float32 // black beyond the palette
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		table[i] = pdq.Brightness(plain(c))
	}
	return func(x, y int) float32 { return table[m.Pix[m.PixOffset(x, y)]] }
}
