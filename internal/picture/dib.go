package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math/bits"
)

// Bitmaps of Windows and OS/2: [MS-WMF] 2.2.2, and what the files of thirty years
// hold. They are read here, since golang.org/x/image/bmp reads but a few of them,
// and can be made to ask for terabytes.

func isBMP(data []byte) bool {
	if len(data) < 26 || string(data[:2]) != "BM" {
		return false
	}
	n := binary.LittleEndian.Uint32(data[14:])
	return n == 12 || n >= 16 && n <= 124
}

// The compressions of a bitmap.
const (
	dibRGB       = 0
	dibRLE8      = 1
	dibRLE4      = 2
	dibFields    = 3
	dibJPEG      = 4
	dibPNG       = 5
	dibAlphaMask = 6
)

// dib is a device-independent bitmap, its header read and checked.
type dib struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	masks         [3]uint32 // red, green, blue; of 16 and 32 bits
	palette       color.Palette
	pixels        []byte
}

// A pair of bytes stands for at most 255 pixels. What is passed over unpainted has
// no detail to hash.
const rlePixelsPerByte = 128

func bmpHeader(data []byte) (header, error) {
	b, err := readBMP(data)
	return b.header(), err
}

// readBMP reads a file: a header of 14 bytes, which says where the pixels are,
// before the bitmap.
func readBMP(data []byte) (dib, error) {
	return readDIB(data[14:], int64(binary.LittleEndian.Uint32(data[10:]))-14)
}

// readDIB reads the header of a bitmap whose pixels begin at a place, 0 if that is
// right behind its palette.
func readDIB(data []byte, at int64) (b dib, err error) {
	if len(data) < 12 {
		return b, truncated("header")
	}
	size := int64(binary.LittleEndian.Uint32(data))
	if size > int64(len(data)) {
		return b, truncated("header")
	}
	if err := b.readSize(data[:size]); err != nil {
		return b, err
	}
	behind, err := b.readColours(data, size)
	if err != nil {
		return b, err
	}
	if at <= 0 {
		at = behind
	}
	if at > int64(len(data)) {
		return b, truncated("header")
	}
	b.pixels = data[at:]
	return b, b.check()
}

// readSize reads the header that OS/2 began with (12 bytes) and all later ones.
func (b *dib) readSize(h []byte) error {
	le := binary.LittleEndian
	planes := uint16(0)
	switch {
	case len(h) == 12:
		b.width, b.height = int(le.Uint16(h[4:])), int(le.Uint16(h[6:]))
		planes, b.bits = le.Uint16(h[8:]), int(le.Uint16(h[10:]))
	case len(h) >= 16:
		b.width, b.height = int(int32(le.Uint32(h[4:]))), int(int32(le.Uint32(h[8:])))
		planes, b.bits = le.Uint16(h[12:]), int(le.Uint16(h[14:]))
	default:
		return fmt.Errorf("%w: header of %d bytes", ErrDamaged, len(h))
	}
	if len(h) >= 20 {
		b.compression = le.Uint32(h[16:])
	}
	if len(h) == 64 && b.compression >= 3 {
		return fmt.Errorf("%w: BMP of OS/2 with compression %d", ErrUnsupported, b.compression)
	}
	if b.height < 0 {
		b.height, b.topDown = -b.height, true
	}
	if b.width < 1 || b.height < 1 || planes > 1 {
		return fmt.Errorf("%w: %d×%d pixels in %d planes", ErrDamaged, b.width, b.height, planes)
	}
	return nil
}

// readColours reads masks and palette and returns where they end.
func (b *dib) readColours(data []byte, size int64) (int64, error) {
	behind := size
	switch b.bits {
	case 16:
		b.masks = [3]uint32{0x7c00, 0x3e0, 0x1f}
	case 32:
		b.masks = [3]uint32{0xff0000, 0xff00, 0xff}
	}
	if b.compression == dibFields || b.compression == dibAlphaMask {
		if int64(len(data)) < 40+12 {
			return 0, truncated("header")
		}
		for i := range b.masks {
			b.masks[i] = binary.LittleEndian.Uint32(data[40+4*i:])
		}
		if size == 40 {
			behind += 12 + 4*int64(b.compression/dibAlphaMask)
		}
	}
	if b.bits > 8 || b.bits < 1 {
		return behind, nil
	}
	entry, count := int64(4), int64(0)
	if size == 12 {
		entry = 3
	} else if size >= 36 {
		count = int64(binary.LittleEndian.Uint32(data[32:]))
	}
	if most := int64(1) << b.bits; count == 0 || count > most {
		count = most
	}
	b.readPalette(data[min(behind, int64(len(data))):], int(entry), int(count))
	return behind + entry*count, nil
}

