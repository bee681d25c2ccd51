// Package qcow2 reads the disk inside a QCOW2 image, versions 2 and 3, as QEMU
// and many clouds write it.
//
// Start with [Open]; the [Disk] is the medium in the state the guest left it in.
// The reader was written from QEMU's docs/interop/qcow2.txt ("QCOW2" below).
//
// Read: clusters as they are, zero clusters, clusters compressed with deflate
// and zstd, subclusters (extended L2 entries), backing files that are raw or
// QCOW2 and lie in the same storage. Refused by name: encryption (AES and LUKS),
// external data files, backing files that are missing, lie elsewhere (a URL) or
// have another format, version 1, features this reader does not know. An
// internal snapshot is a state of its own, which is named by
// [Disk.Snapshots] and not read.
//
// Promised: what no cluster was allocated for is the backing file's or zeros; a
// cluster that lies outside the file or does not decompress is a read error of
// that cluster alone. Not promised: that an image marked dirty or corrupt
// holds together; it says so in a note. Reference counts, which reading does not
// need, and bitmaps are not looked at.
package qcow2

import (
	"errors"
	"fmt"
	"io/fs"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Disk is the medium inside an image.
type Disk struct {
	virtual.Medium
	snapshots []Snapshot
}

var _ evidence.File = (*Disk)(nil)

// Snapshots are the internal snapshots of the image that was opened, in the
// order of its table.
func (d *Disk) Snapshots() []Snapshot { return d.snapshots }

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no QCOW image, and
// [evidence.ErrUnsupported] for what is recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	d, err := open(st, name, 0)
	if err != nil {
		return nil, fmt.Errorf("open qcow2 %s: %w", name, err)
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
	h.notes(files)
	m := newMapping(src, h)
	if err := m.check(files); err != nil {
		return nil, err
	}
	if h.backing != "" {
		if m.backing, err = findBacking(files, h, depth); err != nil {
			return nil, err
		}
	}
	d := &Disk{Medium: virtual.NewMedium("qcow2", h.size, m, files)}
	if d.snapshots, err = readSnapshots(src, h); err != nil {
		files.Note(tutela.FindingDamaged, "qcow2: snapshot table: %v", err)
	}
	if n := len(d.snapshots); n > 0 {
		files.Note(tutela.FindingSnapshot, "qcow2: internal snapshots, not read: %s", nameAll(d.snapshots))
	}
	return d, nil
}

// findBacking opens the backing file, raw or QCOW2.
func findBacking(files *virtual.Files, h *header, depth int) (evidence.Source, error) {
	if depth >= virtual.MaxParents {
		return nil, fmt.Errorf("qcow2: more than %d backing files", virtual.MaxParents)
	}
	if h.elsewhere() {
		return nil, fmt.Errorf("qcow2: backing file %q is no file beside it: %w", h.backing, evidence.ErrUnsupported)
	}
	name, err := files.Resolve(h.backing)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, virtual.MissingParent("qcow2", fmt.Errorf("backing file %w", err))
	} else if err != nil {
		return nil, err
	}
	switch h.backingFormat {
	case "raw":
		return files.Open(name)
	case "qcow2", "":
		return backingImage(files, name, h.backingFormat, depth)
	}
	return nil, fmt.Errorf("qcow2: backing file %s of the format %q: %w", name, h.backingFormat, evidence.ErrUnsupported)
}

// backingImage opens a backing file of which the image does not say that it is
// raw. Without a format it is what its first bytes are; QEMU does the same.
func backingImage(files *virtual.Files, name, format string, depth int) (evidence.Source, error) {
	parent, err := open(files.Storage(), name, depth+1)
	switch {
	case err == nil:
		files.Adopt(&parent.Medium)
		return parent, nil
	case format == "" && errors.Is(err, evidence.ErrNotThis):
		return backingRaw(files, name)
	}
	return nil, fmt.Errorf("qcow2: backing file %s: %w", name, err)
}

// backingRaw opens a backing file whose format nobody gave, and that is no
// container this project knows.
func backingRaw(files *virtual.Files, name string) (evidence.Source, error) {
	src, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	head, _ := virtual.Read(src, 0, int(min(src.Size(), 128)))
	for _, other := range containers() {
		if at := other.at; len(head) >= at+len(other.magic) && string(head[at:at+len(other.magic)]) == other.magic {
			return nil, fmt.Errorf("qcow2: backing file %s is a %s image: %w", name, other.name, evidence.ErrUnsupported)
		}
	}
	return src, nil
}

type container struct {
	name  string
	at    int
	magic string
}

func containers() []container {
	return []container{
		{"vmdk", 0, "KDMV"}, {"vmdk", 0, "COWD"}, {"vmdk", 0, "# Disk DescriptorFile"}, {"vhd", 0, "conectix"},
		{"vhdx", 0, "vhdxfile"}, {"vdi", 64, "\x7f\x10\xda\xbe"}, {"qed", 0, "QED\x00"}, {"luks", 0, "LUKS\xba\xbe"},
		{"parallels", 0, "WithoutFreeSpace"}, {"parallels", 0, "WithouFreSpacExt"}, {"ewf", 0, "EVF\x09\x0d\x0a\xff\x00"},
	}
}
