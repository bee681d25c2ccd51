package robustness

import (
	"image"
	"image/color"
)

// What changes pixels and leaves each where it is, or nearly.

func same(b *bench) image.Image { return b.RGBA }

func handedOn(b *bench) image.Image {
	first := b.savedAt(scaled(b, b.width()*3/4, b.height()*3/4), 60)
	second := b.savedAt(scaled(first, b.width()*9/10, b.height()*9/10), 40)
	return scaled(second, b.width()*2/3, b.height()*2/3)
}

func halfSize(b *bench) image.Image { return scaled(b, b.width()/2, b.height()/2) }

func thumbnail(b *bench) image.Image {
	longer := max(b.width(), b.height())
	return scaled(b, b.width()*128/longer, b.height()*128/longer)
}

func squeezed(b *bench) image.Image { return scaled(b, b.width()*3/4, b.height()) }

func greyscale(b *bench) image.Image {
	out := image.NewGray(b.Rect)
	for y := range b.height() {
		for x := range b.width() {
			out.Set(x, y, b.RGBAAt(x, y))
		}
	}
	return out
}

func brighter(b *bench) image.Image {
	return b.values(func(_ int, v float64) float64 { return v + 50 })
}

func contrast(b *bench) image.Image {
	return b.values(func(_ int, v float64) float64 { return 128 + (v-128)*1.5 })
}

func noisy(b *bench) image.Image {
	return b.values(func(_ int, v float64) float64 { return v + 20*b.rnd.NormFloat64() })
}

func blurred(b *bench) image.Image { return mean(mean(b.RGBA, 3), 3) }

func sharpened(b *bench) image.Image {
	soft := mean(b.RGBA, 2)
	return b.values(func(i int, v float64) float64 { return v + 1.5*(v-float64(soft.Pix[i])) })
}

// values is a copy with every value of a colour set anew; i is its place in
// Pix.
func (b *bench) values(set func(i int, v float64) float64) *image.RGBA {
	out := image.NewRGBA(b.Rect)
	for i, v := range b.Pix {
		if i%4 == 3 {
			out.Pix[i] = 255
			continue
		}
		out.Pix[i] = clamp(set(i, float64(v)))
	}
	return out
}

// mean replaces every pixel by the mean of the square of 2·reach+1 pixels around
// it, as far as that lies in the picture.
func mean(p *image.RGBA, reach int) *image.RGBA {
	return turned(meanOfRows(turned(meanOfRows(p, reach)), reach))
}

func meanOfRows(p *image.RGBA, reach int) *image.RGBA {
	out := image.NewRGBA(p.Rect)
	for y := range p.Rect.Dy() {
		row, to := p.Pix[y*p.Stride:][:4*p.Rect.Dx()], out.Pix[y*out.Stride:]
		for x := range p.Rect.Dx() {
			around := row[4*max(0, x-reach) : 4*min(p.Rect.Dx(), x+reach+1)]
			for k := range 4 {
				to[4*x+k] = meanOf(around, k)
			}
		}
	}
	return out
}

func meanOf(row []byte, k int) uint8 {
	sum, count := 0, len(row)/4
	for i := k; i < len(row); i += 4 {
		sum += int(row[i])
	}
	return uint8((sum + count/2) / count)
}

// turned exchanges rows and columns.
func turned(p *image.RGBA) *image.RGBA {
	return rearranged(p, p.Rect.Dy(), p.Rect.Dx(), func(x, y int) (int, int) { return y, x })
}

// rearranged is a picture of that size whose pixels come from other places.
func rearranged(p *image.RGBA, width, height int, from func(x, y int) (int, int)) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v := from(x, y)
			copy(out.Pix[out.PixOffset(x, y):][:4], p.Pix[p.PixOffset(u, v):][:4])
		}
	}
	return out
}

var (
	white = color.RGBA{255, 255, 255, 255}
	black = color.RGBA{0, 0, 0, 255}
)
