package xfs

import (
	"encoding/binary"
	"fmt"
)

// All trees of XFS are B+trees: records in the leaves; keys, then numbers of
// blocks in the nodes above (XFSDS "Short Format B+trees", "Long Format
// B+trees"). Those of a group number blocks within it, in 32 bits; those of a
// file number blocks of the volume, in 64.

const maxLevels = 12

// treeKind is what sets one sort of tree apart.
type treeKind struct {
	magic4, magic5 uint32
	long           bool
	record, key    int // bytes
}

var (
	freeTree   = treeKind{0x41425442, 0x41423342, false, 8, 8}  // ABTB, AB3B
	inodeTree  = treeKind{0x49414254, 0x49414233, false, 16, 4} // IABT, IAB3
	extentTree = treeKind{0x424d4150, 0x424d4133, true, 16, 8}  // BMAP, BMA3
)

// treeError says why a tree cannot be followed any further.
type treeError struct{ err error }

func (e *treeError) Error() string { return e.err.Error() }
func (e *treeError) Unwrap() error { return e.err }

// tree is a walk over one.
type tree struct {
	fs    *FileSystem
	kind  treeKind
	group uint32 // of a short tree
	give  func(record []byte) error
	seen  map[int64]bool // blocks, so that none is gone into twice
	sums  int            // blocks with a wrong checksum
}

func (t *tree) header() int {
	switch {
	case t.kind.long && t.fs.sb.version == 5:
		return 72
	case t.kind.long:
		return 24
	case t.fs.sb.version == 5:
		return 56
	}
	return 16
}

func (t *tree) pointer() int {
	if t.kind.long {
		return 8
	}
	return 4
}

// follow visits the records below a block, in order. level is that of the block.
func (t *tree) follow(number uint64, level int) error {
	at, err := t.place(number)
	if err != nil {
		return &treeError{err}
	}
	if level < 0 || level > maxLevels || t.seen[at] {
		return &treeError{fmt.Errorf("tree block at byte %d, level %d: the tree leads in a circle", at, level)}
	}
	t.seen[at] = true
	b := make([]byte, t.fs.sb.blockBytes())
	if err := t.fs.readFull(b, at); err != nil {
		return &treeError{err}
	}
	count, err := t.check(b, at, level)
	if err != nil {
		return &treeError{err}
	}
	if level == 0 {
		return t.records(b[t.header():], count)
	}
	room := (len(b) - t.header()) / (t.kind.key + t.pointer())
	if count > room {
		return &treeError{fmt.Errorf("tree block at byte %d: %d pointers", at, count)}
	}
	return t.below(b[t.header()+room*t.kind.key:], count, level-1)
}

func (t *tree) place(number uint64) (int64, error) {
	if t.kind.long {
		return t.fs.sb.place(number)
	}
	if number >= uint64(t.fs.sb.groupBlocks) {
		return 0, fmt.Errorf("block %d is not in group %d", number, t.group)
	}
	return t.fs.sb.offset(t.group, uint32(number)), nil
}

func (t *tree) check(b []byte, at int64, level int) (count int, err error) {
	be := binary.BigEndian
	want, sum := t.kind.magic4, 52
	if t.fs.sb.version == 5 {
		want = t.kind.magic5
	}
	if t.kind.long {
		sum = 64
	}
	if be.Uint32(b) != want || int(be.Uint16(b[4:])) != level {
		return 0, fmt.Errorf("tree block at byte %d: number %#x, level %d", at, be.Uint32(b), be.Uint16(b[4:]))
	}
	if t.fs.sb.version == 5 && !goodSum(b, sum) {
		t.sums++
	}
	return int(be.Uint16(b[6:])), nil
}

func (t *tree) records(b []byte, count int) error {
	if count > len(b)/t.kind.record {
		return &treeError{fmt.Errorf("a leaf with %d records", count)}
	}
	for ; count > 0; count-- {
		if err := t.give(b[:t.kind.record]); err != nil {
			return err
		}
		b = b[t.kind.record:]
	}
	return nil
}

func (t *tree) below(pointers []byte, count, level int) error {
	for ; count > 0; count-- {
		var number uint64
		if t.kind.long {
			number = binary.BigEndian.Uint64(pointers)
		} else {
			number = uint64(binary.BigEndian.Uint32(pointers))
		}
		if err := t.follow(number, level); err != nil {
			return err
		}
		pointers = pointers[t.pointer():]
	}
	return nil
}

// eachFree visits the free stretches of a group, in blocks.
func (fs *FileSystem) eachFree(group uint32, give func(start, count uint32) error) error {
	b, err := fs.groupHeader(group, 1, freeMagic, 216)
	if err != nil {
		return &treeError{err}
	}
	be := binary.BigEndian
	t := &tree{fs: fs, kind: freeTree, group: group, seen: map[int64]bool{}}
	t.give = func(r []byte) error { return give(be.Uint32(r), be.Uint32(r[4:])) }
	return t.follow(uint64(be.Uint32(b[16:])), int(be.Uint32(b[28:]))-1)
}

// inodeChunk is 64 inodes that lie one behind the other (XFSDS "Inode B+trees").
type inodeChunk struct {
	first uint64 // number on the volume
	free  uint64 // a bit for each inode, the first the lowest
	holes uint64 // the same: there is no such inode
}

// eachChunk visits the inodes of a group.
func (fs *FileSystem) eachChunk(group uint32, give func(inodeChunk) error) error {
	b, err := fs.groupHeader(group, 2, inodeMagic, 312)
	if err != nil {
		return &treeError{err}
	}
	be := binary.BigEndian
	t := &tree{fs: fs, kind: inodeTree, group: group, seen: map[int64]bool{}}
	t.give = func(r []byte) error {
		c := inodeChunk{first: fs.sb.inodeNumber(group, be.Uint32(r)), free: be.Uint64(r[8:])}
		if be.Uint16(r[4:]) != 0 && r[6] != 0 { // sparse: a bit for each four inodes
			for i := range 16 {
				if be.Uint16(r[4:])&(1<<i) != 0 {
					c.holes |= 0xf << (4 * i)
				}
			}
		}
		return give(c)
	}
	return t.follow(uint64(be.Uint32(b[20:])), int(be.Uint32(b[24:]))-1)
}

func (s *superblock) inodeNumber(group, inGroup uint32) uint64 {
	return uint64(group)<<(s.groupLog+s.inodeLog) | uint64(inGroup)
}

// groupHeader is one of the sectors at the beginning of a group.
func (fs *FileSystem) groupHeader(group uint32, sector int64, magic uint32, sum int) ([]byte, error) {
	b := make([]byte, fs.sb.sector)
	at := fs.sb.offset(group, 0) + sector*fs.sb.sector
	if err := fs.readFull(b, at); err != nil {
		return nil, fmt.Errorf("header of group %d: %w", group, err)
	}
	if binary.BigEndian.Uint32(b) != magic {
		return nil, fmt.Errorf("header of group %d at byte %d: number %#x", group, at, binary.BigEndian.Uint32(b))
	}
	if fs.sb.version == 5 && !goodSum(b, sum) {
		return nil, fmt.Errorf("header of group %d at byte %d: the checksum is wrong", group, at)
	}
	return b, nil
}
