package pst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// block reads and decodes a block (2.2.2.8), its checksum verified.
func (f *File) block(bid uint64) ([]byte, error) {
	b, err := f.readBlock(bid)
	if err != nil {
		return nil, fmt.Errorf("block %#x: %w", bid, err)
	}
	return b, nil
}

func (f *File) readBlock(bid uint64) ([]byte, error) {
	entry, err := f.find(f.blocks, blocksPage, bid&^1)
	if err != nil {
		return nil, err
	}
	if entry == nil {
		return nil, errors.New("the tree of blocks does not name it")
	}
	w, trailer := f.width(), 12
	if f.wide {
		trailer = 16
	}
	at, size := f.number(entry[w:]), int(binary.LittleEndian.Uint16(entry[2*w:]))
	total := (size + trailer + 63) &^ 63
	if size == 0 || total > maxBlock || at > uint64(f.size) {
		return nil, fmt.Errorf("%d bytes at byte %d", size, at)
	}
	b := make([]byte, total)
	if n, err := f.content.ReadAt(b, int64(at)); n < total {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if err := f.verify(b[:size], b[total-trailer:], at, bid); err != nil {
		return nil, err
	}
	b = b[:size]
	if !internal(bid) {
		decode(f.method, b, bid)
	}
	return b, nil
}

// verify holds a block against its trailer (2.2.2.8.1).
func (f *File) verify(b, trailer []byte, at, bid uint64) error {
	stored, own := binary.LittleEndian.Uint32(trailer[8:]), uint64(binary.LittleEndian.Uint32(trailer[4:]))
	if f.wide {
		stored, own = binary.LittleEndian.Uint32(trailer[4:]), binary.LittleEndian.Uint64(trailer[8:])
	}
	switch {
	case int(binary.LittleEndian.Uint16(trailer)) != len(b), own&^1 != bid&^1:
		return errors.New("another block lies there")
	case binary.LittleEndian.Uint16(trailer[2:]) != signature(at, own):
		return errors.New("its signature does not hold")
	case sum(b) != stored:
		return errors.New("its checksum does not hold")
	}
	return nil
}

// internal blocks hold structure, and are not encoded (2.2.2.2).
func internal(bid uint64) bool { return bid&2 != 0 }

// spent reads a block of structure, and tells of it.
func (f *File) spent(bid uint64) ([]byte, error) {
	b, err := f.block(bid)
	if over := f.options.Spend(int64(len(b))); over != nil {
		return nil, over
	}
	return b, err
}

const maxBlocks = 1 << 20 // of one content: eight gigabytes

// chain lists the blocks of a content (XBLOCK and XXBLOCK, 2.2.2.8.3.2), and its
// size as it is told; -1 where it is not.
func (f *File) chain(bid uint64) (blocks []uint64, size int64, err error) {
	if bid == 0 {
		return nil, 0, nil
	}
	if !internal(bid) {
		return []uint64{bid}, -1, nil
	}
	level, below, size, err := f.list(bid)
	if err != nil || level == 1 {
		return below, size, err
	}
	for _, x := range below {
		level, leaves, _, err := f.list(x)
		if err == nil && level != 1 {
			err = errors.New("lists of blocks in the wrong order")
		}
		if err != nil {
			return blocks, size, err
		}
		if blocks = append(blocks, leaves...); len(blocks) > maxBlocks {
			return nil, 0, fmt.Errorf("a content of more than %d blocks", maxBlocks)
		}
	}
	return blocks, size, nil
}

func (f *File) list(bid uint64) (level int, blocks []uint64, size int64, err error) {
	b, err := f.spent(bid)
	if err != nil {
		return 0, nil, 0, err
	}
	if len(b) < 8 || b[0] != 1 || b[1] < 1 || b[1] > 2 {
		return 0, nil, 0, fmt.Errorf("block %#x is no list of blocks", bid)
	}
	count := int(binary.LittleEndian.Uint16(b[2:]))
	size, level = int64(binary.LittleEndian.Uint32(b[4:])), int(b[1])
	w := f.width()
	if b = b[8:]; count*w > len(b) {
		return 0, nil, 0, fmt.Errorf("block %#x lists %d blocks", bid, count)
	}
	for ; count > 0; count-- {
		blocks = append(blocks, f.number(b))
		b = b[w:]
	}
	return level, blocks, size, nil
}

// chainReader reads a content block by block.
type chainReader struct {
	file   *File
	blocks []uint64
	out    []byte
	err    error
}

func (c *chainReader) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if len(c.blocks) == 0 {
			return 0, io.EOF
		}
		c.out, c.err = c.file.block(c.blocks[0])
		c.blocks = c.blocks[1:]
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// below visits the nodes below a node (SLBLOCK and SIBLOCK, 2.2.2.8.3.3).
func (f *File) below(bid uint64, visit func(node) error) error {
	return f.belowAt(bid, 2, visit)
}

func (f *File) belowAt(bid uint64, levels int, visit func(node) error) error {
	if bid == 0 {
		return nil
	}
	b, err := f.spent(bid)
	if err != nil {
		return err
	}
	w, head := f.width(), 4
	if f.wide {
		head = 8
	}
	if len(b) < head || b[0] != 2 || int(b[1]) >= levels {
		return fmt.Errorf("block %#x is no list of nodes", bid)
	}
	leaf, each := b[1] == 0, 2*w
	if leaf {
		each = 3 * w
	}
	count := int(binary.LittleEndian.Uint16(b[2:]))
	if b = b[head:]; count*each > len(b) {
		return fmt.Errorf("block %#x lists %d nodes", bid, count)
	}
	for ; count > 0; count-- {
		if leaf {
			err = visit(node{uint32(f.number(b)), 0, f.number(b[w:]), f.number(b[2*w:])})
		} else {
			err = f.belowAt(f.number(b[w:]), 1, visit)
		}
		if err != nil {
			return err
		}
		b = b[each:]
	}
	return nil
}

// belowNamed finds a node below a node.
func (f *File) belowNamed(bid uint64, id uint32) (found node, err error) {
	err = f.below(bid, func(n node) error {
		if n.id == id {
			found = n
			return errFound
		}
		return nil
	})
	switch {
	case err == errFound:
		return found, nil
	case err == nil:
		err = fmt.Errorf("there is no node %#x", id)
	}
	return found, err
}

var errFound = errors.New("found")
