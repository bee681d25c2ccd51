package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"tutela"
	"tutela/internal/evidence"
)

// Inodes, directories and the fragment table lie in metadata blocks: 8 KiB each
// when expanded, one behind the other, each with two bytes before it that say
// how long it is packed (SQUASHFS 3.2).

const (
	metadataBytes   = 8 << 10
	storedMetadata  = 0x8000 // of the two bytes: the block is not compressed
	cachedMetadata  = 128    // blocks: 1 MiB
	cachedFragments = 4      // blocks: at most 4 MiB
)

// block is an expanded block and the place behind it.
type block struct {
	data []byte
	next int64
}

// cache keeps the blocks used last.
type cache struct {
	read func(at place) (block, error)
	most int

	mu     sync.Mutex // guards what is below
	blocks map[place]block
	order  []place // by use, the latest at the end
}

// place is where a packed block lies; length is 0 where the block says itself.
type place struct {
	at     int64
	length uint32 // as the tables write it, with its bit for "not compressed"
}

func newCache(most int, read func(place) (block, error)) *cache {
	return &cache{read: read, most: most, blocks: map[place]block{}}
}

// get is the block at p. Nobody may change its data.
func (c *cache) get(p place) (block, error) {
	if b, ok := c.lookup(p); ok {
		return b, nil
	}
	b, err := c.read(p)
	if err != nil {
		return block{}, err
	}
	c.store(p, b)
	return b, nil
}

func (c *cache) lookup(p place) (block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.blocks[p]
	if ok && c.order[len(c.order)-1] != p {
		c.touch(p)
	}
	return b, ok
}

func (c *cache) store(p place, b block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.blocks[p]; !ok && len(c.order) == c.most {
		delete(c.blocks, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	c.blocks[p] = b
	c.touch(p)
}

// touch moves p to the end of the order. The caller holds mu.
func (c *cache) touch(p place) {
	for i, q := range c.order {
		if q == p {
			c.order = append(c.order[:i], c.order[i+1:]...)
			break
		}
	}
	c.order = append(c.order, p)
}

// readMetadata expands the metadata block at p.
func (fs *FileSystem) readMetadata(p place) (block, error) {
	var head [2]byte
	if err := fs.readFull(head[:], p.at); err != nil {
		return block{}, fmt.Errorf("metadata block at %d: %w", p.at, err)
	}
	length := int(binary.LittleEndian.Uint16(head[:]))
	stored := length&storedMetadata != 0
	if length &^= storedMetadata; length == 0 || length > metadataBytes {
		return block{}, fmt.Errorf("metadata block at %d: %d bytes long", p.at, length)
	}
	packed := make([]byte, length)
	if err := fs.readFull(packed, p.at+2); err != nil {
		return block{}, fmt.Errorf("metadata block at %d: %w", p.at, err)
	}
	next := p.at + 2 + int64(length)
	if stored {
		return block{packed, next}, nil
	}
	data := make([]byte, metadataBytes)
	n, err := fs.unpack(data, packed)
	if err != nil {
		return block{}, fmt.Errorf("metadata block at %d: %w", p.at, err)
	}
	return block{data[:n], next}, nil
}

// readFull fills b from off on. What it could not read is a *evidence.ReadError.
func (fs *FileSystem) readFull(b []byte, off int64) error {
	if off < 0 {
		return errors.New("a place before the volume")
	}
	n, err := fs.src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return err
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &evidence.ReadError{Run: tutela.Run{Offset: off, Length: int64(len(b))}, Err: err}
}

// cursor reads on through metadata blocks.
type cursor struct {
	fs  *FileSystem
	at  int64 // of the block
	off int   // in it, expanded
}

// Read fills p, as it is needed for io.ReadFull; it ends only with an error.
func (c *cursor) Read(p []byte) (int, error) {
	b, err := c.fs.metadata.get(place{at: c.at})
	if err != nil {
		return 0, err
	}
	if c.off == len(b.data) {
		c.at, c.off = b.next, 0
		if b, err = c.fs.metadata.get(place{at: c.at}); err != nil {
			return 0, err
		}
	}
	if c.off >= len(b.data) {
		return 0, fmt.Errorf("metadata block at %d has no byte %d", c.at, c.off)
	}
	n := copy(p, b.data[c.off:])
	c.off += n
	return n, nil
}

// held is more than how many bytes the metadata blocks from the place at on can
// expand to: each takes three bytes at least.
func (fs *FileSystem) held(at int64) int64 {
	return (max(0, fs.src.Size()-at)/3 + 1) * metadataBytes
}
