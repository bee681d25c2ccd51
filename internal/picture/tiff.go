package picture

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"slices"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// TIFF 6.0 with supplement 2. What golang.org/x/image/tiff does not read, such as
// ink, separate planes and JPEG strips, is common in scans and faxes, so the
// strips are put together here. The codes of LZW and fax are decoded by that
// module, as streams.

// Compressions.
const (
	tiffNone       = 1
	tiffFax3       = 3
	tiffFax4       = 4
	tiffLZW        = 5
	tiffJPEG       = 7
	tiffDeflate    = 8
	tiffDeflateOld = 32946
	tiffPackBits   = 32773
)

// Photometric interpretations.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
)

// mostBlocks are the strips or tiles that a picture may be cut into.
const mostBlocks = 1 << 20

// tiffPicture is a page, its header read and checked.
type tiffPicture struct {
	tiff
	width, height int
	bits, samples int
	compression   uint32
	photometric   uint32
	predictor     bool
	reversed      bool   // bits within bytes
	tables        []byte // of JPEG
	kind          canvasKind
	palette       color.Palette

	// Strips are blocks as wide as the picture. separate: every sample has blocks
	// of its own, behind those of the sample before.
	blockWidth, blockHeight int
	separate, tiled         bool
	offsets, lengths        []uint32
}

// tiffPage is the first page that is not a reduced picture of another, or the
// first at all.
func tiffPage(t tiff) (page directory, ok bool) {
	first, ok := t.directory(t.first())
	page = first
	for range mostDirectories {
		if page.number(tagSubfileType, 0)&1 == 0 && page.number(tagWidth, 0) > 0 {
			return page, true
		}
		next, more := t.directory(page.next)
		if !more {
			break
		}
		page = next
	}
	return first, ok
}

// readTIFF reads the first page, or, where that is of a kind that is not read,
// the small copy that may stand before it or in its place.
func readTIFF(data []byte) (*tiffPicture, error) {
	t, _ := openTIFF(data)
	d, ok := tiffPage(t)
	if !ok {
		return nil, truncated("header")
	}
	p, err := readPage(d)
	if !errors.Is(err, ErrUnsupported) {
		return p, err
	}
	if first, ok := t.directory(t.first()); ok {
		if small, otherwise := readPage(first); otherwise == nil {
			return small, nil
		}
	}
	return nil, err
}

