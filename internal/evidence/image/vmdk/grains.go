package vmdk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const (
	magicSparse   = "KDMV"
	magicCOWD     = "COWD"
	magicSeSparse = "\xbe\xba\xfe\xca\x00\x00\x00\x00"
)

// Flags of a sparse extent (VMDK, "Hosted Sparse Extents").
const (
	flagRedundant  = 1 << 1
	flagZeroGrains = 1 << 2
	flagCompressed = 1 << 16
)

const (
	atFooter  = math.MaxUint64 // the place of the grain directory is told at the end
	zeroGrain = 1              // entry of a grain of zeros, with flagZeroGrains
	// maxGrain bounds a grain, in bytes. VMware writes 64 KiB.
	maxGrain = 16 << 20
)

// header is what a sparse extent says of itself, lengths in bytes.
type header struct {
	version                            uint32
	flags                              uint32
	size, grain                        int64
	descriptorOffset, descriptorLength int64
	perTable                           int64 // entries of a grain table
	directory, redundant               int64 // offsets; of the second 0 if there is none
	directoryEntries                   int64
	footer                             bool // the directory is told at the end
}

// readHeader reads the header of a hosted sparse extent, and the footer where
// that is what counts (VMDK, "Stream-Optimized Compressed Sparse Extents").
func readHeader(src evidence.Source) (header, error) {
	h, err := parseHeader(src, 0)
	if err != nil || !h.footer {
		return h, err
	}
	f, err := parseHeader(src, src.Size()-2*sector)
	if err != nil {
		return h, fmt.Errorf("footer: %w", err)
	}
	if f.footer {
		return h, errors.New("vmdk: the footer does not say where the grain directory is")
	}
	f.descriptorOffset, f.descriptorLength = h.descriptorOffset, h.descriptorLength
	return f, nil
}

func parseHeader(src evidence.Source, at int64) (header, error) {
	b, err := virtual.Read(src, at, sector)
	if err != nil {
		return header{}, fmt.Errorf("vmdk: header: %w", err)
	}
	if string(b[:4]) != magicSparse {
		return header{}, errors.New("vmdk: no header where one must be")
	}
	le := binary.LittleEndian
	h := header{version: le.Uint32(b[4:]), flags: le.Uint32(b[8:]), perTable: int64(le.Uint32(b[44:]))}
	var bad bool
	long := func(at int) int64 {
		n := le.Uint64(b[at:])
		bad = bad || n > math.MaxInt64/4/sector
		return int64(n) * sector
	}
	h.size, h.grain = long(12), long(20)
	h.descriptorOffset, h.descriptorLength = long(28), long(36)
	if h.footer = le.Uint64(b[56:]) == atFooter; !h.footer {
		h.directory = long(56)
	}
	if h.flags&flagRedundant != 0 {
		h.redundant = long(48)
	}
	if bad {
		return h, errors.New("vmdk: a place in the header lies beyond all bounds")
	}
	return h, h.check(le.Uint16(b[77:]))
}

func (h *header) check(compression uint16) error {
	switch {
	case h.version < 1 || h.version > 3:
		return fmt.Errorf("vmdk: version %d of a sparse extent not read: %w", h.version, evidence.ErrUnsupported)
	case h.flags&flagCompressed != 0 && compression != 1:
		return fmt.Errorf("vmdk: compression %d not read: %w", compression, evidence.ErrUnsupported)
	case h.grain < sector || h.grain > maxGrain || h.grain&(h.grain-1) != 0:
		return fmt.Errorf("vmdk: grains of %d bytes", h.grain)
	case h.perTable == 0 || h.perTable > 1<<20:
		return fmt.Errorf("vmdk: grain tables of %d entries", h.perTable)
	}
	h.directoryEntries = (h.size + h.grain*h.perTable - 1) / (h.grain * h.perTable)
	return nil
}

// readCOWD reads the header of an extent of ESX hosts.
func readCOWD(src evidence.Source) (header, error) {
	b, err := virtual.Read(src, 0, 32)
	if err != nil {
		return header{}, fmt.Errorf("vmdk: COWD header: %w", err)
	}
	le := binary.LittleEndian
	h := header{version: le.Uint32(b[4:]), perTable: 4096}
	h.size, h.grain = int64(le.Uint32(b[12:]))*sector, int64(le.Uint32(b[16:]))*sector
	h.directory = int64(le.Uint32(b[20:])) * sector
	if err := h.check(0); err != nil {
		return h, err
	}
	if have := int64(le.Uint32(b[24:])); have < h.directoryEntries {
		return h, fmt.Errorf("vmdk: a grain directory of %d entries, %d are needed", have, h.directoryEntries)
	}
	return h, nil
}

// grains is the map of a sparse extent.
type grains struct {
	header
	src    evidence.Source
	table  *virtual.Table
	chunks virtual.Chunks
}

