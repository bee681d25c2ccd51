package picture

import (
	"encoding/binary"
	"slices"
)

// Files of boxes (ISO/IEC 14496-12): Canon's CR3, and HEIF (ISO/IEC 23008-12)
// with HEIC and AVIF. What they mainly hold, raw values, HEVC and AV1, is not
// read here; the JPEG previews beside it are.

func isBMFF(data []byte) bool {
	return len(data) >= 16 && string(data[4:8]) == "ftyp" && bmffName(data) != ""
}

// bmffName names a file by its brands, "" if it is no picture.
func bmffName(data []byte) string {
	size := min(int64(binary.BigEndian.Uint32(data)), int64(len(data)), 256)
	if size < 16 {
		return ""
	}
	brands := string(data[8:12]) + string(data[16:size])
	for at := 0; at+4 <= len(brands); at += 4 {
		switch brands[at : at+4] {
		case "crx ":
			return "Canon CR3"
		case "heic", "heix", "heim", "heis", "hevc", "hevx":
			return "HEIC"
		case "avif", "avis":
			return "AVIF"
		}
	}
	if slices.Contains([]string{"mif1", "msf1", "mif2"}, brands[:4]) {
		return "HEIF"
	}
	return ""
}

func locateInBMFF(data []byte) (part, error) {
	name := bmffName(data)
	if name == "Canon CR3" {
		return preview(data, name, locateInCR3)
	}
	return preview(data, name, locateInHEIF)
}

const (
	mostBoxes = 4096
	mostDeep  = 8 // boxes inside boxes
)

// boxes visits the boxes of data, one behind the other. body lies within data.
func boxes(data []byte, visit func(kind string, body []byte)) {
	for range mostBoxes {
		if len(data) < 8 {
			return
		}
		size, head := int64(binary.BigEndian.Uint32(data)), int64(8)
		switch {
		case size == 1 && len(data) >= 16:
			size, head = int64(binary.BigEndian.Uint64(data[8:])), 16
		case size == 0:
			size = int64(len(data))
		}
		if size < head || size > int64(len(data)) {
			return
		}
		visit(string(data[4:8]), data[head:size])
		data = data[size:]
	}
}

// Canon's preview of 1,620 pixels lies in a box of its own, the picture in full
// size is the first sample of the first track.
const previewUUID = "\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16"

func locateInCR3(p *previews) {
	boxes(p.data, func(kind string, body []byte) {
		switch {
		case kind == "uuid" && len(body) > 24 && string(body[:16]) == previewUUID:
			boxes(body[24:], func(kind string, body []byte) {
				if kind == "PRVW" && len(body) > 16 {
					p.offerSlice(body[16:])
				}
			})
		case kind == "moov":
			p.inMovie(body, 0)
		}
	})
}

// offerSlice offers a part of the file.
func (p *previews) offerSlice(b []byte) {
	p.tried++
	if n := jpegPixels(b); n > p.pixels && p.tried <= mostPreviews {
		p.best, p.pixels = b, n
	}
}

// inMovie goes down to the sample tables.
func (p *previews) inMovie(data []byte, deep int) {
	if deep > mostDeep {
		return
	}
	boxes(data, func(kind string, body []byte) {
		switch kind {
		case "trak", "mdia", "minf":
			p.inMovie(body, deep+1)
		case "stbl":
			p.offer(firstSample(body))
		}
	})
}

// firstSample is where the first sample of a track lies.
func firstSample(table []byte) (at, length int64) {
	boxes(table, func(kind string, b []byte) {
		switch {
		case kind == "co64" && len(b) >= 16:
			at = int64(binary.BigEndian.Uint64(b[8:]))
		case kind == "stco" && len(b) >= 12:
			at = int64(binary.BigEndian.Uint32(b[8:]))
		case kind == "stsz" && len(b) >= 12:
			length = int64(binary.BigEndian.Uint32(b[4:])) // of every sample, or 0
			if length == 0 && len(b) >= 16 {
				length = int64(binary.BigEndian.Uint32(b[12:]))
			}
		}
	})
	return at, length
}