// readPalette makes every index valid: what the file does not give is black.
func (b *dib) readPalette(data []byte, entry, count int) {
	b.palette = make(color.Palette, 1<<b.bits)
	for i := range b.palette {
		b.palette[i] = color.NRGBA{A: 255}
		if i < count && len(data) >= (i+1)*entry {
			e := data[i*entry:]
			b.palette[i] = color.NRGBA{e[2], e[1], e[0], 255}
		}
	}
}

func (b *dib) check() error {
	switch b.compression {
	case dibRGB:
	case dibFields, dibAlphaMask:
		if b.bits != 16 && b.bits != 32 {
			return fmt.Errorf("%w: masks for %d bits", ErrDamaged, b.bits)
		}
	case dibRLE8, dibRLE4:
		if b.bits != 8/int(b.compression) || b.topDown {
			return fmt.Errorf("%w: run lengths for %d bits", ErrDamaged, b.bits)
		}
		return nil
	default:
		return fmt.Errorf("%w: BMP with compression %d", ErrUnsupported, b.compression)
	}
	switch b.bits {
	case 1, 2, 4, 8, 16, 24, 32:
	default:
		return fmt.Errorf("%w: BMP of %d bits", ErrUnsupported, b.bits)
	}
	if need := saturated(b.stride(), int64(b.height), 1); need > int64(len(b.pixels)) {
		return fmt.Errorf("%w: ends in its pixels: %d of %d bytes", ErrDamaged, len(b.pixels), need)
	}
	return nil
}

// stride is how many bytes a row has. It cannot overflow: 2³¹ pixels of 32 bits.
func (b *dib) stride() int64 { return (int64(b.width)*int64(b.bits) + 31) / 32 * 4 }

func (b *dib) header() header {
	size := image.Pt(b.width, b.height)
	h := header{canvas: size, frame: size, perByte: 8, memory: saturated(int64(b.width), int64(b.height), 4)}
	if b.bits <= 8 {
		h.memory /= 4
	}
	if b.compression == dibRLE8 || b.compression == dibRLE4 {
		h.perByte = rlePixelsPerByte
	}
	return h
}

// saturated multiplies without overflow.
func saturated(w, h, perPixel int64) int64 {
	if h > 0 && w > (1<<62)/perPixel/h {
		return 1 << 62
	}
	return w * h * perPixel
}

func decodeBMP(ctx context.Context, data []byte) (image.Image, error) {
	b, err := readBMP(data)
	if err != nil {
		return nil, err
	}
	return b.image(ctx)
}

// image makes the pixels. The header must have been checked against the limits.
func (b *dib) image(ctx context.Context) (image.Image, error) {
	switch {
	case b.compression == dibRLE8 || b.compression == dibRLE4:
		return b.runs(ctx)
	case b.bits <= 8:
		return b.indexed(ctx)
	}
	m := image.NewNRGBA(image.Rect(0, 0, b.width, b.height))
	for y := range b.height {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.rgbRow(m.Pix[m.PixOffset(0, b.line(y)):], b.pixels[int64(y)*b.stride():])
	}
	return m, nil
}

// line is where the y-th row of the file stands in the picture.
func (b *dib) line(y int) int {
	if b.topDown {
		return y
	}
	return b.height - 1 - y
}

func (b *dib) rgbRow(dst, src []byte) {
	r, g, bl := channelOf(b.masks[0]), channelOf(b.masks[1]), channelOf(b.masks[2])
	for x := range b.width {
		d := dst[4*x:][:4]
		d[3] = 255
		switch b.bits {
		case 24:
			d[0], d[1], d[2] = src[3*x+2], src[3*x+1], src[3*x]
		case 16:
			v := uint32(binary.LittleEndian.Uint16(src[2*x:]))
			d[0], d[1], d[2] = r.of(v), g.of(v), bl.of(v)
		case 32:
			v := binary.LittleEndian.Uint32(src[4*x:])
			d[0], d[1], d[2] = r.of(v), g.of(v), bl.of(v)
		}
	}
}

// channel takes a colour out of a word and makes it 8 bits: of fewer it repeats
// the upper ones below, of more it drops the lower ones.
type channel struct {
	mask  uint32
	shift int
	bits  int
}

func channelOf(mask uint32) channel {
	return channel{mask, bits.TrailingZeros32(mask), bits.Len32(mask) - bits.TrailingZeros32(mask)}
}

func (c channel) of(v uint32) uint8 {
	if c.mask == 0 {
		return 0
	}
	v = (v & c.mask) >> c.shift << (32 - c.bits)
	for have := c.bits; have < 8; have *= 2 {
		v |= v >> have
	}
	return uint8(v >> 24)
}

