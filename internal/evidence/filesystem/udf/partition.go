package udf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
	"tutela/internal/evidence"
)

// An address is a block of a partition map. Besides the plain one there are
// three kinds that lead elsewhere: over a table of single blocks (virtual, UDF
// 2.2.8), over a table of exchanged packets (sparable, UDF 2.2.9) and into a file
// (metadata, UDF 2.2.10).

// partition turns blocks into places.
type partition interface {
	// place is where a block lies, in bytes of the volume or [evidence.Hole],
	// and how many blocks from it on lie behind it.
	place(block uint32) (at int64, blocks int64, err error)
}

// physical is a partition descriptor (ECMA 3/10.5), in sectors.
type physical struct {
	number           uint32 // sequence number, plus one
	start, blocks    int64
	unallocatedTable extentAD // of this partition, as are the others
	unallocated      extentAD
	freedTable       extentAD
	freed            extentAD
	blockBytes       int64
}

func (p *physical) place(block uint32) (int64, int64, error) {
	if int64(block) >= p.blocks {
		return 0, 0, fmt.Errorf("block %d of a partition of %d", block, p.blocks)
	}
	return (p.start + int64(block)) * p.blockBytes, p.blocks - int64(block), nil
}

// broken is a partition that cannot be read.
type broken struct{ err error }

func (p broken) place(uint32) (int64, int64, error) { return 0, 0, p.err }

// openPartitions goes through the partition maps of the logical volume.
func (fs *FileSystem) openPartitions(v *volume) error {
	if len(v.maps) == 0 {
		return errors.New("no partition map")
	}
	seen := map[*physical]bool{}
	fs.partitions = make([]partition, len(v.maps))
	lookup := map[uint16]*physical{}
	for id, p := range v.parts {
		p.blockBytes = fs.blockBytes
		lookup[id] = &p
	}
	// Those that lead elsewhere need the plain ones first.
	for _, plain := range []bool{true, false} {
		for n, m := range v.maps {
			if (m[0] == 1) != plain {
				continue
			}
			p, under := fs.openPartition(m, lookup)
			fs.partitions[n] = p
			if b, bad := p.(broken); bad {
				v.find(codeOf(b.err), fmt.Sprintf("partition map %d: %v", n, b.err))
			}
			if under != nil && !seen[under] {
				seen[under] = true
				fs.addSpaces(under)
			}
		}
	}
	fs.checkSize(v, seen)
	return nil
}

// checkSize says where a partition ends behind the image, and where the volume
// was not closed. A disc with a virtual partition is smaller than its partition,
// and open, until nothing more will be written.
func (fs *FileSystem) checkSize(v *volume, plain map[*physical]bool) {
	for _, p := range fs.partitions {
		if _, ok := p.(*virtual); ok {
			return
		}
	}
	var end int64
	for p := range plain {
		end = max(end, (p.start+p.blocks)*fs.blockBytes)
	}
	if end > fs.src.Size() {
		v.find(tutela.FindingTruncated, fmt.Sprintf("the volume has %d bytes, only %d are here", end, fs.src.Size()))
	}
	v.checkIntegrity(fs.src, fs.blockBytes)
}

func (fs *FileSystem) openPartition(m []byte, parts map[uint16]*physical) (partition, *physical) {
	le := binary.LittleEndian
	at := 4
	kind := ""
	if m[0] != 1 {
		if m[0] != 2 || len(m) < 64 {
			return broken{fmt.Errorf("partition map of type %d not read: %w", m[0], evidence.ErrUnsupported)}, nil
		}
		at = 38
		kind = string(bytes.TrimRight(m[5:28], "\x00"))
	}
	under := parts[le.Uint16(m[at:])]
	if under == nil {
		return broken{fmt.Errorf("no partition %d", le.Uint16(m[at:]))}, nil
	}
	var p partition
	var err error
	switch kind {
	case "":
		p = under
	case "*UDF Virtual Partition":
		p, err = fs.openVirtual(under)
	case "*UDF Sparable Partition":
		p, err = fs.openSparable(under, m)
	case "*UDF Metadata Partition":
		p, err = fs.openMetadata(under, m)
	default:
		err = fmt.Errorf("partition map %q not read: %w", kind, evidence.ErrUnsupported)
	}
	if err != nil {
		return broken{err}, under
	}
	return p, under
}

// virtual looks single blocks up in a table that the disc's last block leads to.
type virtual struct {
	under *physical
	table []uint32
}

const noBlock = math.MaxUint32

func (p *virtual) place(block uint32) (int64, int64, error) {
	if int64(block) >= int64(len(p.table)) || p.table[block] == noBlock {
		return 0, 0, fmt.Errorf("virtual block %d is in no table of %d", block, len(p.table))
	}
	at, _, err := p.under.place(p.table[block])
	return at, 1, err
}

const (
	vatSearch   = 512 // blocks before the end of the disc
	maxTable    = 64 << 20
	typeVAT     = 248
	vatTrailer  = 36 // of revision 1.50: behind the table
	vatName     = "*UDF Virtual Alloc Tbl"
	vatMinHead  = 152 // of revision 2.00: before the table
	maxSparable = 1 << 16
)

// openVirtual finds the table: its file entry is the last thing written.
func (fs *FileSystem) openVirtual(under *physical) (partition, error) {
	last := min(fs.src.Size()/fs.blockBytes, under.start+max(under.blocks, 0))
	for _, end := range []int64{fs.src.Size() / fs.blockBytes, last} {
		for at := end - 1; at >= max(under.start, end-vatSearch); at-- {
			b := make([]byte, fs.blockBytes)
			if readFull(fs.src, b, at*fs.blockBytes) != nil {
				continue
			}
			under.blocks = max(under.blocks, at-under.start+1) // the disc grew since the descriptor was written
			f, err := fs.parseFile(b, longAD{})
			if err != nil || int64(f.tag.location) != at-under.start || f.kind != typeVAT && f.kind != 0 {
				continue
			}
			if table, ok := fs.readVAT(under, f); ok {
				return &virtual{under, table}, nil
			}
		}
	}
	return nil, errors.New("no virtual allocation table at the end of the disc")
}

