package ext

import (
	"encoding/binary"
	"fmt"
	"slices"

	"tutela"
)

// Block groups: ext4 documentation "Block Group Descriptors", "Meta Block
// Groups", "Lazy Block Group Initialization".

const (
	groupInodeUninit = 0x1 // inode table and bitmap were never written
	groupBlockUninit = 0x2 // block bitmap was never written

	// maxGroups bounds what is kept of the descriptors: 128 TiB with blocks of
	// 4 KiB, some 60 MB here.
	maxGroups = 1 << 20
)

// group is one group descriptor.
type group struct {
	blockBitmap, inodeBitmap, table int64 // blocks
	flags                           uint16
	unused                          int64 // inodes at the end of the table that were never used
	blockCRC, inodeCRC              uint32
	stale                           bool // from a copy: the checksums are of long ago
}

// groupTable reads all descriptors. What is wrong with them is told by number of
// groups, not one by one.
type groupTable struct {
	fs       *FileSystem
	restored []int64 // taken from the copy
	wrong    []int64 // checksum
	lost     []int64 // neither makes sense
}

func (fs *FileSystem) readGroups() error {
	if fs.groups > maxGroups || fs.groups*fs.descriptor > fs.src.Size()+fs.block {
		return fmt.Errorf("%d block groups: more than the image can describe", fs.groups)
	}
	t := groupTable{fs: fs}
	fs.group = make([]group, fs.groups)
	perBlock := fs.block / fs.descriptor
	for start := int64(0); start < fs.groups; start += perBlock {
		t.load(start, min(perBlock, fs.groups-start))
	}
	t.tell(tutela.FindingBackupTable, t.restored, "taken from the copy")
	t.tell(tutela.FindingDamaged, t.wrong, "with a wrong checksum")
	t.tell(tutela.FindingDamaged, t.lost, "that cannot be read: their files are not listed")
	if int64(len(t.lost)) == fs.groups {
		return fmt.Errorf("no group descriptor can be read")
	}
	return nil
}

func (t *groupTable) tell(code string, groups []int64, what string) {
	if n := len(groups); n > 0 {
		t.fs.find(code, fmt.Sprintf("%d group descriptors %s, the first of group %d", n, what, groups[0]))
	}
}

// load reads the block of descriptors that begins with the one of group start,
// and its copy where that is needed.
func (t *groupTable) load(start, n int64) {
	fs := t.fs
	raw, err := fs.descriptors(fs.descriptorBlock(start))
	var backup []byte
	for i := range n {
		number := start + i
		var g group
		var sound, right bool
		if err == nil {
			g, sound, right = fs.parseGroup(raw, i, number)
		}
		if !sound || !right {
			if backup == nil {
				backup = fs.backupDescriptors(start)
			}
			g = t.repair(g, sound, backup, i, number)
		}
		fs.group[number] = g
	}
}

// repair chooses between a descriptor that is not right and its copy. Copies are
// as old as the last check of the volume: only the places in them are used.
func (t *groupTable) repair(g group, sound bool, backup []byte, i, number int64) group {
	var old group
	var oldSound, oldRight bool
	if len(backup) > 0 {
		old, oldSound, oldRight = t.fs.parseGroup(backup, i, number)
	}
	samePlaces := old.table == g.table && old.blockBitmap == g.blockBitmap && old.inodeBitmap == g.inodeBitmap
	switch {
	case oldSound && oldRight && !(sound && samePlaces):
		t.restored = append(t.restored, number)
		return group{blockBitmap: old.blockBitmap, inodeBitmap: old.inodeBitmap, table: old.table, stale: true}
	case sound:
		t.wrong = append(t.wrong, number)
		g.flags, g.unused = 0, 0
		return g
	}
	t.lost = append(t.lost, number)
	return group{}
}

// descriptorBlock is where the descriptor of a group lies.
func (s *super) descriptorBlock(number int64) int64 {
	perBlock := s.block / s.descriptor
	index := number / perBlock
	if index < s.firstMetaGroup {
		return superOffset/s.block + index + 1
	}
	at := s.groupStart(index * perBlock)
	if s.hasSuper(index * perBlock) {
		at++
	}
	if s.block == minBlock && index == 0 && s.first == 0 {
		at++ // bigalloc with blocks of 1 KiB: the superblock is in block 1
	}
	return at
}

