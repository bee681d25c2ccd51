package archive

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"tutela"
)

// Mail is read as RFC 5322 and RFC 2045 to 2049 have it, and as programs write
// it: a message is its header and its parts, each of which is a member, what is
// a message itself being opened in its turn. Mailboxes of the mbox kind (RFC
// 4155) hold messages, which are given as they stand there (a line that begins
// with ">From " keeps its mark). What stands before the first part of several
// and behind the last is passed over.

const (
	maxHeader     = 256 << 10 // bytes of a header that are looked at
	maxBoundaries = 32        // parts within parts
	lineBytes     = 8 << 10   // of a line that are looked at
)

// mailFields are names of fields that messages begin with. Those that are true
// stand in no other kind of text.
var mailFields = map[string]bool{
	"received": true, "return-path": true, "delivered-to": true, "x-received": true, "dkim-signature": true, "arc-seal": true,
	"x-mozilla-status": true, "x-gmail-labels": true, "x-gm-thrid": true, "message-id": true, "x-envelope-from": true, "envelope-to": true,
	"from": false, "to": false, "cc": false, "subject": false, "date": false, "mime-version": false, "content-type": false,
	"reply-to": false, "sender": false, "x-mailer": false, "user-agent": false, "content-transfer-encoding": false, "thread-topic": false,
}

// isMail asks for a header all through, with fields that only mail has, or two
// that mail always has. Apple's programs write the length before it.
func isMail(head []byte) bool {
	if n := countedLine(head); n > 0 {
		head = head[n:]
	}
	points := 0
	for len(head) > 0 {
		line, rest, whole := bytes.Cut(head, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if !whole || len(line) == 0 {
			break
		}
		head = rest
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		name := fieldName(line)
		if name == "" {
			return false
		}
		if sure, known := mailFields[name]; sure {
			points += 2
		} else if known {
			points++
		}
	}
	return points >= 2
}

// countedLine is how long the first line is if it is a number, as in .emlx.
func countedLine(head []byte) int {
	n := 0
	for n < len(head) && n < 16 && head[n] >= '0' && head[n] <= '9' {
		n++
	}
	digits := n
	for n < len(head) && n < 24 && head[n] == ' ' {
		n++
	}
	if digits == 0 || n >= len(head) || head[n] != '\n' {
		return 0
	}
	return n + 1
}

// fieldName is the name of a header's field in small letters, "" if the line is
// none.
func fieldName(line []byte) string {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || i > 100 {
		return ""
	}
	name := bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return ""
		}
	}
	return strings.ToLower(string(name))
}

const mboxFrom = "From "

// isMbox asks for a field behind the first line.
func isMbox(head []byte) bool {
	_, next, _ := bytes.Cut(head, []byte{'\n'})
	return bytes.HasPrefix(head, []byte(mboxFrom)) && beginsField(next)
}

func beginsField(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	return fieldName(line) != "" || bytes.HasPrefix(line, []byte(">From "))
}

// mbox lists the messages of a mailbox. A line "From " begins one where an empty
// line stands before it and a field behind it.
func (l *listing) mbox([]byte) error {
	lines := newLines(io.NewSectionReader(l.content, 0, l.size), 0)
	begin, number, empty := int64(-1), 0, true
	visit := func(end int64) error {
		if begin < 0 || end <= begin {
			return nil
		}
		number++
		if err := l.next(); err != nil {
			return err
		}
		m := &member{name: fmt.Appendf(nil, "message-%04d.eml", number), at: begin, kind: tutela.File, size: end - begin}
		l.inPlace(m, begin)
		return l.member(m)
	}
	from := int64(-1) // of the line that may begin a message, -1 if none may
	var gap int64     // how long the empty line before is
	for lines.next() {
		if from >= 0 && beginsField(lines.line) {
			if err := visit(from - gap); err != nil {
				return err
			}
			begin = lines.start
		}
		from = -1
		if empty && bytes.HasPrefix(lines.line, []byte(mboxFrom)) {
			from = lines.start
			continue
		}
		if empty = len(bytes.TrimRight(lines.line, "\r\n")) == 0; empty {
			gap = lines.at - lines.start
		}
		if err := l.ctx.Err(); err != nil {
			return err
		}
	}
	if err := l.readFailed(lines); err != nil {
		return err
	}
	return visit(l.size)
}

