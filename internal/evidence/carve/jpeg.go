package carve

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// JPEG: ITU-T T.81, annex B.

const (
	// leastBroken is how long a broken picture must be to be given, in bytes.
	leastBroken = 4 << 10
	// quiet is how many bytes of entropy-coded data may come without a 0xff: of
	// noise one byte in 256 is one, so what has none is either a very even
	// picture or no picture.
	quiet = 64 << 10
	// even is how many different bytes an even picture has at most in as many.
	even = 32
	// mostScans of a progressive picture. Encoders make about ten.
	mostScans = 100
)

// Markers, of which the first byte is always 0xff.
const (
	markerSOI  = 0xd8
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerDQT  = 0xdb
	markerDNL  = 0xdc
	markerDRI  = 0xdd
	markerDHT  = 0xc4
	markerJPG  = 0xc8
	markerDAC  = 0xcc
	markerRST0 = 0xd0
	markerRST7 = 0xd7
	markerAPP0 = 0xe0
	markerAPP2 = 0xe2
	markerAPPF = 0xef
	markerCOM  = 0xfe
)

var big = binary.BigEndian

// jpegWalk follows the markers of one image.
type jpegWalk struct {
	v    *view
	from int64 // where the image begins
	pos  int64

	// The frame header, what the segments before the scan said, and the scan.
	process       byte
	precision     int
	width, height int
	parts         []part
	huffman       [2][4]*huffman // by class (DC, AC) and number
	restarts      int            // units between two restart markers, 0 without
	scanned       []selected
	progress      progress

	most      int64 // bytes of entropy-coded data that its dimensions can take
	coded     int64 // bytes of entropy-coded data so far
	scans     int
	firstScan int64 // where the data of the first begins
	index     int64 // where the header of a Multi-Picture index lies, or 0
	indexEnd  int64
}

func jpeg(v *view) (found, bool) {
	j := &jpegWalk{v: v}
	if !j.walk() {
		return j.broken()
	}
	f := found{size: j.pos, ext: "jpg"}
	if more, missing := j.further(); missing != "" {
		f.broken, f.resume = missing, j.pos
	} else {
		f.size = max(f.size, more)
	}
	if video, ok := boxes(v, f.size); ok { // a motion photo
		f.size = video.size
	}
	f.size = max(f.size, samsung(v, f.size))
	return f, true
}

// broken is what is left of a picture that ends early.
func (j *jpegWalk) broken() (found, bool) {
	size := j.pos - j.zerosBefore()
	if j.scans == 0 || size < leastBroken || j.v.why == exhausted || j.v.why == limited {
		return found{}, false
	}
	why := string(j.v.why)
	if why == "" {
		why = "what follows is not of the picture"
	}
	return found{size: size, ext: "jpg", broken: fmt.Sprintf("the picture breaks off at byte %d: %s", size, why), resume: j.firstScan}, true
}

// zerosBefore is how many zeros lie before where the walk stopped: space that was
// never written, not pixels.
func (j *jpegWalk) zerosBefore() (zeros int64) {
	const chunk = 4 << 10
	why := j.v.why
	defer func() { j.v.why = why }()
	for j.pos-zeros-chunk > j.firstScan {
		b := j.v.bytes(j.pos-zeros-chunk, chunk)
		kept := len(bytes.TrimRight(b, "\x00"))
		zeros += int64(len(b) - kept)
		if kept > 0 || b == nil {
			break
		}
	}
	return zeros
}

// walk follows one image from its SOI to behind its EOI.
func (j *jpegWalk) walk() bool {
	j.pos = j.from
	if !j.v.is(j.pos, "\xff\xd8") {
		return false
	}
	for j.pos += 2; ; {
		marker, ok := j.marker()
		switch {
		case !ok:
			return false
		case marker == markerEOI:
			return j.scans > 0
		case !j.segment(marker):
			return false
		case marker == markerSOS && !j.entropy():
			return false
		}
	}
}