func (fs *FileSystem) readVAT(under *physical, f *file) ([]uint32, bool) {
	if f.size < 4 || f.size > maxTable {
		return nil, false
	}
	x, err := fs.contentOn(f, under)
	if err != nil {
		return nil, false
	}
	b := make([]byte, f.size)
	if n, err := x.ReadAt(b, 0); n < len(b) && err != nil {
		return nil, false
	}
	switch {
	case f.kind == 0: // UDF 1.50, 2.2.10
		if len(b) < vatTrailer || !bytes.HasPrefix(b[len(b)-vatTrailer+1:], []byte(vatName)) {
			return nil, false
		}
		b = b[:len(b)-vatTrailer]
	default: // UDF 2.2.11
		head := int(binary.LittleEndian.Uint16(b))
		if head < vatMinHead || head > len(b) {
			return nil, false
		}
		b = b[head:]
	}
	table := make([]uint32, len(b)/4)
	for i := range table {
		table[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return table, true
}

// sparable exchanges whole packets of blocks.
type sparable struct {
	under  *physical
	packet uint32            // blocks
	moved  map[uint32]uint32 // first block of a packet: sector of the disc
}

func (p *sparable) place(block uint32) (int64, int64, error) {
	at, _, err := p.under.place(block)
	if err != nil {
		return 0, 0, err
	}
	within := block % p.packet
	rest := int64(p.packet - within)
	if to, ok := p.moved[block-within]; ok {
		return (int64(to) + int64(within)) * p.under.blockBytes, rest, nil
	}
	return at, rest, nil
}

// openSparable reads the first table that is good (UDF 2.2.12).
func (fs *FileSystem) openSparable(under *physical, m []byte) (partition, error) {
	le := binary.LittleEndian
	p := &sparable{under: under, packet: uint32(le.Uint16(m[40:])), moved: map[uint32]uint32{}}
	if p.packet == 0 {
		return nil, errors.New("packets of no blocks")
	}
	for i := range min(int(m[42]), 4) {
		b := make([]byte, min(int64(le.Uint32(m[44:])), 56+8*maxSparable))
		if len(b) < 56 || readFull(fs.src, b, int64(le.Uint32(m[48+4*i:]))*fs.blockBytes) != nil {
			continue
		}
		if t, err := readTag(b); err != nil || !t.covers(b) || !bytes.HasPrefix(b[17:], []byte("*UDF Sparing Table")) {
			continue
		}
		rows := b[56:]
		for n := int(le.Uint16(b[48:])); n > 0 && len(rows) >= 8; n, rows = n-1, rows[8:] {
			if from := le.Uint32(rows); from < 0xfffffff0 {
				p.moved[from] = le.Uint32(rows[4:])
			}
		}
		return p, nil
	}
	return nil, errors.New("no sparing table can be read")
}

// inFile is a partition that lies in a file.
type inFile struct {
	content    *mapping
	blockBytes int64
}

func (p *inFile) place(block uint32) (int64, int64, error) {
	at, length := p.content.place(int64(block) * p.blockBytes)
	if length < p.blockBytes {
		return 0, 0, fmt.Errorf("block %d is not in the metadata file", block)
	}
	return at, length / p.blockBytes, nil
}

// openMetadata reads the metadata file, or its mirror (UDF 2.2.13).
func (fs *FileSystem) openMetadata(under *physical, m []byte) (partition, error) {
	under2 := partition(under)
	for _, other := range fs.partitions { // a sparable one of the same blocks
		if s, ok := other.(*sparable); ok && s.under == under {
			under2 = s
		}
	}
	var failures []error
	for n := range 2 {
		block := binary.LittleEndian.Uint32(m[40+4*n:])
		p, err := fs.metadataFile(under2, block)
		if err != nil {
			failures = append(failures, fmt.Errorf("metadata file in block %d: %w", block, err))
			continue
		}
		if n > 0 {
			fs.find(tutela.FindingBackupTable, "the metadata file is bad: its mirror was used")
		}
		return p, nil
	}
	return nil, errors.Join(failures...)
}

func (fs *FileSystem) metadataFile(under partition, block uint32) (partition, error) {
	b, err := fs.blockOf(under, block)
	if err != nil {
		return nil, err
	}
	f, err := fs.parseFile(b, longAD{block: block})
	if err != nil {
		return nil, err
	}
	if f.badSum {
		return nil, errors.New("the checksum is wrong")
	}
	mapped, err := fs.mapOn(f, under)
	if err != nil {
		return nil, err
	}
	return &inFile{mapped, fs.blockBytes}, nil
}

// block reads a block of a partition map.
func (fs *FileSystem) block(number uint16, block uint32) ([]byte, error) {
	if int(number) >= len(fs.partitions) || fs.partitions[number] == nil {
		return nil, fmt.Errorf("no partition map %d", number)
	}
	return fs.blockOf(fs.partitions[number], block)
}

func (fs *FileSystem) blockOf(p partition, block uint32) ([]byte, error) {
	at, _, err := p.place(block)
	if err != nil {
		return nil, err
	}
	b := make([]byte, fs.blockBytes)
	if at == evidence.Hole {
		return nil, fmt.Errorf("block %d is not recorded: %w", block, io.ErrUnexpectedEOF)
	}
	return b, readFull(fs.src, b, at)
}
