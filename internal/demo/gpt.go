package demo

import (
	"fmt"
	"hash/crc32"
	"io"
)

// partition is one entry of the table, in sectors.
type partition struct {
	first, sectors int64
	name           string
}

// The GUID Partition Table as UEFI 2.10, section 5.3, has it.
const (
	gptEntries     = 128
	gptEntrySize   = 128
	gptHeaderSize  = 92
	gptSectors     = gptEntries * gptEntrySize / sectorSize // of the entry array
	gptFirstUsable = 2 + gptSectors
)

// basicData is EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, the type of a partition
// that Windows gives a letter.
const basicData = "\xa2\xa0\xd0\xeb\xe5\xb9\x33\x44\x87\xc0\x68\xb6\xb7\x26\x99\xc7"

// writeGPT writes a protective MBR, the table, and its backup at the end of a
// disk of that many sectors.
func writeGPT(w io.WriterAt, sectors int64, partitions []partition) error {
	entries := gptArray(partitions)
	last := sectors - 1
	for _, piece := range []struct {
		sector int64
		data   []byte
	}{
		{0, protectiveMBR(sectors)},
		{1, gptHeader(1, last, 2, last, entries)},
		{2, entries},
		{last - gptSectors, entries},
		{last, gptHeader(last, 1, last-gptSectors, last, entries)},
	} {
		if _, err := w.WriteAt(piece.data, piece.sector*sectorSize); err != nil {
			return fmt.Errorf("sector %d: %w", piece.sector, err)
		}
	}
	return nil
}

// protectiveMBR claims the whole disk, so that old tools leave it alone
// (section 5.2.3).
func protectiveMBR(sectors int64) []byte {
	b := make([]byte, sectorSize)
	entry := b[446:]
	copy(entry[1:4], []byte{0x00, 0x02, 0x00})
	entry[4] = 0xee
	copy(entry[5:8], []byte{0xff, 0xff, 0xff})
	le.PutUint32(entry[8:], 1)
	le.PutUint32(entry[12:], uint32(sectors-1))
	b[510], b[511] = 0x55, 0xaa
	return b
}

func gptArray(partitions []partition) []byte {
	b := make([]byte, gptEntries*gptEntrySize)
	for i, p := range partitions {
		entry := b[i*gptEntrySize:]
		copy(entry, basicData)
		copy(entry[16:], guid(byte(i+1)))
		le.PutUint64(entry[32:], uint64(p.first))
		le.PutUint64(entry[40:], uint64(p.first+p.sectors-1))
		copy(entry[56:gptEntrySize], utf16le(p.name))
	}
	return b
}

// guid is a version 4 GUID that is the same every time.
func guid(number byte) []byte {
	return []byte{'t', 'u', 't', 'e', 'l', 'a', 0, 0x4d, 0x80, 'e', 'm', 'o', 0, 0, 0, number}
}

// gptHeader is the header at sector self, whose twin lies at sector other and
// whose entries begin at sector array.
func gptHeader(self, other, array, last int64, entries []byte) []byte {
	b := make([]byte, sectorSize)
	copy(b, "EFI PART\x00\x00\x01\x00")
	le.PutUint32(b[12:], gptHeaderSize)
	le.PutUint64(b[24:], uint64(self))
	le.PutUint64(b[32:], uint64(other))
	le.PutUint64(b[40:], gptFirstUsable)
	le.PutUint64(b[48:], uint64(last-gptSectors-1))
	copy(b[56:], guid(0))
	le.PutUint64(b[72:], uint64(array))
	le.PutUint32(b[80:], gptEntries)
	le.PutUint32(b[84:], gptEntrySize)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:gptHeaderSize]))
	return b
}
