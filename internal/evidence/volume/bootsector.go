package volume

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A file system's boot sector ends in 55 AA like an MBR, and where an MBR has
// its entries it has code. Taking one for the other would invent partitions or
// hide a file system, so both are asked for more than the two bytes.

// isBootSector reports whether b, the first 512 bytes of a source of size
// bytes, is the boot sector of a bare NTFS, exFAT, BitLocker or FAT volume.
func isBootSector(b []byte, size int64) bool {
	if !signed(b) {
		return false
	}
	switch string(b[3:11]) {
	case "NTFS    ", "EXFAT   ", "-FVE-FS-":
		return true
	}
	return isFAT(b, size)
}

func signed(b []byte) bool { return b[510] == 0x55 && b[511] == 0xAA }

// isFAT checks the BIOS parameter block (Microsoft FAT specification 1.03,
// section 3.1). Boot loaders for an MBR begin with the same jump but leave these
// fields zero.
func isFAT(b []byte, size int64) bool {
	if !(b[0] == 0xEB && b[2] == 0x90 || b[0] == 0xE9) {
		return false
	}
	sector := binary.LittleEndian.Uint16(b[11:])
	total := uint64(binary.LittleEndian.Uint16(b[19:]))
	if total == 0 {
		total = uint64(binary.LittleEndian.Uint32(b[32:]))
	}
	switch {
	case sector < 512 || sector > 4096 || bits.OnesCount16(sector) != 1:
		return false
	case bits.OnesCount8(b[13]) != 1: // sectors per cluster
		return false
	case binary.LittleEndian.Uint16(b[14:]) == 0: // reserved sectors
		return false
	case b[16] == 0 || b[16] > 2: // number of FATs
		return false
	case b[21] != 0xF0 && b[21] < 0xF8: // media
		return false
	}
	return total != 0 && (total*uint64(sector) <= uint64(size) || hasFATLabel(b))
}

// hasFATLabel holds for a FAT volume whose image was cut short, where its size
// can no longer speak for it.
func hasFATLabel(b []byte) bool {
	return bytes.HasPrefix(b[54:], []byte("FAT")) || bytes.HasPrefix(b[82:], []byte("FAT32"))
}
