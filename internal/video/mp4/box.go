package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/video/track"
)

// box is one element of the file: a length, a name of four characters and a
// body (ISO/IEC 14496-12, 4.2).
type box struct {
	name             string
	start, body, end int64 // bytes from the beginning of the file
}

// mostBoxes is how many boxes are looked at in one row of them.
const mostBoxes = 1 << 20

var errEnough = errors.New("enough")

// boxes visits the boxes of a stretch of the file. It ends without error where
// the stretch does, where a box does not hold together, or where visit returns
// errEnough; what is wrong is noted.
func (m *Movie) boxes(start, end int64, visit func(box) error) error {
	for n := 0; start <= end-8; n++ {
		if n == mostBoxes {
			m.notes.Add(tutela.FindingLimit, "more than %d boxes in a row", mostBoxes)
			return nil
		}
		b, err := m.box(start, end)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			m.notes.Add(tutela.FindingTruncated, "the file ends within a box")
			return nil
		}
		if errors.Is(err, track.ErrFormat) {
			m.notes.Add(tutela.FindingDamaged, "%v", err)
			return nil
		}
		if err != nil {
			return err
		}
		switch err := visit(b); {
		case err == errEnough:
			return nil
		case err != nil:
			return err
		}
		start = b.end
	}
	return nil
}

// box reads the head of a box. One that would go beyond end is cut there.
func (m *Movie) box(start, end int64) (box, error) {
	h, err := m.win.Bytes(start, 8)
	if err != nil {
		return box{}, err
	}
	b := box{name: string(h[4:8]), start: start, body: start + 8}
	size := int64(binary.BigEndian.Uint32(h))
	switch {
	case size == 0: // to the end of what holds it
		size = end - start
	case size == 1:
		long, err := m.win.Bytes(start+8, 8)
		if err != nil {
			return box{}, err
		}
		size, b.body = int64(binary.BigEndian.Uint64(long)), start+16
	}
	if size < b.body-start {
		return box{}, fmt.Errorf("%w: a box %q of %d bytes at %d", track.ErrFormat, b.name, size, start)
	}
	if size > end-start {
		m.notes.Add(tutela.FindingTruncated, "the box %q at %d ends beyond its surroundings", b.name, start)
		size = end - start
	}
	b.end = start + size
	return b, nil
}

// field reads n bytes of a box at an offset in its body. Short bodies are
// errors.
func (m *Movie) field(b box, at int64, n int) ([]byte, error) {
	if at < 0 || at > b.end-b.body-int64(n) {
		return nil, fmt.Errorf("%w: the box %q at %d is too short", track.ErrFormat, b.name, b.start)
	}
	return m.win.Bytes(b.body+at, n)
}

// table is a list of entries of one size in a box.
type table struct {
	m     *Movie
	win   *track.Window
	at    int64 // of the first entry
	width int   // bytes of an entry
	count int64 // entries, no more than the box has room for
}

// table finds the entries of a box of which count are told. How many there is
// room for is what counts.
func (m *Movie) table(b box, at int64, width int, count uint32) table {
	t := table{m: m, at: b.body + at, width: width, count: int64(count)}
	room := max(b.end-t.at, 0) / int64(width)
	if t.count > room {
		m.notes.Add(tutela.FindingDamaged, "the table %q tells of more entries than it holds", b.name)
		t.count = room
	}
	return t
}

// full reads a table behind a version, flags and a count.
func (m *Movie) full(b box, width int) (table, error) {
	h, err := m.field(b, 0, 8)
	if err != nil {
		return table{}, err
	}
	return m.table(b, 8, width, binary.BigEndian.Uint32(h[4:])), nil
}

// entry is the i-th entry, valid until the next; nil behind the last, and where
// the file cannot be read.
func (t *table) entry(i int64) []byte {
	if i < 0 || i >= t.count {
		return nil
	}
	if t.win == nil {
		t.win = track.NewWindow(t.m.src, t.m.size)
	}
	b, err := t.win.Bytes(t.at+i*int64(t.width), t.width)
	if err != nil {
		t.m.notes.Add(tutela.FindingReadError, "a table of the video: %v", err)
		return nil
	}
	return b
}
