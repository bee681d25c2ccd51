package ewf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// descriptorSize is the length of what begins every section, in bytes
// ("Section descriptor").
const descriptorSize = 76

// headerSize is the length of what begins every segment ("File header").
const headerSize = 13

const (
	signature   = "EVF\x09\x0d\x0a\xff\x00"
	signatureL  = "LVF\x09\x0d\x0a\xff\x00"
	signature2  = "EVF2\x0d\x0a\x81\x00"
	signatureL2 = "LEF2\x0d\x0a\x81\x00"
)

// kinds are the types of sections that are known.
var kinds = []string{
	"header", "header2", "xheader", "volume", "disk", "data", "sectors", "table", "table2",
	"next", "done", "digest", "hash", "xhash", "error2", "session", "incomplete", "ltree", "ltypes", "map",
}

// descriptor is the beginning of a section.
type descriptor struct {
	kind  string
	at    int64 // of the descriptor in its segment
	next  int64 // of the next; its own place in the last
	size  int64 // with the descriptor; 0 where it was not written
	sound bool  // its checksum is right
}

// end is where the section ends in a segment of size bytes. Those that end a
// segment point at themselves.
func (d descriptor) end(size int64) int64 {
	if d.next > d.at {
		return d.next
	}
	return min(d.at+max(d.size, descriptorSize), size)
}

// body is where the bytes behind the descriptor lie.
func (d descriptor) body(size int64) tutela.Run {
	return tutela.Run{Offset: d.at + descriptorSize, Length: d.end(size) - d.at - descriptorSize}
}

func (d descriptor) last() bool { return d.kind == "next" || d.kind == "done" }

func parseDescriptor(b []byte, at int64) descriptor {
	return descriptor{
		kind:  string(bytes.TrimRight(b[:16], "\x00")),
		at:    at,
		next:  int64(binary.LittleEndian.Uint64(b[16:])),
		size:  int64(binary.LittleEndian.Uint64(b[24:])),
		sound: checked(b[:descriptorSize]),
	}
}

// checked reports whether b ends in the Adler-32 of what is before it.
func checked(b []byte) bool {
	n := len(b) - 4
	return n >= 0 && adler32.Checksum(b[:n]) == binary.LittleEndian.Uint32(b[n:])
}

// follows reports whether the next section can be where d says it is.
func (d descriptor) follows(size int64) bool {
	if !slices.Contains(kinds, d.kind) {
		return false
	}
	return d.next == d.at && d.last() || d.next >= d.at+descriptorSize && d.next <= size
}

// segment is what the sections of one segment say. It is made by walking them
// once, and does not change afterwards.
type segment struct {
	index  int
	name   string
	size   int64 // bytes
	ended  string
	tables []table
	// unsure is the first of the tables before which some may be missing; the
	// number of tables where none is.
	unsure int

	volume, data *geometry
	facts        []evidence.Fact
	digests      []evidence.StoredDigest
	badSectors   []sectors
	notes        []tutela.Finding

	chunks tutela.Run // where those lie that the next tables tell of
	fresh  bool       // no table has told of them yet
	paired bool       // the last table may still get its copy
}

// sectors are some that the acquisition could not read.
type sectors struct{ first, count int64 }

// mostSections bounds the sections of one segment: three for each table, and an
// image of 64 TB in one file has 130,000 tables.
const mostSections = 1 << 20

var errNotSegment = errors.New("it does not begin like a segment")

// walk reads the section descriptors of segment i, and what the small sections
// hold; of a table only its header.
func (f *files) walk(i int) (*segment, error) {
	s := &segment{index: i, name: f.names[i]}
	h, err := f.acquire(i)
	if err != nil {
		return nil, err
	}
	defer f.release(h)
	s.size = h.file.Size()
	if err := s.checkHeader(h.file); err != nil {
		return nil, err
	}
	if err := s.sections(h.file); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	if s.ended == "" {
		s.unsure = min(s.unsure, len(s.tables))
		s.note(tutela.FindingTruncated, "the segment ends without saying whether it is the last")
	}
	return s, nil
}

// mostNotes bounds what is said of one segment.
const mostNotes = 200

func (s *segment) note(code, format string, args ...any) {
	if len(s.notes) >= mostNotes {
		return
	}
	s.notes = append(s.notes, tutela.Finding{Code: code, Detail: s.name + ": " + fmt.Sprintf(format, args...)})
}

// checkHeader holds the segment against its place in the sequence.
func (s *segment) checkHeader(src evidence.Source) error {
	b := make([]byte, headerSize)
	if n, err := src.ReadAt(b, 0); n < len(b) {
		return fmt.Errorf("read %s: %w", s.name, notEnd(err))
	}
	number := int(binary.LittleEndian.Uint16(b[9:]))
	switch {
	case string(b[:8]) != signature:
		return fmt.Errorf("read %s: %w", s.name, errNotSegment)
	case number != s.index+1:
		return fmt.Errorf("read %s: it is segment %d of an image, and should be segment %d", s.name, number, s.index+1)
	}
	return nil
}

// notEnd is the error for a read that came short.
func notEnd(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *segment) sections(src evidence.Source) error {
	s.unsure = mostSections
	at := int64(headerSize)
	for range mostSections {
		d, table, err := s.descriptor(src, at)
		if err != nil {
			return err
		}
		if d.kind == "" {
			return nil // nothing more can be found
		}
		s.section(src, d, table)
		if len(s.tables) > mostTables {
			return fmt.Errorf("more than %d tables", mostTables)
		}
		if d.last() {
			s.ended = d.kind
			return nil
		}
		at = d.next
	}
	return fmt.Errorf("more than %d sections", mostSections)
}

