package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"

	"tutela"
)

// The picture of a HEIC or AVIF file is a key frame of a video coding, or a grid
// of such. Here is read of what it is made; a [Decoder] makes pixels of the key
// frames, and they are put together here.
//
// A crop (clap) is applied: what it hides is most often what an encoder added to
// fill its blocks. How the picture is turned (irot, imir) is told to thumbnails
// alone, as the orientation of a JPEG is; an orientation in EXIF says the same
// once more and is passed over (23008-12, A.2.1). Alpha and other items of the
// file are not looked at.

// Coded are key frames of one coding and size that a picture is made of.
type Coded struct {
	Coding        string // "hevc", "av1" or "h264"
	Config        []byte // what a decoder needs first: the body of hvcC, av1C or avcC
	Width, Height int    // pixels of each, 1 to 65,535
	Colour        Colour
	Frames        [][]byte // in the file's form: units with lengths, or OBUs
}

// Colour says how brightness and colours are to be read, by ITU-T H.273. The zero
// value says that the key frames tell it themselves.
type Colour struct {
	Told   bool
	Matrix int // MatrixCoefficients, 0 to 65,535; 2 is unknown
	Full   bool
}

// FrameBytes is how long a frame is that a [Decoder] gives, in bytes.
func (c *Coded) FrameBytes() int {
	w, h := (c.Width+1)/2, (c.Height+1)/2
	return c.Width*c.Height + 2*w*h
}

// Decoder decodes key frames in a place that is safe.
type Decoder interface {
	// Decode calls put with what it made of each frame that it could decode, in
	// any order, and returns the name of what made it. Pixels are those of JFIF
	// (BT.601 in full range), chroma halved on both sides: Y, Cb, Cr, FrameBytes
	// in all. The bytes are Decode's again when put returns. A frame that could
	// not be decoded is left out and no error.
	Decode(ctx context.Context, c *Coded, put func(number int, pixels []byte)) (name string, err error)
}

// NeedsDecoder reports by the first bytes of a file whether a [Decoder] is worth
// having to look at it.
func NeedsDecoder(data []byte) bool { return isBMFF(data) && bmffName(data) != canonCR3 }

// still is a picture made of key frames.
type still struct {
	Coded
	name        string // of the format
	columns     int    // of frames
	size        image.Point
	crop        image.Rectangle // what is shown of size
	orientation int             // as EXIF has it
	cut         bool            // the file ends in it
}

const (
	mostTiles = 4096 // frames of a grid
	mostIden  = 4    // items that are another as it is, one in another

	// AV1 was seen to need about three bits for a block of 128 × 128 pixels of one
	// shade, HEVC more. What exceeds the factor has no detail to hash.
	stillPixelsPerByte = 4 * 128 * 128
)

// openStill reads what the picture of a file is made of, and holds it against the
// limits.
func openStill(data []byte, limits Limits) (*still, error) {
	h := openHEIF(data)
	s := &still{name: bmffName(data), columns: 1, orientation: 1}
	if err := s.item(h, h.primary, mostIden); err != nil {
		return nil, err
	}
	if s.cut = h.cut; s.codedBytes() == 0 {
		return nil, truncated("picture")
	}
	if err := s.header().check(s.codedBytes(), limits); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *still) codedBytes() (n int64) {
	for _, f := range s.Frames {
		n += int64(len(f))
	}
	return n
}

// header is for the picture and two of its frames.
func (s *still) header() header {
	frame := int64(s.Width) * int64(s.Height)
	pixels := int64(s.size.X) * int64(s.size.Y)
	return header{canvas: s.size, frame: s.size, perByte: stillPixelsPerByte, memory: (pixels + 2*frame) * 3 / 2}
}

// item reads an item, and how it is shown.
func (s *still) item(h *heif, id uint32, deep int) error {
	var err error
	switch kind := h.kinds[id]; {
	case codings[kind].name != "":
		err = s.frames(h, []uint32{id})
		s.size = image.Pt(s.Width, s.Height)
	case kind == "grid":
		err = s.grid(h, id)
	case kind == "iden" && len(h.inputs[id]) == 1 && deep > 0:
		err = s.item(h, h.inputs[id][0], deep-1)
	case kind == "":
		err = fmt.Errorf("%w: %s without a picture", ErrDamaged, s.name)
	default:
		err = fmt.Errorf("%w: no decoder for %s of kind %q here", ErrUnsupported, s.name, printable([]byte(kind)))
	}
	if err != nil {
		return err
	}
	if s.crop.Empty() {
		s.crop = image.Rectangle{Max: s.size}
	}
	h.each(id, s.shown)
	return nil
}

