package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// Formats of an inode's data fork (XFSDS "On-disk Inode").
const (
	formatDevice = iota
	formatLocal
	formatExtents
	formatTree
)

const (
	inodeWord     = 0x494e // "IN"
	coreBytes     = 100
	coreBytes3    = 176
	flagRealtime  = 1    // di_flags
	flag2Big      = 8    // di_flags2: times of 64 bits
	flag2Count    = 0x10 // the number of extents has 64 bits
	flag2Metadata = 0x20 // belongs to the file system itself

	typeMask  = 0xf000
	typePipe  = 0x1000
	typeChar  = 0x2000
	typeDir   = 0x4000
	typeBlock = 0x6000
	typeFile  = 0x8000
	typeLink  = 0xa000
	typeSock  = 0xc000

	linkMagic   = 0x58534c4d // XSLM
	maxExtents  = 1 << 22    // of one file, held in memory
	unmapped    = -1
	extentBytes = 16
)

// inode is one as it lies on the volume.
type inode struct {
	number  uint64
	mode    uint16
	version byte
	format  byte
	links   uint32
	size    int64
	extents uint64 // how many it says it has
	flags   uint16
	flags2  uint64
	times   tutela.Times
	fork    []byte // the data fork
	whole   []byte // all behind the core: the data fork and what comes behind it
	badSum  bool
}

func (i *inode) isDirectory() bool { return i.mode&typeMask == typeDir }

// errNoInode: what should be an inode is none.
var errNoInode = errors.New("no inode is there")

// inodeOffset is where an inode lies, in bytes of the volume.
func (fs *FileSystem) inodeOffset(number uint64) (int64, error) {
	at, err := fs.sb.place(number >> fs.sb.inodeLog)
	if err != nil {
		return 0, fmt.Errorf("inode %d: %w", number, err)
	}
	return at + int64(number&(1<<fs.sb.inodeLog-1))*int64(fs.sb.inodeBytes), nil
}

// inode reads the one of that number.
func (fs *FileSystem) inode(number uint64) (*inode, error) {
	at, err := fs.inodeOffset(number)
	if err != nil {
		return nil, err
	}
	b := make([]byte, fs.sb.inodeBytes)
	if err := fs.readFull(b, at); err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	i, err := fs.parseInode(b, number)
	if err != nil {
		return nil, fmt.Errorf("inode %d at byte %d: %w", number, at, err)
	}
	return i, nil
}

func (fs *FileSystem) parseInode(b []byte, number uint64) (*inode, error) {
	be := binary.BigEndian
	if be.Uint16(b) != inodeWord {
		return nil, errNoInode
	}
	i := &inode{
		number: number, mode: be.Uint16(b[2:]), version: b[4], format: b[5],
		links: be.Uint32(b[16:]), size: int64(be.Uint64(b[56:])),
		extents: uint64(be.Uint32(b[76:])), flags: be.Uint16(b[90:]),
	}
	core := coreBytes
	switch i.version {
	case 1:
		i.links = uint32(be.Uint16(b[6:]))
	case 2:
	case 3:
		core = coreBytes3
		i.flags2 = be.Uint64(b[120:])
		i.badSum = !goodSum(b, 100)
		if be.Uint64(b[152:]) != number {
			return nil, fmt.Errorf("it says that it is inode %d: %w", be.Uint64(b[152:]), errNoInode)
		}
		if i.flags2&flag2Count != 0 {
			i.extents = be.Uint64(b[24:])
		}
	default:
		return nil, fmt.Errorf("version %d: %w", i.version, errNoInode)
	}
	if (i.version == 3) != (fs.sb.version == 5) {
		return nil, fmt.Errorf("version %d: %w", i.version, errNoInode)
	}
	i.readTimes(b)
	i.whole, i.fork = b[core:], b[core:]
	if length := int(b[82]) * 8; length > 0 && length <= len(i.fork) {
		i.fork = i.fork[:length]
	}
	if i.size < 0 {
		return nil, fmt.Errorf("a size of %d bytes", i.size)
	}
	return i, nil
}

