package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// The superblock: ext4 documentation "Super Block". It lies 1024 bytes from the
// beginning of the volume; some block groups keep copies of it.

const (
	superOffset = 1024
	superBytes  = 1024
	superMagic  = 0xef53

	minBlock      = 1 << 10
	maxBlock      = 64 << 10
	maxCluster    = 512 << 20 // EXT2_MAX_CLUSTER_LOG_SIZE
	minInode      = 128
	firstInodeOld = 11 // of revision 0
)

// Compatible features that change what is read.
const (
	compatJournal     = 0x4
	compatSparse2     = 0x200
	compatFastCommit  = 0x400
	compatOrphanFile  = 0x1000
	roSparseSuper     = 0x1
	roGDTChecksum     = 0x10
	roBigalloc        = 0x200
	roMetadataCRC     = 0x400
	incompatFiletype  = 0x2
	incompatRecover   = 0x4
	incompatJournal   = 0x8
	incompatMetaBG    = 0x10
	incompat64bit     = 0x80
	incompatChecksum  = 0x2000
	incompatLargeDir  = 0x4000
	incompatEncrypt   = 0x10000
	incompatReadable  = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
	checksumTypeCRC32 = 1 // crc32c, the only one there is
)

// unreadable are incompatible features that are known by name only.
var unreadable = map[uint32]string{0x1: "compression", 0x1000: "dirdata"}

// super is what the superblock says.
type super struct {
	raw []byte // superBytes

	inodes, blocks     int64
	first              int64 // block of group 0
	block              int64 // bytes
	ratio              int64 // blocks in a cluster
	perGroup           int64 // blocks
	clustersPerGroup   int64
	inodesPerGroup     int64
	inodeBytes         int64
	firstInode         int64 // that is not reserved
	descriptor         int64 // bytes of a group descriptor
	groups             int64
	compat, incompat   uint32
	ro                 uint32
	firstMetaGroup     int64
	lastOrphan         int64
	journal, orphanIno int64 // inodes, 0 for none
	seed               uint32
}

func (s *super) has(mask, feature uint32) bool { return mask&feature != 0 }
func (s *super) metadataCRC() bool             { return s.ro&roMetadataCRC != 0 }
func (s *super) groupCRC16() bool              { return !s.metadataCRC() && s.ro&roGDTChecksum != 0 }
func (s *super) volumeBytes() int64            { return s.blocks * s.block }

// groupStart is the first block of a group.
func (s *super) groupStart(group int64) int64 { return s.first + group*s.perGroup }

// groupBlocks is how many blocks a group has: the last one may be short.
func (s *super) groupBlocks(group int64) int64 {
	return min(s.perGroup, s.blocks-s.groupStart(group))
}

// inVolume reports whether n blocks from block on lie in the volume.
func (s *super) inVolume(block, n int64) bool {
	return block >= s.first && block < s.blocks && n <= s.blocks-block
}

var errMagic = errors.New("no ext magic")

// parseSuper reads a superblock and refuses one that no volume can have. The
// error wraps evidence.ErrUnsupported for what is known and not read.
func parseSuper(raw []byte) (*super, error) {
	if le16(raw, 0x38) != superMagic {
		return nil, errMagic
	}
	s := &super{
		raw: raw, inodes: int64(le32(raw, 0)), blocks: int64(le32(raw, 4)), first: int64(le32(raw, 0x14)),
		perGroup: int64(le32(raw, 0x20)), inodesPerGroup: int64(le32(raw, 0x28)),
		inodeBytes: minInode, firstInode: firstInodeOld, descriptor: 32, ratio: 1,
	}
	if le32(raw, 0x4c) > 0 {
		s.inodeBytes, s.firstInode = int64(le16(raw, 0x58)), int64(le32(raw, 0x54))
		s.compat, s.incompat, s.ro = le32(raw, 0x5c), le32(raw, 0x60), le32(raw, 0x64)
	}
	if err := s.features(); err != nil {
		return nil, err
	}
	if err := s.sizes(); err != nil {
		return nil, err
	}
	s.places()
	return s, s.sane()
}