func (b *dib) indexed(ctx context.Context) (image.Image, error) {
	m := image.NewPaletted(image.Rect(0, 0, b.width, b.height), b.palette)
	for y := range b.height {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dst, src := m.Pix[m.PixOffset(0, b.line(y)):], b.pixels[int64(y)*b.stride():]
		for x := range b.width {
			at := x * b.bits
			dst[x] = src[at/8] >> (8 - b.bits - at%8) & (1<<b.bits - 1)
		}
	}
	return m, nil
}

// runs reads run lengths ([MS-WMF] 3.1.6): pairs of a count and a value, where a
// count of 0 escapes. What is never painted has index 0. Data that end without
// saying so are cut off.
func (b *dib) runs(ctx context.Context) (image.Image, error) {
	m := image.NewPaletted(image.Rect(0, 0, b.width, b.height), b.palette)
	p := pen{m: m, y: b.height - 1}
	src := b.pixels
	for len(src) >= 2 && p.y >= 0 {
		count, value := int(src[0]), src[1]
		src = src[2:]
		switch {
		case count > 0:
			p.run(count, b.nibbles([]byte{value}))
		case value == 0:
			p.x, p.y = 0, p.y-1
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		case value == 1:
			return m, nil
		case value == 2:
			if len(src) < 2 {
				return nil, truncated("pixels")
			}
			p.x, p.y = p.x+int(src[0]), p.y-int(src[1])
			src = src[2:]
		default:
			n := (int(value)*b.bits + 15) / 16 * 2
			if n > len(src) {
				return nil, truncated("pixels")
			}
			p.run(int(value), b.nibbles(src[:n]))
			src = src[n:]
		}
	}
	if p.y >= 0 && (p.y > 0 || p.x < b.width) {
		return nil, truncated("pixels")
	}
	return m, nil
}

// nibbles returns the i-th index in a run's bytes, repeating a single one.
func (b *dib) nibbles(src []byte) func(i int) uint8 {
	return func(i int) uint8 {
		if b.bits == 8 {
			return src[i%len(src)]
		}
		return src[i/2%len(src)] >> (4 - i%2*4) & 15
	}
}

// pen paints from left to right, upwards, and nothing beside the picture.
type pen struct {
	m    *image.Paletted
	x, y int
}

func (p *pen) run(count int, at func(i int) uint8) {
	row := p.m.Pix[p.y*p.m.Stride:][:p.m.Stride]
	for i := 0; i < count && p.x < len(row); i++ {
		row[p.x] = at(i)
		p.x++
	}
}

// Icons and cursors: a list of pictures, each a bitmap of twice the height (the
// lower half is a mask, which is passed over) or a PNG.

func isIcon(data []byte) bool {
	if len(data) < 22 || data[0] != 0 || data[1] != 0 || data[3] != 0 || data[2] != 1 && data[2] != 2 || data[9] != 0 {
		return false
	}
	n := int64(binary.LittleEndian.Uint16(data[4:]))
	at := int64(binary.LittleEndian.Uint32(data[18:]))
	return n >= 1 && n <= 256 && at >= 6+16*n && at < int64(len(data))
}

// iconPart is the largest picture of an icon that lies within the file; of equal
// ones that of more bytes.
func iconPart(data []byte) []byte {
	var best []byte
	area := 0
	for i := range int(binary.LittleEndian.Uint16(data[4:])) {
		if len(data) < 6+16*(i+1) {
			break
		}
		e := data[6+16*i:]
		at, n := int64(binary.LittleEndian.Uint32(e[12:])), int64(binary.LittleEndian.Uint32(e[8:]))
		a := (int(e[0]-1) + 1) * (int(e[1]-1) + 1) // 0 is 256
		if at+n <= int64(len(data)) && (a > area || a == area && int(n) > len(best)) {
			best, area = data[at:at+n], a
		}
	}
	return best
}

func locateInIcon(data []byte) part {
	if b := iconPart(data); isPNG(b) {
		return part{b, "icon"}
	}
	return part{data: data}
}

func readIcon(data []byte) (b dib, err error) {
	p := iconPart(data)
	if len(p) < 40 || binary.LittleEndian.Uint32(p) != 40 {
		return b, fmt.Errorf("%w: icon without a bitmap", ErrDamaged)
	}
	p = bytes.Clone(p[:40]) // its header, with the height of the picture alone
	height := int32(binary.LittleEndian.Uint32(p[8:]))
	binary.LittleEndian.PutUint32(p[8:], uint32(height/2))
	return readDIB(append(p, iconPart(data)[40:]...), 0)
}

func iconHeader(data []byte) (header, error) {
	b, err := readIcon(data)
	return b.header(), err
}

func decodeIcon(ctx context.Context, data []byte) (image.Image, error) {
	b, err := readIcon(data)
	if err != nil {
		return nil, err
	}
	return b.image(ctx)
}
