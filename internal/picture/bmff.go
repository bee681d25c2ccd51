package picture

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Files of boxes (ISO/IEC 14496-12): Canon's CR3, and HEIF (ISO/IEC 23008-12)
// with HEIC and AVIF. Of what they mainly hold, raw values are not read here, and
// HEVC and AV1 by a [Decoder] elsewhere; the JPEG previews beside it are.

const canonCR3 = "Canon CR3"

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
			return canonCR3
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
			return "HEIC"
		case "avci", "avcs":
			return "HEIF"
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
	if name == canonCR3 {
		return preview(data, name, locateInCR3)
	}
	part, err := preview(data, name, locateInHEIF)
	if err != nil {
		return part, fmt.Errorf("%w: no decoder for %s here", ErrUnsupported, name)
	}
	return part, nil
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

// inExif offers what an EXIF item points to. Before the item stands how far
// before its TIFF structure something else stands.
func (p *previews) inExif(item []byte) {
	if len(item) < 12 {
		return
	}
	skip := 4 + int64(binary.BigEndian.Uint32(item))
	if skip > int64(len(item))-8 {
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

// bigEndian reads numbers of up to 8 bytes. Behind the end they are 0, and short
// says so.
type bigEndian struct {
	b     []byte
	flags uint64 // of the full box
	short bool
}

func (r *bigEndian) take(n int) (v uint64) {
	if n > len(r.b) || n > 8 {
		r.fail()
		return 0
	}
	for _, c := range r.b[:n] {
		v = v<<8 | uint64(c)
	}
	r.b = r.b[n:]
	return v
}

func (r *bigEndian) fail() { r.short, r.b = true, nil }

// fullBox reads the head of a full box (14496-12, 4.2) and returns its version.
func (r *bigEndian) fullBox() (version uint64) {
	version = r.take(1)
	r.flags = r.take(3)
	return version
}

// item reads the number of an item, which has four bytes in later versions of
// most boxes.
func (r *bigEndian) item(width itemWidth) uint32 { return uint32(r.take(int(width))) }

// itemWidth is the bytes of an item's number.
type itemWidth int

// wideFrom is the width in a box whose numbers are long from a version on.
func wideFrom(first, version uint64) itemWidth {
	if version >= first {
		return 4
	}
	return 2
}