// locateInHEIF offers the items that are JPEG, and the thumbnail in the EXIF
// item.
func locateInHEIF(p *previews) {
	boxes(p.data, func(kind string, body []byte) {
		if kind != "meta" || len(body) < 4 {
			return
		}
		var kinds map[uint32]string
		var places map[uint32][2]int64
		boxes(body[4:], func(kind string, body []byte) {
			switch kind {
			case "iinf":
				kinds = itemKinds(body)
			case "iloc":
				places = itemPlaces(body)
			}
		})
		for id, kind := range kinds {
			at := places[id]
			switch kind {
			case "jpeg":
				p.offer(at[0], at[1])
			case "Exif":
				p.inExif(at[0], at[1])
			}
		}
	})
}

// inExif offers what an EXIF item points to. Before the item stands how far
// before its TIFF structure something else stands.
func (p *previews) inExif(at, length int64) {
	if at < 0 || length < 12 || at > int64(len(p.data))-length {
		return
	}
	item := p.data[at : at+length]
	skip := 4 + int64(binary.BigEndian.Uint32(item))
	if skip > length-8 {
		return
	}
	t, ok := openTIFF(item[skip:])
	if !ok {
		return
	}
	t.directories(func(d directory) {
		from, n := int64(d.number(tagJPEGOffset, 0)), int64(d.number(tagJPEGBytes, 0))
		if from > 0 && from < int64(len(t.data)) && n > 0 {
			p.offerSlice(t.data[from:min(from+n, int64(len(t.data)))])
		}
	})
}

// itemKinds reads an item information box: 23008-12, 14496-12, 8.11.6.
func itemKinds(b []byte) map[uint32]string {
	kinds := map[uint32]string{}
	if len(b) < 6 {
		return kinds
	}
	skip := 6
	if b[0] != 0 {
		skip = 8
	}
	boxes(b[min(skip, len(b)):], func(kind string, e []byte) {
		switch {
		case kind != "infe" || len(e) < 12:
		case e[0] == 2:
			kinds[uint32(binary.BigEndian.Uint16(e[4:]))] = string(e[8:12])
		case e[0] == 3 && len(e) >= 14:
			kinds[binary.BigEndian.Uint32(e[4:])] = string(e[10:14])
		}
	})
	return kinds
}

// itemPlaces reads an item location box (14496-12, 8.11.3): offset and length in
// the file of every item that is there in one piece.
func itemPlaces(b []byte) map[uint32][2]int64 {
	places := map[uint32][2]int64{}
	r := &bigEndian{b: b}
	version := r.take(1)
	r.take(3)
	sizes := r.take(2)
	offsets, lengths, bases, indexes := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	idBytes := 2
	if version == 2 {
		idBytes = 4
	}
	if version == 0 {
		indexes = 0
	}
	count := r.take(idBytes)
	for ; count > 0 && !r.short; count-- {
		id, method := uint32(r.take(idBytes)), uint64(0)
		if version > 0 {
			method = r.take(2) & 15
		}
		r.take(2) // which file: this one
		base, extents := r.take(bases), int(r.take(2))
		if extents != 1 || method != 0 {
			r.skip(extents * (indexes + offsets + lengths))
			continue
		}
		r.take(indexes)
		at, n := base+r.take(offsets), r.take(lengths)
		if !r.short && at < 1<<62 && n < 1<<62 {
			places[id] = [2]int64{int64(at), int64(n)}
		}
	}
	return places
}

// bigEndian reads numbers of up to 8 bytes.
type bigEndian struct {
	b     []byte
	short bool
}

func (r *bigEndian) take(n int) (v uint64) {
	if n > len(r.b) || n > 8 {
		r.short, r.b = true, nil
		return 0
	}
	for _, c := range r.b[:n] {
		v = v<<8 | uint64(c)
	}
	r.b = r.b[n:]
	return v
}

func (r *bigEndian) skip(n int) {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}
