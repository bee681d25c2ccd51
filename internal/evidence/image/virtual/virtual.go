// Package virtual is what the readers of virtual disks share: a medium that is
// put together from pieces of files, tables that are read a page at a time, and
// the files of a storage that one image consists of.
//
// A reader opens its files through [Files], implements [Map] (where does this
// byte of the medium lie?) and makes a [Medium] of both. The medium does the
// reading, and turns what goes wrong into an *evidence.ReadError with the bytes
// of the medium that are lost.
//
// Promised: zeros are given only where a Map says that the format defines them;
// what is kept in memory is bounded by [Table] and [Cache], whatever an image
// claims to hold. Not promised: that a Map tells the truth.
package virtual

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// Piece is where a stretch of a medium lies.
type Piece struct {
	// Length is how many bytes of the medium the piece has, from the byte that
	// was asked for. It must be above 0.
	Length int64
	// Source holds them, from Offset on. It is nil where the format defines
	// zeros.
	Source evidence.Source
	Offset int64
}

// Map says where the bytes of a medium lie. It must be safe for concurrent use.
type Map interface {
	// Piece finds the byte at off, which is within the medium, and as many of
	// those behind it as lie together. With an error, Length is how many bytes
	// cannot be read for the reason it gives.
	Piece(off int64) (Piece, error)
}

// Zeros is a stretch that the format defines as zeros.
func Zeros(length int64) Piece { return Piece{Length: length} }

// Under is a stretch that a parent holds at the same offset. What lies beyond
// the parent's end is zeros.
func Under(parent evidence.Source, off, length int64) Piece {
	if parent == nil || off >= parent.Size() {
		return Zeros(length)
	}
	return Piece{Length: min(length, parent.Size()-off), Source: parent, Offset: off}
}

// Medium is the disk inside an image. It is safe for concurrent use until
// Close.
type Medium struct {
	layer string
	size  int64
	where Map
	files *Files
}

var _ evidence.File = (*Medium)(nil)

// NewMedium is the medium of size bytes that a map describes. The layer is the
// name of the format in a locator chain ("vhd-dynamic").
func NewMedium(layer string, size int64, where Map, files *Files) Medium {
	return Medium{layer: layer, size: size, where: where, files: files}
}

// Size is the length of the medium in bytes.
func (m *Medium) Size() int64 { return m.size }

// Layer is the name of the format for a locator chain.
func (m *Medium) Layer() string { return m.layer }

// Names are the files that the medium lies in: the one that was opened, then
// its extents and parents.
func (m *Medium) Names() []string { return slices.Clone(m.files.names) }

// Notes are what must be said about the image as a whole: a header that was bad
// and whose copy was used, a file that ends early.
func (m *Medium) Notes() []tutela.Finding { return slices.Clone(m.files.notes) }

// Close releases the files.
func (m *Medium) Close() error { return m.files.Close() }

// ReadAt reads as io.ReaderAt does. Where bytes cannot be read it returns those
// before them and an *evidence.ReadError whose Run, in bytes of the medium,
// begins behind them and is all that cannot be read for that reason, which may
// be more than was asked for.
func (m *Medium) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset", m.layer)
	}
	n := 0
	for n < len(p) && off < m.size-int64(n) {
		k, err := m.read(p[n:], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills p as far as one piece goes.
func (m *Medium) read(p []byte, off int64) (int, error) {
	at, err := m.where.Piece(off)
	if at.Length <= 0 {
		err, at.Length = errors.Join(errors.New("internal error: a piece without a length"), err), m.size-off
	}
	at.Length = min(at.Length, m.size-off)
	if err != nil {
		return 0, m.lost(off, at.Length, err)
	}
	p = p[:min(int64(len(p)), at.Length)]
	if at.Source == nil {
		clear(p)
		return len(p), nil
	}
	n, err := at.Source.ReadAt(p, at.Offset)
	if n == len(p) {
		return n, nil
	}
	return n, m.failed(off, at, int64(n), err)
}

// failed is the error for a piece at off of which only the first n bytes came.
func (m *Medium) failed(off int64, at Piece, n int64, cause error) error {
	bad, told := errors.AsType[*evidence.ReadError](cause)
	switch {
	case told:
		length := bad.Run.Offset + bad.Run.Length - at.Offset - n
		return m.lost(off+n, min(max(length, 1), at.Length-n), bad.Err)
	case cause == nil || errors.Is(cause, io.EOF):
		return m.lost(off+n, at.Length-n, fmt.Errorf("the file ends before these bytes: %w", io.ErrUnexpectedEOF))
	case errors.Is(cause, fs.ErrClosed):
		return cause
	}
	return m.lost(off+n, at.Length-n, cause)
}

func (m *Medium) lost(off, length int64, cause error) error {
	return &evidence.ReadError{
		Run: tutela.Run{Offset: off, Length: length},
		Err: fmt.Errorf("read %s: %w", m.layer, cause),
	}
}
