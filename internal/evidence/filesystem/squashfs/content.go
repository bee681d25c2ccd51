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

// A file is blocks of one size, packed one behind the other, and its end, which
// lies in the last block or in one that it shares with other files (SQUASHFS
// 3.3). The lengths of the packed blocks follow the inode; where a block lies is
// the sum of the lengths before it. A length of 0 is a block of zeros.

const (
	fragmentBytes    = 16                            // one row of the fragment table
	fragmentsInBlock = metadataBytes / fragmentBytes // rows
	markEvery        = 4096                          // blocks between two places kept in the list
	maxMarks         = 1 << 14
	maxStoredRuns    = 1 << 16
)

// content is one that is being read. It is safe for concurrent use but for Read,
// which keeps the place.
type content struct {
	fs *FileSystem
	i  inode
	at int64 // of Read

	mu    sync.Mutex // guards what is below
	marks []step     // every so many blocks, to come back to
	now   step
	held  int64 // number of the block in data; -1: none
	data  []byte
	bad   error // why that block cannot be read
}

// step is a place in a file's list of blocks.
type step struct {
	number int64 // of the next block
	disk   int64 // where it lies, in bytes of the volume
	list   cursor
}

var (
	_ evidence.Content = (*content)(nil)
	_ io.ReaderAt      = (*content)(nil)
)

func (fs *FileSystem) open(i inode) *content {
	first := firstStep(i)
	return &content{fs: fs, i: i, now: first, marks: []step{first}, held: -1}
}

func firstStep(i inode) step { return step{disk: i.blocks, list: i.blockList} }

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

// ReadAt expands the blocks that p covers. What does not expand is a
// *evidence.ReadError of the packed block; its Run is in bytes of the source.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(p) {
		if off >= c.i.size {
			return n, io.EOF
		}
		number := off / c.fs.super.blockBytes
		if err := c.load(number); err != nil {
			return n, fmt.Errorf("content from byte %d on: %w", off, err)
		}
		m := copy(p[n:], c.data[off-number*c.fs.super.blockBytes:])
		n += m
		off += int64(m)
	}
	return n, nil
}

// load makes data the block of that number. A block that is bad stays so: it is
// not tried again for every part of it.
func (c *content) load(number int64) error {
	if c.held == number {
		return c.bad
	}
	c.held = number
	c.data, c.bad = c.block(number)
	return c.bad
}

// expected is how many bytes of the content a block holds.
func (c *content) expected(number int64) int64 {
	return min(c.fs.super.blockBytes, c.i.size-number*c.fs.super.blockBytes)
}

func (c *content) block(number int64) ([]byte, error) {
	if number >= c.i.wholeBlocks(c.fs.super.blockBytes) {
		return c.fs.tail(c.i, c.expected(number))
	}
	packed, err := c.find(number)
	if err != nil {
		// No block behind this one can be found either.
		return nil, fmt.Errorf("its list of blocks: %s", err)
	}
	buf := c.data
	if int64(cap(buf)) < c.fs.super.blockBytes || c.shared(buf) {
		buf = make([]byte, c.fs.super.blockBytes)
	}
	return c.fs.expand(buf[:c.expected(number)], packed)
}

// shared: the end of a file is part of a cached block, which nobody may change.
func (c *content) shared(buf []byte) bool {
	return int64(cap(buf)) != c.fs.super.blockBytes
}

// find goes through the list to a block. Going back starts at the nearest mark.
func (c *content) find(number int64) (place, error) {
	if number < c.now.number {
		c.now = c.marks[min(number/markEvery, int64(len(c.marks))-1)]
	}
	for {
		here, at := c.now, c.now.number
		if at == int64(len(c.marks))*markEvery && len(c.marks) < maxMarks {
			c.marks = append(c.marks, here)
		}
		p, err := c.now.next()
		if err != nil || at == number {
			return p, err
		}
	}
}

// next takes one length from the list. On an error the step stays where it is.
func (s *step) next() (place, error) {
	var b [4]byte
	list := s.list
	if _, err := io.ReadFull(&list, b[:]); err != nil {
		return place{}, err
	}
	p := place{s.disk, binary.LittleEndian.Uint32(b[:])}
	*s = step{s.number + 1, s.disk + p.bytes(), list}
	return p, nil
}

// bytes is how long the packed block is.
func (p place) bytes() int64 { return int64(p.length &^ storedBlock) }

func (p place) stored() bool { return p.length&storedBlock != 0 }

// expand fills dst with the block at p.
func (fs *FileSystem) expand(dst []byte, p place) ([]byte, error) {
	if p.length == 0 {
		clear(dst)
		return dst, nil
	}
	n, err := fs.unpackAt(dst, p)
	if err == nil && n != len(dst) {
		err = fmt.Errorf("it holds %d bytes, not %d", n, len(dst))
	}
	if err != nil {
		return nil, blockError(p, err)
	}
	return dst, nil
}

