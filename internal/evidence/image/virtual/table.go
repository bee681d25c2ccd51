package virtual

import (
	"encoding/binary"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

const (
	pageBytes = 4096
	pagesKept = 512 // 2 MB of each table: a page of QCOW2 maps 32 MB of medium
)

// Table reads numbers out of a source, a page at a time, and keeps the pages
// that were used last. It is safe for concurrent use.
type Table struct {
	src   evidence.Source
	pages *Cache[int64, []byte]
}

// NewTable is a table that lies in src.
func NewTable(src evidence.Source) *Table {
	return &Table{src: src, pages: NewCache[int64, []byte](pagesKept)}
}

// Uint32LE is the little-endian number at off of the source.
func (t *Table) Uint32LE(off int64) (uint32, error) {
	b, err := t.at(off, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// Uint32BE is the big-endian number at off of the source.
func (t *Table) Uint32BE(off int64) (uint32, error) {
	b, err := t.at(off, 4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

// Uint64LE is the little-endian number at off of the source.
func (t *Table) Uint64LE(off int64) (uint64, error) {
	b, err := t.at(off, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// Uint64BE is the big-endian number at off of the source.
func (t *Table) Uint64BE(off int64) (uint64, error) {
	b, err := t.at(off, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// Bytes are n bytes at off of the source; nobody may change them. n is small.
func (t *Table) Bytes(off int64, n int) ([]byte, error) { return t.at(off, n) }

// at are n bytes at off, from a page that is kept where they lie in one.
func (t *Table) at(off int64, n int) ([]byte, error) {
	if off < 0 || off > t.src.Size()-int64(n) {
		return nil, fmt.Errorf("a table entry at byte %d lies outside the file: %w", off, io.ErrUnexpectedEOF)
	}
	start := off - off%pageBytes
	if off-start > pageBytes-int64(n) {
		return Read(t.src, off, n)
	}
	page, ok := t.pages.Get(start)
	if !ok {
		var err error
		if page, err = Read(t.src, start, int(min(pageBytes, t.src.Size()-start))); err != nil {
			return Read(t.src, off, n) // another part of the page may be what is bad
		}
		t.pages.Put(start, page)
	}
	return page[off-start:][:n], nil
}

// Read reads exactly n bytes at off. It does not allocate more than the source
// has; what is missing is io.ErrUnexpectedEOF.
func Read(src evidence.Source, off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > src.Size()-int64(n) {
		return nil, fmt.Errorf("%d bytes at %d lie outside the file: %w", n, off, io.ErrUnexpectedEOF)
	}
	b := make([]byte, n)
	if got, err := src.ReadAt(b, off); got < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%d bytes at %d: %w", n, off, err)
	}
	return b, nil
}

// Inside reports whether length bytes at off lie within the source.
func Inside(src evidence.Source, off, length int64) bool {
	return off >= 0 && length >= 0 && length <= src.Size() && off <= src.Size()-length
}
