// Package vhd reads the disk inside a VHD file (Virtual PC, Hyper-V, Xen,
// Azure): fixed, dynamic and differencing.
//
// Start with [Open]; the [Disk] is the medium. The reader was written from the
// Virtual Hard Disk Image Format Specification 1.0 ("VHD" below) and the
// libvhdi documentation.
//
// A fixed VHD is a raw image with a footer behind it, and believing the footer
// takes 512 bytes out of sight: all of it must agree, else the file is not a
// VHD. The size of the medium is the footer's "Current Size"; what the geometry
// says is not looked at. Older programs wrote footers of 511 bytes, which are
// read too.
//
// A block of a dynamic disk that has a place in the file is read as it lies
// there: its sector bitmap is not asked, since several programs leave it as it
// was. In a differencing disk the bitmap decides which sectors are the parent's.
// The parent must lie in the same storage, under one of the names that the disk
// gives for it, and must have the unique id that it asks for.
//
// Promised: what no block was allocated for is zeros; a block that lies outside
// the file is a read error of that block alone. Not promised: that the parent
// is as it was when the disk was split off; its id says which disk it is, not
// whether it was written to since.
package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const sector = 512

// Disk is the medium inside a VHD.
type Disk struct {
	virtual.Medium
	id uniqueID
}

type uniqueID [16]byte

var _ evidence.File = (*Disk)(nil)

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no VHD, and [evidence.ErrUnsupported]
// for a differencing disk whose parent is not in the storage.
func Open(st evidence.Storage, name string) (*Disk, error) {
	d, err := open(st, name, 0)
	if err != nil {
		return nil, fmt.Errorf("open vhd %s: %w", name, err)
	}
	return d, nil
}

func open(st evidence.Storage, name string, depth int) (*Disk, error) {
	files := virtual.NewFiles(st)
	d, err := read(files, name, depth)
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return d, nil
}

func read(files *virtual.Files, name string, depth int) (*Disk, error) {
	src, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	f, err := findFooter(src, files)
	if err != nil {
		return nil, err
	}
	if f.size() < 0 {
		return nil, fmt.Errorf("a disk of %d bytes", uint64(f.size()))
	}
	if f.kind() == fixed {
		return &Disk{virtual.NewMedium("vhd-fixed", f.size(), whole{src}, files), f.id()}, nil
	}
	return readSparse(src, files, f, depth)
}

// whole is the map of a fixed disk.
type whole struct{ src evidence.Source }

func (w whole) Piece(off int64) (virtual.Piece, error) {
	return virtual.Piece{Length: w.src.Size() - off, Source: w.src, Offset: off}, nil
}

// readSparse opens a dynamic or differencing disk.
func readSparse(src evidence.Source, files *virtual.Files, f footer, depth int) (*Disk, error) {
	h, err := readHeader(src, files, f.dataOffset())
	if err != nil {
		return nil, err
	}
	s := &sparse{src: src, table: virtual.NewTable(src), bat: h.tableOffset(), block: h.blockSize(), entries: h.entries()}
	if err := s.check(); err != nil {
		return nil, err
	}
	if need := (f.size() + s.block - 1) / s.block; need > s.entries {
		files.Note(tutela.FindingDamaged, "vhd: the block allocation table has %d entries, the disk has %d blocks", s.entries, need)
	}
	layer := "vhd-dynamic"
	if f.kind() == differencing {
		layer = "vhd-differencing"
		if s.parent, err = findParent(src, files, h, depth); err != nil {
			return nil, err
		}
	}
	return &Disk{virtual.NewMedium(layer, f.size(), s, files), f.id()}, nil
}

// findParent opens the parent of a differencing disk.
func findParent(src evidence.Source, files *virtual.Files, h header, depth int) (evidence.Source, error) {
	if depth >= virtual.MaxParents {
		return nil, fmt.Errorf("vhd: more than %d parents", virtual.MaxParents)
	}
	failures := []error{}
	for _, reference := range h.parentNames(src) {
		parent, err := openParent(files, reference, h.parentID(), depth)
		if err == nil {
			files.Adopt(&parent.Medium)
			return parent, nil
		}
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		failures = append(failures, errors.New("it gives no name for it"))
	}
	return nil, virtual.MissingParent("vhd", errors.Join(failures...))
}

