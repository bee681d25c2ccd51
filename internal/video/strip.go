package video

import (
	"bytes"
	"image"
	"image/draw"
	stdjpeg "image/jpeg"
)

const (
	stripFrames = 8
	tileHeight  = 160 // pixels, at most
	tileWidth   = 320
	stripGap    = 2
)

// Strip gathers frames for a picture that shows a video at a glance. Of however
// many frames it keeps at most sixteen, at equal steps. The zero value is ready.
type Strip struct {
	kept  []*image.RGBA
	every int // one in so many is kept
	seen  int
}

// Offer gives the strip a frame. It is asked for only if it is kept.
func (s *Strip) Offer(frame func() *image.RGBA) {
	if s.every == 0 {
		s.every = 1
	}
	if s.seen%s.every == 0 {
		s.kept = append(s.kept, frame())
	}
	s.seen++
	if len(s.kept) < 2*stripFrames {
		return
	}
	half := s.kept[:0]
	for i := 0; i < len(s.kept); i += 2 {
		half = append(half, s.kept[i])
	}
	s.kept, s.every = half, s.every*2
}

// Add is Offer for a frame that is there.
func (s *Strip) Add(frame *image.RGBA) { s.Offer(func() *image.RGBA { return frame }) }

// JPEG is the strip, nil without frames.
func (s *Strip) JPEG() []byte {
	if len(s.kept) == 0 {
		return nil
	}
	chosen := s.kept
	if n := len(s.kept); n > stripFrames {
		chosen = nil
		for i := range stripFrames {
			chosen = append(chosen, s.kept[i*(n-1)/(stripFrames-1)])
		}
	}
	all := image.Rectangle{}
	for i, f := range chosen {
		if i > 0 {
			all.Max.X += stripGap
		}
		all.Max.X += f.Rect.Dx()
		all.Max.Y = max(all.Max.Y, f.Rect.Dy())
	}
	picture := image.NewRGBA(all)
	x := 0
	for _, f := range chosen {
		draw.Draw(picture, f.Rect.Add(image.Pt(x, 0)), f, image.Point{}, draw.Src)
		x += f.Rect.Dx() + stripGap
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, picture, &stdjpeg.Options{Quality: 80}); err != nil {
		return nil // only sizes beyond 65,535 are refused
	}
	return b.Bytes()
}

// shrink makes a small picture, by the mean of what each of its pixels covers, of
// width × height pixels that stand for a picture of another shape. It is never
// enlarged.
func shrink(width, height, fullWidth, fullHeight int, at func(x, y int) (r, g, b uint8)) *image.RGBA {
	w, h := fit(fullWidth, fullHeight)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		y0 := y * height / h
		y1 := max((y+1)*height/h, y0+1)
		for x := range w {
			x0 := x * width / w
			x1 := max((x+1)*width/w, x0+1)
			r, g, b := mean(x0, y0, x1, y1, at)
			i := out.PixOffset(x, y)
			out.Pix[i], out.Pix[i+1], out.Pix[i+2], out.Pix[i+3] = r, g, b, 255
		}
	}
	return out
}

func mean(x0, y0, x1, y1 int, at func(x, y int) (r, g, b uint8)) (r, g, b uint8) {
	var sr, sg, sb int
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			pr, pg, pb := at(x, y)
			sr, sg, sb = sr+int(pr), sg+int(pg), sb+int(pb)
		}
	}
	n := (x1 - x0) * (y1 - y0)
	return uint8((sr + n/2) / n), uint8((sg + n/2) / n), uint8((sb + n/2) / n)
}

// fit is the size of a tile of the strip, 1×1 at least.
func fit(width, height int) (w, h int) {
	w, h = width, height
	if h > tileHeight {
		w, h = w*tileHeight/h, tileHeight
	}
	if w > tileWidth {
		w, h = tileWidth, h*tileWidth/w
	}
	return max(w, 1), max(h, 1)
}