func readPage(d directory) (*tiffPicture, error) {
	w, h := d.number(tagWidth, 0), d.number(tagHeight, 0)
	if w < 1 || h < 1 || w > 1<<30 || h > 1<<30 {
		return nil, fmt.Errorf("%w: %d×%d pixels", ErrDamaged, w, h)
	}
	p := &tiffPicture{
		tiff: d.t, width: int(w), height: int(h), samples: int(d.number(tagSamples, 1)),
		compression: d.number(tagCompression, tiffNone), photometric: d.number(tagPhotometric, 1<<16),
		reversed: d.number(tagFillOrder, 1) == 2, separate: d.number(tagPlanar, 1) == 2,
	}
	for _, read := range []func(directory) error{p.readSamples, p.readColours, p.readCompression, p.readBlocks} {
		if err := read(d); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *tiffPicture) readSamples(d directory) error {
	bits := d.numbers(tagBits, 16)
	if len(bits) == 0 {
		bits = []uint32{1}
	}
	p.bits = int(bits[0])
	if p.samples < 1 || p.samples > 16 {
		return fmt.Errorf("%w: TIFF of %d samples", ErrUnsupported, p.samples)
	}
	for _, f := range d.numbers(tagSampleFormat, 16) {
		if f != 1 && f != 4 { // unsigned, undefined
			return fmt.Errorf("%w: TIFF with samples of format %d (2 signed, 3 floating point)", ErrUnsupported, f)
		}
	}
	if slices.ContainsFunc(bits, func(b uint32) bool { return b != bits[0] }) || !slices.Contains([]int{1, 2, 4, 8, 16}, p.bits) {
		return fmt.Errorf("%w: TIFF of %d bits a sample", ErrUnsupported, bits)
	}
	return nil
}

// readColours says how samples become pixels. Samples beyond the colours are
// passed over.
func (p *tiffPicture) readColours(d directory) error {
	switch p.photometric {
	case tiffWhiteIsZero, tiffBlackIsZero:
		p.kind = canvasGrey
	case tiffRGB:
		p.kind = canvasRGB
	case tiffPalette:
		p.kind = canvasIndexed
		return p.readPalette(d)
	case tiffCMYK:
		p.kind = canvasCMYK
		if ink := d.number(tagInkSet, 1); ink != 1 {
			return fmt.Errorf("%w: TIFF with inks other than CMYK", ErrUnsupported)
		}
	case tiffYCbCr:
		p.kind = canvasRGB
		if p.compression != tiffJPEG {
			return fmt.Errorf("%w: TIFF in YCbCr without JPEG", ErrUnsupported)
		}
	default:
		return fmt.Errorf("%w: TIFF with photometric interpretation %d", ErrUnsupported, p.photometric)
	}
	if p.samples < p.colours() {
		return fmt.Errorf("%w: %d samples for %d colours", ErrDamaged, p.samples, p.colours())
	}
	return nil
}

func (p *tiffPicture) colours() int { return (&canvas{kind: p.kind}).channels() }

// readPalette: values have 16 bits, but some programs write only 8.
func (p *tiffPicture) readPalette(d directory) error {
	if p.bits > 8 {
		return fmt.Errorf("%w: palette for %d bits", ErrDamaged, p.bits)
	}
	n := 1 << p.bits
	values := d.numbers(tagColourMap, 3*n)
	if len(values) < 3*n {
		return fmt.Errorf("%w: palette of %d values", ErrDamaged, len(values))
	}
	shift := 8
	if slices.Max(values) < 256 {
		shift = 0
	}
	p.palette = make(color.Palette, n)
	for i := range p.palette {
		p.palette[i] = color.NRGBA{uint8(values[i] >> shift), uint8(values[n+i] >> shift), uint8(values[2*n+i] >> shift), 255}
	}
	return nil
}

func (p *tiffPicture) readCompression(d directory) error {
	switch predictor := d.number(tagPredictor, 1); {
	case predictor == 1 || p.compression != tiffLZW && p.compression != tiffDeflate && p.compression != tiffDeflateOld:
	case predictor == 2 && p.bits >= 8:
		p.predictor = true
	default:
		return fmt.Errorf("%w: TIFF with predictor %d for %d bits", ErrUnsupported, predictor, p.bits)
	}
	switch p.compression {
	case tiffNone, tiffLZW, tiffDeflate, tiffDeflateOld, tiffPackBits:
	case tiffFax3, tiffFax4:
		if p.bits != 1 || p.samples != 1 || p.kind != canvasGrey {
			return fmt.Errorf("%w: fax of %d bits and %d samples", ErrDamaged, p.bits, p.samples)
		}
		if options := d.number(tagT4Options, 0); p.compression == tiffFax3 && options != 0 {
			return fmt.Errorf("%w: TIFF with Group 3 fax and options %d (1 two-dimensional, 4 filled up)", ErrUnsupported, options)
		}
	case tiffJPEG:
		if p.bits != 8 || p.separate || p.kind == canvasIndexed || p.kind == canvasCMYK {
			return fmt.Errorf("%w: TIFF with JPEG of this kind", ErrUnsupported)
		}
		_, p.tables = d.value(tagJPEGTables)
	default:
		return fmt.Errorf("%w: TIFF with compression %d", ErrUnsupported, p.compression)
	}
	return nil
}

// readBlocks finds where strips or tiles lie. None may lie outside the file, and
// all together are no longer than it: else a few bytes could be decoded again and
// again.
func (p *tiffPicture) readBlocks(d directory) error {
	p.blockWidth, p.blockHeight = p.width, int(min(d.number(tagRowsPerStrip, uint32(p.height)), uint32(p.height)))
	offsets, lengths := uint16(tagStripOffsets), uint16(tagStripBytes)
	if w, h := d.number(tagTileWidth, 0), d.number(tagTileHeight, 0); w > 0 && h > 0 {
		p.tiled = true
		// A tile reaches over the picture's edge by less than itself; real ones
		// have 16 to 1,024 pixels a side.
		if int64(w) > int64(p.width)+1024 || int64(h) > int64(p.height)+1024 {
			return fmt.Errorf("%w: tiles of %d×%d pixels", ErrDamaged, w, h)
		}
		p.blockWidth, p.blockHeight = int(w), int(h)
		offsets, lengths = tagTileOffsets, tagTileBytes
	}
	if p.blockHeight < 1 {
		return fmt.Errorf("%w: strips without rows", ErrDamaged)
	}
	n := int64(p.across()) * int64(p.down()) * int64(p.planes())
	if n > mostBlocks {
		return fmt.Errorf("%w: %d blocks", ErrTooLarge, n)
	}
	p.offsets, p.lengths = d.numbers(offsets, int(n)), d.numbers(lengths, int(n))
	if len(p.lengths) == 0 && n == 1 && len(p.offsets) == 1 { // some programs leave it out
		p.lengths = []uint32{uint32(max(0, int64(len(p.data))-int64(p.offsets[0])))}
	}
	if int64(len(p.offsets)) < n || int64(len(p.lengths)) < n {
		return fmt.Errorf("%w: %d blocks of %d", ErrDamaged, min(len(p.offsets), len(p.lengths)), n)
	}
	total := int64(0)
	for i, length := range p.lengths {
		if int64(p.offsets[i])+int64(length) > int64(len(p.data)) {
			return truncated("pixels")
		}
		total += int64(length)
	}
	if total > int64(len(p.data)) {
		return fmt.Errorf("%w: blocks that overlap", ErrDamaged)
	}
	return nil
}

func (p *tiffPicture) across() int { return int(ceilDiv(int64(p.width), int64(p.blockWidth))) }
func (p *tiffPicture) down() int   { return int(ceilDiv(int64(p.height), int64(p.blockHeight))) }

// planes is how many times the picture is gone through, perBlock how many samples
// of a pixel are in a block.
func (p *tiffPicture) planes() int {
	if p.separate {
		return p.samples
	}
	return 1
}

func (p *tiffPicture) perBlock() int { return p.samples / p.planes() }

// rowBytes is the length of a block's row.
func (p *tiffPicture) rowBytes() int64 {
	return (int64(p.blockWidth)*int64(p.perBlock())*int64(p.bits) + 7) / 8
}

func tiffHeader(data []byte) (header, error) {
	p, err := readTIFF(data)
	if err != nil {
		return header{}, err
	}
	size := image.Pt(p.width, p.height)
	h := header{canvas: size, frame: size, perByte: p.perByte(), memory: saturated(int64(p.width), int64(p.height), 4)}
	if p.kind == canvasGrey || p.kind == canvasIndexed {
		h.memory /= 4
	}
	block := saturated(p.rowBytes(), int64(p.blockHeight), 1)
	if p.compression == tiffJPEG { // four components in full, converted to RGBA
		block = saturated(int64(p.blockWidth), int64(p.blockHeight), 8)
	}
	h.memory = min(h.memory+block, 1<<62)
	return h, nil
}

// perByte is how many pixels a byte can stand for.
func (p *tiffPicture) perByte() int64 {
	pixelBits := int64(p.samples * p.bits)
	ratio := int64(1)
	switch p.compression {
	case tiffDeflate, tiffDeflateOld:
		ratio = deflateRatio
	case tiffLZW: // as in GIF, a code of 12 bits stands for up to 3,840 bytes
		ratio = gifPixelsPerByte
	case tiffPackBits:
		ratio = packBitsRatio
	case tiffJPEG:
		return jpegPixelsPerByte
	case tiffFax3, tiffFax4: // a bit for an empty row
		return 8 * int64(p.width)
	}
	return max(1, ratio*8/pixelBits)
}

func decodeTIFF(ctx context.Context, data []byte) (image.Image, error) {
	p, err := readTIFF(data)
	if err != nil {
		return nil, err
	}
	c, sample := newCanvas(p.kind, p.width, p.height), p.sample()
	for i := range p.across() * p.down() * p.planes() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := p.block(i)
		if p.compression == tiffJPEG {
			err = p.jpegBlock(ctx, c, b)
		} else if b.plane < c.channels() {
			err = p.plainBlock(c, b, sample)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.image(p.palette), nil
}

// tiffBlock is a strip or tile and what of the picture it covers.
type tiffBlock struct {
	data  []byte
	plane int
	x, y  int
	w, h  int // within the picture
}

func (p *tiffPicture) block(i int) tiffBlock {
	across, down := p.across(), p.down()
	b := tiffBlock{data: p.data[p.offsets[i]:][:p.lengths[i]], plane: i / (across * down)}
	b.x, b.y = i%across*p.blockWidth, i/across%down*p.blockHeight
	b.w, b.h = min(p.blockWidth, p.width-b.x), min(p.blockHeight, p.height-b.y)
	return b
}

// plainBlock paints a block's samples.
func (p *tiffPicture) plainBlock(c *canvas, b tiffBlock, sample func(row []byte, i int) uint8) error {
	raw, err := p.expand(b)
	if err != nil {
		return err
	}
	per, first := p.perBlock(), b.plane
	for y := range b.h {
		row := raw[int64(y)*p.rowBytes():][:p.rowBytes()]
		if p.predictor {
			p.unpredict(row)
		}
		for channel := range min(per, c.channels()-first) {
			dst := c.row(b.y+y, first+channel)[b.x*c.step:]
			if p.bits == 8 {
				spreadBytes(dst, c.step, row[channel:], per, b.w, p.flip())
				continue
			}
			for x := range b.w {
				dst[x*c.step] = sample(row, x*per+channel)
			}
		}
	}
	return nil
}

// spreadBytes puts every from-th byte of src into every to-th of dst.
func spreadBytes(dst []byte, to int, src []byte, from, n int, flip uint8) {
	for x := range n {
		dst[x*to] = src[x*from] ^ flip
	}
}

// flip turns values over where white is 0.
func (p *tiffPicture) flip() uint8 {
	if p.photometric == tiffWhiteIsZero {
		return 255
	}
	return 0
}

// sample returns how the i-th sample of a row becomes 8 bits, if it has another
// number of them.
func (p *tiffPicture) sample() func(row []byte, i int) uint8 {
	bits, flip := p.bits, p.flip()
	if bits == 16 {
		upper := 0
		if p.order == binary.LittleEndian {
			upper = 1
		}
		return func(row []byte, i int) uint8 { return row[2*i+upper] ^ flip }
	}
	most, scale := uint8(1<<bits-1), uint8(1)
	if p.kind != canvasIndexed {
		scale = 255 / most
	}
	return func(row []byte, i int) uint8 {
		return row[i*bits/8]>>(8-bits-i*bits%8)&most*scale ^ flip
	}
}

// unpredict adds up the differences of a row: TIFF 6.0, section 14.
func (p *tiffPicture) unpredict(row []byte) {
	per := p.perBlock()
	if p.bits == 8 {
		for i := per; i < len(row); i++ {
			row[i] += row[i-per]
		}
		return
	}
	for i := 2 * per; i+2 <= len(row); i += 2 {
		p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*per:]))
	}
}

