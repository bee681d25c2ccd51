package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	stdjpeg "image/jpeg"

	"tutela/internal/picture/jpeg"
)

// thumbnailSide is the longer side of a thumbnail, in pixels, and
// thumbnailQuality what makes one of about 9 KB.
const (
	thumbnailSide    = 256
	thumbnailQuality = 75
)

// Thumbnail makes a small JPEG of a picture, at most 256×256 pixels and never
// larger than the picture, turned as the orientation says (1 to 8 as EXIF has
// them; any other leaves it). A pixel is the mean of what it covers; where it
// covers more than 4×4 pixels, of 16 that are evenly spread, so that the work does
// not grow with the picture. Alpha is ignored.
func Thumbnail(m image.Image, orientation int) ([]byte, error) {
	size := m.Bounds().Size()
	if size.X < 1 || size.Y < 1 {
		return nil, fmt.Errorf("%w: %v pixels", ErrDamaged, size)
	}
	small := fit(size)
	return shrink(sampled(m, small), small).turned(orientation).encode()
}

// thumbnailOf makes one of a JPEG's planes, as Thumbnail does.
func thumbnailOf(p *jpeg.Planes, orientation int) ([]byte, error) {
	small := fit(image.Pt(p.Width, p.Height))
	if p.Width < 1 || p.Height < 1 || len(p.Y.Pix) == 0 {
		return nil, fmt.Errorf("%w: %d×%d pixels", ErrDamaged, p.Width, p.Height)
	}
	return shrink(ofPlanes(p), small).turned(orientation).encode()
}

// fit is the size of the thumbnail.
func fit(full image.Point) image.Point {
	longer := max(full.X, full.Y)
	if longer <= thumbnailSide {
		return full
	}
	side := func(n int) int { return max(1, int((int64(n)*thumbnailSide+int64(longer)/2)/int64(longer))) }
	return image.Pt(side(full.X), side(full.Y))
}

// samples are a rectangle of brightness or colour. across and down are how many
// of them the picture reaches over: the last column and row may lie partly
// outside.
type samples struct {
	width, height int
	across, down  float64
	pix           []uint8
}

// planes are a picture's brightness and, if it has any, colours (JFIF's YCbCr).
type planes [3]samples

func ofPlanes(p *jpeg.Planes) (out planes) {
	plane := func(from jpeg.Plane, step float64) samples {
		return samples{from.Width, from.Height, float64(p.Width) / step, float64(p.Height) / step, from.Pix}
	}
	out[0] = plane(p.Y, float64(p.Scale))
	for i, from := range []jpeg.Plane{p.Cb, p.Cr} {
		if len(from.Pix) == 0 {
			return planes{out[0]}
		}
		c := plane(from, 8)
		c.across /= subsampling(p.Width, from.Width)
		c.down /= subsampling(p.Height, from.Height)
		out[1+i] = c
	}
	return out
}

// subsampling is how many pixels a chroma sample stood for before it was reduced
// by 8: the factor, of those that are in use, which gives so many blocks.
func subsampling(pixels, blocks int) float64 {
	for _, factor := range []int64{1, 2, 4, 3} {
		if ceilDiv(ceilDiv(int64(pixels), factor), 8) == int64(blocks) {
			return float64(factor)
		}
	}
	return float64(pixels) / float64(8*blocks)
}

// sampled takes from a picture at most 4 pixels a side for each of the
// thumbnail's.
func sampled(m image.Image, small image.Point) (out planes) {
	size, origin := m.Bounds().Size(), m.Bounds().Min
	w, h := min(size.X, 4*small.X), min(size.Y, 4*small.Y)
	for i := range out {
		out[i] = samples{w, h, float64(w), float64(h), make([]uint8, w*h)}
	}
	at := ycc(m)
	xs := spread(size.X, w)
	i := 0
	for _, y := range spread(size.Y, h) {
		for _, x := range xs {
			out[0].pix[i], out[1].pix[i], out[2].pix[i] = at(origin.X+x, origin.Y+y)
			i++
		}
	}
	if isGrey(m) {
		return planes{out[0]}
	}
	return out
}

// spread are n places among length, each in the middle of its part.
func spread(length, n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = int((2*int64(i) + 1) * int64(length) / (2 * int64(n)))
	}
	return at
}

func isGrey(m image.Image) bool {
	switch m.(type) {
	case *image.Gray, *image.Gray16:
		return true
	}
	return false
}

// ycc returns how a pixel's brightness and colours are read.
func ycc(m image.Image) func(x, y int) (uint8, uint8, uint8) {
	switch m := m.(type) {
	case *image.YCbCr:
		return func(x, y int) (uint8, uint8, uint8) {
			c := m.COffset(x, y)
			return m.Y[m.YOffset(x, y)], m.Cb[c], m.Cr[c]
		}
	case *image.NYCbCrA:
		return ycc(&m.YCbCr)
	case *image.Gray:
		return func(x, y int) (uint8, uint8, uint8) { return m.Pix[m.PixOffset(x, y)], 128, 128 }
	}
	at := coloursOf(m)
	return func(x, y int) (uint8, uint8, uint8) { return color.RGBToYCbCr(at(x, y)) }
}