func (s *super) features() error {
	if s.has(s.incompat, incompatJournal) {
		return fmt.Errorf("an external journal, not a file system: %w", evidence.ErrUnsupported)
	}
	unknown := s.incompat &^ incompatReadable
	var names []string
	for bit := range 32 {
		if feature := uint32(1) << bit; unknown&feature != 0 {
			name := unreadable[feature]
			if name == "" {
				name = fmt.Sprintf("incompatible feature %#x", feature)
			}
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("%s not read: %w", strings.Join(names, ", "), evidence.ErrUnsupported)
	}
	return nil
}

// sizes reads what is stored as a power of two, and the upper halves.
func (s *super) sizes() error {
	logBlock, logCluster := le32(s.raw, 0x18), le32(s.raw, 0x1c)
	if logBlock > 6 {
		return fmt.Errorf("block size 2^%d", 10+uint64(logBlock))
	}
	s.block = minBlock << logBlock
	s.clustersPerGroup = s.perGroup
	if s.has(s.ro, roBigalloc) {
		if logCluster < logBlock || logCluster > 19 {
			return fmt.Errorf("cluster size 2^%d", 10+uint64(logCluster))
		}
		s.ratio = 1 << (logCluster - logBlock)
		s.clustersPerGroup = int64(le32(s.raw, 0x24))
	}
	if s.has(s.incompat, incompat64bit) {
		s.blocks |= int64(le32(s.raw, 0x150)) << 32
		s.descriptor = int64(le16(s.raw, 0xfe))
	}
	return nil
}

func (s *super) places() {
	if s.has(s.incompat, incompatMetaBG) {
		s.firstMetaGroup = int64(le32(s.raw, 0x104))
	} else {
		s.firstMetaGroup = math.MaxInt64
	}
	s.lastOrphan = int64(le32(s.raw, 0xe8))
	if s.has(s.compat, compatJournal) {
		s.journal = int64(le32(s.raw, 0xe0))
	}
	if s.has(s.compat, compatOrphanFile) {
		s.orphanIno = int64(le32(s.raw, 0x280))
	}
	s.seed = crc32c(^uint32(0), s.raw[0x68:0x78])
	if s.has(s.incompat, incompatChecksum) {
		s.seed = le32(s.raw, 0x270)
	}
}

// sane refuses numbers that do not fit each other.
func (s *super) sane() error {
	bits := 8 * s.block
	switch {
	case s.blocks <= s.first || s.blocks > math.MaxInt64/s.block || s.first > 1:
		return fmt.Errorf("%d blocks from block %d on", s.blocks, s.first)
	case s.perGroup <= 0 || s.clustersPerGroup <= 0 || s.clustersPerGroup > bits || s.perGroup != s.clustersPerGroup*s.ratio:
		return fmt.Errorf("%d blocks, %d clusters in a group", s.perGroup, s.clustersPerGroup)
	case !powerOfTwo(s.inodeBytes, minInode, s.block):
		return fmt.Errorf("inodes of %d bytes", s.inodeBytes)
	case s.inodesPerGroup <= 0 || s.inodesPerGroup > bits:
		return fmt.Errorf("%d inodes in a group", s.inodesPerGroup)
	case !powerOfTwo(s.descriptor, 32, s.block):
		return fmt.Errorf("group descriptors of %d bytes", s.descriptor)
	}
	s.groups = (s.blocks - s.first + s.perGroup - 1) / s.perGroup
	if most := s.groups * s.inodesPerGroup; s.inodes <= 0 || s.inodes > most {
		return fmt.Errorf("%d inodes in %d groups of %d", s.inodes, s.groups, s.inodesPerGroup)
	}
	if s.firstInode < firstInodeOld || s.firstInode > s.inodes {
		s.firstInode = firstInodeOld
	}
	return nil
}

// checksumRight reports whether the superblock's own checksum holds, where it
// has one.
func (s *super) checksumRight() bool {
	return !s.metadataCRC() || s.raw[0x175] != checksumTypeCRC32 || crc32c(^uint32(0), s.raw[:0x3fc]) == le32(s.raw, 0x3fc)
}

// sameShape reports whether two superblocks put everything in the same place.
func (s *super) sameShape(o *super) bool {
	return s.blocks == o.blocks && s.inodes == o.inodes && s.first == o.first && s.block == o.block && s.ratio == o.ratio &&
		s.perGroup == o.perGroup && s.inodesPerGroup == o.inodesPerGroup && s.inodeBytes == o.inodeBytes && s.descriptor == o.descriptor
}

// superblock finds the superblock of a volume: the first one, or a copy where
// that is bad. The findings say which.
func superblock(src evidence.Source) (*super, []tutela.Finding, error) {
	primary, err := superAt(src, superOffset)
	if err == nil && primary.checksumRight() {
		return primary, nil, nil
	}
	if errors.Is(err, evidence.ErrUnsupported) {
		return nil, nil, err
	}
	if errors.Is(err, errMagic) && foreign(src) {
		return nil, nil, evidence.ErrNotThis
	}
	backup := backupSuper(src)
	switch {
	case backup == nil && errors.Is(err, errMagic):
		return nil, nil, evidence.ErrNotThis
	case backup == nil && err != nil:
		return nil, nil, fmt.Errorf("superblock: %w, and no copy of it", err)
	case err != nil:
		return backup, finding(tutela.FindingBackupTable, fmt.Sprintf("superblock: %v: the copy in block %d was used", err, backup.backupBlock())), nil
	case backup != nil && !backup.sameShape(primary):
		return backup, finding(tutela.FindingBackupTable, fmt.Sprintf("superblock: wrong checksum: the copy in block %d was used", backup.backupBlock())), nil
	}
	return primary, finding(tutela.FindingDamaged, "superblock: wrong checksum"), nil
}

func (s *super) backupBlock() int64 { return s.groupStart(int64(le16(s.raw, 0x5a))) }

func finding(code, detail string) []tutela.Finding {
	return []tutela.Finding{{Code: code, Detail: detail}}
}

// superAt reads the superblock at a place. Where the source has none it is an
// error that wraps errMagic.
func superAt(src evidence.Source, at int64) (*super, error) {
	raw := make([]byte, superBytes)
	if at < 0 || at > src.Size()-superBytes {
		return nil, errMagic
	}
	if err := readFull(src, raw, at); err != nil {
		return nil, err
	}
	return parseSuper(raw)
}

// backupSuper is the copy in group 1, which every layout keeps but for
// sparse_super2, where it lies in a group that only the superblock tells. Block
// sizes are tried from the smallest, each with its full groups.
func backupSuper(src evidence.Source) *super {
	for block := int64(minBlock); block <= maxBlock; block *= 2 {
		for _, per := range []int64{8 * block, min(8*block, 65528)} {
			first := int64(0)
			if block == minBlock {
				first = 1
			}
			s, err := superAt(src, (first+per)*block)
			if err == nil && s.block == block && le16(s.raw, 0x5a) == 1 && s.groupStart(1) == first+per && s.checksumRight() {
				return s
			}
		}
	}
	return nil
}

// foreignMarks are what other formats leave where an ext volume with a lost
// superblock has nothing. A volume that was formatted anew keeps old copies of
// the ext superblock: it must not be taken for an ext volume.
var foreignMarks = []struct {
	at   int64
	mark string
}{
	{3, "NTFS    "}, {3, "EXFAT   "}, {3, "-FVE-FS-"}, {510, "\x55\xaa"}, {0, "XFSB"}, {0, "hsqs"}, {0, "LUKS\xba\xbe"},
	{32, "NXSB"}, {512, "EFI PART"}, {512, "LABELONE"}, {1024, "H+"}, {1024, "HX"}, {1024, "\x10\x20\xf5\xf2"}, {32769, "CD001"}, {65600, "_BHRfS_M"},
}

func foreign(src evidence.Source) bool {
	for _, m := range foreignMarks {
		b := make([]byte, len(m.mark))
		if readFull(src, b, m.at) == nil && string(b) == m.mark {
			return true
		}
	}
	return false
}

func powerOfTwo(v, low, high int64) bool { return v >= low && v <= high && v&(v-1) == 0 }

func le16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func le32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func be32(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }

// readFull fills p from off on. What it could not read is a *evidence.ReadError.
func readFull(src evidence.Source, p []byte, off int64) error {
	if off < 0 {
		return errors.New("negative offset")
	}
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return err
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("read %d bytes at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return &evidence.ReadError{Run: tutela.Run{Offset: off + int64(n), Length: int64(len(p) - n)}, Err: err}
}