// codings are the kinds of items that are key frames, and the properties that
// hold what a decoder needs.
var codings = map[string]struct{ name, config string }{
	"hvc1": {"hevc", "hvcC"},
	"av01": {"av1", "av1C"},
	"avc1": {"h264", "avcC"},
}

// grid reads an item that is a grid of others: 23008-12, 6.6.2.3. All have one
// size and the last column and row may reach beyond the picture.
func (s *still) grid(h *heif, id uint32) error {
	r := &bigEndian{b: h.bytes(id)}
	r.take(1) // its version
	flags := r.take(1)
	rows, columns := int(r.take(1))+1, int(r.take(1))+1
	bytes := 2 + 2*int(flags&1)
	width, height := int64(r.take(bytes)), int64(r.take(bytes))
	inputs := h.inputs[id]
	if r.short || len(inputs) != rows*columns {
		return fmt.Errorf("%w: grid of %d×%d with %d parts", ErrDamaged, columns, rows, len(inputs))
	}
	if len(inputs) > mostTiles {
		return fmt.Errorf("%w: grid of %d×%d", ErrTooLarge, columns, rows)
	}
	if err := s.frames(h, inputs); err != nil {
		return err
	}
	if !covers(columns, s.Width, width) || !covers(rows, s.Height, height) {
		return fmt.Errorf("%w: grid of %d×%d of %d×%d pixels for %d×%d", ErrDamaged, columns, rows, s.Width, s.Height, width, height)
	}
	s.columns, s.size = columns, image.Pt(int(width), int(height))
	h.each(id, s.coloured)
	return nil
}

// covers reports whether so many parts are just enough for a side.
func covers(parts, each int, side int64) bool {
	return side > int64(parts-1)*int64(each) && side <= int64(parts)*int64(each)
}

// frames takes items that are key frames, all alike.
func (s *still) frames(h *heif, ids []uint32) error {
	kind := h.kinds[ids[0]]
	coding := codings[kind]
	if coding.name == "" {
		return fmt.Errorf("%w: no decoder for %s made of %q here", ErrUnsupported, s.name, printable([]byte(kind)))
	}
	s.Coding, s.Config = coding.name, h.property(ids[0], coding.config)
	size := h.property(ids[0], "ispe")
	s.Width, s.Height = extent2(size)
	if s.Width < 1 || s.Height < 1 || s.Width > 65535 || s.Height > 65535 {
		return fmt.Errorf("%w: frames of %d×%d pixels", ErrDamaged, s.Width, s.Height)
	}
	h.each(ids[0], s.coloured)
	total := 0
	for _, id := range ids {
		alike := h.kinds[id] == kind && bytes.Equal(h.property(id, coding.config), s.Config) && bytes.Equal(h.property(id, "ispe"), size)
		if !alike {
			return fmt.Errorf("%w: %s made of parts that are not alike", ErrUnsupported, s.name)
		}
		frame := h.bytes(id)
		if total += len(frame); total > len(h.data) {
			return fmt.Errorf("%w: parts that share bytes", ErrDamaged)
		}
		s.Frames = append(s.Frames, frame)
	}
	return nil
}

// extent2 reads an image spatial extents property: 23008-12, 6.5.3.
func extent2(b []byte) (width, height int) {
	if len(b) < 12 {
		return 0, 0
	}
	return int(binary.BigEndian.Uint32(b[4:])), int(binary.BigEndian.Uint32(b[8:]))
}

// coloured takes a colour information box of numbers: 14496-12, 12.1.5. One of a
// profile, which may stand beside it, says nothing of what is needed here.
func (s *still) coloured(p property) {
	b := p.body
	if p.kind != "colr" || len(b) < 11 || string(b[:4]) != "nclx" {
		return
	}
	s.Colour = Colour{Told: true, Matrix: int(binary.BigEndian.Uint16(b[8:])), Full: b[10]&0x80 != 0}
}

// shown takes a property that says how an item is shown: 23008-12, 6.5.9 to 6.5.12.
// A crop behind a turn, which MIAF forbids, is passed over.
func (s *still) shown(p property) {
	switch {
	case p.kind == "clap" && s.orientation == 1:
		if crop := aperture(p.body, s.crop); !crop.Empty() {
			s.crop = crop
		}
	case p.kind == "irot" && len(p.body) > 0:
		s.orientation = turned(s.orientation, [4]int{1, 8, 3, 6}[p.body[0]&3])
	case p.kind == "imir" && len(p.body) > 0:
		s.orientation = turned(s.orientation, [2]int{4, 2}[p.body[0]&1])
	}
}