func openParent(files *virtual.Files, reference string, id uniqueID, depth int) (*Disk, error) {
	name, err := files.Resolve(reference)
	if err != nil {
		return nil, err
	}
	parent, err := open(files.Storage(), name, depth+1)
	if err != nil {
		return nil, fmt.Errorf("open parent %s: %w", name, err)
	}
	if parent.id != id {
		return nil, errors.Join(fmt.Errorf("%s has the id %x, not %x: %w", name, parent.id, id, fs.ErrNotExist), parent.Close())
	}
	return parent, nil
}

// sparse is the map of a dynamic or differencing disk (VHD, "Block Allocation
// Table and Data Blocks").
type sparse struct {
	src     evidence.Source
	table   *virtual.Table
	bat     int64           // offset of the table in bytes
	entries int64           // of it
	block   int64           // bytes of the medium
	parent  evidence.Source // nil for a dynamic disk
}

// unallocated is the entry of a block that lies nowhere.
const unallocated = 0xffffffff

func (s *sparse) check() error {
	if s.block < sector || s.block > 1<<31 || s.block&(s.block-1) != 0 {
		return fmt.Errorf("vhd: blocks of %d bytes", s.block)
	}
	if !virtual.Inside(s.src, s.bat, min(s.entries, 1)*4) {
		return fmt.Errorf("vhd: the block allocation table at %d lies outside the file", s.bat)
	}
	return nil
}

func (s *sparse) Piece(off int64) (virtual.Piece, error) {
	n, within := off/s.block, off%s.block
	rest := s.block - within
	at, err := s.place(n)
	if err != nil || at == nowhere {
		return virtual.Under(s.parent, off, rest), err
	}
	if s.parent == nil {
		return virtual.Piece{Length: rest, Source: s.src, Offset: at + s.bitmapBytes() + within}, nil
	}
	return s.mixed(off, at, within)
}

const nowhere = int64(-1)

// place is where the bitmap of block n begins in the file, in bytes.
func (s *sparse) place(n int64) (int64, error) {
	if n >= s.entries {
		return 0, fmt.Errorf("block %d has no entry in the block allocation table", n)
	}
	entry, err := s.table.Uint32BE(s.bat + 4*n)
	if err != nil || entry == unallocated {
		return nowhere, err
	}
	at := int64(entry) * sector
	if !virtual.Inside(s.src, at, s.bitmapBytes()+1) {
		return 0, fmt.Errorf("block %d lies outside the file", n)
	}
	return at, nil
}

// bitmapBytes is the length of the sector bitmap before each block: a bit for
// each sector, padded to whole sectors.
func (s *sparse) bitmapBytes() int64 {
	return ((s.block/sector+7)/8 + sector - 1) / sector * sector
}

// mixed is a stretch of a block of which some sectors are the parent's: as many
// as agree with the first.
func (s *sparse) mixed(off, at, within int64) (virtual.Piece, error) {
	first := within / sector
	here, err := s.present(at, first)
	if err != nil {
		return virtual.Piece{Length: sector - within%sector}, err
	}
	end := first + 1
	for ; end < min(s.block/sector, first+maxSectors); end++ {
		if also, err := s.present(at, end); err != nil || also != here {
			break
		}
	}
	length := end*sector - within
	if !here {
		return virtual.Under(s.parent, off, length), nil
	}
	return virtual.Piece{Length: length, Source: s.src, Offset: at + s.bitmapBytes() + within}, nil
}

// maxSectors is how far a piece of a differencing disk goes: 64 KB.
const maxSectors = 128

// present reports whether a sector of a block lies in this file. The bits of a
// byte go from the highest down.
func (s *sparse) present(at, n int64) (bool, error) {
	b, err := s.table.Bytes(at+n/8, 1)
	if err != nil {
		return false, fmt.Errorf("sector bitmap: %w", err)
	}
	return b[0]>>(7-n%8)&1 == 1, nil
}

// readHeader reads the header of a sparse disk. Some images whose checksum is
// wrong are good; what the header says is held against the file afterwards.
func readHeader(src evidence.Source, files *virtual.Files, at int64) (header, error) {
	b, err := virtual.Read(src, at, headerBytes)
	if err != nil {
		return nil, fmt.Errorf("vhd: dynamic disk header: %w", err)
	}
	h := header(b)
	if string(h[:8]) != headerMagic {
		return nil, fmt.Errorf("vhd: no dynamic disk header at %d", at)
	}
	if sum(h, 36) != binary.BigEndian.Uint32(h[36:]) {
		files.Note(tutela.FindingDamaged, "vhd: the checksum of the dynamic disk header does not match")
	}
	return h, nil
}