// marker steps over a marker and the bytes 0xff that may fill the place before it.
func (j *jpegWalk) marker() (byte, bool) {
	const mostFill = 4 << 10
	for range mostFill {
		b := j.v.bytes(j.pos, 2)
		if b == nil || b[0] != 0xff {
			return 0, false
		}
		if b[1] != 0xff {
			j.pos += 2
			return b[1], true
		}
		j.pos++
	}
	return 0, false
}

// segment checks the segment of a marker and steps over it.
func (j *jpegWalk) segment(marker byte) bool {
	length := j.v.number(big, j.pos, 2)
	if length < 2 {
		return false
	}
	body := j.v.bytes(j.pos+2, int(length-2))
	if body == nil || !j.sane(marker, body) {
		return false
	}
	j.pos += length
	return true
}

func (j *jpegWalk) sane(marker byte, body []byte) bool {
	switch {
	case marker >= markerAPP0 && marker <= markerAPPF:
		j.noteIndex(marker, body)
		return true
	case marker == markerCOM:
		return true
	case marker == markerDQT:
		return saneTables(body, func(b []byte) int { return 1 + 64*(1+int(b[0]>>4)) })
	case marker == markerDHT:
		return j.tables(body)
	case marker == markerDRI:
		return j.interval(body)
	case marker == markerDNL:
		return len(body) == 2
	case marker == markerDAC:
		return len(body)%2 == 0
	case marker == markerSOS:
		return j.scan(body)
	case marker >= 0xc0 && marker <= 0xcf && marker != markerJPG:
		j.process = marker
		return j.frame(body)
	}
	return false
}

func (j *jpegWalk) interval(body []byte) bool {
	if len(body) != 2 {
		return false
	}
	j.restarts = int(big.Uint16(body))
	return true
}

// saneTables reports whether the body holds whole tables and nothing else.
func saneTables(body []byte, size func([]byte) int) bool {
	for len(body) > 0 {
		n := size(body)
		if n > len(body) {
			return false
		}
		body = body[n:]
	}
	return true
}

func huffmanTable(b []byte) int {
	n := 17
	for _, codes := range b[1:min(n, len(b))] {
		n += int(codes)
	}
	return n
}

// frame takes the one frame header (B.2.2). Hierarchical pictures, which have
// more, are not made by anybody.
func (j *jpegWalk) frame(body []byte) bool {
	if len(j.parts) > 0 || len(body) < 6 {
		return false
	}
	height, width, n := int64(big.Uint16(body[1:])), int64(big.Uint16(body[3:])), int(body[5])
	if body[0] < 2 || body[0] > 16 || height == 0 || width == 0 || n < 1 || n > 4 || len(body) != 6+3*n {
		return false
	}
	for c := body[6:]; len(c) > 0; c = c[3:] {
		if h, v := c[1]>>4, c[1]&15; h < 1 || h > 4 || v < 1 || v > 4 {
			return false
		}
		j.parts = append(j.parts, part{c[0], len(j.parts), int(c[1] >> 4), int(c[1] & 15)})
	}
	j.precision, j.width, j.height = int(body[0]), int(width), int(height)
	// Every sample can cost some bytes at worst; blocks are padded.
	j.most = (width+64)*(height+64)*int64(n)*4 + quiet
	return true
}

// scan takes a scan header (B.2.3).
func (j *jpegWalk) scan(body []byte) bool {
	if len(j.parts) == 0 || len(body) < 1 || j.scans == mostScans {
		return false
	}
	n := int(body[0])
	return n >= 1 && n <= len(j.parts) && len(body) == 4+2*n && j.choose(body[1:])
}

// entropy steps over entropy-coded data up to the next marker that is none of
// it (B.1.1.5).
func (j *jpegWalk) entropy() bool {
	if j.scans == 0 {
		j.firstScan = j.pos
	}
	j.scans++
	if j.follows() {
		return j.codes()
	}
	return j.stuffing()
}

