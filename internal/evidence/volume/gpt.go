package volume

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"unicode/utf16"

	"tutela"
	"tutela/internal/evidence"
)

// The GUID Partition Table as UEFI 2.10 section 5.3 has it. Both copies are
// looked for with sectors of 512 and of 4096 bytes, and the copy that most
// checks speak for is used.

// maxEntryBytes bounds the array of entries: 8192 partitions of 128 bytes. The
// tables that exist have 16 KiB.
const maxEntryBytes = 1 << 20

// trust is how much of a copy of the table holds together.
type trust int

const (
	signatureOnly trust = iota + 1 // the header's checksum is wrong
	headerOnly                     // the header is good, the entries' checksum is wrong
	whole
)

// header is one copy of the table.
type header struct {
	sectorSize int64
	at         int64 // bytes
	trust      trust
	problem    string // why trust is not whole

	my, alternate uint64 // sectors
	entriesAt     uint64 // sectors
	count         uint32
	entrySize     uint32
	entriesCRC    uint32
	entries       []byte
}

// readGPT returns nil where neither copy is there.
func readGPT(src evidence.Source) *Table {
	primary := firstOf(headerAt(src, 512, 512), headerAt(src, 4096, 4096))
	backup := findBackup(src, primary)
	use := primary
	if primary == nil || backup != nil && backup.trust > primary.trust {
		use = backup
	}
	if use == nil {
		return nil
	}
	t := use.table()
	judge(src, t, primary, backup)
	return t
}

func firstOf(a, b *header) *header {
	if a == nil || b != nil && b.trust > a.trust {
		return b
	}
	return a
}

// findBackup looks where the primary says the backup is, and in the last sector.
func findBackup(src evidence.Source, primary *header) *header {
	var best *header
	if primary != nil && primary.trust >= headerOnly {
		best = backupAt(src, bytesAt(primary.alternate, primary.sectorSize), primary.sectorSize)
	}
	for _, sectorSize := range []int64{512, 4096} {
		last := src.Size()/sectorSize - 1
		best = firstOf(best, backupAt(src, last*sectorSize, sectorSize))
	}
	return best
}

func backupAt(src evidence.Source, at, sectorSize int64) *header {
	if at == sectorSize {
		return nil // that is the primary itself
	}
	return headerAt(src, at, sectorSize)
}

// headerAt reads the header at byte at; nil if there is none.
func headerAt(src evidence.Source, at, sectorSize int64) *header {
	b, _ := sectorAt(src, at, sectorSize)
	if len(b) < 92 || string(b[:8]) != "EFI PART" {
		return nil
	}
	h := &header{
		sectorSize: sectorSize,
		at:         at,
		my:         binary.LittleEndian.Uint64(b[24:]),
		alternate:  binary.LittleEndian.Uint64(b[32:]),
		entriesAt:  binary.LittleEndian.Uint64(b[72:]),
		count:      binary.LittleEndian.Uint32(b[80:]),
		entrySize:  binary.LittleEndian.Uint32(b[84:]),
		entriesCRC: binary.LittleEndian.Uint32(b[88:]),
	}
	h.check(src, b)
	return h
}

// check sets how far h is to be trusted and reads its entries.
func (h *header) check(src evidence.Source, b []byte) {
	h.trust, h.problem = whole, ""
	if problem := h.readEntries(src); problem != "" {
		h.trust, h.problem = headerOnly, problem
	}
	if problem := h.checkSelf(b); problem != "" {
		h.trust, h.problem = signatureOnly, problem
	}
}

// checkSelf says what is wrong with the header's own sector; "" if nothing is.
func (h *header) checkSelf(b []byte) string {
	size := binary.LittleEndian.Uint32(b[12:])
	if size < 92 || int64(size) > int64(len(b)) {
		return fmt.Sprintf("its header claims %d bytes", size)
	}
	raw := slices.Clone(b[:size])
	clear(raw[16:20]) // the checksum is made with its own field zero
	if crc32.ChecksumIEEE(raw) != binary.LittleEndian.Uint32(b[16:]) {
		return "the checksum of its header is wrong"
	}
	if bytesAt(h.my, h.sectorSize) != h.at {
		return fmt.Sprintf("its header says it is in sector %d and is in %d", h.my, h.at/h.sectorSize)
	}
	return ""
}

// readEntries reads the array of entries and says what is wrong with it.
func (h *header) readEntries(src evidence.Source) string {
	if h.entrySize < 128 || h.entrySize%8 != 0 {
		return fmt.Sprintf("its entries claim %d bytes each", h.entrySize)
	}
	length := int64(h.count) * int64(h.entrySize)
	if length > maxEntryBytes {
		return fmt.Sprintf("it claims %d entries of %d bytes", h.count, h.entrySize)
	}
	var err error
	h.entries, err = sectorAt(src, bytesAt(h.entriesAt, h.sectorSize), length)
	if int64(len(h.entries)) < length {
		return fmt.Sprintf("its entries cannot be read: %v", err)
	}
	if crc32.ChecksumIEEE(h.entries) != h.entriesCRC {
		return "the checksum of its entries is wrong"
	}
	return ""
}