// coloursOf returns how a pixel's colours are read, alpha ignored.
func coloursOf(m image.Image) func(x, y int) (r, g, b uint8) {
	switch m := m.(type) {
	case *image.RGBA:
		return ofBytes(m.Pix, m.PixOffset, 1)
	case *image.NRGBA:
		return ofBytes(m.Pix, m.PixOffset, 1)
	case *image.RGBA64:
		return ofBytes(m.Pix, m.PixOffset, 2)
	case *image.NRGBA64:
		return ofBytes(m.Pix, m.PixOffset, 2)
	case *image.Paletted:
		return func(x, y int) (r, g, b uint8) {
			if i := int(m.Pix[m.PixOffset(x, y)]); i < len(m.Palette) {
				return plain(m.Palette[i])
			}
			return 0, 0, 0
		}
	}
	return func(x, y int) (r, g, b uint8) { return plain(m.At(x, y)) }
}

func ofBytes(pix []byte, offset func(x, y int) int, width int) func(x, y int) (r, g, b uint8) {
	return func(x, y int) (r, g, b uint8) {
		p := pix[offset(x, y):]
		return p[0], p[width], p[2*width]
	}
}

// plain is a colour without its alpha, not multiplied by it, which would darken
// it.
func plain(c color.Color) (r, g, b uint8) {
	if n, ok := c.(color.NRGBA); ok {
		return n.R, n.G, n.B
	}
	wr, wg, wb, _ := c.RGBA()
	return uint8(wr >> 8), uint8(wg >> 8), uint8(wb >> 8)
}

// shrink makes all planes of one size.
func shrink(p planes, to image.Point) *small {
	s := &small{width: to.X, height: to.Y}
	for i := range p {
		if len(p[i].pix) > 0 {
			s.pix[i] = p[i].mean(to)
		}
	}
	return s
}

// unit is 1 in the whole numbers that parts of samples are counted in. Its square
// times 255 fits 32 bits.
const unit = 1 << 12

// share is the samples that a pixel of the thumbnail covers along one side, and
// how much of it each makes up, together one unit.
type share struct {
	first  int
	weight []uint32
}

// shares divides samples, of which the picture reaches over a length, among n
// pixels.
func shares(samples int, length float64, n int) []share {
	out := make([]share, n)
	for i := range out {
		from, to := float64(i)*length/float64(n), float64(i+1)*length/float64(n)
		first := min(int(from), samples-1)
		last := min(max(int(to), first), samples-1)
		out[i].first = first
		left := uint32(unit)
		for j := first; j < last; j++ {
			part := max(0, min(to, float64(j+1))-max(from, float64(j)))
			w := min(uint32(part/(to-from)*unit+0.5), left)
			out[i].weight = append(out[i].weight, w)
			left -= w
		}
		out[i].weight = append(out[i].weight, left)
	}
	return out
}

// mean reduces or, where there are fewer samples than pixels, repeats.
func (s *samples) mean(to image.Point) []uint8 {
	columns, rows := shares(s.width, s.across, to.X), shares(s.height, s.down, to.Y)
	out := make([]uint8, 0, to.X*to.Y)
	sum, row, at := make([]uint32, to.X), make([]uint32, to.X), -1 // row is that of samples at
	for _, r := range rows {
		clear(sum)
		for i, down := range r.weight {
			if at != r.first+i { // the last row of a pixel is often the first of the next
				at = r.first + i
				reduceRow(row, s.pix[at*s.width:][:s.width], columns)
			}
			for x, v := range row {
				sum[x] += v * down
			}
		}
		for _, v := range sum {
			out = append(out, uint8((v+unit*unit/2)/(unit*unit)))
		}
	}
	return out
}

func reduceRow(out []uint32, row []uint8, columns []share) {
	for x := range columns {
		c := &columns[x]
		in, v := row[c.first:][:len(c.weight)], uint32(0)
		for j, w := range c.weight {
			v += w * uint32(in[j])
		}
		out[x] = v
	}
}

// small is a thumbnail before it is encoded; without colours only pix[0] is there.
type small struct {
	width, height int
	pix           [3][]uint8
}

// turned undoes how the camera was held: Exif 2.32, 4.6.4, A.
func (s *small) turned(orientation int) *small {
	if orientation < 2 || orientation > 8 {
		return s
	}
	out := &small{width: s.width, height: s.height}
	if orientation >= 5 {
		out.width, out.height = s.height, s.width
	}
	for i, from := range s.pix {
		if from == nil {
			continue
		}
		out.pix[i] = make([]uint8, 0, len(from))
		for y := range out.height {
			for x := range out.width {
				sx, sy := s.source(orientation, x, y)
				out.pix[i] = append(out.pix[i], from[sy*s.width+sx])
			}
		}
	}
	return out
}

// source is the pixel that comes to lie at x, y.
func (s *small) source(orientation, x, y int) (int, int) {
	right, bottom := s.width-1, s.height-1
	switch orientation {
	case 2:
		return right - x, y
	case 3:
		return right - x, bottom - y
	case 4:
		return x, bottom - y
	case 5:
		return y, x
	case 6:
		return y, bottom - x
	case 7:
		return right - y, bottom - x
	case 8:
		return right - y, x
	}
	return x, y
}

func (s *small) encode() ([]byte, error) {
	r := image.Rect(0, 0, s.width, s.height)
	var m image.Image = &image.Gray{Pix: s.pix[0], Stride: s.width, Rect: r}
	if s.pix[1] != nil && s.pix[2] != nil {
		m = &image.YCbCr{Y: s.pix[0], Cb: s.pix[1], Cr: s.pix[2], YStride: s.width, CStride: s.width, SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: r}
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, m, &stdjpeg.Options{Quality: thumbnailQuality}); err != nil {
		return nil, fmt.Errorf("make a thumbnail: %w", err)
	}
	return b.Bytes(), nil
}