// stuffing steps over data whose codes are not followed.
func (j *jpegWalk) stuffing() bool {
	last := j.pos // where the last 0xff was
	for restart := byte(0); ; {
		if !j.toFF(last) {
			return false
		}
		b := j.v.bytes(j.pos, 2)
		if b == nil {
			return false
		}
		j.coded += j.pos - last
		last = j.pos
		switch {
		case b[1] == 0xff:
			j.pos++
		case b[1] == 0:
			j.pos += 2
		case b[1] == markerRST0+restart:
			j.pos, restart = j.pos+2, (restart+1)&7
		case b[1] >= markerRST0 && b[1] <= markerRST7, b[1] == markerSOI:
			return false
		default:
			return true
		}
	}
}

// toFF goes on to the next 0xff.
func (j *jpegWalk) toFF(last int64) bool {
	for {
		p := j.v.piece(j.pos)
		if p == nil {
			return false
		}
		p = p[:min(len(p), quiet)]
		n := bytes.IndexByte(p, 0xff)
		if n >= 0 {
			j.v.took(n)
			j.pos += int64(n)
			return j.coded+j.pos-last <= j.most
		}
		j.v.took(len(p))
		j.pos += int64(len(p))
		if j.coded+j.pos-last > j.most || j.pos-last > quiet && !j.plausible(last) {
			// Something else begins at a sector behind the last 0xff, most often
			// at the next.
			j.pos = min(j.from+roundUp(last+2-j.from), j.v.size)
			return false
		}
	}
}

// plausible reports whether a long stretch without 0xff may be an even picture:
// it repeats few bytes, and is not zeros, as space that was never written.
func (j *jpegWalk) plausible(last int64) bool {
	b := j.v.bytes(max(j.pos-quiet, last), int(min(quiet, j.pos-last)))
	var seen [256]bool
	different := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			different++
		}
	}
	return different > 0 && different <= even && !(different == 1 && b[0] == 0)
}

// noteIndex remembers where the index of further pictures lies (CIPA DC-007, 5.2).
func (j *jpegWalk) noteIndex(marker byte, body []byte) {
	if marker == markerAPP2 && bytes.HasPrefix(body, []byte("MPF\x00")) && j.index == 0 {
		j.index = j.pos + 2 + 4
		j.indexEnd = j.index + int64(len(body)-4)
	}
}

// further is where the last of the pictures ends that an index names, 0 if there
// is no index, or what is missing of them.
func (j *jpegWalk) further() (last int64, missing string) {
	for _, p := range j.pictures() {
		one := &jpegWalk{v: j.v, from: p.from}
		if !one.walk() || one.pos > p.from+p.size {
			j.v.why = ""
			return 0, fmt.Sprintf("a further picture that it names is not whole at byte %d", p.from)
		}
		last = max(last, p.from+p.size)
	}
	if !j.v.to(last) {
		return 0, "the last of its pictures is not whole"
	}
	return last, ""
}

type picture struct{ from, size int64 }

// pictures reads the Multi-Picture index, but for the first picture (5.2.3).
func (j *jpegWalk) pictures() (all []picture) {
	const (
		entriesTag    = 0xb002
		entrySize     = 16
		mostPictures  = 64
		directorySize = 12
	)
	if j.index == 0 {
		return nil
	}
	b := j.v.bytes(j.index, int(j.indexEnd-j.index))
	order := tiffOrder(b)
	if order == nil || len(b) < 8 {
		return nil
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return nil
	}
	fields := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(fields) < directorySize {
			return nil
		}
		if order.Uint16(fields) != entriesTag {
			fields = fields[directorySize:]
			continue
		}
		n, from := int64(order.Uint32(fields[4:])), int64(order.Uint32(fields[8:]))
		if n > mostPictures*entrySize || from+n > int64(len(b)) {
			return nil
		}
		for e := b[from : from+n]; len(e) >= entrySize; e = e[entrySize:] {
			if offset := int64(order.Uint32(e[8:])); offset != 0 {
				all = append(all, picture{j.index + offset, int64(order.Uint32(e[4:]))})
			}
		}
		return all
	}
	return nil
}
