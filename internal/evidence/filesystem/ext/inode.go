package ext

import (
	"encoding/binary"
	"fmt"
	"time"

	"tutela"
)

// Inodes: ext4 documentation "Index Nodes".

const (
	inodeRoot = 2

	flagEncrypt = 0x800
	flagIndex   = 0x1000
	flagExtents = 0x80000
	flagEAInode = 0x200000
	flagInline  = 0x10000000

	modeMask    = 0xf000
	modePipe    = 0x1000
	modeChar    = 0x2000
	modeDir     = 0x4000
	modeBlock   = 0x6000
	modeFile    = 0x8000
	modeSymlink = 0xa000
	modeSocket  = 0xc000

	blockAreaAt = 0x28
	blockArea   = 60 // bytes: 15 block numbers, an extent root, a short link or inline data
)

// inode is one inode, as a block of an inode table or a copy of one holds it.
type inode struct {
	number     int64
	raw        []byte // of its own
	mode       uint16
	links      uint16
	flags      uint32
	generation uint32
	size       int64 // bytes; negative where nobody can have meant it
	deleted    uint32
}

// parseInode copies raw, which is one inode long.
func (s *super) parseInode(number int64, raw []byte) *inode {
	raw = append([]byte(nil), raw...)
	in := &inode{
		number: number, raw: raw,
		mode: le16(raw, 0), links: le16(raw, 0x1a), flags: le32(raw, 0x20), generation: le32(raw, 0x64),
		size: int64(le32(raw, 4)), deleted: le32(raw, 0x14),
	}
	if in.kind() == modeFile || in.kind() == modeDir && s.has(s.incompat, incompatLargeDir) {
		in.size |= int64(le32(raw, 0x6c)) << 32
	}
	return in
}

func (in *inode) kind() uint16        { return in.mode & modeMask }
func (in *inode) is(flag uint32) bool { return in.flags&flag != 0 }
func (in *inode) area() []byte        { return in.raw[blockAreaAt:][:blockArea] }

// known reports whether its type is one that exists.
func (in *inode) known() bool { return kinds[in.kind()] != 0 }

var kinds = map[uint16]tutela.EntryKind{
	modeFile: tutela.File, modeDir: tutela.Directory, modeSymlink: tutela.Symlink, modeChar: tutela.Device,
	modeBlock: tutela.Device, modeSocket: tutela.Socket, modePipe: tutela.Pipe,
}

// extra is how many bytes behind the first 128 hold fields.
func (in *inode) extra() int {
	if len(in.raw) < minInode+4 {
		return 0
	}
	return min(int(le16(in.raw, 0x80)), len(in.raw)-minInode)
}

// seed begins the checksums of what belongs to an inode.
func (s *super) inodeSeed(in *inode) uint32 {
	le := binary.LittleEndian
	return crc32c(s.seed, le.AppendUint32(nil, uint32(in.number)), le.AppendUint32(nil, in.generation))
}

// checksumRight reports whether the inode's own checksum holds.
func (s *super) inodeRight(in *inode) bool {
	if !s.metadataCRC() {
		return true
	}
	raw := append([]byte(nil), in.raw...)
	want := uint32(le16(raw, 0x7c))
	raw[0x7c], raw[0x7d] = 0, 0
	wide := in.extra() >= 4
	if wide {
		want |= uint32(le16(raw, 0x82)) << 16
		raw[0x82], raw[0x83] = 0, 0
	}
	got := crc32c(s.inodeSeed(in), raw)
	if !wide {
		got &= 0xffff
	}
	return got == want
}

// times: the deletion time is told in words, since it has no place in
// tutela.Times.
func (in *inode) times() tutela.Times {
	return tutela.Times{
		Accessed: in.time(0x08, 0x8c), Changed: in.time(0x0c, 0x84),
		Modified: in.time(0x10, 0x88), Born: in.time(0x90, 0x94),
	}
}

// time is the seconds at one place, signed, and two more bits of them and the
// nanoseconds at the other, if the inode has it ("Inode Timestamps").
func (in *inode) time(at, extra int) time.Time {
	end := minInode + in.extra()
	if at >= minInode && at+4 > end {
		return time.Time{}
	}
	seconds := int64(int32(le32(in.raw, at)))
	var nano int64
	if extra+4 <= end {
		more := le32(in.raw, extra)
		seconds += int64(more&3) << 32
		nano = int64(more >> 2)
	}
	if seconds == 0 && nano == 0 {
		return time.Time{}
	}
	if nano >= 1e9 {
		nano = 0
	}
	return time.Unix(seconds, nano).UTC()
}

// device is the major and minor number of a device node.
func (in *inode) device() (major, minor uint32) {
	if v := le32(in.area(), 0); v != 0 {
		return v >> 8 & 0xff, v & 0xff
	}
	v := le32(in.area(), 4)
	return v >> 8 & 0xfff, v&0xff | v>>12&0xfff00
}

// place is the block that holds an inode and where in it.
func (fs *FileSystem) place(number int64) (block int64, within int64, err error) {
	if number < 1 || number > fs.inodes {
		return 0, 0, fmt.Errorf("inode %d of %d", number, fs.inodes)
	}
	g, index := (number-1)/fs.inodesPerGroup, (number-1)%fs.inodesPerGroup
	if fs.group[g].table == 0 {
		return 0, 0, fmt.Errorf("inode %d: the descriptor of its group cannot be read", number)
	}
	at := index * fs.inodeBytes
	return fs.group[g].table + at/fs.block, at % fs.block, nil
}

// inode reads an inode as it is now.
func (fs *FileSystem) inode(number int64) (*inode, error) {
	block, within, err := fs.place(number)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, fs.inodeBytes)
	if err := readFull(fs.src, raw, block*fs.block+within); err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return fs.parseInode(number, raw), nil
}