// readFailed tells why the lines ended, if it was not the end.
func (l *listing) readFailed(lines *lineReader) error {
	if lines.err != nil && lines.err != io.EOF {
		l.find(fail(lines.err).Code, "%s: %v", l.format.name, lines.err)
	}
	return l.ctx.Err()
}

// lineReader reads line by line and knows where it is.
type lineReader struct {
	src       *bufio.Reader
	line      []byte // its beginning, with its end if it is short; valid until next
	start, at int64  // of the line, and of what follows it
	ending    int64  // bytes of the line end
	err       error
}

func newLines(r io.Reader, at int64) *lineReader {
	return &lineReader{src: bufio.NewReaderSize(r, 64<<10), at: at}
}

func (r *lineReader) next() bool {
	if r.err != nil {
		return false
	}
	r.start, r.line = r.at, r.line[:0]
	for {
		b, err := r.src.ReadSlice('\n')
		r.at += int64(len(b))
		r.line = append(r.line, b[:min(len(b), lineBytes-len(r.line))]...)
		if len(b) > 0 {
			r.ending = lineEnd(b)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		r.err = err
		return r.at > r.start
	}
}

func lineEnd(b []byte) int64 {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return 2
	case bytes.HasSuffix(b, []byte("\n")):
		return 1
	}
	return 0
}

// mailFile is a message being listed.
type mailFile struct {
	*listing
	lines      *lineReader
	boundaries []string // of the parts that are open, the innermost last
	part       *mailPart
	number     int   // of the part that was given out last
	ending     int64 // bytes of the line end before this line
	coded      int64 // where a uuencoded file begins in the part, -1 if none does
	codedName  string
}

// mailPart is a part whose end is looked for.
type mailPart struct {
	header mailHeader
	at     int64
	cut    bool // the message ends before it does
}

// message lists the parts of a message.
func (l *listing) message(head []byte) error {
	at := int64(countedLine(head))
	size := l.size - at
	if at > 0 { // behind the message stands what Apple's program thinks of it
		var told int64
		if _, err := fmt.Sscan(string(head[:at]), &told); err == nil && told < size {
			size = told
		}
	}
	m := &mailFile{listing: l, lines: newLines(io.NewSectionReader(l.content, at, size), at), coded: -1}
	if err := m.begin(); err != nil {
		return err
	}
	for m.lines.next() {
		if err := m.take(); err != nil {
			return err
		}
	}
	if err := l.readFailed(m.lines); err != nil {
		return err
	}
	if m.part != nil {
		m.part.cut = len(m.boundaries) > 0
	} else if len(m.boundaries) > 0 {
		l.find(tutela.FindingTruncated, "mail: what should follow the last part is not there")
	}
	return m.end(m.lines.at)
}

// take looks at a line: whether it ends the part, or is one of it.
func (m *mailFile) take() error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	defer func() { m.ending = m.lines.ending }()
	if bytes.HasPrefix(m.lines.line, []byte("--")) {
		for i := len(m.boundaries) - 1; i >= 0; i-- {
			rest, ours := bytes.CutPrefix(m.lines.line[2:], []byte(m.boundaries[i]))
			rest = bytes.TrimRight(rest, " \t\r\n")
			if ours && (len(rest) == 0 || string(rest) == "--") {
				return m.delimiter(i, len(rest) > 0)
			}
		}
	}
	if m.part != nil && m.part.header.plain() {
		return m.uuencoded()
	}
	return nil
}

