package pdf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"slices"
)

// Image is a picture as a file of its own.
type Image struct {
	Suffix string // ".jpg"
	Size   int64  // bytes; -1 where only decoding tells
	Plain  bool   // the bytes lie in the file as they are
	Made   bool   // the samples are the file's, the PNG around them is ours
	Raw    string // why the samples are given as they are; empty if they are not
	Open   func() (io.ReadCloser, error)
}

// Picture says how a picture is given out. JPEG, JPEG 2000, JBIG2 and CCITT come
// as the bytes that the file holds. Samples of grey, RGB or indexed colours are
// put into a PNG with nothing compressed, so that its bytes depend on them
// alone; the Decode array is obeyed where it turns all of them round. Other
// samples come as they are.
func (f *File) Picture(s *Stream) (*Image, error) {
	d, err := f.dict(s)
	if err != nil {
		return nil, err
	}
	stages, err := f.stages(d)
	if err != nil {
		return nil, err
	}
	i := &Image{Size: -1}
	if n := len(stages); n > 0 && asTheyAre[stages[n-1].name] != "" {
		i.Suffix = asTheyAre[stages[n-1].name]
		if i.Plain = n == 1 && f.lock == nil && !s.Open; i.Plain {
			i.Size = s.Length
		}
		i.Open = f.opener(s, d)
		return i, nil
	}
	h, why, err := f.header(d)
	if err != nil {
		return nil, err
	}
	if why != "" {
		i.Suffix, i.Raw, i.Open = ".raw", why, f.opener(s, d)
		return i, nil
	}
	i.Suffix, i.Made, i.Size = ".png", true, h.size()
	samples := f.opener(s, d)
	i.Open = func() (io.ReadCloser, error) {
		r, err := samples()
		if err != nil {
			return nil, err
		}
		return io.NopCloser(&pngReader{pngHeader: h, src: r}), nil
	}
	return i, nil
}

// Content opens a stream with all its filters undone.
func (f *File) Content(s *Stream) (io.ReadCloser, error) {
	d, err := f.dict(s)
	if err != nil {
		return nil, err
	}
	return f.opener(s, d)()
}

func (f *File) opener(s *Stream, d Dict) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		r, _, err := f.decode(s, d)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(r), nil
	}
}

// pngHeader is what a PNG says of its samples (W3C PNG, section 11).
type pngHeader struct {
	width, height int64
	bits, colour  byte // colour types 0, 2 and 3
	row           int64
	palette       []byte
	invert        bool
}

const (
	grey    = 0
	rgb     = 2
	indexed = 3
)

const maxSide = 1 << 20 // pixels

// header is what a PNG of the picture would say; why is the reason if there can
// be none.
func (f *File) header(d Dict) (h pngHeader, why string, err error) {
	if err := f.resolveAll(d); err != nil {
		return h, "", err
	}
	h.width, _ = number(d["Width"])
	h.height, _ = number(d["Height"])
	bits, told := number(d["BitsPerComponent"])
	if h.width < 1 || h.height < 1 || h.width > maxSide || h.height > maxSide {
		return h, fmt.Sprintf("%d x %d pixels", h.width, h.height), nil
	}
	if mask, _ := d["ImageMask"].(bool); mask || !told {
		bits = max(bits, 1)
	}
	channels := int64(1)
	if d["ImageMask"] != true {
		if why, err = f.colours(&h, d["ColorSpace"]); why != "" || err != nil {
			return h, why, err
		}
	}
	if h.colour == rgb {
		channels = 3
	}
	switch {
	case bits == 8, bits == 16 && h.colour != indexed, (bits == 1 || bits == 2 || bits == 4) && h.colour != rgb:
	default:
		return h, fmt.Sprintf("samples of %d bits", bits), nil
	}
	h.bits, h.row = byte(bits), (h.width*channels*bits+7)/8
	h.invert = h.colour != indexed && turned(d["Decode"])
	if h.row > maxRow {
		return h, fmt.Sprintf("rows of %d bytes", h.row), nil
	}
	return h, "", nil
}

// turned reports whether a Decode array turns black to white.
func turned(v any) bool {
	a, _ := v.([]any)
	for i, v := range a {
		if n, ok := number(v); !ok || n != int64(1-i%2) {
			return false
		}
	}
	return len(a) > 0
}

// colours understands a colour space (8.6).
func (f *File) colours(h *pngHeader, v any) (why string, err error) {
	if v, err = f.resolve(v); err != nil {
		return "", err
	}
	family, _ := v.(Name)
	a, _ := v.([]any)
	if len(a) > 0 {
		first, err := f.resolve(a[0])
		if err != nil {
			return "", err
		}
		family, _ = first.(Name)
	}
	switch family {
	case "DeviceGray", "CalGray", "G":
		h.colour = grey
	case "DeviceRGB", "CalRGB", "RGB":
		h.colour = rgb
	case "ICCBased":
		return f.profiled(h, a)
	case "Indexed", "I":
		return f.table(h, a)
	default:
		return fmt.Sprintf("colours of %.40q", string(family)), nil
	}
	return "", nil
}

