package volume

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// The Apple Partition Map as Inside Macintosh: Devices, chapter 3, has it: a
// driver descriptor in block 0, and from block 1 on a map whose every entry fills
// a block and says how many entries there are. All numbers are big-endian.

// maxMap bounds the entries of a map. The tools that make them leave room for 63.
const maxMap = 1024

// mapEntry is one entry of the map.
type mapEntry struct {
	count         int64  // of entries in the map
	start, length uint32 // blocks
	name, kind    string
}

// appleMap is a map that was found.
type appleMap struct {
	blockSize int64 // bytes
	count     int64 // of entries
	described bool  // by a driver descriptor
	stated    int64 // block size, by that
}

// findAPM looks for a map; nil if there is none. The block size is what the
// driver descriptor says, if the map's own entry is found at it, and else where
// that entry is: hybrid discs say 2048 and count in 512.
func findAPM(src evidence.Source) *appleMap {
	m := &appleMap{}
	if b, _ := sectorAt(src, 0, 512); len(b) == 512 && string(b[:2]) == "ER" {
		m.described, m.stated = true, int64(binary.BigEndian.Uint16(b[2:]))
	}
	for _, size := range append([]int64{m.stated}, appleBlocks...) {
		e, ok, _ := mapEntryAt(src, size)
		if ok && e.count > 0 && e.kind == "Apple_partition_map" && slices.Contains(appleBlocks, size) {
			return m.found(size, e)
		}
	}
	return m.withoutFirst(src)
}

// appleBlocks are the sizes that blocks of a map can have.
var appleBlocks = []int64{512, 1024, 2048, 4096}

// withoutFirst looks for a map that has lost its first entries, which the driver
// descriptor alone leads to.
func (m *appleMap) withoutFirst(src evidence.Source) *appleMap {
	if !slices.Contains(appleBlocks, m.stated) {
		return nil
	}
	for number := range int64(4) {
		e, ok, _ := mapEntryAt(src, (number+1)*m.stated)
		if ok && e.count > number {
			return m.found(m.stated, e)
		}
	}
	return nil
}

func (m *appleMap) found(size int64, e mapEntry) *appleMap {
	m.blockSize, m.count = size, e.count
	return m
}

// mapEntryAt reads the entry at byte at; ok is false where there is none.
func mapEntryAt(src evidence.Source, at int64) (e mapEntry, ok bool, err error) {
	b, err := sectorAt(src, at, 512)
	if len(b) < 512 || string(b[:2]) != "PM" {
		return e, false, err
	}
	return mapEntry{
		count:  int64(binary.BigEndian.Uint32(b[4:])),
		start:  binary.BigEndian.Uint32(b[8:]),
		length: binary.BigEndian.Uint32(b[12:]),
		name:   appleText(b[16:48]),
		kind:   appleText(b[48:80]),
	}, true, nil
}

// appleText is text up to its first zero. What is not ASCII becomes U+FFFD: it is
// Mac OS Roman or another script, and nothing says which.
func appleText(raw []byte) string {
	raw, _, _ = bytes.Cut(raw, []byte{0})
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '\uFFFD'
		}
		return r
	}, string(raw))
}

// table lists the entries under the numbers that macOS gives them: disk0s1 is
// the map itself. The map and what is called free are boxes for nothing: they
// are not listed, and their blocks are gap.
func (m *appleMap) table(src evidence.Source) *Table {
	t := &Table{Scheme: APM, SectorSize: m.blockSize}
	if !m.described {
		t.find(tutela.FindingDamaged, "there is no driver descriptor before the map")
	} else if m.stated != m.blockSize {
		t.find(tutela.FindingDamaged, "the driver descriptor tells blocks of %d bytes, the map has %d", m.stated, m.blockSize)
	}
	count := m.count
	if count > maxMap {
		t.find(tutela.FindingLimit, "the map claims %d entries; those after %d were left", count, maxMap)
		count = maxMap
	}
	for number := int64(1); number <= count && t.addApple(src, number, number*m.blockSize); number++ {
	}
	return t
}

// addApple lists entry number, which lies at byte at; it is false where the map
// cannot go on.
func (t *Table) addApple(src evidence.Source, number, at int64) bool {
	if at >= src.Size() {
		t.find(tutela.FindingTruncated, "entry %d of the map should be at %d, the source ends at %d", number, at, src.Size())
		return false
	}
	e, ok, err := mapEntryAt(src, at)
	switch {
	case ok:
	case err != nil:
		t.find(tutela.FindingReadError, "entry %d of the map: %v", number, err)
		return len(t.Findings) < mostFindings
	default:
		t.find(tutela.FindingDamaged, "entry %d of the map is not there", number)
		return len(t.Findings) < mostFindings
	}
	if e.length == 0 || e.kind == "Apple_partition_map" || e.kind == "Apple_Free" || e.kind == "Apple_Void" {
		return true
	}
	t.Partitions = append(t.Partitions, Partition{
		Number: int(number),
		Start:  bytesAt(uint64(e.start), t.SectorSize),
		Length: bytesAt(uint64(e.length), t.SectorSize),
		Type:   e.kind,
		Name:   e.name,
	})
	return true
}

// mostFindings ends a map that claims many entries and has few.
const mostFindings = 16

// mention says that the disk has a map which was not used, and what it lists:
// discs that start on every machine have two tables.
func (m *appleMap) mention(src evidence.Source, t *Table) {
	if m == nil {
		return
	}
	var all []string
	for _, p := range m.table(src).Partitions {
		all = append(all, fmt.Sprintf("%d %s @ %d+%d", p.Number, p.Type, p.Start, p.Length))
		if len(all) == mostFindings {
			break
		}
	}
	t.find(tutela.FindingDamaged, "an apple partition map is at %d too and was not used: %s", m.blockSize, strings.Join(all, ", "))
}
