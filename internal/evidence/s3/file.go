package s3

import (
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"tutela"
	"tutela/internal/evidence"
)

// version is an object as it was when it was opened.
type version struct {
	key      string
	size     int64  // bytes
	etag     string // "" where the store tells none
	modified string // RFC 3339; "" where there is an ETag
}

// lengthOf is how many bytes a block has, of those that size bytes each make: only
// the last has fewer.
func (v version) lengthOf(index, size int64) int64 { return min(size, v.size-index*size) }

// file is an opened object.
type file struct {
	name    string
	version version
	storage *Storage
	closed  atomic.Bool
}

var _ evidence.File = (*file)(nil)

// Size is the length of the object in bytes, as it was when it was opened.
func (f *file) Size() int64 { return f.version.size }

// Close ends the file. Reading afterwards is an error.
func (f *file) Close() error {
	f.closed.Store(true)
	return nil
}

// ReadAt reads as io.ReaderAt does.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset", f.name)
	}
	n := 0
	for n < len(p) && off < f.Size() {
		m, err := f.piece(p[n:], off)
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

// piece reads from the block that holds off, which lies below the size.
func (f *file) piece(p []byte, off int64) (int, error) {
	if f.closed.Load() {
		return 0, fmt.Errorf("read %s: %w", f.name, fs.ErrClosed)
	}
	c := f.cacheFor(off)
	at, within := place{f.version, off / c.size}, off%c.size
	p = p[:min(int64(len(p)), f.version.lengthOf(at.index, c.size)-within)]
	b := c.take(at)
	if b == nil {
		return 0, fmt.Errorf("read %s: %w", f.name, fs.ErrClosed)
	}
	defer c.give(at, b)
	<-b.ready // in bounded time, and at once when the context ends
	if b.err == nil {
		return copy(p, b.bytes[within:]), nil
	}
	if err := f.storage.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", f.name, err) // says nothing of the evidence
	}
	run := tutela.Run{Offset: off, Length: int64(len(p))}
	return 0, &evidence.ReadError{Run: run, Err: fmt.Errorf("read %s: %d bytes at %d: %w", f.name, run.Length, run.Offset, b.err)}
}

// cacheFor decides how much is asked for at off: a block where it is there
// already or where what lies before it was read, else a piece.
func (f *file) cacheFor(off int64) *cache {
	blocks, pieces := f.storage.blocks, f.storage.pieces
	block, piece := place{f.version, off / blockSize}, place{f.version, off / pieceSize}
	before := func(p place) place { return place{p.version, p.index - 1} }
	switch {
	case blocks.has(block):
		return blocks
	case pieces.has(piece):
		return pieces
	case blocks.has(before(block)) || pieces.has(before(piece)):
		return blocks
	}
	return pieces
}