// delimiter ends a part. Parts that are still open inside end with it.
func (m *mailFile) delimiter(level int, last bool) error {
	if err := m.end(m.lines.start - m.ending); err != nil {
		return err
	}
	if m.boundaries = m.boundaries[:level+1]; last {
		m.boundaries = m.boundaries[:level]
		return nil
	}
	return m.begin()
}

// begin reads a header, and begins the part or the parts that it is of.
func (m *mailFile) begin() error {
	h := readMailHeader(m.lines)
	m.ending = 0
	if strings.HasPrefix(h.kind, "multipart/") && h.boundary != "" && len(m.boundaries) < maxBoundaries {
		m.boundaries = append(m.boundaries, h.boundary)
		return nil
	}
	m.part = &mailPart{header: h, at: m.lines.at}
	return nil
}

// end visits the part that ends there.
func (m *mailFile) end(at int64) error {
	p := m.part
	if m.part, m.coded = nil, -1; p == nil {
		return nil
	}
	if err := m.next(); err != nil {
		return err
	}
	m.number++
	return m.member(m.partMember(p, max(0, at-p.at)))
}

func (m *mailFile) partMember(p *mailPart, size int64) *member {
	name := fmt.Appendf(nil, "%d%s", m.number, suffixOf(p.header.kind))
	if p.header.name != "" {
		name = fmt.Appendf(nil, "%d/%s", m.number, p.header.name)
	}
	out := &member{name: name, at: p.at, kind: tutela.File, size: size}
	if p.cut {
		out.find(tutela.FindingTruncated, "mail: the message ends before this part does")
	}
	switch p.header.encoding {
	case "base64":
		m.decoded(out, func(r io.Reader) io.Reader { return newBase64(r) })
	case "quoted-printable":
		m.decoded(out, func(r io.Reader) io.Reader { return quotedprintable.NewReader(r) })
	case "x-uuencode", "uuencode", "x-uue":
		m.decoded(out, func(r io.Reader) io.Reader { return &uuReader{lines: newLines(r, 0)} })
	case "", "7bit", "8bit", "binary":
		m.inPlace(out, p.at)
	default:
		out.find(tutela.FindingUnsupported, "mail: transfer encoding %.40q; the part is given as it is", p.header.encoding)
		m.inPlace(out, p.at)
	}
	return out
}

// decoded makes a member's content what its bytes decode to.
func (m *mailFile) decoded(out *member, decode func(io.Reader) io.Reader) {
	section := io.NewSectionReader(m.content, out.at, out.size)
	out.size = -1
	out.open = func() (io.ReadCloser, error) {
		return io.NopCloser(decode(io.NewSectionReader(section, 0, section.Size()))), nil
	}
}

// uuencoded looks for a file that is written into a text.
func (m *mailFile) uuencoded() error {
	line := bytes.TrimRight(m.lines.line, "\r\n")
	if name, ok := uuBegin(line); ok && m.coded < 0 {
		m.coded, m.codedName = m.lines.start, name
		return nil
	}
	if m.coded < 0 || string(line) != "end" {
		return nil
	}
	at := m.coded
	m.coded = -1
	if err := m.next(); err != nil {
		return err
	}
	m.number++
	out := &member{name: fmt.Appendf(nil, "%d/%s", m.number, m.codedName), at: at, kind: tutela.File, size: m.lines.at - at}
	m.decoded(out, func(r io.Reader) io.Reader { return &uuReader{lines: newLines(r, 0)} })
	return m.member(out)
}

// suffixOf is the ending for a part without a name.
func suffixOf(kind string) string {
	switch kind {
	case "", "text/plain":
		return ".txt"
	case "text/html":
		return ".html"
	case "message/rfc822":
		return ".eml"
	case "image/jpeg", "image/jpg":
		return ".jpg"
	case "application/ms-tnef":
		return ".tnef"
	}
	if kind, sub, _ := strings.Cut(kind, "/"); kind == "image" || kind == "video" || kind == "audio" || kind == "text" {
		if len(sub) > 0 && len(sub) < 8 && strings.Trim(sub, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
			return "." + sub
		}
	}
	return ".bin"
}
