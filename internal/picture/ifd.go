package picture

import (
	"bytes"
	"encoding/binary"
)

// The structure of TIFF files (TIFF 6.0, section 2), in which EXIF and the raw
// files of cameras are written, too.

// The tags that are looked at: TIFF 6.0, its supplements 1 and 2, DNG 1.7.
const (
	tagSubfileType  = 254
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagMake         = 271
	tagStripOffsets = 273
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripBytes   = 279
	tagPlanar       = 284
	tagT4Options    = 292
	tagPredictor    = 317
	tagColourMap    = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileBytes    = 325
	tagSubIFDs      = 330
	tagInkSet       = 332
	tagSampleFormat = 339
	tagJPEGTables   = 347
	tagJPEGOffset   = 513
	tagJPEGBytes    = 514
	tagPanasonic    = 0x2e // RW2: a whole JPEG as its value
	tagDNGVersion   = 50706
)

// mostDirectories of a file are looked at. Camera files have up to about ten.
const mostDirectories = 64

// tiff is a file whose numbers have an order.
type tiff struct {
	data  []byte
	order binary.ByteOrder
}

// tiffMagics begin such files: TIFF itself, Olympus' raw files, Panasonic's.
var tiffMagics = []string{"II*\x00", "MM\x00*", "IIRO", "IIRS", "MMOR", "IIU\x00"}

func openTIFF(data []byte) (t tiff, ok bool) {
	for _, magic := range tiffMagics {
		if len(data) < 8 || !bytes.HasPrefix(data, []byte(magic)) {
			continue
		}
		if magic[0] == 'M' {
			return tiff{data, binary.BigEndian}, true
		}
		return tiff{data, binary.LittleEndian}, true
	}
	return tiff{}, false
}

func (t tiff) first() int64 { return int64(t.order.Uint32(t.data[4:])) }

// directory is a list of fields of 12 bytes, and the place of the next one.
type directory struct {
	t      tiff
	fields []byte
	next   int64
}

// directory reads the one at a place; a list that is cut counts as far as it
// goes.
func (t tiff) directory(at int64) (d directory, ok bool) {
	size := int64(len(t.data))
	if at < 8 || at+2 > size {
		return d, false
	}
	n := int64(t.order.Uint16(t.data[at:])) * 12
	at += 2
	d = directory{t: t, fields: t.data[at:min(at+n, size)]}
	if at+n+4 <= size {
		d.next = int64(t.order.Uint32(t.data[at+n:]))
	}
	return d, true
}

// directories visits the chain from the first and those that hang below each,
// none twice.
func (t tiff) directories(visit func(directory)) {
	seen, waiting := map[int64]bool{}, []int64{t.first()}
	for len(waiting) > 0 && len(seen) < mostDirectories {
		at := waiting[0]
		waiting = waiting[1:]
		d, ok := t.directory(at)
		if seen[at] || !ok {
			continue
		}
		seen[at] = true
		visit(d)
		for _, below := range d.numbers(tagSubIFDs, mostDirectories) {
			waiting = append(waiting, int64(below))
		}
		waiting = append(waiting, d.next)
	}
}

// widths are the bytes of a value by its type: BYTE, ASCII, SHORT, LONG,
// RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, IFD.
var widths = [14]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4}

// value is a field's bytes, nil if the directory lacks it or it lies outside the
// file.
func (d directory) value(tag uint16) (kind uint16, b []byte) {
	for f := d.fields; len(f) >= 12; f = f[12:] {
		if d.t.order.Uint16(f) != tag {
			continue
		}
		kind = d.t.order.Uint16(f[2:])
		if int(kind) >= len(widths) || widths[kind] == 0 {
			return 0, nil
		}
		n := int64(d.t.order.Uint32(f[4:])) * widths[kind]
		if n <= 4 {
			return kind, f[8 : 8+n]
		}
		at := int64(d.t.order.Uint32(f[8:]))
		if at+n > int64(len(d.t.data)) {
			return 0, nil
		}
		return kind, d.t.data[at : at+n]
	}
	return 0, nil
}