// expand decompresses as many rows of a block as lie within the picture.
func (p *tiffPicture) expand(b tiffBlock) ([]byte, error) {
	need := p.rowBytes() * int64(b.h)
	src := b.data
	if p.reversed {
		src = reverseBits(src)
	}
	if p.compression == tiffNone {
		if need > int64(len(src)) {
			return nil, truncated("pixels")
		}
		return src[:need], nil
	}
	raw := make([]byte, need)
	if p.compression == tiffPackBits {
		return raw, unpackBits(raw, src)
	}
	r, err := p.expander(src, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return raw, nil
}

func (p *tiffPicture) expander(src []byte, b tiffBlock) (io.Reader, error) {
	r := bytes.NewReader(src)
	switch p.compression {
	case tiffLZW:
		return lzw.NewReader(r, lzw.MSB, 8), nil
	case tiffDeflate, tiffDeflateOld:
		return zlib.NewReader(r)
	}
	group := ccitt.Group3
	if p.compression == tiffFax4 {
		group = ccitt.Group4
	}
	// A fax is white where nothing is, and white is 0 in TIFF's faxes.
	return ccitt.NewReader(r, ccitt.MSB, group, p.blockWidth, b.h, &ccitt.Options{Invert: true}), nil
}

func reverseBits(src []byte) []byte {
	out := make([]byte, len(src))
	for i, b := range src {
		for bit := range 8 {
			out[i] |= b >> bit & 1 << (7 - bit)
		}
	}
	return out
}

// jpegBlock paints a block that is a JPEG, whose tables may stand in the file's
// head: TIFF technical note 2.
func (p *tiffPicture) jpegBlock(ctx context.Context, c *canvas, b tiffBlock) error {
	data := p.abbreviated(b.data)
	h, err := jpegHeader(data)
	if err != nil {
		return err
	}
	if h.frame.X > p.blockWidth || h.frame.Y > p.blockHeight || h.frame.X < b.w || h.frame.Y < b.h || h.scans > maximumScans {
		return fmt.Errorf("%w: a block of %v pixels and %d scans", ErrDamaged, h.frame, h.scans)
	}
	m, err := jpeg.Decode(reader{ctx, bytes.NewReader(data)})
	if err != nil {
		return classify(ctx, err)
	}
	return c.copy(b, m)
}

// abbreviated puts the tables before a block's own segments. RGB is marked as
// such, which JPEG takes for YCbCr otherwise.
func (p *tiffPicture) abbreviated(block []byte) []byte {
	out := []byte{0xff, 0xd8}
	if p.photometric == tiffRGB {
		out = append(out, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0)
	}
	if tables := p.tables; isJPEG(tables) {
		out = append(out, bytes.TrimSuffix(tables[2:], []byte{0xff, 0xd9})...)
	}
	return append(out, bytes.TrimPrefix(block, []byte{0xff, 0xd8})...)
}

var errBlockColours = errors.New("a JPEG block of other colours")

// copy paints a block from a decoded picture.
func (c *canvas) copy(b tiffBlock, m image.Image) error {
	origin := m.Bounds().Min
	grey, isGrey := m.(*image.Gray)
	if isGrey != (c.kind == canvasGrey) {
		return fmt.Errorf("%w: %w", ErrDamaged, errBlockColours)
	}
	at := coloursOf(m)
	for y := range b.h {
		dst := c.row(b.y+y, 0)[b.x*c.step:]
		for x := range b.w {
			if isGrey {
				dst[x] = grey.Pix[y*grey.Stride+x]
				continue
			}
			dst[4*x], dst[4*x+1], dst[4*x+2] = at(origin.X+x, origin.Y+y)
		}
	}
	return nil
}