func openGrains(src evidence.Source, files *virtual.Files) (*grains, error) {
	head := make([]byte, 8)
	if _, err := src.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	g := &grains{src: src, table: virtual.NewTable(src)}
	var err error
	switch {
	case string(head[:4]) == magicSparse:
		g.header, err = readHeader(src)
	case string(head[:4]) == magicCOWD:
		g.header, err = readCOWD(src)
	case string(head) == magicSeSparse:
		err = fmt.Errorf("seSparse extents not read: %w", evidence.ErrUnsupported)
	default:
		err = errors.New("vmdk: no sparse extent")
	}
	if err != nil {
		return nil, err
	}
	g.chunks = virtual.NewChunks(g.grain)
	return g, g.choose(files)
}

// choose takes the grain directory that holds together.
func (g *grains) choose(files *virtual.Files) error {
	cause := g.holds(g.directory)
	if cause == nil {
		return nil
	}
	if g.redundant != 0 && g.holds(g.redundant) == nil {
		files.Note(tutela.FindingBackupTable, "vmdk: the grain directory is bad (%v): the redundant one was used", cause)
		g.directory, g.redundant = g.redundant, 0
		return nil
	}
	if !virtual.Inside(g.src, g.directory, min(g.directoryEntries, 1)*4) {
		return fmt.Errorf("vmdk: %w", cause)
	}
	files.Note(tutela.FindingDamaged, "vmdk: %v", cause)
	return nil
}

// holds tells what is wrong with a grain directory: that it, or a table it
// points to, lies outside the file. It reads a page at a time.
func (g *grains) holds(directory int64) error {
	if directory == 0 && g.directoryEntries > 0 {
		return errors.New("there is no grain directory")
	}
	if !virtual.Inside(g.src, directory, g.directoryEntries*4) {
		return fmt.Errorf("the grain directory at %d lies outside the file", directory)
	}
	for n := range g.directoryEntries {
		at, err := g.table.Uint32LE(directory + 4*n)
		if err != nil {
			return fmt.Errorf("grain directory: %w", err)
		}
		if at != 0 && !virtual.Inside(g.src, int64(at)*sector, 4) {
			return fmt.Errorf("grain table %d lies outside the file", n)
		}
	}
	return nil
}

// Piece is for an extent that is a disk of its own.
func (g *grains) Piece(off int64) (virtual.Piece, error) {
	p, _, err := g.find(off)
	return p, err
}

// find finds the grain at off. It is not written where a parent's shows through.
func (g *grains) find(off int64) (p virtual.Piece, written bool, err error) {
	covers := g.grain * g.perTable
	table, err := g.table.Uint32LE(g.directory + off/covers*4)
	if err != nil || table == 0 {
		return virtual.Zeros(covers - off%covers), false, err
	}
	rest := g.grain - off%g.grain
	entry, err := g.table.Uint32LE(int64(table)*sector + off%covers/g.grain*4)
	switch {
	case err != nil:
		return virtual.Piece{Length: rest}, false, fmt.Errorf("grain table: %w", err)
	case entry == 0:
		return virtual.Zeros(rest), false, nil
	case entry == zeroGrain && g.flags&flagZeroGrains != 0:
		return virtual.Zeros(rest), true, nil
	case g.flags&flagCompressed != 0:
		p, err = g.compressed(int64(entry)*sector, off, rest)
		return p, true, err
	}
	return virtual.Piece{Length: rest, Source: g.src, Offset: int64(entry)*sector + off%g.grain}, true, nil
}

// compressed is a grain behind a marker that says which it is.
func (g *grains) compressed(at, off, length int64) (virtual.Piece, error) {
	chunk, err := g.chunks.Get(at, func() ([]byte, error) { return g.inflate(at, off-off%g.grain) })
	if err != nil {
		return virtual.Piece{Length: length}, fmt.Errorf("compressed grain at %d: %w", at, err)
	}
	return virtual.Piece{Length: length, Source: chunk, Offset: off % g.grain}, nil
}

// inflate decompresses a grain: its first sector, the length, and deflated bytes
// in a zlib frame, whose checksum is held. The last grain may be shorter.
func (g *grains) inflate(at, start int64) ([]byte, error) {
	b, err := virtual.Read(g.src, at, 12)
	if err != nil {
		return nil, err
	}
	first, length := binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint32(b[8:]))
	if first != uint64(start/sector) {
		return nil, fmt.Errorf("it is that of sector %d", first)
	}
	if length > 2*g.grain+sector {
		return nil, fmt.Errorf("%d compressed bytes", length)
	}
	raw, err := virtual.Read(g.src, at+12, int(length))
	if err != nil {
		return nil, err
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	out := bytes.NewBuffer(make([]byte, 0, g.grain+bytes.MinRead))
	n, err := io.Copy(out, io.LimitReader(z, g.grain+1)) // to the end, where the checksum is
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflate: %w", err)
	case n > g.grain || n < min(g.grain, g.size-start):
		return nil, fmt.Errorf("inflate: %d bytes are not a grain", n)
	}
	return out.Bytes(), nil
}