func (i *inode) readTimes(b []byte) {
	big := i.flags2&flag2Big != 0
	i.times = tutela.Times{Accessed: timeOf(b[32:], big), Modified: timeOf(b[40:], big), Changed: timeOf(b[48:], big)}
	if i.version == 3 {
		i.times.Born = timeOf(b[144:], big)
	}
}

// timeOf is seconds and nanoseconds since 1970 in 32 bits each, or nanoseconds
// since 2^31 seconds before 1970 (XFSDS "Timestamps").
func timeOf(b []byte, big bool) time.Time {
	v := binary.BigEndian.Uint64(b)
	if v == 0 {
		return time.Time{}
	}
	if big {
		return time.Unix(int64(v/1e9)-1<<31, int64(v%1e9)).UTC()
	}
	return time.Unix(int64(int32(v>>32)), int64(uint32(v))%1e9).UTC()
}

func (i *inode) kind() tutela.EntryKind {
	switch i.mode & typeMask {
	case typeDir:
		return tutela.Directory
	case typeLink:
		return tutela.Symlink
	case typeChar, typeBlock:
		return tutela.Device
	case typePipe:
		return tutela.Pipe
	case typeSock:
		return tutela.Socket
	}
	return tutela.File
}

// extent maps blocks of a file to blocks of the volume.
type extent struct {
	from      uint64 // block of the file
	number    uint64 // of the volume, with its group in the upper bits
	count     uint64
	unwritten bool // zeros, whatever lies there
}

// parseExtent takes apart the 128 bits of a record (XFSDS "Extent List").
func parseExtent(b []byte) extent {
	high, low := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return extent{
		from:      high &^ (1 << 63) >> 9,
		number:    high&0x1ff<<43 | low>>21,
		count:     low & (1<<21 - 1),
		unwritten: high>>63 != 0,
	}
}

// check holds an extent against the one before it, which ends at end, and the
// volume.
func (e *extent) check(sb *superblock, end uint64) error {
	first, err := sb.place(e.number)
	if err == nil && e.count > 0 {
		var last int64
		last, err = sb.place(e.number + e.count - 1)
		if err == nil && last-first != int64(e.count-1)<<sb.blockLog {
			err = fmt.Errorf("blocks %#x and %d more lie in two groups", e.number, e.count-1)
		}
	}
	switch {
	case err != nil:
		return err
	case e.count == 0 || e.from < end || e.from+e.count > 1<<(63-sb.blockLog):
		return fmt.Errorf("an extent of %d blocks at block %d, after block %d", e.count, e.from, end)
	}
	return nil
}

// eachExtent visits the extents of a data fork in their order.
func (fs *FileSystem) eachExtent(i *inode, give func(extent) error) (badSums int, err error) {
	var end, count uint64
	record := func(b []byte) error {
		e := parseExtent(b)
		if err := e.check(&fs.sb, end); err != nil {
			return &treeError{err}
		}
		end = e.from + e.count
		if count++; count > maxExtents {
			return &treeError{fmt.Errorf("more than %d extents: %w", maxExtents, errLimit)}
		}
		return give(e)
	}
	switch i.format {
	case formatExtents:
		if i.extents > uint64(len(i.fork)/extentBytes) {
			return 0, &treeError{fmt.Errorf("%d extents in %d bytes", i.extents, len(i.fork))}
		}
		for n := range int(i.extents) {
			if err := record(i.fork[n*extentBytes:]); err != nil {
				return 0, err
			}
		}
		return 0, nil
	case formatTree:
		return fs.treeExtents(i, record)
	}
	return 0, &treeError{fmt.Errorf("a data fork of format %d", i.format)}
}

