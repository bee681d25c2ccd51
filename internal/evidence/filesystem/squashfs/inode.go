package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"tutela"
)

// inodeRef is where an inode lies: the packed block from the beginning of the
// inode table, and 16 bits of where in it, expanded (SQUASHFS 3.4).
type inodeRef uint64

func refOf(blockAt uint32, off uint16) inodeRef {
	return inodeRef(uint64(blockAt)<<16 | uint64(off))
}

// Types of inodes (SQUASHFS 3.4); from typeExtended on, the same with more
// fields.
const (
	typeDirectory = iota + 1
	typeFile
	typeSymlink
	typeBlockDevice
	typeCharDevice
	typePipe
	typeSocket
	typeExtended = 7
)

const (
	headBytes   = 16
	noFragment  = 1<<32 - 1
	maxTarget   = 64 << 10
	storedBlock = 1 << 24 // of a block's length: it is not compressed
)

// fields is how many bytes follow the head of an inode, before what has no
// fixed length.
var fields = map[uint16]int{
	typeDirectory: 16, typeFile: 16, typeSymlink: 8, typeBlockDevice: 8, typeCharDevice: 8, typePipe: 4, typeSocket: 4,
	typeExtended + typeDirectory: 24, typeExtended + typeFile: 40, typeExtended + typeSymlink: 8,
	typeExtended + typeBlockDevice: 12, typeExtended + typeCharDevice: 12, typeExtended + typePipe: 8, typeExtended + typeSocket: 8,
}

// inode is a file, directory, link or device.
type inode struct {
	number   uint32
	kind     tutela.EntryKind
	modified time.Time

	// Of a file.
	size      int64
	blocks    int64  // its first packed block, in bytes of the volume
	fragment  uint32 // the block its end lies in, or noFragment
	inTail    uint32 // where in that block
	blockList cursor // the lengths of its blocks

	// Of a directory.
	listing cursor
	listed  int64 // bytes of the listing

	target []byte // of a symbolic link
	device uint32
}

// inode reads the one at ref.
func (fs *FileSystem) inode(ref inodeRef) (i inode, err error) {
	c := &cursor{fs: fs, at: fs.super.inodeTable + int64(ref>>16), off: int(ref & 0xffff)}
	if ref>>16 > 1<<32 || c.off >= metadataBytes {
		return i, fmt.Errorf("inode at %#x: no such place", uint64(ref))
	}
	head := make([]byte, headBytes)
	if _, err := io.ReadFull(c, head); err != nil {
		return i, fmt.Errorf("inode at %#x: %w", uint64(ref), err)
	}
	le := binary.LittleEndian
	kind := le.Uint16(head)
	i.modified = time.Unix(int64(le.Uint32(head[8:])), 0).UTC()
	i.number = le.Uint32(head[12:])
	length, ok := fields[kind]
	if !ok {
		return i, fmt.Errorf("inode at %#x: type %d", uint64(ref), kind)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(c, b); err != nil {
		return i, fmt.Errorf("inode %d: %w", i.number, err)
	}
	return i, i.parse(kind, b, c)
}

func (i *inode) parse(kind uint16, b []byte, c *cursor) error {
	le := binary.LittleEndian
	switch kind {
	case typeDirectory:
		i.list(c.fs, le.Uint32(b), le.Uint16(b[10:]), uint32(le.Uint16(b[8:])))
	case typeExtended + typeDirectory:
		i.list(c.fs, le.Uint32(b[8:]), le.Uint16(b[18:]), le.Uint32(b[4:]))
	case typeFile:
		i.file(c, uint64(le.Uint32(b)), uint64(le.Uint32(b[12:])), b[4:])
	case typeExtended + typeFile:
		i.file(c, le.Uint64(b), le.Uint64(b[8:]), b[28:])
	case typeSymlink, typeExtended + typeSymlink:
		return i.link(c, le.Uint32(b[4:]))
	default:
		i.special(kind, b)
	}
	if i.size < 0 || i.blocks < 0 {
		return fmt.Errorf("inode %d: size %d, blocks from %d on", i.number, i.size, i.blocks)
	}
	return nil
}

// list: a listing counts three bytes more than it has, for "." and "..".
func (i *inode) list(fs *FileSystem, at uint32, off uint16, length uint32) {
	i.kind = tutela.Directory
	i.listing = cursor{fs: fs, at: fs.super.dirTable + int64(at), off: int(off)}
	i.listed = max(0, int64(length)-3)
}

func (i *inode) file(c *cursor, blocks, size uint64, tail []byte) {
	i.kind = tutela.File
	i.blocks, i.size = int64(blocks), int64(size)
	i.fragment = binary.LittleEndian.Uint32(tail)
	i.inTail = binary.LittleEndian.Uint32(tail[4:])
	i.blockList = *c
}

func (i *inode) link(c *cursor, length uint32) error {
	i.kind = tutela.Symlink
	if length > maxTarget {
		return fmt.Errorf("inode %d: a link's target of %d bytes", i.number, length)
	}
	i.target = make([]byte, length)
	if _, err := io.ReadFull(c, i.target); err != nil {
		return fmt.Errorf("inode %d: %w", i.number, err)
	}
	i.size = int64(length)
	return nil
}

func (i *inode) special(kind uint16, b []byte) {
	i.kind = kindOf(kind)
	if i.kind == tutela.Device {
		i.device = binary.LittleEndian.Uint32(b[4:])
	}
}

// kindOf is what an inode or a directory's record of that type is.
func kindOf(kind uint16) tutela.EntryKind {
	if kind > typeExtended {
		kind -= typeExtended
	}
	switch kind {
	case typeDirectory:
		return tutela.Directory
	case typeSymlink:
		return tutela.Symlink
	case typeBlockDevice, typeCharDevice:
		return tutela.Device
	case typePipe:
		return tutela.Pipe
	case typeSocket:
		return tutela.Socket
	}
	return tutela.File
}

// wholeBlocks is how many blocks of its own a file has. Its end lies in the last
// of them, or in a block it shares.
func (i *inode) wholeBlocks(blockBytes int64) int64 {
	n := i.size / blockBytes
	if i.fragment == noFragment && i.size%blockBytes != 0 {
		n++
	}
	return n
}
