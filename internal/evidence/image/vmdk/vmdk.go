// Package vmdk reads the disk inside VMware's VMDK files: sparse and flat
// extents, split or not, the compressed form of OVA appliances, and the extents
// of ESX hosts.
//
// Start with [Open] on the descriptor, or on the one file that has it inside;
// the [Disk] is the medium. The reader was written from VMware's Virtual Disk
// Format 5.0 ("VMDK" below), QEMU's notes on COWD and the libvmdk documentation.
//
// Extents and parents are names in the storage; of a path that an image gives
// only the last part counts. A parent must have the content id that its child
// was made for. An extent or a parent that is missing is refused by name, and so
// are seSparse extents and raw devices. An extent opened by itself, without its
// descriptor, is read as a disk, which a note says.
//
// Promised: grains nobody wrote are the parent's or zeros; a grain that lies
// outside its file or does not inflate is a read error of that grain alone.
// Where the grain directory is bad its copy is used, and a note says so. Not
// promised: that an extent is the one it was; the format has no checksums.
package vmdk

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const sector = 512

// Disk is the medium inside a VMDK.
type Disk struct {
	virtual.Medium
	descriptor *descriptor // nil for an extent by itself
}

var _ evidence.File = (*Disk)(nil)

// Open opens the disk whose descriptor, or whose only file, is called name. The
// error wraps [evidence.ErrNotThis] when the file is no VMDK, fs.ErrNotExist
// where an extent is missing, and [evidence.ErrUnsupported] for what is
// recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	d, err := open(st, name, 0)
	if err != nil {
		return nil, fmt.Errorf("open vmdk %s: %w", name, err)
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
	head := make([]byte, len(descriptorMagic))
	if n, err := src.ReadAt(head, 0); n < 4 && src.Size() >= 4 {
		return nil, err
	}
	switch {
	case string(head[:4]) == magicSparse:
		return readHosted(files, src, name, depth)
	case string(head[:4]) == magicCOWD:
		return readAlone(files, src)
	case isDescriptor(head):
		d, err := readDescriptor(src, 0, src.Size())
		if err != nil {
			return nil, err
		}
		return assemble(files, d, nil, name, depth)
	}
	return nil, evidence.ErrNotThis
}

// readHosted opens a sparse extent that may have its descriptor inside.
func readHosted(files *virtual.Files, src evidence.File, name string, depth int) (*Disk, error) {
	h, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	if h.descriptorOffset == 0 || h.descriptorLength == 0 {
		return readAlone(files, src)
	}
	d, err := readDescriptor(src, h.descriptorOffset, h.descriptorLength)
	switch {
	case errors.Is(err, errEmpty): // the room is there in the extents of a split disk too
		return readAlone(files, src)
	case err != nil:
		return nil, err
	}
	return assemble(files, d, src, name, depth)
}

// readAlone opens an extent without a descriptor as a disk of its own.
func readAlone(files *virtual.Files, src evidence.Source) (*Disk, error) {
	g, err := openGrains(src, files)
	if err != nil {
		return nil, err
	}
	files.Note(tutela.FindingDamaged, "vmdk: an extent without its descriptor, read as a disk of its own: it may be a part of one, or stand upon another")
	return &Disk{Medium: virtual.NewMedium("vmdk-extent", g.size, g, files)}, nil
}

// assemble opens the extents and the parent that a descriptor names. self is the
// file of the descriptor where that is an extent too.
func assemble(files *virtual.Files, d *descriptor, self evidence.File, name string, depth int) (*Disk, error) {
	if d.value("encryption.keySafe") != "" {
		return nil, fmt.Errorf("vmdk: encrypted: %w", evidence.ErrUnsupported)
	}
	if len(d.extents) == 0 {
		return nil, errors.New("vmdk: the descriptor names no extent")
	}
	var parent evidence.Source
	if d.hasParent() {
		p, err := findParent(files, d, depth)
		if err != nil {
			return nil, err
		}
		files.Adopt(&p.Medium)
		parent = p
	}
	m := &extents{}
	for i, line := range d.extents {
		if m.size+line.length < m.size {
			return nil, errors.New("vmdk: the extents are too long")
		}
		e := extent{start: m.size, length: line.length, parent: parent}
		if err := e.open(files, line, self, name, len(d.extents) == 1); err != nil {
			return nil, fmt.Errorf("vmdk: extent %d: %w", i, err)
		}
		m.all, m.size = append(m.all, e), m.size+line.length
	}
	return &Disk{virtual.NewMedium("vmdk-"+d.kind(), m.size, m, files), d}, nil
}

