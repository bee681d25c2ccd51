package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
)

// Photoshop's files: Adobe Photoshop File Formats Specification (2019). What is
// read is the picture of all layers together that most of them hold at their end,
// else the JPEG thumbnail among their resources.

func isPSD(data []byte) bool {
	return len(data) >= 26 && bytes.HasPrefix(data, []byte("8BPS\x00")) && (data[5] == 1 || data[5] == 2)
}

// Colour modes.
const (
	psdGrey    = 1
	psdIndexed = 2
	psdRGB     = 3
	psdCMYK    = 4
	psdDuotone = 8 // grey, and how to ink it
)

// psd is a file, its header read and checked.
type psd struct {
	width, height int
	channels      int // in the file
	used          int // of these, colours
	depth         int // bits: 8 or 16
	mode          int
	counts        int // bytes of a row's length: 2, or 4 in large documents
	palette       []byte
	resources     []byte
	packed        bool   // run lengths
	pixels        []byte // channel behind channel
}

func readPSD(data []byte) (p psd, err error) {
	be := binary.BigEndian
	p = psd{
		channels: int(be.Uint16(data[12:])), height: int(be.Uint32(data[14:])), width: int(be.Uint32(data[18:])),
		depth: int(be.Uint16(data[22:])), mode: int(be.Uint16(data[24:])), counts: 2 * int(data[5]),
	}
	rest := data[26:]
	for _, s := range []struct {
		into  *[]byte
		width int
	}{{&p.palette, 4}, {&p.resources, 4}, {nil, 4 * int(data[5])}} {
		r := bigEndian{b: rest}
		n := r.take(s.width)
		if r.short || n > uint64(len(r.b)) {
			return p, truncated("header")
		}
		if s.into != nil {
			*s.into = r.b[:n]
		}
		rest = r.b[n:]
	}
	if len(rest) < 2 {
		return p, truncated("header")
	}
	compression := be.Uint16(rest)
	p.packed, p.pixels = compression == 1, rest[2:]
	return p, p.check(compression)
}

func (p *psd) check(compression uint16) error {
	used, known := map[int]int{psdGrey: 1, psdDuotone: 1, psdIndexed: 1, psdRGB: 3, psdCMYK: 4}[p.mode]
	p.used = used
	switch {
	case !known:
		return fmt.Errorf("%w: Photoshop colour mode %d", ErrUnsupported, p.mode)
	case p.depth != 8 && p.depth != 16:
		return fmt.Errorf("%w: Photoshop file of %d bits", ErrUnsupported, p.depth)
	case compression > 1:
		return fmt.Errorf("%w: Photoshop compression %d", ErrUnsupported, compression)
	case p.width < 1 || p.height < 1 || p.width > 300_000 || p.height > 300_000: // the format's own limit
		return fmt.Errorf("%w: %d×%d pixels", ErrDamaged, p.width, p.height)
	case p.channels < used || p.channels > 56:
		return fmt.Errorf("%w: %d channels", ErrDamaged, p.channels)
	case p.packed && int64(p.channels)*int64(p.height)*int64(p.counts) > int64(len(p.pixels)),
		!p.packed && int64(p.used)*int64(p.height)*p.rowBytes() > int64(len(p.pixels)):
		return truncated("pixels")
	}
	return nil
}

func (p *psd) rowBytes() int64 { return int64(p.width) * int64(p.depth/8) }

func psdHeader(data []byte) (header, error) {
	p, err := readPSD(data)
	size := image.Pt(p.width, p.height)
	return header{canvas: size, frame: size, perByte: packBitsRatio, memory: saturated(int64(p.width), int64(p.height), 4)}, err
}

func decodePSD(ctx context.Context, data []byte) (image.Image, error) {
	p, err := readPSD(data)
	if err != nil {
		return nil, err
	}
	c := newCanvas(p.kind(), p.width, p.height)
	row := make([]byte, p.rowBytes())
	next := p.rows()
	for channel := range p.used {
		for y := range p.height {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			src, err := next(row)
			if err != nil {
				return nil, err
			}
			p.place(c.row(y, channel), c.step, src)
		}
	}
	return c.image(p.colours()), nil
}