// numbers are a field's whole numbers, at most so many.
func (d directory) numbers(tag uint16, most int) []uint32 {
	kind, b := d.value(tag)
	width := int(widths[kind])
	if width == 0 || kind == 2 || width > 4 {
		return nil
	}
	out := make([]uint32, 0, min(len(b)/width, most))
	for len(b) >= width && len(out) < most {
		switch width {
		case 1:
			out = append(out, uint32(b[0]))
		case 2:
			out = append(out, uint32(d.t.order.Uint16(b)))
		case 4:
			out = append(out, d.t.order.Uint32(b))
		}
		b = b[width:]
	}
	return out
}

// number is a field's first number.
func (d directory) number(tag uint16, otherwise uint32) uint32 {
	if v := d.numbers(tag, 1); len(v) == 1 {
		return v[0]
	}
	return otherwise
}

// orientation tells how a picture is to be turned for looking at it: 1 to 8 as
// EXIF has them (Exif 2.32, 4.6.4), 1 if nothing is said.
func orientation(data []byte) int {
	t, ok := openTIFF(exif(data))
	if !ok {
		return 1
	}
	d, ok := t.directory(t.first())
	if o := d.numberIf(ok, tagOrientation); o >= 1 && o <= 8 {
		return int(o)
	}
	return 1
}

func (d directory) numberIf(ok bool, tag uint16) uint32 {
	if !ok {
		return 0
	}
	return d.number(tag, 0)
}

// exif finds the TIFF structure in which a file tells about itself; a file that
// is one is returned whole.
func exif(data []byte) []byte {
	switch {
	case isJPEG(data):
		return exifOfJPEG(data)
	case isPNG(data):
		return chunkOfPNG(data, "eXIf")
	case isWebP(data):
		return bytes.TrimPrefix(chunkOfWebP(data, "EXIF"), []byte("Exif\x00\x00"))
	}
	return data
}

func exifOfJPEG(data []byte) (found []byte) {
	segments(data, func(marker byte, body []byte) bool {
		if marker == 0xe1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			found = body[6:]
		}
		return found == nil
	})
	return found
}

// mostSegments of a JPEG are looked at, one behind the other.
const mostSegments = 1000

// segments visits those before the data of the first scan, until visit returns
// false. Between them must be nothing but fill bytes.
func segments(data []byte, visit func(marker byte, body []byte) bool) {
	if !isJPEG(data) {
		return
	}
	rest := data[2:]
	for range mostSegments {
		for len(rest) > 1 && rest[0] == 0xff && rest[1] == 0xff {
			rest = rest[1:]
		}
		if len(rest) < 4 || rest[0] != 0xff {
			return
		}
		marker, length := rest[1], int(binary.BigEndian.Uint16(rest[2:]))
		if length < 2 || 2+length > len(rest) || marker < 0xc0 || marker >= 0xd0 && marker <= 0xda {
			return
		}
		if !visit(marker, rest[4:2+length]) {
			return
		}
		rest = rest[2+length:]
	}
}

func chunkOfPNG(data []byte, name string) []byte {
	for rest := data[8:]; len(rest) >= 12; {
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest))-12 {
			return nil
		}
		if string(rest[4:8]) == name {
			return rest[8 : 8+n]
		}
		rest = rest[12+n:]
	}
	return nil
}

func chunkOfWebP(data []byte, name string) []byte {
	for rest := data[12:]; len(rest) >= 8; {
		n := int64(binary.LittleEndian.Uint32(rest[4:]))
		if n > int64(len(rest))-8 {
			return nil
		}
		if string(rest[:4]) == name {
			return rest[8 : 8+n]
		}
		rest = rest[min(8+n+n%2, int64(len(rest))):]
	}
	return nil
}