// unpackAt expands the block at p into dst and reports how much it was.
func (fs *FileSystem) unpackAt(dst []byte, p place) (int, error) {
	if p.bytes() == 0 || p.bytes() > maxBlockBytes+maxBlockBytes/64 {
		return 0, fmt.Errorf("a packed block of %d bytes", p.bytes())
	}
	if p.stored() {
		if p.bytes() > int64(len(dst)) {
			return 0, fmt.Errorf("it holds %d bytes, not %d", p.bytes(), len(dst))
		}
		return int(p.bytes()), fs.readFull(dst[:p.bytes()], p.at)
	}
	if p.at > fs.src.Size()-p.bytes() {
		return 0, io.ErrUnexpectedEOF
	}
	packed := make([]byte, p.bytes())
	if err := fs.readFull(packed, p.at); err != nil {
		return 0, err
	}
	return fs.unpack(dst, packed)
}

// blockError is err about the block at p, if it does not say a place itself.
func blockError(p place, err error) error {
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return err
	}
	return &evidence.ReadError{
		Run: tutela.Run{Offset: p.at, Length: p.bytes()},
		Err: fmt.Errorf("block at byte %d: %w", p.at, err),
	}
}

// tail is the last bytes of a file whose end lies in a shared block.
func (fs *FileSystem) tail(i inode, length int64) ([]byte, error) {
	p, err := fs.fragment(i.fragment)
	if err != nil {
		return nil, err
	}
	b, err := fs.fragments.get(p)
	if err != nil {
		return nil, err
	}
	from := int64(i.inTail)
	if from+length > int64(len(b.data)) {
		return nil, blockError(p, fmt.Errorf("it holds %d bytes, not %d from byte %d on", len(b.data), length, from))
	}
	return b.data[from : from+length : from+length], nil
}

// fragment is where a shared block lies (SQUASHFS 3.6).
func (fs *FileSystem) fragment(number uint32) (place, error) {
	if number >= fs.super.fragments || fs.super.fragmentTable == 0 {
		return place{}, fmt.Errorf("fragment %d of %d", number, fs.super.fragments)
	}
	var at [8]byte
	if err := fs.readFull(at[:], fs.super.fragmentTable+int64(number/fragmentsInBlock)*8); err != nil {
		return place{}, fmt.Errorf("fragment table: %w", err)
	}
	c := &cursor{fs: fs, at: int64(binary.LittleEndian.Uint64(at[:])), off: int(number%fragmentsInBlock) * fragmentBytes}
	var row [fragmentBytes]byte
	if _, err := io.ReadFull(c, row[:]); err != nil {
		return place{}, fmt.Errorf("fragment %d: %w", number, err)
	}
	return place{int64(binary.LittleEndian.Uint64(row[:])), binary.LittleEndian.Uint32(row[8:])}, nil
}

// readFragment expands a shared block.
func (fs *FileSystem) readFragment(p place) (block, error) {
	dst := make([]byte, fs.super.blockBytes)
	n, err := fs.unpackAt(dst, p)
	if err != nil {
		return block{}, blockError(p, err)
	}
	return block{data: dst[:n]}, nil
}

// storedRuns are the stretches of the volume that hold a file's blocks as they
// are. It reads the lists only.
func (fs *FileSystem) storedRuns(i inode) ([]tutela.Run, error) {
	var extents []evidence.Extent
	blocks, size := i.wholeBlocks(fs.super.blockBytes), fs.super.blockBytes
	for s := firstStep(i); s.number < blocks; {
		length := min(size, i.size-s.number*size)
		p, err := s.next()
		if err != nil {
			return evidence.RunsOf(extents), fmt.Errorf("its list of blocks: %w", err)
		}
		if fs.inPlace(p, length) && p.bytes() == length && len(extents) < maxStoredRuns {
			extents = appendExtent(extents, evidence.Extent{Offset: p.at, Length: length})
		}
	}
	if rest := i.size - blocks*size; rest > 0 {
		p, err := fs.fragment(i.fragment)
		if err != nil {
			return evidence.RunsOf(extents), err
		}
		if fs.inPlace(p, int64(i.inTail)+rest) && p.bytes() <= size {
			extents = append(extents, evidence.Extent{Offset: p.at + int64(i.inTail), Length: rest})
		}
	}
	return evidence.RunsOf(extents), nil
}

// inPlace reports whether the block at p is stored as it is and has that many
// bytes.
func (fs *FileSystem) inPlace(p place, length int64) bool {
	return p.stored() && length <= p.bytes() && p.at >= 0 && p.at <= fs.src.Size()-p.bytes()
}

// appendExtent joins what touches.
func appendExtent(xs []evidence.Extent, x evidence.Extent) []evidence.Extent {
	if last := len(xs) - 1; last >= 0 && xs[last].Offset+xs[last].Length == x.Offset {
		xs[last].Length += x.Length
		return xs
	}
	return append(xs, x)
}
