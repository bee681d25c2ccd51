// Package vhdx reads the disk inside a VHDX file, as Hyper-V and Windows write
// it: fixed, dynamic and differencing, with sectors of 512 and 4096 bytes.
//
// Start with [Open]; the [Disk] is the medium. The reader was written from
// [MS-VHDX]: Virtual Hard Disk v2 File Format.
//
// A file that was not closed has a log that must be replayed before its tables
// can be believed ([MS-VHDX] 2.3). It is replayed in memory, over the file,
// which stays as it is; a note says so. A log that is not empty and in which no
// sequence of entries holds together is refused. A parent must lie in the same
// storage under one of the names that the disk gives, and must have the data
// write id that it asks for.
//
// Promised: headers, region tables and log entries are believed only with their
// checksum; a block that lies outside the file, or whose state is none the format
// knows, is a read error of that block alone. Where a header or region table is
// bad and its copy is used, a note says so. Blocks that are not present, not
// defined, unmapped or zero are zeros. Not promised: that metadata and block
// table are as they were written: the format has no checksums for them.
package vhdx

import (
	"errors"
	"fmt"
	"io/fs"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Disk is the medium inside a VHDX.
type Disk struct {
	virtual.Medium
	dataWrite guid
}

var _ evidence.File = (*Disk)(nil)

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no VHDX, and [evidence.ErrUnsupported]
// for what is recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	d, err := open(st, name, 0)
	if err != nil {
		return nil, fmt.Errorf("open vhdx %s: %w", name, err)
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
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	id := make([]byte, len(fileIdentifier))
	if n, err := file.ReadAt(id, 0); n < len(id) && file.Size() >= int64(len(id)) {
		return nil, err
	}
	if string(id) != fileIdentifier {
		return nil, evidence.ErrNotThis
	}
	h, err := findHeader(file, files)
	if err != nil {
		return nil, err
	}
	src, err := replay(file, h, files)
	if err != nil {
		return nil, err
	}
	regions, err := findRegions(src, files)
	if err != nil {
		return nil, err
	}
	m, err := readMetadata(src, regions.metadata)
	if err != nil {
		return nil, err
	}
	return assemble(files, src, h, regions, m, depth)
}

func assemble(files *virtual.Files, src evidence.Source, h header, regions regions, m metadata, depth int) (*Disk, error) {
	b := &blocks{src: src, table: virtual.NewTable(src), bat: regions.bat, metadata: m}
	if need := b.entries() * 8; need > regions.bat.length {
		files.Note(tutela.FindingDamaged, "vhdx: the block allocation table has %d bytes, the disk needs %d", regions.bat.length, need)
	}
	layer := "vhdx-dynamic"
	switch {
	case m.hasParent:
		layer = "vhdx-differencing"
		parent, err := findParent(files, m, depth)
		if err != nil {
			return nil, err
		}
		files.Adopt(&parent.Medium)
		b.parent = parent
	case m.fixed:
		layer = "vhdx-fixed"
	}
	return &Disk{virtual.NewMedium(layer, m.size, b, files), h.dataWrite}, nil
}

// findParent opens the parent of a differencing disk ([MS-VHDX] 2.6.2.6).
func findParent(files *virtual.Files, m metadata, depth int) (*Disk, error) {
	if depth >= virtual.MaxParents {
		return nil, fmt.Errorf("vhdx: more than %d parents", virtual.MaxParents)
	}
	var failures []error
	seen := map[string]bool{}
	for _, key := range []string{"relative_path", "volume_path", "absolute_win32_path"} {
		reference := virtual.Base(m.locator[key])
		if reference == "" || seen[reference] {
			continue
		}
		seen[reference] = true
		parent, err := openParent(files, reference, m, depth)
		if err == nil {
			return parent, nil
		}
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		failures = append(failures, errors.New("it gives no name for it"))
	}
	return nil, virtual.MissingParent("vhdx", errors.Join(failures...))
}

func openParent(files *virtual.Files, reference string, m metadata, depth int) (*Disk, error) {
	name, err := files.Resolve(reference)
	if err != nil {
		return nil, err
	}
	parent, err := open(files.Storage(), name, depth+1)
	if err != nil {
		return nil, fmt.Errorf("open parent %s: %w", name, err)
	}
	if id := parent.dataWrite.String(); !sameGUID(id, m.locator["parent_linkage"]) && !sameGUID(id, m.locator["parent_linkage2"]) {
		return nil, errors.Join(fmt.Errorf("%s has the data write id %s, not %s: %w", name, id, m.locator["parent_linkage"], fs.ErrNotExist), parent.Close())
	}
	return parent, nil
}
