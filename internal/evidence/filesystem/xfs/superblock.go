package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"tutela/internal/evidence"
)

// Every allocation group begins with a superblock, of which the first counts,
// followed by a sector each for the maps of free blocks (AGF), of inodes (AGI)
// and of blocks kept for the trees (XFSDS "Allocation Groups").

const (
	superMagic = 0x58465342 // XFSB
	freeMagic  = 0x58414746 // XAGF
	inodeMagic = 0x58414749 // XAGI

	superBytes = 264

	versionDir2   = 0x2000 // sb_versionnum
	features2Type = 0x200  // sb_features2: directories say the kind of a file
	incompatType  = 1      // sb_features_incompat
	incompatMeta  = 4      // the metadata carry another UUID
	incompatBig   = 8      // times of 64 bits
	incompatKnown = 0x7ff
)

// superblock is what the reader needs of it (XFSDS "Superblocks").
type superblock struct {
	version     int
	blockLog    uint
	blocks      uint64
	groupBlocks uint32
	groupLog    uint // bits of a block number within its group
	groups      uint32
	sector      int64
	inodeBytes  int
	inodeLog    uint // inodes in a block, as bits
	root        uint64
	dirLog      uint // blocks in a directory block, as bits
	logStart    uint64
	logBlocks   uint32
	hasType     bool      // directories say the kind of a file
	internal    [5]uint64 // inodes of the file system itself: realtime maps and quotas
	badSum      bool
}

func (s *superblock) blockBytes() int64 { return 1 << s.blockLog }

func (s *superblock) bytes() int64 { return int64(s.blocks) << s.blockLog }

// offset is where a block of a group lies, in bytes of the volume.
func (s *superblock) offset(group, block uint32) int64 {
	return (int64(group)*int64(s.groupBlocks) + int64(block)) << s.blockLog
}

// place is where a block lies whose number has its group in the upper bits.
func (s *superblock) place(number uint64) (int64, error) {
	group, block := number>>s.groupLog, number&(1<<s.groupLog-1)
	if group >= uint64(s.groups) || block >= uint64(s.groupBlocks) {
		return 0, fmt.Errorf("block %#x is not on the volume", number)
	}
	return s.offset(uint32(group), uint32(block)), nil
}

// findSuperblock is the first superblock that holds together, and where it lies.
func findSuperblock(src evidence.Source) (superblock, int64, error) {
	first, err := readSuperblock(src, 0)
	if err == nil && !first.badSum {
		return first, 0, nil
	}
	if errors.Is(err, evidence.ErrUnsupported) {
		return first, 0, err
	}
	for _, at := range copies(src) {
		if sb, copyErr := readSuperblock(src, at); copyErr == nil && !sb.badSum && sb.offset(1, 0) <= at && at%sb.offset(1, 0) == 0 {
			return sb, at, nil
		}
	}
	return first, 0, err
}

// copies are the places where a second superblock may lie: behind as many blocks
// as the first group's AGF says, and where mkfs.xfs puts it on a volume of this
// size.
func copies(src evidence.Source) (places []int64) {
	b := make([]byte, 16)
	for sector := int64(512); sector <= 32<<10; sector *= 2 {
		if readFull(src, b, sector) != nil || binary.BigEndian.Uint32(b) != freeMagic {
			continue
		}
		for log := 9; log <= 16; log++ {
			places = append(places, int64(binary.BigEndian.Uint32(b[12:]))<<log)
		}
	}
	for _, groups := range []int64{4, 2, 8, 16, 32} {
		blocks := src.Size() >> 12
		places = append(places, (blocks+groups-1)/groups<<12)
	}
	return places
}