// backupDescriptors are the copies of the descriptors from start on, or an empty
// slice.
func (fs *FileSystem) backupDescriptors(start int64) []byte {
	perBlock := fs.block / fs.descriptor
	index := start / perBlock
	if index >= fs.firstMetaGroup { // in the second and the last group of the meta group
		for _, g := range []int64{start + 1, start + perBlock - 1} {
			at := fs.groupStart(g)
			if fs.hasSuper(g) {
				at++
			}
			if raw, err := fs.descriptors(at); err == nil && g < fs.groups {
				return raw
			}
		}
		return []byte{}
	}
	for g := int64(1); g < fs.groups; g++ {
		if !fs.hasSuper(g) {
			continue
		}
		raw, err := fs.descriptors(fs.groupStart(g) + 1 + index)
		if err == nil && slices.ContainsFunc(raw, func(b byte) bool { return b != 0 }) {
			return raw
		}
		if g > 49 {
			break // five copies are enough
		}
	}
	return []byte{}
}

func (fs *FileSystem) descriptors(block int64) ([]byte, error) {
	if !fs.inVolume(block, 1) {
		return nil, fmt.Errorf("block %d is not in the volume", block)
	}
	raw := make([]byte, fs.block)
	return raw, readFull(fs.src, raw, block*fs.block)
}

// hasSuper reports whether a group keeps a copy of the superblock and the
// descriptors.
func (s *super) hasSuper(group int64) bool {
	switch {
	case group == 0:
		return true
	case s.has(s.compat, compatSparse2):
		return group == int64(le32(s.raw, 0x24c)) || group == int64(le32(s.raw, 0x250))
	case !s.has(s.ro, roSparseSuper) || group == 1:
		return true
	}
	return powerOf(group, 3) || powerOf(group, 5) || powerOf(group, 7)
}

func powerOf(n, base int64) bool {
	for n > 1 && n%base == 0 {
		n /= base
	}
	return n == 1
}

// parseGroup reads descriptor i of a block. sound: its places lie in the volume;
// right: so does its checksum.
func (s *super) parseGroup(raw []byte, i, number int64) (g group, sound, right bool) {
	d := raw[i*s.descriptor:][:s.descriptor]
	g = group{
		blockBitmap: int64(le32(d, 0)), inodeBitmap: int64(le32(d, 4)), table: int64(le32(d, 8)),
		flags: le16(d, 0x12), unused: int64(le16(d, 0x1c)),
		blockCRC: uint32(le16(d, 0x18)), inodeCRC: uint32(le16(d, 0x1a)),
	}
	if s.has(s.incompat, incompat64bit) && s.descriptor >= 64 {
		g.blockBitmap |= int64(le32(d, 0x20)) << 32
		g.inodeBitmap |= int64(le32(d, 0x24)) << 32
		g.table |= int64(le32(d, 0x28)) << 32
		g.unused |= int64(le16(d, 0x32)) << 16
		g.blockCRC |= uint32(le16(d, 0x38)) << 16
		g.inodeCRC |= uint32(le16(d, 0x3a)) << 16
	}
	if !s.metadataCRC() && !s.groupCRC16() {
		g.flags, g.unused = 0, 0 // without checksums they mean nothing
	}
	sound = s.inVolume(g.blockBitmap, 1) && s.inVolume(g.inodeBitmap, 1) && s.inVolume(g.table, s.tableBlocks())
	return g, sound, s.groupRight(d, number)
}

func (s *super) groupRight(d []byte, number int64) bool {
	le := binary.LittleEndian.AppendUint32(nil, uint32(number))
	switch {
	case s.metadataCRC():
		parts := [][]byte{le, d[:0x1e], {0, 0}, d[0x20:]}
		return uint16(crc32c(s.seed, parts...)) == le16(d, 0x1e)
	case s.groupCRC16():
		return crc16(^uint16(0), s.raw[0x68:0x78], le, d[:0x1e], d[0x20:]) == le16(d, 0x1e)
	}
	return true
}

// tableBlocks is how long each inode table is.
func (s *super) tableBlocks() int64 {
	return (s.inodesPerGroup*s.inodeBytes + s.block - 1) / s.block
}