func (p *psd) kind() canvasKind {
	switch p.mode {
	case psdRGB:
		return canvasRGB
	case psdCMYK:
		return canvasCMYK
	case psdIndexed:
		return canvasIndexed
	}
	return canvasGrey
}

// place puts the samples of a row, of which the upper bytes count, every step
// bytes. Ink is stored inverted.
func (p *psd) place(dst []byte, step int, src []byte) {
	var flip byte
	if p.mode == psdCMYK {
		flip = 255
	}
	width := p.depth / 8
	for x := range p.width {
		dst[x*step] = src[x*width] ^ flip
	}
}

// colours is the palette: all red values, all green, all blue.
func (p *psd) colours() color.Palette {
	if p.mode != psdIndexed {
		return nil
	}
	palette := make(color.Palette, 256)
	for i := range palette {
		palette[i] = color.NRGBA{A: 255}
		if len(p.palette) >= 768 {
			palette[i] = color.NRGBA{p.palette[i], p.palette[256+i], p.palette[512+i], 255}
		}
	}
	return palette
}

// rows gives one row after the other, in the buffer or in the file.
func (p *psd) rows() func(buf []byte) ([]byte, error) {
	rest := p.pixels
	if !p.packed {
		return func(buf []byte) (row []byte, err error) {
			row, rest = rest[:len(buf)], rest[len(buf):]
			return row, nil
		}
	}
	lengths := bigEndian{b: rest[:p.channels*p.height*p.counts]}
	rest = rest[len(lengths.b):]
	return func(buf []byte) ([]byte, error) {
		n := lengths.take(p.counts)
		if n > uint64(len(rest)) {
			return nil, truncated("pixels")
		}
		packed := rest[:n]
		rest = rest[n:]
		return buf, unpackBits(buf, packed)
	}
}

// packBitsRatio: two bytes stand for up to 128.
const packBitsRatio = 64

// unpackBits fills dst: TIFF 6.0, section 9. More than fills it is passed over.
func unpackBits(dst, src []byte) error {
	for len(dst) > 0 {
		if len(src) == 0 {
			return truncated("pixels")
		}
		n := int(int8(src[0]))
		src = src[1:]
		switch {
		case n >= 0:
			if n+1 > len(src) {
				return truncated("pixels")
			}
			dst = dst[copy(dst, src[:n+1]):]
			src = src[n+1:]
		case n > -128:
			if len(src) == 0 {
				return truncated("pixels")
			}
			run := dst[:min(1-n, len(dst))]
			for i := range run {
				run[i] = src[0]
			}
			dst, src = dst[len(run):], src[1:]
		}
	}
	return nil
}

// Image resources.
const (
	psdThumbnail = 1036 // 28 bytes, then JPEG
	psdVersion   = 1057 // its fifth byte says whether the layers were put together
)

// locateInPSD: where there is no picture of all layers, or none that is read, the
// thumbnail stands for the file.
func locateInPSD(data []byte) part {
	p, err := readPSD(data)
	if v := p.resource(psdVersion); err == nil && (len(v) < 5 || v[4] != 0) {
		return part{data: data}
	}
	if t := p.resource(psdThumbnail); len(t) > 28 && jpegPixels(t[28:]) > 0 {
		return part{t[28:], "Photoshop file"}
	}
	return part{data: data}
}

// resource finds an image resource, nil if it is not there.
func (p *psd) resource(id uint16) []byte {
	be := binary.BigEndian
	for b := p.resources; len(b) >= 12 && string(b[:4]) == "8BIM"; {
		name := (1 + int(b[6]) + 1) / 2 * 2
		if len(b) < 6+name+4 {
			return nil
		}
		body := b[6+name+4:]
		n := int64(be.Uint32(b[6+name:]))
		if n > int64(len(body)) {
			return nil
		}
		if be.Uint16(b[4:]) == id {
			return body[:n]
		}
		b = body[min(n+n%2, int64(len(body))):]
	}
	return nil
}
