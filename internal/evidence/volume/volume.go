// Package volume finds the partitions of a disk: MBR with extended partitions and
// GPT, on media with sectors of 512 and of 4096 bytes, and the Apple Partition
// Map with blocks of 512 to 4096 bytes.
//
// Start with [Read]. It returns a [Table] even when the table is broken: what
// can still be trusted is listed and what was wrong is a finding, on the
// partition it concerns or on the table.
//
// Promised: every partition lies inside the source, every byte that no
// partition claims lies in exactly one gap, and no bytes, however hostile, make
// Read loop, panic or allocate more than a few megabytes. Numbers are those an
// operating system shows (sda5 is number 5), so a broken entry does not shift
// the others. Where a disk has two tables, an MBR goes before an Apple map, and
// a GPT that the MBR announces before both; the other one is told in a finding.
// Not promised: that a partition holds what its type says.
package volume

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// The schemes a Table can have.
const (
	MBR = "mbr"
	GPT = "gpt"
	APM = "apm"
)

// Table is how a disk is divided.
type Table struct {
	Scheme     string // MBR, GPT, APM or "" where there is no table
	SectorSize int64  // bytes: 512 or 4096, of an APM also 1024 or 2048; 0 without a table
	Partitions []Partition

	// Gaps are the stretches that no partition claims, in order. The sectors
	// of the tables themselves are in them too: partitions and gaps together
	// cover the whole source, so nothing is left unread. Without a table
	// there are none.
	Gaps     []tutela.Run
	Findings []tutela.Finding
}

// Partition is one volume of a disk.
type Partition struct {
	Number   int    // as operating systems count: MBR slots 1-4, logical from 5 on; GPT and APM entries from 1 on
	Start    int64  // bytes from the beginning of the source
	Length   int64  // bytes inside the source; 0 if it lies beyond the end
	Type     string // "07 NTFS/exFAT", a GUID and what it is known as, or "Apple_HFS"
	Name     string // GPT and APM only, for people
	Findings []tutela.Finding
}

func (p *Partition) find(code, format string, args ...any) {
	p.Findings = append(p.Findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (t *Table) find(code, format string, args ...any) {
	t.Findings = append(t.Findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// Read finds the partition table of src. A source without one (a bare file
// system, an empty disk) gives a Table with Scheme "". The error is that of the
// read where the first sector cannot be read and no GPT is found either.
func Read(src evidence.Source) (*Table, error) {
	boot, err := sectorAt(src, 0, 512)
	if err != nil && !errors.Is(err, io.EOF) {
		return withoutBoot(src, err)
	}
	if len(boot) < 512 || isBootSector(boot, src.Size()) {
		return &Table{}, nil
	}
	entries, isMBR := bootEntries(boot)
	apple := findAPM(src)
	switch {
	case isMBR && !protective(entries):
		t := readMBR(src, entries)
		mentionGPT(src, t, "the mbr")
		apple.mention(src, t)
		return finish(src, t), nil
	case apple != nil && !isMBR:
		t := apple.table(src)
		mentionGPT(src, t, "the apple partition map")
		return finish(src, t), nil
	}
	return readAnnounced(src, entries, apple), nil
}

// mentionGPT says so if a whole GPT is there that the table in use, called used,
// knows nothing of.
func mentionGPT(src evidence.Source, t *Table, used string) {
	if h := firstOf(headerAt(src, 512, 512), headerAt(src, 4096, 4096)); h != nil && h.trust == whole {
		t.find(tutela.FindingDamaged, "a whole gpt is at %d too; %s does not announce it and it was not used", h.at, used)
	}
}

// readAnnounced looks for the GPT that the entries of a protective MBR announce,
// or that is there without one.
func readAnnounced(src evidence.Source, entries []entry, apple *appleMap) *Table {
	if t := readGPT(src); t != nil {
		if entries == nil {
			t.find(tutela.FindingDamaged, "there is no protective mbr")
		}
		apple.mention(src, t)
		return finish(src, t)
	}
	if entries == nil {
		return &Table{}
	}
	t := readMBR(src, entries)
	if apple != nil {
		t = apple.table(src)
	}
	t.find(tutela.FindingDamaged, "the mbr announces a gpt and neither of its copies is there")
	return finish(src, t)
}

// withoutBoot looks for a GPT, then for a map, on a disk whose first sector cannot be
// read.
func withoutBoot(src evidence.Source, cause error) (*Table, error) {
	t := readGPT(src)
	if apple := findAPM(src); t == nil && apple != nil {
		t = apple.table(src)
	}
	if t == nil {
		return nil, fmt.Errorf("read partition table: %w", cause)
	}
	t.find(tutela.FindingReadError, "the first sector: %v", cause)
	return finish(src, t), nil
}

// finish fits the partitions into the source and works out what is between them.
func finish(src evidence.Source, t *Table) *Table {
	for i := range t.Partitions {
		t.Partitions[i].clamp(src.Size())
	}
	findOverlaps(t.Partitions)
	t.Gaps = gaps(t.Partitions, src.Size())
	return t
}

// clamp keeps the part of p that the source holds.
func (p *Partition) clamp(size int64) {
	if p.Start <= size && p.Length <= size-p.Start {
		return
	}
	p.find(tutela.FindingTruncated, "claims %d bytes at %d, the source ends at %d", p.Length, p.Start, size)
	p.Start = min(p.Start, size)
	p.Length = min(p.Length, size-p.Start)
}

// findOverlaps marks each partition that begins inside another.
func findOverlaps(partitions []Partition) {
	order := byStart(partitions)
	for i, reach := 1, 0; i < len(order); i++ {
		p, before := order[i], order[reach]
		if p.Length > 0 && p.Start < before.Start+before.Length {
			p.find(tutela.FindingDamaged, "overlaps partition %d", before.Number)
		}
		if p.Start+p.Length > before.Start+before.Length {
			reach = i
		}
	}
}

func byStart(partitions []Partition) []*Partition {
	order := make([]*Partition, len(partitions))
	for i := range partitions {
		order[i] = &partitions[i]
	}
	slices.SortStableFunc(order, func(a, b *Partition) int {
		return int(min(max(a.Start-b.Start, -1), 1))
	})
	return order
}

func gaps(partitions []Partition, size int64) []tutela.Run {
	var gaps []tutela.Run
	end := int64(0)
	for _, p := range byStart(partitions) {
		if p.Length == 0 {
			continue
		}
		if p.Start > end {
			gaps = append(gaps, tutela.Run{Offset: end, Length: p.Start - end})
		}
		end = max(end, p.Start+p.Length)
	}
	if end < size {
		gaps = append(gaps, tutela.Run{Offset: end, Length: size - end})
	}
	return gaps
}

// sectorAt reads n bytes at off. At the end of the source it returns fewer and io.EOF.
func sectorAt(src evidence.Source, off, n int64) ([]byte, error) {
	if off < 0 || off >= src.Size() {
		return nil, io.EOF
	}
	b := make([]byte, min(n, src.Size()-off))
	m, err := src.ReadAt(b, off)
	if m == len(b) {
		err = nil
		if int64(m) < n {
			err = io.EOF
		}
	}
	return b[:m], err
}

// bytesAt turns a count of sectors into bytes; counts that no disk can have
// become the largest offset, which lies beyond every source.
func bytesAt(sectors uint64, sectorSize int64) int64 {
	const beyond = 1<<63 - 1
	if sectors > uint64(beyond/sectorSize) {
		return beyond
	}
	return int64(sectors) * sectorSize
}