// treeExtents: the root of the tree lies in the inode (XFSDS "B+tree Extent
// List").
func (fs *FileSystem) treeExtents(i *inode, record func([]byte) error) (badSums int, err error) {
	be := binary.BigEndian
	level, count := int(be.Uint16(i.fork)), int(be.Uint16(i.fork[2:]))
	room := (len(i.fork) - 4) / 16
	if level == 0 || count > room {
		return 0, &treeError{fmt.Errorf("a tree of level %d with %d pointers in %d bytes", level, count, len(i.fork))}
	}
	t := &tree{fs: fs, kind: extentTree, give: record, seen: map[int64]bool{}}
	err = t.below(i.fork[4+room*8:], count, level-1)
	return t.sums, err
}

// mapping is where a content lies.
type mapping struct {
	extents []evidence.Extent // up to its end
	slack   []tutela.Run      // allocated behind its end
	held    int64             // bytes of the volume that it has
	badSums int
}

// mapOf is where the content of a file lies: holes, and what was never written,
// are zeros.
func (fs *FileSystem) mapOf(i *inode) (m mapping, err error) {
	var end int64
	var slack []evidence.Extent
	add := func(at, length int64) {
		if length <= 0 {
			return
		}
		last := len(m.extents) - 1
		if at == evidence.Hole && last >= 0 && m.extents[last].Offset == evidence.Hole {
			m.extents[last].Length += length
			return
		}
		m.extents = append(m.extents, evidence.Extent{Offset: at, Length: length})
	}
	m.badSums, err = fs.eachExtent(i, func(e extent) error {
		at, err := fs.sb.place(e.number)
		if err != nil {
			return err
		}
		from, length := int64(e.from)<<fs.sb.blockLog, int64(e.count)<<fs.sb.blockLog
		m.held += length
		add(evidence.Hole, min(from, i.size)-end)
		end = min(from, i.size)
		inside := min(max(i.size-from, 0), length)
		switch {
		case e.unwritten:
			add(evidence.Hole, inside)
		default:
			add(at, inside)
		}
		end += inside
		if inside < length {
			slack = append(slack, evidence.Extent{Offset: at + inside, Length: length - inside})
		}
		return nil
	})
	if err == nil {
		add(evidence.Hole, i.size-end)
	}
	m.slack = evidence.RunsOf(slack)
	return m, err
}

// targetOf is what a symbolic link leads to (XFSDS "Symbolic Links").
func (fs *FileSystem) targetOf(i *inode) ([]byte, error) {
	const most = 1024
	switch {
	case i.size > most:
		return nil, fmt.Errorf("a link's target of %d bytes", i.size)
	case i.format == formatLocal && i.size <= int64(len(i.fork)):
		return i.fork[:i.size], nil
	}
	var target []byte
	_, err := fs.eachExtent(i, func(e extent) error {
		for n := uint64(0); n < e.count && int64(len(target)) < i.size; n++ {
			part, err := fs.remoteTarget(i, e.number+n)
			if err != nil {
				return err
			}
			target = append(target, part...)
		}
		return nil
	})
	if err == nil && int64(len(target)) < i.size {
		err = fmt.Errorf("%d bytes of a target of %d", len(target), i.size)
	}
	if err != nil {
		return nil, err
	}
	return target[:i.size], nil
}

// remoteTarget is the part of a link's target in one block.
func (fs *FileSystem) remoteTarget(i *inode, number uint64) ([]byte, error) {
	at, err := fs.sb.place(number)
	if err != nil {
		return nil, err
	}
	b := make([]byte, fs.sb.blockBytes())
	if err := fs.readFull(b, at); err != nil {
		return nil, err
	}
	if fs.sb.version < 5 {
		return b, nil
	}
	const header = 56
	length := binary.BigEndian.Uint32(b[8:])
	if binary.BigEndian.Uint32(b) != linkMagic || binary.BigEndian.Uint64(b[32:]) != i.number || length > uint32(len(b)-header) {
		return nil, fmt.Errorf("block at byte %d holds no target of inode %d", at, i.number)
	}
	if !goodSum(b, 12) {
		return nil, fmt.Errorf("the target at byte %d: the checksum is wrong", at)
	}
	return b[header : header+length], nil
}
