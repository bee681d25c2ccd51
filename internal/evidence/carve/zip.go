package carve

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"strings"
)

// ZIP: PKWARE APPNOTE 6.3.10, section 4.3.

const (
	zipLocal      = 0x04034b50
	zipDescriptor = 0x08074b50
	zipCentral    = 0x02014b50
	zipSignature  = 0x05054b50
	zip64End      = 0x06064b50
	zip64Locator  = 0x07064b50
	zipEnd        = 0x06054b50

	zipStreamed = 1 << 3     // flag: sizes come behind the member
	zipBig      = 0xffffffff // the size is in the extra field
	zipDeflated = 8          // method

	// probed is how much of a deflated member is tried, in bytes.
	probed = 4 << 10

	// mostStreamed is how long a member may be that does not tell its length
	// before its bytes, in bytes.
	mostStreamed = 256 << 20
)

// zipWalk follows the members, the directory and the end.
type zipWalk struct {
	v                *view
	pos              int64
	members, entries int64
	directory        int64 // where it begins
	kind             string
}

func zip(v *view) (found, bool) {
	w := &zipWalk{v: v}
	for w.signature() == zipLocal {
		if !w.member() {
			return found{}, false
		}
	}
	if w.members == 0 {
		return found{}, false
	}
	w.signingBlock()
	w.directory = w.pos
	for w.signature() == zipCentral {
		if !w.entry() {
			return found{}, false
		}
	}
	if w.entries == 0 || w.entries > w.members || !w.finish() {
		return found{}, false
	}
	if w.kind == "" {
		w.kind = "zip"
	}
	return found{size: w.pos, ext: w.kind}, true
}

func (w *zipWalk) signature() int64 { return w.v.number(little, w.pos, 4) }

// member steps over a local header and its bytes (4.3.7).
func (w *zipWalk) member() bool {
	h := w.v.bytes(w.pos, 30)
	if h == nil {
		return false
	}
	version, flags, size := h[4], little.Uint16(h[6:]), int64(little.Uint32(h[18:]))
	plain := int64(little.Uint32(h[22:]))
	names, extra := int64(little.Uint16(h[26:])), int64(little.Uint16(h[28:]))
	if version > 63 || names == 0 {
		return false
	}
	body := w.pos + 30 + names + extra
	if size == zipBig {
		size = zip64Size(w.v.bytes(w.pos+30+names, int(extra)), plain)
	}
	if w.members == 0 && size > 0 && size < 128 && w.v.is(w.pos+30, "mimetype") {
		w.kind = mimeKinds[string(w.v.bytes(body, int(size)))]
	}
	w.members++
	switch {
	case size < 0:
		return false
	case flags&zipStreamed == 0:
		w.pos = body + size
	case size > 0:
		w.pos = body + size
		w.descriptor()
	case h[8] == zipDeflated && h[9] == 0 && !inflates(w.v.bytes(body, int(min(probed, w.v.size-body)))):
		return false
	default:
		w.pos = w.streamed(body)
	}
	return w.pos > 0 && w.v.to(w.pos)
}

// inflates reports whether b may be the beginning of a deflated stream. It keeps
// noise behind a header from being searched for its end.
func inflates(b []byte) bool {
	z := flate.NewReader(bytes.NewReader(b))
	_, err := io.CopyN(io.Discard, z, 64*probed)
	return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF
}

// zip64Size is the compressed size in a ZIP64 extra field (4.5.3), or -1.
func zip64Size(extra []byte, plain int64) int64 {
	for len(extra) >= 4 {
		id, n := little.Uint16(extra), int(little.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return -1
		}
		field := extra[4 : 4+n]
		if id == 1 {
			if plain == zipBig && n >= 8 {
				field = field[8:]
			}
			if len(field) < 8 {
				return -1
			}
			return number(little, field[:8])
		}
		extra = extra[4+n:]
	}
	return -1
}

// descriptor steps over the data descriptor (4.3.9) behind a member whose length
// is known; it need not be there.
func (w *zipWalk) descriptor() {
	for _, n := range []int64{0, 16, 24, 12, 20} {
		signed := n == 0 || n == 12 || n == 20 || w.signature() == zipDescriptor
		if signed && knownSignature(w.v.number(little, w.pos+n, 4)) {
			w.pos += n
			return
		}
	}
}

func knownSignature(s int64) bool { return s == zipLocal || s == zipCentral }

// streamed is where the data descriptor ends behind a member whose length only
// that tells, or -1.
func (w *zipWalk) streamed(body int64) int64 {
	const overlap = 28
	window := leastWindow
	for pos := body; pos-body < mostStreamed; window = min(2*window, mostWindow) {
		n := int(min(int64(window), w.v.size-pos))
		if n < overlap {
			w.v.to(pos + overlap)
			return -1
		}
		b := w.v.bytes(pos, n)
		if b == nil {
			return -1
		}
		if end := descriptorIn(b, pos-body); end >= 0 {
			w.v.took(end - n) // the rest of the window is looked at again
			return pos + int64(end)
		}
		pos += int64(n - overlap + 1)
	}
	return -1
}

