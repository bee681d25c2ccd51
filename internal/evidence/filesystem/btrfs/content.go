package btrfs

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"tutela"
	"tutela/internal/evidence"

	"github.com/klauspost/compress/zstd"
)

// content is one that is not all in the source as it is. It is safe for
// concurrent use but for Read, which keeps the place.
type content struct {
	src    evidence.Source
	pieces []piece
	size   int64
	at     int64 // of Read

	mu   sync.Mutex // guards what is below
	held int        // number of the piece in data; -1: none
	data []byte
	bad  error // why that piece cannot be expanded
}

var (
	_ evidence.Content = (*content)(nil)
	_ io.ReaderAt      = (*content)(nil)
)

// contentOf is plain where no piece must be expanded.
func (fs *FileSystem) contentOf(pieces []piece, size int64) evidence.Content {
	var extents []evidence.Extent
	for _, p := range pieces {
		if p.inline != nil || p.packed > 0 {
			return &content{src: fs.src, pieces: pieces, size: size, held: -1}
		}
		extents = append(extents, evidence.Extent{Offset: p.at, Length: p.length})
	}
	return evidence.NewExtents(fs.src, extents, size)
}

func (c *content) Close() error { return nil }

// Read reads on from where the last Read ended.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadAt(p, c.at)
	c.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt expands what p covers. What does not expand is a *evidence.ReadError of
// the packed extent; its Run is in bytes of the source.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		m, err := c.part(p[n:], off)
		n += m
		off += int64(m)
		if err != nil {
			return n, fmt.Errorf("content from byte %d on: %w", off, err)
		}
	}
	return n, nil
}

// part reads from the piece that holds byte off.
func (c *content) part(b []byte, off int64) (int, error) {
	i := sort.Search(len(c.pieces), func(i int) bool { return off < c.pieces[i].from+c.pieces[i].length })
	if i == len(c.pieces) || off < c.pieces[i].from {
		return 0, io.ErrUnexpectedEOF
	}
	p := &c.pieces[i]
	within := off - p.from
	b = b[:min(int64(len(b)), p.length-within)]
	switch {
	case p.inline == nil && p.at == evidence.Hole:
		clear(b)
		return len(b), nil
	case p.inline == nil && p.packed == 0:
		return len(b), readFull(c.src, b, p.at+within)
	}
	if c.held != i {
		c.held = i
		c.data, c.bad = c.expand(p)
	}
	if c.bad != nil {
		return 0, c.bad
	}
	return copy(b, c.data[p.skip+within:]), nil
}

func (c *content) expand(p *piece) ([]byte, error) {
	packed := p.inline
	if packed == nil {
		packed = make([]byte, p.packed)
		if err := readFull(c.src, packed, p.at); err != nil {
			return nil, err
		}
	}
	b, err := expand(packed, p.compression, p.expanded)
	if err != nil && p.inline == nil {
		err = &evidence.ReadError{
			Run: tutela.Run{Offset: p.at, Length: p.packed},
			Err: fmt.Errorf("extent at byte %d: %w", p.at, err),
		}
	}
	return b, err
}

// expand gives expanded bytes. Packed extents are filled up to whole sectors, and
// what comes out may be shorter than their last sector: the rest is zeros.
func expand(packed []byte, compression byte, expanded int64) ([]byte, error) {
	b := make([]byte, expanded)
	var n int
	var err error
	switch compression {
	case compressNone:
		n = copy(b, packed)
	case compressZlib:
		n, err = unzlib(b, packed)
	case compressZstd:
		n, err = unzstd(b, packed)
	case compressLZO:
		return nil, fmt.Errorf("lzo compression not read: %w", evidence.ErrUnsupported)
	default:
		return nil, fmt.Errorf("compression %d not read: %w", compression, evidence.ErrUnsupported)
	}
	if err == nil && n == 0 && expanded > 0 {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func unzlib(b, packed []byte) (int, error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	return fill(b, z)
}

var zstdReaders sync.Pool // of *zstd.Decoder

func unzstd(b, packed []byte) (int, error) {
	z, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(1<<20), zstd.WithDecoderMaxMemory(4<<20), zstd.IgnoreChecksum(false))
		if err != nil {
			return 0, err
		}
	}
	defer zstdReaders.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return 0, err
	}
	// One frame, and behind it zeros up to the sector: read no further than asked.
	n, err := io.ReadFull(z, b)
	if n > 0 && (err == io.EOF || err == io.ErrUnexpectedEOF || errors.Is(err, zstd.ErrMagicMismatch)) {
		err = nil
	}
	return n, err
}

// fill reads into b until it is full or r ends.
func fill(b []byte, r io.Reader) (int, error) {
	n, err := io.ReadFull(r, b)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil
	}
	return n, err
}
