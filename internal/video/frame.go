package video

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	stdjpeg "image/jpeg"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/picture/jpeg"
	"tutela/internal/video/track"
)

// decoderHere names what decodes motion JPEG.
const decoderHere = "tutela/jpeg 1"

// maxPixels bounds a frame that is decoded here: twice the largest of 8K.
const maxPixels = 1 << 26

// decoded is a frame of motion JPEG.
type decoded struct {
	planes *jpeg.Planes
	image  image.Image // where colours other than YCbCr had to be read
}

func readJPEG(frame []byte) (*decoded, error) {
	info, err := jpeg.Inspect(frame)
	if err != nil && !errors.Is(err, jpeg.ErrColour) {
		return nil, err
	}
	if int64(info.Width)*int64(info.Height) > maxPixels {
		return nil, fmt.Errorf("%w: a frame of %d×%d pixels", track.ErrFormat, info.Width, info.Height)
	}
	if err != nil {
		img, err := stdjpeg.Decode(bytes.NewReader(frame))
		return &decoded{image: img}, err
	}
	p, err := jpeg.Read(frame, jpeg.Options{Scale: 1, Chroma: true})
	return &decoded{planes: p}, err
}

// luma is the brightness that is hashed.
func (d *decoded) luma() *pdq.Luma {
	at, width, height := d.brightness()
	columns, rows := pdq.Grid(width, height)
	l := &pdq.Luma{Width: len(columns), Height: len(rows), Pix: make([]float32, 0, len(columns)*len(rows))}
	for _, y := range rows {
		for _, x := range columns {
			l.Pix = append(l.Pix, at(x, y))
		}
	}
	return l
}

func (d *decoded) brightness() (at func(x, y int) float32, width, height int) {
	if d.planes != nil {
		y := d.planes.Y
		return func(i, j int) float32 { return float32(y.Pix[j*y.Width+i]) }, y.Width, y.Height
	}
	b := d.image.Bounds()
	return func(x, y int) float32 {
		r, g, bl, _ := d.image.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return pdq.Brightness(uint8(r>>8), uint8(g>>8), uint8(bl>>8))
	}, b.Dx(), b.Dy()
}

// small is the frame at the size of the strip.
func (d *decoded) small() *image.RGBA {
	if d.image != nil {
		b := d.image.Bounds()
		return shrink(b.Dx(), b.Dy(), b.Dx(), b.Dy(), func(x, y int) (r, g, bl uint8) {
			r16, g16, b16, _ := d.image.At(b.Min.X+x, b.Min.Y+y).RGBA()
			return uint8(r16 >> 8), uint8(g16 >> 8), uint8(b16 >> 8)
		})
	}
	y := d.planes.Y
	return shrink(y.Width, y.Height, y.Width, y.Height, func(i, j int) (r, g, b uint8) {
		return rgb(y.Pix[j*y.Width+i], sampleOf(d.planes.Cb, i, j, y), sampleOf(d.planes.Cr, i, j, y))
	})
}

// sampleOf is the sample of a coarse plane of chroma for a pixel; grey without
// one.
func sampleOf(c jpeg.Plane, x, y int, full jpeg.Plane) uint8 {
	if len(c.Pix) == 0 {
		return 128
	}
	return c.Pix[y*c.Height/full.Height*c.Width+x*c.Width/full.Width]
}

// rgb is JFIF's conversion (ITU-T T.871, 7).
func rgb(y, cb, cr uint8) (r, g, b uint8) {
	l, u, v := int(y)<<16+1<<15, int(cb)-128, int(cr)-128
	return clip(l + 91881*v), clip(l - 22554*u - 46802*v), clip(l + 116130*u)
}

func clip(v int) uint8 { return uint8(min(max(v>>16, 0), 255)) }

// Gatherer makes hashes and a strip of the frames that a decoder gives back. It
// is not safe for concurrent use.
type Gatherer struct {
	raw, full image.Point
	strip     Strip
}

// NewGatherer makes one for a video of the size that its container tells.
func NewGatherer(width, height int) *Gatherer {
	if width < 1 || height < 1 {
		width, height = 512, 512
	}
	full, raw := image.Pt(width, height), image.Pt(width, height)
	if width > 512 || height > 512 {
		raw = image.Pt(512, 512)
	}
	return &Gatherer{raw: raw, full: full}
}

// RawSize is the size in pixels at which a decoder has to give frames, so that
// their hash is that of the frame in full: as it is where neither side is longer
// than 512, else 512×512, taken at equal steps, the shape not kept.
func (g *Gatherer) RawSize() (width, height int) { return g.raw.X, g.raw.Y }

// FrameBytes is how long a frame is that Add takes.
func (g *Gatherer) FrameBytes() int { return g.raw.X * g.raw.Y * 3 }

// Add takes a frame at RawSize, red, green and blue in a byte each, and gives
// its hash.
func (g *Gatherer) Add(pixels []byte) (hash tutela.PDQ, quality int) {
	l := &pdq.Luma{Width: g.raw.X, Height: g.raw.Y, Pix: make([]float32, g.raw.X*g.raw.Y)}
	for i := range l.Pix {
		p := pixels[3*i:][:3]
		l.Pix[i] = pdq.Brightness(p[0], p[1], p[2])
	}
	g.strip.Offer(func() *image.RGBA {
		return shrink(g.raw.X, g.raw.Y, g.full.X, g.full.Y, func(x, y int) (r, gr, b uint8) {
			p := pixels[3*(y*g.raw.X+x):][:3]
			return p[0], p[1], p[2]
		})
	})
	return pdq.Hash(l)
}

// Strip is the JPEG of frames side by side, nil if there was none.
func (g *Gatherer) Strip() []byte { return g.strip.JPEG() }