// findParent opens the disk that a descriptor calls its parent.
func findParent(files *virtual.Files, d *descriptor, depth int) (*Disk, error) {
	if depth >= virtual.MaxParents {
		return nil, fmt.Errorf("vmdk: more than %d parents", virtual.MaxParents)
	}
	name, err := files.Resolve(d.value("parentFileNameHint"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, virtual.MissingParent("vmdk", err)
	} else if err != nil {
		return nil, err
	}
	p, err := open(files.Storage(), name, depth+1)
	if err != nil {
		return nil, fmt.Errorf("open parent %s: %w", name, err)
	}
	if p.descriptor == nil || !p.descriptor.identified(d.value("parentCID")) {
		cause := fmt.Errorf("%s is not the one with the content id %s, or was written to since", name, d.value("parentCID"))
		return nil, errors.Join(virtual.MissingParent("vmdk", cause), p.Close())
	}
	return p, nil
}

// extents is the map of a disk that consists of extents, one behind the other.
type extents struct {
	all  []extent
	size int64
}

func (m *extents) Piece(off int64) (virtual.Piece, error) {
	i := sort.Search(len(m.all), func(i int) bool { return off < m.all[i].start+m.all[i].length })
	return m.all[i].piece(off)
}

// extent is a part of a disk.
type extent struct {
	start, length int64           // of the disk, in bytes
	flat          evidence.Source // one of these three, or zeros
	offset        int64           // in flat
	grains        *grains
	parent        evidence.Source // of the disk; nil if there is none
}

// open opens the file of an extent. The descriptor of a single file gives the
// name it had once, so the file itself is meant.
func (e *extent) open(files *virtual.Files, line extentLine, self evidence.File, name string, only bool) error {
	switch line.kind {
	case "ZERO":
		return nil
	case "FLAT", "VMFS", "SPARSE", "VMFSSPARSE":
	default:
		return fmt.Errorf("%s extents not read: %w", line.kind, evidence.ErrUnsupported)
	}
	src := self
	if self == nil || !only && virtual.Base(line.name) != name {
		found, err := files.Resolve(line.name)
		if err != nil {
			return err
		}
		if src, err = files.Open(found); err != nil {
			return err
		}
	}
	if line.kind == "FLAT" || line.kind == "VMFS" {
		e.flat, e.offset = src, line.offset
		if !virtual.Inside(src, line.offset, line.length) {
			files.Note(tutela.FindingTruncated, "vmdk: %s has %d bytes, the descriptor counts on %d at %d", virtual.Base(line.name), src.Size(), line.length, line.offset)
		}
		return nil
	}
	g, err := openGrains(src, files)
	e.grains = g
	return err
}

func (e *extent) piece(off int64) (virtual.Piece, error) {
	within := off - e.start
	rest := e.length - within
	switch {
	case e.flat != nil:
		return virtual.Piece{Length: rest, Source: e.flat, Offset: e.offset + within}, nil
	case e.grains == nil:
		return virtual.Zeros(rest), nil
	case within >= e.grains.size:
		return virtual.Piece{Length: rest}, fmt.Errorf("the extent holds %d bytes, not %d", e.grains.size, e.length)
	}
	p, written, err := e.grains.find(within)
	p.Length = min(p.Length, rest)
	if err == nil && !written {
		return virtual.Under(e.parent, off, p.Length), nil
	}
	return p, err
}
