package evidence

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sort"

	"tutela"
)

// Hole is the Offset of an extent that is zeros by the rules of the file system,
// and lies nowhere.
const Hole int64 = -1

// Extent is a stretch of a content: Length bytes at Offset of the source, or
// zeros where Offset is [Hole].
type Extent struct {
	Offset, Length int64
}

// Extents is a content that lies in the source as it is, but for its holes. It
// is safe for concurrent use but for Read, which keeps the place.
type Extents struct {
	src     Source
	extents []Extent
	ends    []int64 // of each extent, from the beginning of the content
	size    int64
	at      int64 // of Read
}

var (
	_ Content     = (*Extents)(nil)
	_ io.ReaderAt = (*Extents)(nil)
)

// NewExtents is the content of size bytes that the extents make up, in their
// order. Extents beyond size are left out. Where they end before size, reading
// on is io.ErrUnexpectedEOF: no byte is made up. The same holds where an extent
// points outside the source.
func NewExtents(src Source, extents []Extent, size int64) *Extents {
	x := &Extents{src: src, size: size}
	var end int64
	for _, e := range extents {
		if e.Length <= 0 || end >= size {
			continue
		}
		e.Length = min(e.Length, size-end)
		end += e.Length
		x.extents, x.ends = append(x.extents, e), append(x.ends, end)
	}
	return x
}

// Size is the length of the content in bytes.
func (x *Extents) Size() int64 { return x.size }

// Runs are the stretches of the source that hold the content, joined where they
// touch; an entry's Runs. Holes are left out.
func (x *Extents) Runs() []tutela.Run { return RunsOf(x.extents) }

// RunsOf are the stretches of the source that the extents lie in, joined where
// they touch.
func RunsOf(extents []Extent) []tutela.Run {
	var runs []tutela.Run
	for _, e := range extents {
		last := len(runs) - 1
		switch {
		case e.Offset == Hole || e.Length <= 0:
		case last >= 0 && runs[last].Offset+runs[last].Length == e.Offset:
			runs[last].Length += e.Length
		default:
			runs = append(runs, tutela.Run{Offset: e.Offset, Length: e.Length})
		}
	}
	return slices.Clip(runs)
}

// Read reads on from where the last Read ended.
func (x *Extents) Read(p []byte) (int, error) {
	n, err := x.ReadAt(p, x.at)
	x.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt reads as io.ReaderAt does. The Run of a [*ReadError] is in bytes of the
// source.
func (x *Extents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	n := 0
	for n < len(p) && off < x.size {
		m, err := x.piece(p[n:], off)
		n += m
		off += int64(m)
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// piece reads from the extent that holds off, which is below size.
func (x *Extents) piece(p []byte, off int64) (int, error) {
	i := sort.Search(len(x.ends), func(i int) bool { return off < x.ends[i] })
	if i == len(x.ends) {
		return 0, io.ErrUnexpectedEOF
	}
	e, rest := x.extents[i], x.ends[i]-off
	p = p[:min(int64(len(p)), rest)]
	if e.Offset == Hole {
		clear(p)
		return len(p), nil
	}
	n, err := x.src.ReadAt(p, e.Offset+e.Length-rest)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// Close does nothing: the source belongs to somebody else.
func (x *Extents) Close() error { return nil }

// Bytes is a content that a reader holds in memory. It is an io.ReaderAt too.
func Bytes(b []byte) Content { return inMemory{bytes.NewReader(b)} }

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// Stretch is a content that lies in the source in one piece.
func Stretch(src Source, run tutela.Run) Content {
	return NewExtents(src, []Extent{{run.Offset, run.Length}}, run.Length)
}