// descriptorIn is where a data descriptor ends in b, which lies offset bytes
// behind the beginning of the member, or -1. Without a signature it is known by
// what follows it.
func descriptorIn(b []byte, offset int64) int {
	for i := 0; ; i++ {
		next := bytes.Index(b[i:], []byte("PK"))
		if next < 0 || i+next+4 > len(b) {
			return -1
		}
		i += next
		d, length := b[i:], offset+int64(i)
		switch little.Uint32(d) {
		case zipDescriptor:
			// Of an empty member the short form looks like the long one.
			if len(d) >= 28 && int64(little.Uint64(d[8:])) == length && string(d[24:26]) == "PK" {
				return i + 24
			}
			if len(d) >= 16 && int64(little.Uint32(d[8:])) == length {
				return i + 16
			}
		case zipLocal, zipCentral:
			if i >= 12 && int64(little.Uint32(b[i-8:])) == length-12 {
				return i
			}
			if i >= 20 && int64(little.Uint64(b[i-16:])) == length-20 {
				return i
			}
		}
	}
}

// signingBlock steps over the block that Android puts before the directory (APK
// Signature Scheme v2).
func (w *zipWalk) signingBlock() {
	size := w.v.number(little, w.pos, 8)
	if end := w.pos + 8 + size; size >= 24 && end > w.pos && end <= w.v.size && w.v.is(end-16, "APK Sig Block 42") {
		w.pos = end
	}
}

// entry steps over a header of the directory (4.3.12).
func (w *zipWalk) entry() bool {
	h := w.v.bytes(w.pos, 46)
	if h == nil {
		return false
	}
	names, extra, comment := int64(little.Uint16(h[28:])), int64(little.Uint16(h[30:])), int64(little.Uint16(h[32:]))
	if at := int64(little.Uint32(h[42:])); at >= w.directory && at != zipBig {
		return false
	}
	if w.kind == "" {
		w.kind = kindOf(string(w.v.bytes(w.pos+46, int(names))))
	}
	w.pos += 46 + names + extra + comment
	w.entries++
	return w.v.to(w.pos)
}

// finish steps over the end records, which must fit what was seen (4.3.13 to
// 4.3.16).
func (w *zipWalk) finish() bool {
	size := w.pos - w.directory
	if w.signature() == zipSignature {
		w.pos += 6 + max(w.v.number(little, w.pos+4, 2), 0)
	}
	if w.signature() == zip64End {
		more := w.v.number(little, w.pos+4, 8)
		if more < 44 || !w.v.to(w.pos+12+more) {
			return false
		}
		w.pos += 12 + more
	}
	if w.signature() == zip64Locator {
		w.pos += 20
	}
	h := w.v.bytes(w.pos, 22)
	if h == nil || little.Uint32(h) != zipEnd {
		return false
	}
	w.pos += 22 + int64(little.Uint16(h[20:]))
	return fits(h[10:12], w.entries) && fits(h[12:16], size) && fits(h[16:20], w.directory) && w.v.to(w.pos)
}

// fits reports whether a field tells a number, or that it cannot hold it.
func fits(field []byte, n int64) bool {
	told := number(binary.LittleEndian, field)
	return told == n || told == 1<<(8*len(field))-1
}

// mimeKinds are the endings for what a first member called mimetype says.
var mimeKinds = map[string]string{
	"application/epub+zip":                                     "epub",
	"application/vnd.oasis.opendocument.text":                  "odt",
	"application/vnd.oasis.opendocument.spreadsheet":           "ods",
	"application/vnd.oasis.opendocument.presentation":          "odp",
	"application/vnd.oasis.opendocument.graphics":              "odg",
	"application/vnd.oasis.opendocument.text-template":         "ott",
	"application/vnd.oasis.opendocument.presentation-template": "otp",
	"application/vnd.oasis.opendocument.spreadsheet-template":  "ots",
	"application/vnd.oasis.opendocument.formula":               "odf",
	"application/vnd.oasis.opendocument.database":              "odb",
	"application/vnd.adobe.indesign-idml-package":              "idml",
	"application/x-krita":                                      "kra",
	"image/openraster":                                         "ora",
}

// kindOf is the ending that the name of a member tells, or "".
func kindOf(name string) string {
	switch {
	case strings.HasPrefix(name, "word/"):
		return "docx"
	case strings.HasPrefix(name, "xl/"):
		return "xlsx"
	case strings.HasPrefix(name, "ppt/"):
		return "pptx"
	case name == "AndroidManifest.xml":
		return "apk"
	case name == "META-INF/MANIFEST.MF":
		return "jar"
	}
	return ""
}
