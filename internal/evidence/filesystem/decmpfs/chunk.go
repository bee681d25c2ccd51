package decmpfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// table says where the chunks of a resource fork lie: it is read entry by entry,
// so that nothing grows with the file.
type table struct {
	fork    io.ReaderAt
	at      int64 // of the first entry, in bytes of the fork
	entries int64
	base    int64 // offsets count from here
	sized   bool  // an entry is offset and size; else the next one's offset is the end
}

// zlibTable is that of method 4. The fork is a classic resource fork with one
// resource: big-endian head, then at its data offset the length of the resource,
// and in it a little-endian table of offsets and sizes, counted from the table.
func zlibTable(fork io.ReaderAt) (table, error) {
	var head [8]byte
	if err := readFull(fork, head[:4], 0); err != nil {
		return table{}, err
	}
	data := int64(binary.BigEndian.Uint32(head[:]))
	if err := readFull(fork, head[:], data); err != nil {
		return table{}, err
	}
	n := int64(binary.LittleEndian.Uint32(head[4:]))
	return table{fork: fork, at: data + 8, entries: n, base: data + 4, sized: true}, nil
}

// offsetTable is that of methods 8, 10 and 12: little-endian offsets from the
// beginning of the fork, the first of which is the length of the table, one more
// than there are chunks.
func offsetTable(fork io.ReaderAt) (table, error) {
	var head [4]byte
	if err := readFull(fork, head[:], 0); err != nil {
		return table{}, err
	}
	n := int64(binary.LittleEndian.Uint32(head[:])) / 4
	return table{fork: fork, entries: n - 1}, nil
}

// chunk is where chunk i lies in the fork.
func (t *table) chunk(i int64) (at, length int64, err error) {
	var e [8]byte
	width := int64(4)
	if t.sized {
		width = 8
	}
	if err := readFull(t.fork, e[:], t.at+i*width); err != nil {
		return 0, 0, err
	}
	at, length = int64(binary.LittleEndian.Uint32(e[:])), int64(binary.LittleEndian.Uint32(e[4:]))
	if !t.sized {
		length -= at
	}
	if length <= 0 || length > maxPacked {
		return 0, 0, fmt.Errorf("%w: a chunk of %d bytes", errDamaged, length)
	}
	return t.base + at, length, nil
}

// chunked reads the content of a resource fork forward.
type chunked struct {
	header Header
	method method
	table  table
	fork   int64 // bytes
	next   int64 // chunk
	end    int64 // of the last chunk, in bytes of the fork
	rest   []byte
	out    []byte
	packed []byte
}

var _ evidence.Content = (*chunked)(nil)

func newChunked(h Header, m method, fork io.ReaderAt, size int64) (evidence.Content, error) {
	if h.Size == 0 {
		return evidence.Bytes(nil), nil
	}
	if fork == nil || size <= 0 {
		return nil, fmt.Errorf("%s: there is no resource fork", h)
	}
	t, err := m.table(io.NewSectionReader(fork, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%s: table of chunks: %w", h, err)
	}
	if need := (h.Size-1)/chunkBytes + 1; t.entries < need || need > size/4 {
		return nil, fmt.Errorf("%s: %w: %d chunks for %d bytes", h, errDamaged, t.entries, h.Size)
	}
	return &chunked{header: h, method: m, table: t, fork: size, end: t.at}, nil
}

func (c *chunked) Close() error { return nil }

func (c *chunked) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.rest) == 0 {
		if c.next*chunkBytes >= c.header.Size {
			return 0, io.EOF
		}
		if err := c.load(); err != nil {
			return 0, fmt.Errorf("%s: content from byte %d on: %w", c.header, c.next*chunkBytes, err)
		}
		c.next++
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// load expands the next chunk. Chunks must come one behind the other, so that no
// fork can give more than its bytes allow.
func (c *chunked) load() error {
	at, length, err := c.table.chunk(c.next)
	if err != nil {
		return err
	}
	if at < c.end || at > c.fork-length {
		return fmt.Errorf("%w: a chunk at byte %d of the fork, %d bytes long, where the last ends at %d", errDamaged, at, length, c.end)
	}
	if c.out == nil {
		c.out = make([]byte, min(c.header.Size, chunkBytes))
	}
	if int64(cap(c.packed)) < length {
		c.packed = make([]byte, length)
	}
	packed := c.packed[:length]
	if err := readFull(c.table.fork, packed, at); err != nil {
		return err
	}
	out := c.out[:min(chunkBytes, c.header.Size-c.next*chunkBytes)]
	if err := c.method.expand(out, packed); err != nil {
		return err
	}
	c.rest, c.end = out, at+length
	return nil
}

func readFull(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
