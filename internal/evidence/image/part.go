package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"tutela"
	"tutela/internal/evidence"
)

// A failed read is repeated in blocks and then in sectors, so that one bad
// sector costs one sector. 512 bytes is the smallest unit a medium can lose,
// 4096 what most lose today.
const (
	sector = 512
	block  = 4096
)

type file interface {
	io.ReaderAt
	io.Closer
}

// part is one file of an image.
type part struct {
	file  file
	name  string
	start int64 // bytes from the beginning of the image
	size  int64 // bytes, when it was opened
}

func (p part) end() int64 { return p.start + p.size }

// readAt fills b, which lies within the part's size, from offset off of the part.
func (p part) readAt(b []byte, off int64) (int, error) {
	n, err := p.file.ReadAt(b, off)
	switch {
	case n == len(b):
		return n, nil
	case err == nil || errors.Is(err, io.EOF):
		return n, p.shrunk(off+int64(n), len(b)-n)
	case errors.Is(err, os.ErrClosed):
		return n, err
	}
	return p.narrow(b, off, n, err)
}

// shrunk is the error for a part that ends before the size it was opened with.
func (p part) shrunk(end int64, missing int) error {
	return &evidence.ReadError{
		Run: tutela.Run{Offset: p.start + end, Length: int64(missing)},
		Err: fmt.Errorf("read %s: it ends before byte %d and had %d bytes when it was opened: %w", p.name, end+int64(missing), p.size, io.ErrUnexpectedEOF),
	}
}

// narrow finds which bytes of b a failed read could not have. The first done
// bytes are good. It tries every sector of the request at most twice.
func (p part) narrow(b []byte, off int64, done int, cause error) (int, error) {
	done += p.good(b[done:], off+int64(done), block)
	if done == len(b) {
		return done, nil // the second try read it
	}
	bad := p.bad(b[done:], off+int64(done))
	return done, &evidence.ReadError{
		Run: tutela.Run{Offset: p.start + off + int64(done), Length: int64(bad)},
		Err: fmt.Errorf("read %s: %d bytes at %d: %w", p.name, bad, off+int64(done), withoutPath(cause)),
	}
}

// withoutPath takes the folder on this machine out of an error: what is said of
// evidence ends up in sealed records and must be the same wherever it lies.
func withoutPath(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// good reads forward in steps and returns how many bytes come before the first
// sector that fails.
func (p part) good(b []byte, off, step int64) int {
	n := 0
	for n < len(b) {
		piece := pieceOf(b[n:], off+int64(n), step)
		if !p.try(piece, off+int64(n)) {
			if step == sector {
				return n
			}
			if m := p.good(piece, off+int64(n), sector); m < len(piece) {
				return n + m
			}
		}
		n += len(piece)
	}
	return n
}

// bad returns how many bytes at the front of b cannot be read. The first sector
// is known not to be.
func (p part) bad(b []byte, off int64) int {
	n := len(pieceOf(b, off, sector))
	for n < len(b) {
		piece := pieceOf(b[n:], off+int64(n), sector)
		if p.try(piece, off+int64(n)) {
			return n
		}
		n += len(piece)
	}
	return n
}

// pieceOf is the front of b up to the next multiple of step of the file.
func pieceOf(b []byte, off, step int64) []byte {
	return b[:min(int64(len(b)), step-off%step)]
}

func (p part) try(b []byte, off int64) bool {
	n, _ := p.file.ReadAt(b, off)
	return n == len(b)
}
