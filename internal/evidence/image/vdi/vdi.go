// Package vdi reads the disk inside a VDI file, as VirtualBox writes it: dynamic,
// fixed and differencing.
//
// Start with [Open]; the [Disk] is the medium. The format is that of version 1.1
// of VirtualBox's VDICore.h and of QEMU's block/vdi.c, whose field names are
// used here.
//
// A differencing image says of its parent nothing but its UUID: of the files of
// the storage that end in .vdi the one with this UUID is the parent. An image
// whose parent is not there is refused by name, and so are versions other
// than 1 and undo images.
//
// Promised: a block that was not allocated is the parent's or zeros, one that
// was discarded is zeros; a block that lies outside the file is a read error of
// that block alone. Not promised: that the block map is as it was written: the
// format has no checksums.
package vdi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const (
	signature   = "\x7f\x10\xda\xbe"
	headerBytes = 512
	sector      = 512
	// maxCandidates bounds how many files are asked whether they are the parent.
	maxCandidates = 1024
)

// Types of images.
const (
	typeDynamic = 1
	typeFixed   = 2
	typeDiff    = 4
)

// Entries of the block map that are no place.
const (
	unallocated = 0xffffffff
	discarded   = 0xfffffffe
)

// Disk is the medium inside a VDI.
type Disk struct{ virtual.Medium }

var _ evidence.File = (*Disk)(nil)

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no VDI, and [evidence.ErrUnsupported]
// for what is recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	d, err := open(st, name, 0)
	if err != nil {
		return nil, fmt.Errorf("open vdi %s: %w", name, err)
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
	h, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	b := &blocks{header: h, src: src, table: virtual.NewTable(src)}
	if need := (h.size + h.block - 1) / h.block; need > h.blocks {
		files.Note(tutela.FindingDamaged, "vdi: the block map has %d entries, the disk has %d blocks", h.blocks, need)
	}
	layer := map[uint32]string{typeDynamic: "vdi-dynamic", typeFixed: "vdi-fixed", typeDiff: "vdi-differencing"}[h.kind]
	if h.kind == typeDiff {
		parent, err := findParent(files, name, h, depth)
		if err != nil {
			return nil, err
		}
		files.Adopt(&parent.Medium)
		b.upon = parent
	}
	return &Disk{virtual.NewMedium(layer, h.size, b, files)}, nil
}

type uuid [16]byte

// String writes it as VirtualBox does.
func (u uuid) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(u[:]), le.Uint16(u[4:]), le.Uint16(u[6:]), u[8:10], u[10:])
}

// header is what the file says of itself, in bytes.
type header struct {
	kind         uint32
	size         int64
	block, extra int64 // of a block, and before each
	blocks       int64 // entries of the map
	bmap, data   int64 // offsets
	id, parent   uuid
}

func readHeader(src evidence.Source) (h header, err error) {
	b := make([]byte, headerBytes)
	if n, err := src.ReadAt(b, 0); n < len(b) && src.Size() >= int64(len(b)) {
		return h, err
	}
	le := binary.LittleEndian
	if string(b[64:68]) != signature {
		return h, evidence.ErrNotThis
	}
	if version := le.Uint32(b[68:]); version>>16 != 1 {
		return h, fmt.Errorf("vdi: version %d.%d not read: %w", version>>16, version&0xffff, evidence.ErrUnsupported)
	}
	h = header{
		kind: le.Uint32(b[76:]), size: int64(le.Uint64(b[368:])), block: int64(le.Uint32(b[376:])), extra: int64(le.Uint32(b[380:])),
		blocks: int64(le.Uint32(b[384:])), bmap: int64(le.Uint32(b[340:])), data: int64(le.Uint32(b[344:])),
		id: uuid(b[392:408]), parent: uuid(b[424:440]),
	}
	switch {
	case h.kind != typeDynamic && h.kind != typeFixed && h.kind != typeDiff:
		return h, fmt.Errorf("vdi: images of the type %d not read: %w", h.kind, evidence.ErrUnsupported)
	case h.size < 0 || h.size > 1<<62:
		return h, fmt.Errorf("vdi: a disk of %d bytes", uint64(h.size))
	case h.block < sector || h.block > 1<<31 || h.block&(h.block-1) != 0 || h.extra > 1<<20:
		return h, fmt.Errorf("vdi: blocks of %d bytes, %d before each", h.block, h.extra)
	case !virtual.Inside(src, h.bmap, min(h.blocks, 1)*4):
		return h, fmt.Errorf("vdi: the block map at %d lies outside the file", h.bmap)
	}
	return h, nil
}

// findParent looks for the image with the UUID that a differencing image gives.
func findParent(files *virtual.Files, name string, h header, depth int) (*Disk, error) {
	if depth >= virtual.MaxParents {
		return nil, fmt.Errorf("vdi: more than %d parents", virtual.MaxParents)
	}
	names, err := files.Storage().Names()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	asked := 0
	for _, other := range names {
		if other == name || !strings.HasSuffix(strings.ToLower(other), ".vdi") {
			continue
		}
		if asked++; asked > maxCandidates {
			break
		}
		if identified(files.Storage(), other, h.parent) {
			return open(files.Storage(), other, depth+1)
		}
	}
	return nil, virtual.MissingParent("vdi", fmt.Errorf("no .vdi with the UUID %s is beside it: %w", h.parent, fs.ErrNotExist))
}

// identified reports whether a file is the image with a UUID.
func identified(st evidence.Storage, name string, id uuid) bool {
	f, err := st.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	h, err := readHeader(f)
	return err == nil && h.id == id
}

// blocks is the map of a disk.
type blocks struct {
	header
	src   evidence.Source
	table *virtual.Table
	upon  evidence.Source // the parent; nil if there is none
}

func (b *blocks) Piece(off int64) (virtual.Piece, error) {
	n, within := off/b.block, off%b.block
	rest := virtual.Piece{Length: b.block - within}
	if n >= b.blocks {
		return rest, fmt.Errorf("block %d has no entry in the block map", n)
	}
	entry, err := b.table.Uint32LE(b.bmap + 4*n)
	switch {
	case err != nil:
		return rest, fmt.Errorf("block map: %w", err)
	case entry == unallocated:
		return virtual.Under(b.upon, off, rest.Length), nil
	case entry == discarded:
		return rest, nil
	}
	rest.Source, rest.Offset = b.src, b.data+int64(entry)*(b.block+b.extra)+b.extra+within
	return rest, nil
}
