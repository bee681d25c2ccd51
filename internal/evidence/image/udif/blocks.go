package udif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Types of blocks (MODI, "Block table entry").
const (
	blockZero       = 0
	blockRaw        = 1
	blockIgnored    = 2
	blockADC        = 0x80000004
	blockZlib       = 0x80000005
	blockBzip2      = 0x80000006
	blockLZFSE      = 0x80000007
	blockLZMA       = 0x80000008
	blockComment    = 0x7ffffffe
	blockTerminator = 0xffffffff
)

const (
	tableHeader = 204
	tableEntry  = 40
	// maxBlock bounds a compressed block, in bytes of the disk. Apple's tools
	// make them of 256 KB to 1 MB.
	maxBlock = 32 << 20
)

// block is a stretch of the disk.
type block struct {
	start, length int64 // of the disk, in bytes
	at            int64 // in the file
	stored        int64 // bytes there
	kind          uint32
}

func (b block) compressed() bool { return b.kind&0x80000000 != 0 }

// partition is what a block table describes, with the checksum it carries.
type partition struct {
	summed    []tutela.Run // of the disk, in bytes: all blocks but ignored ones
	kind, sum uint32
}

// add takes a block into the checksum.
func (p *partition) add(b block) {
	if b.kind == blockIgnored {
		return
	}
	if last := len(p.summed) - 1; last >= 0 && p.summed[last].Offset+p.summed[last].Length == b.start {
		p.summed[last].Length += b.length
		return
	}
	p.summed = append(p.summed, tutela.Run{Offset: b.start, Length: b.length})
}

// blocks is the map of an image.
type blocks struct {
	src    evidence.Source
	all    []block // by start, not overlapping
	chunks virtual.Chunks
}

// add takes the blocks of all tables.
func (m *blocks) add(t trailer, tables [][]byte) (partitions []partition, err error) {
	for i, b := range tables {
		p, err := m.addTable(t, b)
		if err != nil {
			return nil, fmt.Errorf("udif: block table %d: %w", i, err)
		}
		partitions = append(partitions, p)
	}
	slices.SortStableFunc(m.all, func(a, b block) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	longest := int64(1)
	for i, b := range m.all {
		if i > 0 && b.start < m.all[i-1].start+m.all[i-1].length {
			return nil, fmt.Errorf("udif: two blocks hold the byte %d of the disk", b.start)
		}
		if b.compressed() {
			longest = max(longest, b.length)
		}
	}
	m.chunks = virtual.NewChunks(longest)
	return partitions, nil
}

// addTable takes the blocks of a table (MODI, "Block table").
func (m *blocks) addTable(t trailer, b []byte) (p partition, err error) {
	if len(b) < tableHeader || string(b[:4]) != "mish" {
		return p, errors.New("no table")
	}
	be := binary.BigEndian
	first, data := be.Uint64(b[8:]), int64(be.Uint64(b[24:]))
	count := int(be.Uint32(b[200:]))
	if first > 1<<52 || data < 0 || data > 1<<62-t.dataOffset() || count > (len(b)-tableHeader)/tableEntry {
		return p, errors.New("it does not hold together")
	}
	p = partition{kind: be.Uint32(b[64:]), sum: be.Uint32(b[72:])}
	for i := range count {
		e := b[tableHeader+tableEntry*i:][:tableEntry]
		kind, start, length := be.Uint32(e), be.Uint64(e[8:]), be.Uint64(e[16:])
		if kind == blockTerminator || kind == blockComment || length == 0 {
			continue
		}
		if start > 1<<52 || length > 1<<52 {
			return p, fmt.Errorf("%d sectors at %d", length, start)
		}
		one := block{
			start: int64(first+start) * sector, length: int64(length) * sector, kind: kind,
			at: int64(be.Uint64(e[24:])), stored: int64(be.Uint64(e[32:])),
		}
		if one.at >= 0 && one.at < 1<<62 {
			one.at += t.dataOffset() + data
		}
		p.add(one)
		m.all = append(m.all, one)
	}
	return p, nil
}

// end is where the last block ends.
func (m *blocks) end() int64 {
	if len(m.all) == 0 {
		return 0
	}
	last := m.all[len(m.all)-1]
	return last.start + last.length
}

func (m *blocks) Piece(off int64) (virtual.Piece, error) {
	i := sort.Search(len(m.all), func(i int) bool { return off < m.all[i].start+m.all[i].length })
	if i == len(m.all) {
		return virtual.Piece{Length: 1 << 62}, errors.New("no block holds these bytes")
	}
	b := m.all[i]
	if off < b.start {
		return virtual.Piece{Length: b.start - off}, errors.New("no block holds these bytes")
	}
	within := off - b.start
	rest := virtual.Piece{Length: b.length - within}
	switch {
	case b.kind == blockZero || b.kind == blockIgnored:
		return rest, nil
	case b.kind == blockRaw:
		return m.raw(b, within)
	case b.length > maxBlock:
		return rest, fmt.Errorf("a compressed block of %d bytes not read: %w", b.length, evidence.ErrUnsupported)
	}
	chunk, err := m.chunks.Get(int64(i), func() ([]byte, error) { return m.unpack(b) })
	if err != nil {
		return rest, fmt.Errorf("block at %d: %w", b.at, err)
	}
	rest.Source, rest.Offset = chunk, within
	return rest, nil
}

// raw is a stretch of a block that is stored as it is.
func (m *blocks) raw(b block, within int64) (virtual.Piece, error) {
	if within >= b.stored || b.at < 0 {
		return virtual.Piece{Length: b.length - within}, fmt.Errorf("%d bytes are stored of a block of %d", b.stored, b.length)
	}
	return virtual.Piece{Length: min(b.length, b.stored) - within, Source: m.src, Offset: b.at + within}, nil
}