// descriptor reads the one at a place, and the header of a table behind it. If
// it is damaged but leads to another, it is believed; if not, the next that is
// sound is looked for. kind is empty where there is none.
func (s *segment) descriptor(src evidence.Source, at int64) (descriptor, []byte, error) {
	d, table, err := readDescriptor(src, at)
	switch {
	case err != nil:
		if _, bad := errors.AsType[*evidence.ReadError](err); !bad {
			return d, nil, err
		}
	case d.sound && d.follows(s.size):
		s.compareSize(d)
		return d, table, nil
	case d.sound && !slices.Contains(kinds, d.kind) && d.next >= at+descriptorSize && d.next <= s.size:
		s.note(tutela.FindingUnsupported, "section %q at %d is of an unknown kind", d.kind, at)
		return d, table, nil
	case d.follows(s.size) && d.leads(src):
		s.note(tutela.FindingDamaged, "the checksum of the %s section at %d is wrong", d.kind, at)
		s.unsure = min(s.unsure, len(s.tables)) // it may be of another kind
		return d, table, nil
	case s.size-at < descriptorSize:
		return descriptor{}, nil, nil
	}
	s.note(tutela.FindingDamaged, "there is no sound section at %d", at)
	s.unsure = min(s.unsure, len(s.tables))
	s.fresh, s.paired, s.chunks = false, false, tutela.Run{Offset: headerSize, Length: s.size - headerSize}
	found := findDescriptor(src, at+1)
	if found < 0 {
		return descriptor{}, nil, nil
	}
	return readDescriptor(src, found)
}

// compareSize says so where the two ways to the next section differ: a reader
// that goes the other way sees another image ("Dual image: section size versus
// offset").
func (s *segment) compareSize(d descriptor) {
	if d.size != 0 && !d.last() && d.size != d.next-d.at {
		s.note(tutela.FindingDamaged, "the %s section at %d ends at %d by its size and at %d by its link, which is followed", d.kind, d.at, d.at+d.size, d.next)
		s.unsure = min(s.unsure, len(s.tables))
	}
}

// leads reports whether a sound descriptor follows a damaged one.
func (d descriptor) leads(src evidence.Source) bool {
	if d.next == d.at {
		return true
	}
	next, _, err := readDescriptor(src, d.next)
	return err == nil && next.sound
}

func readDescriptor(src evidence.Source, at int64) (descriptor, []byte, error) {
	b := make([]byte, descriptorSize+tableHeaderSize)
	n, err := src.ReadAt(b, at)
	if n < descriptorSize {
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return descriptor{}, nil, nil
		}
		return descriptor{}, nil, err
	}
	return parseDescriptor(b, at), b[descriptorSize:n], nil
}

// findStep is how much is searched at once for a section, in bytes.
const findStep = 1 << 20

// findDescriptor finds the first sound descriptor of a known kind from a place
// on, -1 if there is none. What cannot be read is stepped over. Its size and its
// link must agree on where it lies: a disk may hold images of others, and the
// sections of those are not at the place that they tell.
func findDescriptor(src evidence.Source, from int64) int64 {
	b := make([]byte, findStep+descriptorSize)
	for at := from; at < src.Size(); at += findStep {
		n, _ := src.ReadAt(b, at)
		for i := 0; i+descriptorSize <= n; i++ {
			if !startsKind(b[i:]) {
				continue
			}
			d := parseDescriptor(b[i:i+descriptorSize], at+int64(i))
			if d.sound && d.follows(src.Size()) && (d.last() && d.next == d.at || d.size == d.next-d.at) {
				return d.at
			}
		}
	}
	return -1
}

// startsKind reports whether 16 bytes can be the type of a section. It is quick
// for what cannot.
func startsKind(b []byte) bool {
	if b[0] < 'd' || b[0] > 'x' || b[15] != 0 {
		return false
	}
	return slices.Contains(kinds, string(bytes.TrimRight(b[:16], "\x00")))
}

// section takes in what one section says. table is what may be the header of a
// table.
func (s *segment) section(src evidence.Source, d descriptor, table []byte) {
	body := d.body(s.size)
	switch d.kind {
	case "sectors":
		s.chunks = tutela.Run{Offset: d.at, Length: d.end(s.size) - d.at}
		s.fresh, s.paired = true, false
	case "table":
		if s.paired && !d.sound { // a table2 that lost its number
			s.table2(d, table)
			return
		}
		s.table(d, table)
	case "table2":
		s.table2(d, table)
	case "volume", "disk":
		s.volume = s.geometry(src, d, body)
	case "data":
		s.data = s.geometry(src, d, body)
	case "header", "header2", "xheader":
		s.header(src, d.kind, body)
	case "hash", "digest", "xhash":
		s.digest(src, d.kind, body)
	case "error2":
		s.errors(src, body)
	case "session":
		s.session(src, body)
	case "incomplete":
		s.note(tutela.FindingTruncated, "the acquisition says that it is incomplete")
	}
}

// read is the whole of a small section, or nil and a note.
func (s *segment) read(src evidence.Source, kind string, body tutela.Run, least, most int64) []byte {
	if body.Length < least {
		s.note(tutela.FindingDamaged, "the %s section at %d is too short", kind, body.Offset-descriptorSize)
		return nil
	}
	b := make([]byte, min(body.Length, most))
	if n, err := src.ReadAt(b, body.Offset); n < len(b) {
		s.note(tutela.FindingReadError, "the %s section at %d: %v", kind, body.Offset-descriptorSize, notEnd(err))
		return nil
	}
	return b
}
