package carve

import "encoding/binary"

// TIFF: Adobe TIFF 6.0, section 2; Exif 2.3, 4.6.

// Tags that point at something, or whose presence matters.
const (
	tagWidth          = 256
	tagLength         = 257
	tagStripOffsets   = 273
	tagStripCounts    = 279
	tagTileOffsets    = 324
	tagTileCounts     = 325
	tagSubDirectories = 330
	tagJPEGOffset     = 513
	tagJPEGLength     = 514
	tagExif           = 34665
	tagGPS            = 34853
)

const (
	mostDirectories = 64
	mostFields      = 1 << 10
)

// fieldSizes are the bytes of one value of each type.
var fieldSizes = [...]int64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

// tiffOrder is the byte order that the head of a TIFF structure tells, or nil.
func tiffOrder(b []byte) binary.ByteOrder {
	if len(b) < 4 {
		return nil
	}
	switch string(b[:4]) {
	case "II*\x00":
		return binary.LittleEndian
	case "MM\x00*":
		return binary.BigEndian
	}
	return nil
}

// tiffWalk follows the directories.
type tiffWalk struct {
	v         *view
	order     binary.ByteOrder
	todo      []int64 // directories
	seen      int
	end       int64 // of all that was pointed to
	described int64 // bytes that were pointed to
	pictures  int
}

// field is an entry of a directory: count values of size bytes at a place.
type field struct {
	tag             uint16
	size, count, at int64
}

// tiff follows all directories; the file ends with the last that they point to.
func tiff(v *view) (found, bool) {
	head := v.bytes(0, 8)
	if head == nil {
		return found{}, false
	}
	w := &tiffWalk{v: v, order: tiffOrder(head), end: 8, described: 8}
	if w.order == nil {
		return found{}, false
	}
	w.todo = append(w.todo, int64(w.order.Uint32(head[4:])))
	for len(w.todo) > 0 {
		at := w.todo[0]
		w.todo = w.todo[1:]
		if w.seen++; w.seen > mostDirectories || !w.directory(at) {
			return found{}, false
		}
	}
	// What is for the most part told by nothing is no file, but a few bytes that
	// point far away.
	if w.pictures == 0 || w.described < w.end/2 {
		return found{}, false
	}
	return found{size: w.end, ext: "tif", doubt: "a TIFF does not tell its length: it was taken to end with the last that it points to"}, true
}

// covers takes what was pointed to.
func (w *tiffWalk) covers(at, n int64) bool {
	if at < 8 || n < 0 || !w.v.to(at+n) {
		return false
	}
	w.end = max(w.end, at+n)
	w.described += n
	return true
}

func (w *tiffWalk) directory(at int64) bool {
	n := w.v.number(w.order, at, 2)
	if n < 1 || n > mostFields || !w.covers(at, 2+12*n+4) {
		return false
	}
	fields := map[uint16]field{}
	for i := range n {
		f, ok := w.field(at + 2 + 12*i)
		if !ok {
			return false
		}
		fields[f.tag] = f
	}
	next := w.v.number(w.order, at+2+12*n, 4)
	if next > 0 {
		w.todo = append(w.todo, next)
	}
	return w.below(fields) && w.data(fields)
}

func (w *tiffWalk) field(at int64) (f field, ok bool) {
	b := w.v.bytes(at, 12)
	if b == nil {
		return f, false
	}
	kind := int(w.order.Uint16(b[2:]))
	if kind < 1 || kind >= len(fieldSizes) {
		return f, false
	}
	f = field{tag: w.order.Uint16(b), size: fieldSizes[kind], count: int64(w.order.Uint32(b[4:])), at: at + 8}
	if f.size*f.count > 4 {
		f.at = int64(w.order.Uint32(b[8:]))
		return f, w.covers(f.at, f.size*f.count)
	}
	return f, true
}

// value is value number i of a field, or -1.
func (w *tiffWalk) value(f field, i int64) int64 {
	if f.size != 2 && f.size != 4 || i >= f.count {
		return -1
	}
	return w.v.number(w.order, f.at+i*f.size, int(f.size))
}

// below notes the directories that a directory points to.
func (w *tiffWalk) below(fields map[uint16]field) bool {
	for _, tag := range []uint16{tagSubDirectories, tagExif, tagGPS} {
		f := fields[tag]
		if f.count > mostDirectories {
			return false
		}
		for i := range f.count {
			w.todo = append(w.todo, w.value(f, i))
		}
	}
	return true
}

// data takes the pixels that a directory describes.
func (w *tiffWalk) data(fields map[uint16]field) bool {
	for _, pair := range [][2]uint16{{tagStripOffsets, tagStripCounts}, {tagTileOffsets, tagTileCounts}, {tagJPEGOffset, tagJPEGLength}} {
		at, length := fields[pair[0]], fields[pair[1]]
		if at.count != length.count {
			return false
		}
		for i := range at.count {
			if !w.covers(w.value(at, i), w.value(length, i)) {
				return false
			}
		}
		_, wide := fields[tagWidth]
		_, long := fields[tagLength]
		if at.count > 0 && wide && long {
			w.pictures++
		}
	}
	return true
}
