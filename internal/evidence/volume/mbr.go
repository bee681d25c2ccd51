package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// maxLogical bounds a chain of extended boot records. No operating system makes
// more than a few dozen.
const maxLogical = 256

// entry is one line of an MBR or of an extended boot record.
type entry struct {
	slot          int // from 1
	status        byte
	kind          byte
	start, length uint32 // sectors
}

func (e entry) used() bool { return e.kind != 0 && e.length != 0 }

func (e entry) extended() bool { return e.kind == 0x05 || e.kind == 0x0F || e.kind == 0x85 }

// bootEntries reads the four entries of an MBR and reports whether it is one:
// signed, every status 0 or 80h, and at least one entry in use.
func bootEntries(b []byte) ([]entry, bool) {
	if !signed(b) {
		return nil, false
	}
	var used []entry
	for i := range 4 {
		e := entryAt(b, i)
		if e.status&0x7F != 0 {
			return nil, false
		}
		if e.used() {
			used = append(used, e)
		}
	}
	return used, len(used) > 0
}

func entryAt(b []byte, i int) entry {
	raw := b[446+16*i:]
	return entry{
		slot:   i + 1,
		status: raw[0],
		kind:   raw[4],
		start:  binary.LittleEndian.Uint32(raw[8:]),
		length: binary.LittleEndian.Uint32(raw[12:]),
	}
}

// protective reports whether the entries stand in front of a GPT (UEFI 2.10,
// section 5.2.3). A hybrid MBR has other entries beside the protective one.
func protective(entries []entry) bool {
	for _, e := range entries {
		if e.kind == 0xEE {
			return true
		}
	}
	return false
}

// readMBR lists primary partitions by slot, then the logical ones from number 5
// on. An extended partition is only the box that logical ones lie in: it is not
// listed, and its own sectors are gap.
func readMBR(src evidence.Source, entries []entry) *Table {
	t := &Table{Scheme: MBR, SectorSize: sectorSizeOf(src, entries)}
	for _, e := range entries {
		if !e.extended() {
			t.add(e.slot, e, 0)
		}
	}
	chain := chain{src: src, table: t, seen: make(map[int64]bool), number: 5}
	for _, e := range entries {
		if e.extended() {
			chain.follow(bytesAt(uint64(e.start), t.SectorSize))
		}
	}
	return t
}

// add appends the partition of e, whose start counts from base bytes.
func (t *Table) add(number int, e entry, base int64) {
	t.Partitions = append(t.Partitions, Partition{
		Number: number,
		Start:  base + bytesAt(uint64(e.start), t.SectorSize),
		Length: bytesAt(uint64(e.length), t.SectorSize),
		Type:   mbrType(e.kind),
	})
}

// chain walks the extended boot records of a disk. seen is shared between its
// extended partitions, so that no record is read twice.
type chain struct {
	src    evidence.Source
	table  *Table
	seen   map[int64]bool
	number int // of the next logical partition
}

// follow walks the records of the extended partition that begins at first. The
// first entry of a record is a logical partition, counted from the record; the
// second is the next record, counted from the extended partition.
func (c *chain) follow(first int64) {
	for at, more := first, true; more; {
		record, ok := c.record(at)
		if !ok {
			return
		}
		if e := entryAt(record, 0); e.used() && !e.extended() {
			c.table.add(c.number, e, at)
			c.number++
		}
		at, more = c.nextAfter(record, first)
	}
}

func (c *chain) nextAfter(record []byte, first int64) (int64, bool) {
	for i := range 2 {
		if e := entryAt(record, i); e.used() && e.extended() {
			return first + bytesAt(uint64(e.start), c.table.SectorSize), true
		}
	}
	return 0, false
}

// record reads the extended boot record at byte at; where it cannot be used the
// chain ends with a finding.
func (c *chain) record(at int64) ([]byte, bool) {
	switch {
	case c.seen[at]:
		c.table.find(tutela.FindingLoop, "the extended boot record at %d is its own successor", at)
		return nil, false
	case len(c.seen) == maxLogical:
		c.table.find(tutela.FindingLimit, "more than %d extended boot records; the rest was left", maxLogical)
		return nil, false
	}
	c.seen[at] = true
	b, err := sectorAt(c.src, at, 512)
	switch {
	case errors.Is(err, io.EOF):
		c.table.find(tutela.FindingTruncated, "an extended boot record should be at %d, the source ends at %d", at, c.src.Size())
	case err != nil:
		c.table.find(tutela.FindingReadError, "the extended boot record at %d: %v", at, err)
	case !signed(b):
		c.table.find(tutela.FindingDamaged, "there is no extended boot record at %d", at)
	default:
		return b, true
	}
	return nil, false
}

// sectorSizeOf decides what the entries count in. An MBR does not say: 512
// unless only 4096 makes partitions begin where something is.
func sectorSizeOf(src evidence.Source, entries []entry) int64 {
	if found(src, entries, 4096) > found(src, entries, 512) {
		return 4096
	}
	return 512
}

// found counts the entries at whose start there is a boot sector or an ext, XFS
// or HFS+ superblock, if they are counted in sectors of the given size.
func found(src evidence.Source, entries []entry, sectorSize int64) int {
	n := 0
	for _, e := range entries {
		b, _ := sectorAt(src, bytesAt(uint64(e.start), sectorSize), 2048)
		if e.start != 0 && len(b) == 2048 && beginsSomething(b) {
			n++
		}
	}
	return n
}

func beginsSomething(b []byte) bool {
	return signed(b) || b[1080] == 0x53 && b[1081] == 0xEF || string(b[:4]) == "XFSB" || string(b[32:36]) == "NXSB" ||
		string(b[1024:1028]) == "H+\x00\x04" || string(b[1024:1028]) == "HX\x00\x05"
}

func mbrType(kind byte) string {
	name, ok := mbrTypes()[kind]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("%02X %s", kind, name)
}

// mbrTypes are the types that disks of the last thirty years have.
func mbrTypes() map[byte]string {
	return map[byte]string{
		0x01: "FAT12", 0x04: "FAT16 under 32 MB", 0x05: "extended", 0x06: "FAT16", 0x07: "NTFS/exFAT",
		0x0B: "FAT32", 0x0C: "FAT32 LBA", 0x0E: "FAT16 LBA", 0x0F: "extended LBA",
		0x11: "hidden FAT12", 0x14: "hidden FAT16 under 32 MB", 0x16: "hidden FAT16", 0x17: "hidden NTFS/exFAT",
		0x1B: "hidden FAT32", 0x1C: "hidden FAT32 LBA", 0x1E: "hidden FAT16 LBA", 0x27: "Windows recovery",
		0x42: "Windows dynamic disk", 0x82: "Linux swap", 0x83: "Linux", 0x85: "Linux extended", 0x8E: "Linux LVM",
		0xA5: "FreeBSD", 0xA6: "OpenBSD", 0xA8: "Apple UFS", 0xA9: "NetBSD", 0xAB: "Apple boot", 0xAF: "Apple HFS/HFS+",
		0xBE: "Solaris boot", 0xBF: "Solaris", 0xDE: "Dell utility", 0xEB: "BeOS", 0xEE: "GPT protective", 0xEF: "EFI system",
		0xFB: "VMware VMFS", 0xFC: "VMware swap", 0xFD: "Linux RAID",
	}
}