func readSuperblock(src evidence.Source, at int64) (s superblock, err error) {
	b := make([]byte, superBytes)
	if at < 0 || at > src.Size()-superBytes {
		return s, evidence.ErrNotThis
	}
	if err := readFull(src, b, at); err != nil {
		return s, err
	}
	be := binary.BigEndian
	if be.Uint32(b) != superMagic {
		return s, evidence.ErrNotThis
	}
	version, features2 := be.Uint16(b[100:]), be.Uint32(b[200:])
	incompat := be.Uint32(b[216:])
	s = superblock{
		version:     int(version & 15),
		blockLog:    uint(b[120]),
		blocks:      be.Uint64(b[8:]),
		groupBlocks: be.Uint32(b[84:]),
		groupLog:    uint(b[124]),
		groups:      be.Uint32(b[88:]),
		sector:      int64(be.Uint16(b[102:])),
		inodeBytes:  int(be.Uint16(b[104:])),
		inodeLog:    uint(b[123]),
		root:        be.Uint64(b[56:]),
		dirLog:      uint(b[192]),
		logStart:    be.Uint64(b[48:]),
		logBlocks:   be.Uint32(b[96:]),
		internal:    [5]uint64{be.Uint64(b[64:]), be.Uint64(b[72:]), be.Uint64(b[160:]), be.Uint64(b[168:])},
	}
	if s.version == 5 {
		s.internal[4] = be.Uint64(b[232:])
	}
	s.hasType = s.version == 5 && incompat&incompatType != 0 || s.version == 4 && features2&features2Type != 0
	if err := s.check(be.Uint32(b[4:]), uint(b[122])); err != nil {
		return s, err
	}
	switch {
	case s.version < 4 || version&versionDir2 == 0:
		return s, fmt.Errorf("version %d with directories of version 1 not read: %w", s.version, evidence.ErrUnsupported)
	case s.version == 5 && incompat&^incompatKnown != 0:
		return s, fmt.Errorf("features %#x not read: %w", incompat&^incompatKnown, evidence.ErrUnsupported)
	case s.version == 5:
		sector := make([]byte, s.sector)
		s.badSum = readFull(src, sector, at) != nil || !goodSum(sector, 224)
	}
	return s, nil
}

// check holds the numbers against each other, so that later arithmetic cannot
// leave its bounds.
func (s *superblock) check(blockBytes uint32, inodeBytesLog uint) error {
	switch {
	case s.version < 1 || s.version > 5:
		return fmt.Errorf("version %d", s.version)
	case s.blockLog < 9 || s.blockLog > 16 || blockBytes != 1<<s.blockLog:
		return fmt.Errorf("blocks of %d bytes, 2^%d", blockBytes, s.blockLog)
	case s.sector < 512 || s.sector > 32<<10 || s.sector&(s.sector-1) != 0:
		return fmt.Errorf("sectors of %d bytes", s.sector)
	case s.inodeBytes < 256 || s.inodeBytes > 2048 || s.inodeBytes != 1<<inodeBytesLog || s.blockLog != inodeBytesLog+s.inodeLog:
		return fmt.Errorf("inodes of %d bytes, 2^%d in a block", s.inodeBytes, s.inodeLog)
	case s.groupBlocks < 2 || s.groupLog != uint(bits.Len32(s.groupBlocks-1)):
		return fmt.Errorf("groups of %d blocks, 2^%d", s.groupBlocks, s.groupLog)
	case s.groups == 0 || s.blocks == 0 || (s.blocks-1)/uint64(s.groupBlocks) != uint64(s.groups)-1:
		return fmt.Errorf("%d groups of %d blocks make %d blocks", s.groups, s.groupBlocks, s.blocks)
	case s.dirLog > 7 || s.blockLog+s.dirLog > 16:
		return fmt.Errorf("directory blocks of 2^%d blocks", s.dirLog)
	case s.bytes()>>s.blockLog != int64(s.blocks) || s.bytes() < 0:
		return fmt.Errorf("%d blocks", s.blocks)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// goodSum reports whether a block's CRC-32c, little-endian at the place at and
// taken with zeros there, is right.
func goodSum(b []byte, at int) bool {
	sum := crc32.Update(0, castagnoli, b[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	sum = crc32.Update(sum, castagnoli, b[at+4:])
	return sum == binary.LittleEndian.Uint32(b[at:])
}