// profiled understands colours with a profile by how many they are.
func (f *File) profiled(h *pngHeader, a []any) (why string, err error) {
	var profile any
	if len(a) > 1 {
		profile, err = f.resolve(a[1])
	}
	d, _ := profile.(Dict)
	switch n, _ := number(d["N"]); n {
	case 1:
		h.colour = grey
	case 3:
		h.colour = rgb
	default:
		why = fmt.Sprintf("%d colours with a profile", n)
	}
	return why, err
}

// table reads the palette of indexed colours (8.6.6.3).
func (f *File) table(h *pngHeader, a []any) (why string, err error) {
	if len(a) < 4 {
		return "indexed colours without a table", nil
	}
	var base pngHeader
	if family, _ := a[1].([]any); len(family) > 0 && family[0] == Name("Indexed") {
		return "indexed colours of indexed colours", nil
	}
	if why, err = f.colours(&base, a[1]); why != "" || err != nil {
		return why, err
	}
	if base.colour == indexed {
		return "indexed colours of indexed colours", nil
	}
	table, err := f.lookup(a[3])
	if err != nil {
		return "", err
	}
	if base.colour == grey {
		var wide []byte
		for _, v := range table {
			wide = append(wide, v, v, v)
		}
		table = wide
	}
	table = table[:min(len(table)/3, 256)*3]
	if len(table) == 0 {
		return "indexed colours without a table", nil
	}
	h.colour, h.palette = indexed, table
	return "", nil
}

// lookup is a table of colours: a string or a stream.
func (f *File) lookup(v any) ([]byte, error) {
	if t, ok := v.(Text); ok {
		return t, nil
	}
	ref, _ := v.(Ref)
	at, known := f.at[ref.Number]
	i, isStream := slices.BinarySearchFunc(f.streams, at, func(s Stream, at int64) int { return cmp.Compare(s.At, at) })
	if known && isStream {
		r, err := f.Content(&f.streams[i])
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r, 4*256))
		return b, err
	}
	found, err := f.resolve(v)
	t, _ := found.(Text)
	return t, err
}

const (
	pngMagic   = "\x89PNG\r\n\x1a\n"
	chunkBytes = 12    // length, type, crc
	blockBytes = 65535 // of a stored block (RFC 1951 3.2.4)
	blockHead  = 5     // bytes
	zlibHead   = "\x78\x01"
)

func (h pngHeader) raw() int64 { return h.height * (1 + h.row) }

func (h pngHeader) size() int64 {
	blocks := (h.raw() + blockBytes - 1) / blockBytes
	size := int64(len(pngMagic)) + chunkBytes + 13 + blocks*(chunkBytes+blockHead) + h.raw() + int64(len(zlibHead)) + 4 + chunkBytes
	if len(h.palette) > 0 {
		size += chunkBytes + int64(len(h.palette))
	}
	return size
}

// pngReader puts a PNG around samples. Each stored block is a chunk of its own.
type pngReader struct {
	pngHeader
	src   io.Reader
	begun bool
	given int64       // bytes of raw
	sum   hash.Hash32 // of them
	block []byte
	out   []byte
	err   error
}

func (p *pngReader) Read(b []byte) (int, error) {
	for len(p.out) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.next()
	}
	n := copy(b, p.out)
	p.out = p.out[n:]
	return n, nil
}

func (p *pngReader) next() {
	if !p.begun {
		p.begun, p.sum = true, adler32.New()
		p.out = p.first()
		return
	}
	if p.given == p.raw() {
		p.out, p.err = chunk(nil, "IEND", nil), io.EOF
		return
	}
	p.out, p.err = p.data()
}

func (p *pngReader) first() []byte {
	h := binary.BigEndian.AppendUint32(nil, uint32(p.width))
	h = binary.BigEndian.AppendUint32(h, uint32(p.height))
	out := chunk([]byte(pngMagic), "IHDR", append(h, p.bits, p.colour, 0, 0, 0))
	if len(p.palette) > 0 {
		out = chunk(out, "PLTE", p.palette)
	}
	return out
}

func chunk(to []byte, kind string, data []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(data)))
	from := len(to)
	to = append(append(to, kind...), data...)
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[from:]))
}

// data is the next block of samples, each row behind the byte that says that it
// is not filtered.
func (p *pngReader) data() ([]byte, error) {
	n := int(min(blockBytes, p.raw()-p.given))
	p.block = slices.Grow(p.block[:0], n)
	for len(p.block) < n {
		place := (p.given + int64(len(p.block))) % (1 + p.row)
		if place == 0 {
			p.block = append(p.block, 0)
			continue
		}
		from := len(p.block)
		p.block = p.block[:from+int(min(1+p.row-place, int64(n-from)))]
		if _, err := io.ReadFull(p.src, p.block[from:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("the samples end before the picture does: %w", err)
		}
		if p.invert {
			for i := range p.block[from:] {
				p.block[from+i] ^= 0xff
			}
		}
	}
	return p.stored(), nil
}

// stored puts the block into a chunk (RFC 1951 3.2.4, RFC 1950 2.2).
func (p *pngReader) stored() []byte {
	var data []byte
	if p.given == 0 {
		data = append(data, zlibHead...)
	}
	p.given += int64(len(p.block))
	last := byte(0)
	if p.given == p.raw() {
		last = 1
	}
	n := uint16(len(p.block))
	data = append(data, last, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
	data = append(data, p.block...)
	p.sum.Write(p.block)
	if last == 1 {
		data = p.sum.Sum(data)
	}
	return chunk(nil, "IDAT", data)
}