// judge writes down what was wrong with either copy.
func judge(src evidence.Source, t *Table, primary, backup *header) {
	used := primary
	if primary == nil || backup != nil && backup.trust > primary.trust {
		used = backup
		t.find(tutela.FindingBackupTable, "the backup at %d was used: %s", backup.at, problemOf(primary))
	}
	if used.trust < whole {
		t.find(tutela.FindingDamaged, "no copy of the table is whole; in the one at %d %s", used.at, used.problem)
		return
	}
	if used == primary {
		judgeBackup(src, t, primary, backup)
	}
}

func problemOf(primary *header) string {
	if primary == nil {
		return "there is no primary table"
	}
	return "of the primary table " + primary.problem
}

// judgeBackup says what is wrong with the spare copy of a table whose first
// copy is good: often the first sign that an image was cut short.
func judgeBackup(src evidence.Source, t *Table, primary, backup *header) {
	at := bytesAt(primary.alternate, primary.sectorSize)
	switch {
	case backup == nil && at >= src.Size():
		t.find(tutela.FindingTruncated, "the backup table should be at %d, the source ends at %d", at, src.Size())
	case backup == nil:
		t.find(tutela.FindingDamaged, "there is no backup table at %d", at)
	case backup.trust < whole:
		t.find(tutela.FindingDamaged, "of the backup table at %d %s", backup.at, backup.problem)
	case backup.entriesCRC != primary.entriesCRC:
		t.find(tutela.FindingDamaged, "the backup table at %d lists other partitions than the primary", backup.at)
	}
}

// table lists the used entries of h.
func (h *header) table() *Table {
	t := &Table{Scheme: GPT, SectorSize: h.sectorSize}
	if h.entrySize < 128 {
		return t
	}
	for i, number := 0, 1; i+int(h.entrySize) <= len(h.entries); i, number = i+int(h.entrySize), number+1 {
		if raw := h.entries[i : i+128]; [16]byte(raw) != ([16]byte{}) {
			t.Partitions = append(t.Partitions, h.partition(number, raw))
		}
	}
	return t
}

func (h *header) partition(number int, raw []byte) Partition {
	first, last := binary.LittleEndian.Uint64(raw[32:]), binary.LittleEndian.Uint64(raw[40:])
	p := Partition{Number: number, Start: bytesAt(first, h.sectorSize), Type: gptType(raw), Name: gptName(raw[56:128])}
	if last < first {
		p.find(tutela.FindingDamaged, "it ends in sector %d, before it begins in %d", last, first)
		return p
	}
	p.Length = max(bytesAt(last-first, h.sectorSize), bytesAt(last-first+1, h.sectorSize)) // the sum may be 2^64
	return p
}

// gptName decodes up to 36 UTF-16 units; unpaired surrogates become U+FFFD.
func gptName(raw []byte) string {
	var units []uint16
	for i := 0; i+1 < len(raw); i += 2 {
		u := binary.LittleEndian.Uint16(raw[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// gptType writes a GUID in its mixed byte order, followed by what it is known as.
func gptType(b []byte) string {
	guid := fmt.Sprintf("%08X-%04X-%04X-%X-%X", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
	return strings.TrimSpace(guid + " " + gptTypes()[guid])
}

func gptTypes() map[string]string {
	return map[string]string{
		"C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "EFI system",
		"21686148-6449-6E6F-744E-656564454649": "BIOS boot",
		"024DEE41-33E7-11D3-9D69-0008C781F39F": "MBR partition scheme",
		"E3C9E316-0B5C-4DB8-817D-F92DF00215AE": "Microsoft reserved",
		"EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Microsoft basic data",
		"5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": "Windows dynamic disk metadata",
		"AF9B60A0-1431-4F62-BC68-3311714A69AD": "Windows dynamic disk data",
		"DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": "Windows recovery",
		"E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": "Windows storage spaces",
		"0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux",
		"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
		"E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
		"A19D880F-05FC-4D3B-A006-743F0F84911E": "Linux RAID",
		"933AC7E1-2EB4-4F13-B844-0E14E2AEF915": "Linux home",
		"4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root x86-64",
		"CA7D7CCB-63ED-4C53-861C-1742536059CC": "Linux LUKS",
		"BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux extended boot",
		"48465300-0000-11AA-AA11-00306543ECAC": "Apple HFS+",
		"7C3457EF-0000-11AA-AA11-00306543ECAC": "Apple APFS",
		"53746F72-6167-11AA-AA11-00306543ECAC": "Apple CoreStorage",
		"426F6F74-0000-11AA-AA11-00306543ECAC": "Apple boot",
		"52414944-0000-11AA-AA11-00306543ECAC": "Apple RAID",
		"69646961-6700-11AA-AA11-00306543ECAC": "Apple APFS recovery",
		"516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD data",
		"516E7CB6-6ECF-11D6-8FF8-00022D09712B": "FreeBSD UFS",
		"516E7CBA-6ECF-11D6-8FF8-00022D09712B": "FreeBSD ZFS",
		"6A898CC3-1DD2-11B2-99A6-080020736631": "ZFS",
		"FE3A2A5D-4F32-41A7-B725-ACCC3285A309": "ChromeOS kernel",
		"3CB8E202-3B7E-47DD-8A3C-7FF2A13CFCEC": "ChromeOS root",
	}
}
