package matroska

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"tutela"
	"tutela/internal/video/track"
)

// The elements that are read (RFC 9559, section 5).
const (
	idHead        = 0x1a45dfa3
	idDocType     = 0x4282
	idSegment     = 0x18538067
	idSeekHead    = 0x114d9b74
	idSeek        = 0x4dbb
	idSeekID      = 0x53ab
	idSeekAt      = 0x53ac
	idInfo        = 0x1549a966
	idScale       = 0x2ad7b1
	idDuration    = 0x4489
	idTracks      = 0x1654ae6b
	idEntry       = 0xae
	idNumber      = 0xd7
	idType        = 0x83
	idCodec       = 0x86
	idPrivate     = 0x63a2
	idEach        = 0x23e383
	idVideo       = 0xe0
	idWidth       = 0xb0
	idHeight      = 0xba
	idEncodings   = 0x6d80
	idEncoding    = 0x6240
	idScope       = 0x5032
	idKind        = 0x5033
	idCompression = 0x5034
	idAlgorithm   = 0x4254
	idSettings    = 0x4255
	idCues        = 0x1c53bb6b
	idPoint       = 0xbb
	idCueTime     = 0xb3
	idPositions   = 0xb7
	idCueTrack    = 0xf7
	idCueCluster  = 0xf1
	idCluster     = 0x1f43b675
	idTimestamp   = 0xe7
	idSimpleBlock = 0xa3
	idGroup       = 0xa0
	idBlock       = 0xa1
	idReference   = 0xfb
	idTags        = 0x1254c367
	idAttachments = 0x1941a469
	idChapters    = 0x1043a770
)

// isTop reports whether an element stands in a segment, or beside it: it ends
// one whose length is not known.
func isTop(id uint32) bool {
	switch id {
	case idHead, idSegment, idSeekHead, idInfo, idTracks, idCues, idCluster, idTags, idAttachments, idChapters:
		return true
	}
	return false
}

// element is one piece of the file: a name, a length and a body (RFC 8794,
// section 6).
type element struct {
	id               uint32
	start, body, end int64 // bytes from the beginning of the file
	unknown          bool  // its length is not told; end is that of its surroundings
}

// mostElements is how many elements are looked at in one go through a file.
const mostElements = 1 << 24

var (
	errEnough = errors.New("enough")
	errLimit  = errors.New("too many elements")
)

// elements visits those of a stretch of the file. It ends without error where the
// stretch does, where an element does not hold together, and where visit returns
// errEnough; what is wrong is noted.
func (m *Movie) elements(start, end int64, visit func(element) error) error {
	for start < end {
		if m.looked++; m.looked > mostElements {
			return errLimit
		}
		e, err := m.element(start, end)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			m.notes.Add(tutela.FindingTruncated, "the file ends within an element")
			return nil
		case errors.Is(err, track.ErrFormat):
			m.notes.Add(tutela.FindingDamaged, "%v", err)
			return nil
		case err != nil:
			return err
		}
		switch err := visit(e); {
		case err == errEnough:
			return nil
		case err != nil:
			return err
		}
		if e.unknown {
			return nil // who visits it goes on behind it
		}
		start = e.end
	}
	return nil
}

// element reads the head of an element. One that would go beyond end is cut
// there.
func (m *Movie) element(start, end int64) (element, error) {
	h, err := m.win.Bytes(start, 12)
	if err != nil && err != io.ErrUnexpectedEOF {
		return element{}, err
	}
	h = h[:min(int64(len(h)), max(end-start, 0))]
	id, n, err := identifier(h)
	if err != nil {
		return element{}, fmt.Errorf("at %d: %w", start, err)
	}
	size, w, err := length(h[n:])
	if err != nil {
		return element{}, fmt.Errorf("at %d: %w", start, err)
	}
	e := element{id: id, start: start, body: start + int64(n+w), end: end}
	if size < 0 {
		e.unknown = true
		return e, nil
	}
	if size > end-e.body {
		if end == m.size {
			m.notes.Add(tutela.FindingTruncated, "the file ends within an element")
		} else {
			m.notes.Add(tutela.FindingDamaged, "the element at %d ends beyond its surroundings", start)
		}
		return e, nil
	}
	e.end = e.body + size
	return e, nil
}

// identifier reads the name of an element: one to four bytes, whose marker stays.
func identifier(b []byte) (id uint32, n int, err error) {
	if len(b) == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 4 {
		return 0, 0, fmt.Errorf("%w: no name of an element", track.ErrFormat)
	}
	if n > len(b) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	for _, c := range b[:n] {
		id = id<<8 | uint32(c)
	}
	return id, n, nil
}

// length reads a number of one to eight bytes, -1 for one that is not known.
func length(b []byte) (size int64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 8 {
		return 0, 0, fmt.Errorf("%w: no length of an element", track.ErrFormat)
	}
	if n > len(b) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	size = int64(b[0]) & (1<<(8-n) - 1)
	for _, c := range b[1:n] {
		size = size<<8 | int64(c)
	}
	if size == 1<<(7*n)-1 {
		size = -1
	}
	return size, n, nil
}

// unsigned reads an integer of up to eight bytes; the default of an empty
// one is 0.
func (m *Movie) unsigned(e element) (uint64, error) {
	if e.end-e.body > 8 {
		return 0, fmt.Errorf("%w: a number of %d bytes", track.ErrFormat, e.end-e.body)
	}
	b, err := m.win.Bytes(e.body, int(e.end-e.body))
	if err != nil {
		return 0, err
	}
	v := uint64(0)
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// real reads a floating-point number of four or eight bytes.
func (m *Movie) real(e element) (float64, error) {
	v, err := m.unsigned(e)
	if err != nil || e.end-e.body == 8 {
		return math.Float64frombits(v), err
	}
	return float64(math.Float32frombits(uint32(v))), nil
}

// data reads up to most bytes of an element.
func (m *Movie) data(e element, most int64) ([]byte, error) {
	if e.end-e.body > most {
		return nil, fmt.Errorf("%w: an element of %d bytes", track.ErrFormat, e.end-e.body)
	}
	return m.win.Copy(e.body, e.end-e.body)
}

// int16At reads the time of a block.
func int16At(b []byte) int64 { return int64(int16(binary.BigEndian.Uint16(b))) }
