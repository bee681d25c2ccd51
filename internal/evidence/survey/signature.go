package survey

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"tutela/internal/evidence"
)

// lookedAt is how much of a volume is read to name it: Btrfs and ReiserFS have
// their superblocks at 64 KiB, UDF says what it is from 32 KiB on.
const lookedAt = 72 << 10

// recognise names what lies in src, "" if nothing is known to look like it. The
// error says that bytes it would have looked at could not be read.
func recognise(src evidence.Source) (string, error) {
	b := make(block, min(lookedAt, src.Size()))
	n, err := src.ReadAt(b, 0)
	if n == len(b) || errors.Is(err, io.EOF) {
		err = nil
	}
	b = b[:n]
	for _, name := range []string{b.byMagic(), b.fat(), b.ext(), b.swap(), b.udf()} {
		if name != "" {
			return name, err
		}
	}
	return "", err
}

// unlockable reports whether a name is that of a format that package unlock opens.
func unlockable(name string) bool {
	return name == "bitlocker" || name == "luks1" || name == "luks2"
}

// block is the beginning of a volume.
type block []byte

func (b block) has(offset int, magic string) bool {
	return len(b) >= offset+len(magic) && string(b[offset:offset+len(magic)]) == magic
}

func (b block) u16(offset int) uint32 { return uint32(binary.LittleEndian.Uint16(b[offset:])) }
func (b block) u32(offset int) uint32 { return binary.LittleEndian.Uint32(b[offset:]) }

// magics are those that are long enough, or lie where enough else would have to
// be, to stand alone.
func magics() []struct {
	name   string
	offset int
	magic  string
} {
	return []struct {
		name   string
		offset int
		magic  string
	}{
		{"bitlocker", 3, "-FVE-FS-"},
		{"bitlocker", 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"}, // to go, behind a FAT boot sector
		{"luks1", 0, "LUKS\xba\xbe\x00\x01"},
		{"luks2", 0, "LUKS\xba\xbe\x00\x02"},
		{"ntfs", 3, "NTFS    "},
		{"exfat", 3, "EXFAT   "},
		{"refs", 3, "ReFS\x00\x00\x00\x00"},
		{"apfs", 32, "NXSB"},
		{"hfs+", 1024, "H+\x00\x04"},
		{"hfsx", 1024, "HX\x00\x05"},
		{"xfs", 0, "XFSB\x00\x00"},
		{"btrfs", 65536 + 64, "_BHRfS_M"},
		{"squashfs", 0, "hsqs"},
		{"f2fs", 1024, "\x10\x20\xf5\xf2"},
		{"erofs", 1024, "\xe2\xe1\xf5\xe0"},
		{"cramfs", 0, "\x45\x3d\xcd\x28"},
		{"jfs", 32768, "JFS1\x01\x00\x00\x00"},
		{"reiserfs", 65536 + 52, "ReIsEr"},
		{"ufs2", 65536 + 1372, "\x19\x01\x54\x19"},
		{"ufs1", 8192 + 1372, "\x54\x19\x01\x00"},
		{"lvm2", 512 + 24, "LVM2 001"},
		{"linux raid", 4096, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"},
		{"linux raid", 0, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"},
		{"corestorage", 88, "CS\x01\x00"},
		{"windows dynamic disk", 3072, "PRIVHEAD"},
	}
}

func (b block) byMagic() string {
	for _, m := range magics() {
		if b.has(m.offset, m.magic) {
			return m.name
		}
	}
	return ""
}

// fat reads the BIOS parameter block (Microsoft FAT specification 1.03, sections
// 3.1 and 3.5): the number of clusters alone says which FAT it is.
func (b block) fat() string {
	if len(b) < 512 || b[0] != 0xEB && b[0] != 0xE9 || !b.has(510, "\x55\xaa") {
		return ""
	}
	sector, perCluster, reserved, fats := b.u16(11), uint32(b[13]), b.u16(14), uint32(b[16])
	if sector < 512 || sector > 4096 || bits.OnesCount32(sector) != 1 || bits.OnesCount32(perCluster) != 1 ||
		reserved == 0 || fats == 0 || fats > 2 || b[21] < 0xF0 {
		return ""
	}
	total, perFAT := b.u16(19), b.u16(22)
	if total == 0 {
		total = b.u32(32)
	}
	if perFAT == 0 {
		perFAT = b.u32(36)
	}
	rootSectors := (b.u16(17)*32 + sector - 1) / sector
	meta := uint64(reserved) + uint64(fats)*uint64(perFAT) + uint64(rootSectors)
	if perFAT == 0 || meta >= uint64(total) {
		return ""
	}
	return fatOf((uint64(total) - meta) / uint64(perCluster))
}

func fatOf(clusters uint64) string {
	switch {
	case clusters < 4085:
		return "fat12"
	case clusters < 65525:
		return "fat16"
	}
	return "fat32"
}

// ext reads the superblock of ext2, ext3 and ext4, which differ in their feature
// flags only. Two bytes of magic are few, so its numbers must make sense too.
func (b block) ext() string {
	if !b.has(1024+56, "\x53\xef") || len(b) < 2048 {
		return ""
	}
	s := b[1024:]
	inodes, blocks, logBlock, perGroup, revision := s.u32(0), s.u32(4), s.u32(24), s.u32(32), s.u32(76)
	if inodes == 0 || blocks == 0 || logBlock > 6 || perGroup == 0 || perGroup > 8<<(10+logBlock) || revision > 1 {
		return ""
	}
	compatible, incompatible, readOnly := s.u32(92), s.u32(96), s.u32(100)
	switch {
	case incompatible&^0x1F != 0 || readOnly&^0x7 != 0: // extents, 64bit, huge files …
		return "ext4"
	case compatible&0x4 != 0: // a journal
		return "ext3"
	}
	return "ext2"
}

// swap looks at the end of the first page, whatever its size.
func (b block) swap() string {
	for page := 4096; page <= 65536; page *= 2 {
		if b.has(page-10, "SWAPSPACE2") || b.has(page-10, "SWAP-SPACE") {
			return "swap"
		}
	}
	return ""
}

// udf looks through the volume recognition sequence (ECMA-167 2/8.3).
func (b block) udf() string {
	for at := 32768; at+2048 <= len(b); at += 2048 {
		if b.has(at+1, "NSR02") || b.has(at+1, "NSR03") {
			return "udf"
		}
	}
	return ""
}