// aperture reads a clean aperture: eight numbers that are four fractions, width,
// height, and how far its middle lies off that of the whole, which it must be
// inside.
func aperture(b []byte, whole image.Rectangle) image.Rectangle {
	if len(b) < 32 {
		return image.Rectangle{}
	}
	n := func(i int) int64 { return int64(int32(binary.BigEndian.Uint32(b[4*i:]))) }
	side := func(i, length int) (from, to int) {
		over, under, off, offUnder := n(i), n(i+1), n(i+4), n(i+5)
		if under < 1 || offUnder < 1 || over < under || over/under > int64(length) {
			return 0, 0
		}
		size := over / under
		from = int((2*off + (int64(length)-size)*offUnder) / (2 * offUnder))
		return from, from + int(size)
	}
	x0, x1 := side(0, whole.Dx())
	y0, y1 := side(2, whole.Dy())
	return image.Rect(x0, y0, x1, y1).Add(whole.Min).Intersect(whole)
}

// turns are where the axes x and y of a picture come to lie that is shown as an
// orientation of EXIF says: x right, y down.
var turns = [9][4]int{
	1: {1, 0, 0, 1}, 2: {-1, 0, 0, 1}, 3: {-1, 0, 0, -1}, 4: {1, 0, 0, -1},
	5: {0, 1, 1, 0}, 6: {0, -1, 1, 0}, 7: {0, -1, -1, 0}, 8: {0, 1, -1, 0},
}

// turned is the orientation of what is shown one way and then another.
func turned(first, then int) int {
	a, b := turns[first], turns[then]
	both := [4]int{
		b[0]*a[0] + b[1]*a[2], b[0]*a[1] + b[1]*a[3],
		b[2]*a[0] + b[3]*a[2], b[2]*a[1] + b[3]*a[3],
	}
	for o, t := range turns {
		if o > 0 && t == both {
			return o
		}
	}
	panic("internal error: turns are no group")
}

// decode has the frames decoded and puts the picture together. Frames that are
// missing are told, and black.
func (s *still) decode(ctx context.Context, d Decoder) (*Picture, []tutela.Finding, error) {
	m := image.NewYCbCr(image.Rectangle{Max: s.size}, image.YCbCrSubsampleRatio420)
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = 128, 128
	}
	had := make([]bool, len(s.Frames))
	count := 0
	name, err := d.Decode(ctx, &s.Coded, func(number int, pixels []byte) {
		if number < 0 || number >= len(had) || had[number] || len(pixels) != s.FrameBytes() {
			return
		}
		had[number] = true
		count++
		s.paint(m, number, pixels)
	})
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", s.name, err)
	case count == 0:
		return nil, nil, fmt.Errorf("%w: %s made nothing of %s", ErrDamaged, name, s.name)
	}
	size := s.crop.Size()
	return &Picture{Width: size.X, Height: size.Y, Decoder: name, Image: m.SubImage(s.crop)}, s.losses(len(had) - count), nil
}

// losses are the findings of a picture of which so many frames are missing.
func (s *still) losses(missing int) (list []tutela.Finding) {
	if s.cut {
		list = append(list, tutela.Finding{Code: tutela.FindingTruncated, Detail: "ends before its picture does"})
	}
	if missing > 0 {
		list = append(list, tutela.Finding{Code: tutela.FindingDamaged, Detail: fmt.Sprintf("%d of %d parts of the picture could not be decoded", missing, len(s.Frames))})
	}
	return list
}

// paint lays a frame at its place.
func (s *still) paint(m *image.YCbCr, number int, pixels []byte) {
	x, y := number%s.columns*s.Width, number/s.columns*s.Height
	w, h := (s.Width+1)/2, (s.Height+1)/2
	luma, chroma := s.Width*s.Height, w*h
	lay(m.Y, m.YStride, x, y, pixels[:luma], s.Width)
	lay(m.Cb, m.CStride, x/2, y/2, pixels[luma:luma+chroma], w)
	lay(m.Cr, m.CStride, x/2, y/2, pixels[luma+chroma:], w)
}

// lay copies rows of a width onto a plane, as far as they lie on it.
func lay(plane []byte, stride, x, y int, rows []byte, width int) {
	for ; len(rows) > 0 && y*stride < len(plane); y++ {
		if x < stride {
			copy(plane[y*stride+x:(y+1)*stride], rows[:width])
		}
		rows = rows[width:]
	}
}
