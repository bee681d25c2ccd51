package carve

import "bytes"

// PDF: ISO 32000-1 (PDF 1.7), 7.5.

const (
	// firstObject is within how many bytes the first object begins.
	firstObject = 4 << 10
	// mostObject is how many bytes may lie between the ends of two objects.
	mostObject = 64 << 20
	// leastWindow and mostWindow are how much text is searched at once.
	leastWindow, mostWindow = 4 << 10, 256 << 10
)

// pdfWalk looks for the last end-of-file mark that belongs to the file.
type pdfWalk struct {
	v      *view
	pos    int64 // searched up to here
	window int   // bytes searched at once; more and more until a mark comes
	object int64 // where the last object ended, about
	end    int64 // of the file, by the last good mark; 0 before the first
}

// pdf searches for end-of-file marks from the header on.
func pdf(v *view) (found, bool) {
	head := v.bytes(0, 8)
	if head == nil || head[4] != '-' || !digit(head[5]) || head[6] != '.' || !digit(head[7]) {
		return found{}, false
	}
	if !hasObject(v.bytes(0, int(min(firstObject, v.size)))) {
		return found{}, false
	}
	w := &pdfWalk{v: v}
	for w.search() {
	}
	return found{size: w.end, ext: "pdf"}, w.end > 0
}

// search goes through some bytes. It returns false where the file cannot go on.
func (w *pdfWalk) search() bool {
	const mark = "%%EOF"
	w.window = min(max(2*w.window, leastWindow), mostWindow)
	n := int(min(int64(w.window), w.v.size-w.pos))
	if n < len(mark) || w.pos-w.object > mostObject {
		return false
	}
	b := w.v.bytes(w.pos, n)
	if b == nil {
		return false
	}
	if another := nextPDF(b, w.pos); another >= 0 {
		w.v.size = w.pos + int64(another)
		b = b[:another]
	}
	at := bytes.Index(b, []byte(mark))
	if at >= 0 {
		b = b[:at]
	}
	if last := bytes.LastIndex(b, []byte("endobj")); last >= 0 {
		w.object = w.pos + int64(last)
	}
	if at < 0 {
		w.pos += max(int64(len(b)-len(mark)+1), 1)
		return true
	}
	w.v.took(at - n) // the rest of the window is looked at again
	w.pos, w.window = w.pos+int64(at+len(mark)), 0
	return w.mark(w.pos)
}

// nextPDF is where in b, which lies at pos, another PDF begins at a sector, or -1.
func nextPDF(b []byte, pos int64) int {
	i := int(roundUp(pos) - pos)
	if pos == 0 {
		i = sector
	}
	for ; i+5 <= len(b); i += sector {
		if string(b[i:i+5]) == "%PDF-" {
			return i
		}
	}
	return -1
}

// mark looks at an end-of-file mark that ends at a place, and reports whether the
// file may go on behind it.
func (w *pdfWalk) mark(at int64) bool {
	end := at + endOfLine(w.v.bytes(at, int(min(2, w.v.size-at))))
	if w.leads(at) {
		w.end = end
	} else if w.end == 0 {
		return true // the first mark of a linearised file, or text that looks like one
	}
	return w.updated(end)
}

// leads reports whether the startxref before a mark leads to a cross-reference
// table or stream (7.5.5, 7.5.8).
func (w *pdfWalk) leads(at int64) bool {
	const before = 128
	n := min(before, at)
	b := w.v.bytes(at-n, int(n))
	i := bytes.LastIndex(b, []byte("startxref"))
	if i < 0 {
		return false
	}
	var to int64
	for _, c := range bytes.TrimLeft(b[i+len("startxref"):], space) {
		if !digit(c) || to > w.v.size {
			break
		}
		to = to*10 + int64(c-'0')
	}
	if to <= 0 || to >= at {
		return false
	}
	b = bytes.TrimLeft(w.v.bytes(to, int(min(32, at-to))), space)
	return bytes.HasPrefix(b, []byte("xref")) || objectLength(b) > 0
}

// updated reports whether an incremental update follows (7.5.6), or the rest of
// a linearised file.
func (w *pdfWalk) updated(at int64) bool {
	b := bytes.TrimLeft(w.v.bytes(at, int(min(64, w.v.size-at))), space)
	return objectLength(b) > 0 || bytes.HasPrefix(b, []byte("xref"))
}

const space = "\x00\t\n\f\r "

func digit(c byte) bool { return c >= '0' && c <= '9' }

// endOfLine is the length of the end of line that b begins with.
func endOfLine(b []byte) int64 {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	case len(b) > 0 && (b[0] == '\n' || b[0] == '\r'):
		return 1
	}
	return 0
}

// objectLength is how long the head of an object ("12 0 obj") is that b begins
// with, or 0.
func objectLength(b []byte) int {
	i := 0
	for range 2 {
		from := i
		for i < len(b) && digit(b[i]) {
			i++
		}
		if i == from || i == len(b) || b[i] != ' ' {
			return 0
		}
		i++
	}
	if !bytes.HasPrefix(b[i:], []byte("obj")) {
		return 0
	}
	return i + 3
}

// hasObject reports whether the head of an object lies in b.
func hasObject(b []byte) bool {
	for rest := b; ; {
		i := bytes.Index(rest, []byte(" obj"))
		if i < 0 {
			return false
		}
		number := bytes.LastIndexAny(rest[:i], space) // before the generation
		if number > 0 && digit(rest[number-1]) && number+1 < i {
			return true
		}
		rest = rest[i+4:]
	}
}
