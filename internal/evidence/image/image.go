// Package image reads the bytes behind a forensic image: a raw copy of a disk,
// one that was split into parts, a block device itself, or the disk inside a
// container (E01, VMDK, VHD, VHDX, QCOW2, VDI, Parallels, Apple's disk images).
//
// Start with [Open] for a path of this machine, or with [OpenIn] for a file in
// any evidence.Storage. The [Image] it returns is an evidence.Source over the
// whole medium; volume and filesystem take it from there. [Image.Verify] holds
// the medium against the digests that the container carries.
//
// Promised: no byte is ever made up. A stretch that cannot be read, and a part
// that became shorter than it was when it was opened, is an
// *evidence.ReadError that names exactly those bytes; what lies before it is
// delivered. A part missing from the middle of a split image is refused by
// name. Containers that this version cannot read (AFF, L01, Ex01 …) are recognised
// by their magic and refused by name. What an image says of its other files are
// names in the storage that it lies in, never paths.
//
// Not promised: that the last part of a split image is there. Nothing in a raw
// image tells how long it should be; a partition table that points past the end
// is where it shows. Windows device paths (\\.\PhysicalDrive0) are not read.
package image

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"tutela"
	"tutela/internal/evidence"
)

// Image is an opened image. It is safe for concurrent use until Close.
type Image struct {
	disk  evidence.File
	chain []tutela.Locator
}

var _ evidence.File = (*Image)(nil)

// Open opens the image that path names. For a split image path is the first
// part (disk.001, disk.dd.000, disk.aa), for an E01 the first segment; the
// others are found beside it.
//
// The error wraps an [*UnsupportedError] for a container this version cannot
// read, and fs.ErrNotExist for a part that is missing.
func Open(path string) (*Image, error) {
	img, err := open(Local(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", path, err)
	}
	return img, nil
}

// OpenIn is Open for the file called name in a storage.
func OpenIn(st evidence.Storage, name string) (*Image, error) {
	img, err := open(st, name)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", name, err)
	}
	return img, nil
}

func open(st evidence.Storage, name string) (*Image, error) {
	names, err := parts(st, name)
	if err != nil {
		return nil, err
	}
	raw, err := openRaw(st, names)
	if err != nil {
		return nil, err
	}
	img := &Image{disk: raw, chain: []tutela.Locator{{Layer: "raw", At: name}}}
	if len(names) > 1 {
		img.chain[0] = tutela.Locator{Layer: "split-raw", At: counted(name, len(names))}
		st = joined{st, names}
	}
	contained, err := unwrap(st, name, raw)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if contained.disk == nil {
		return img, nil
	}
	if len(names) > 1 {
		contained.chain = append(img.chain, contained.chain...)
	}
	if err := raw.Close(); err != nil {
		return nil, errors.Join(err, contained.disk.Close())
	}
	return &contained, nil
}

// counted is the name of an image of several files.
func counted(name string, files int) string {
	if files < 2 {
		return name
	}
	return name + "+" + strconv.Itoa(files)
}

// Size is the length of the medium in bytes, as it was when it was opened.
func (img *Image) Size() int64 { return img.disk.Size() }

// Chain is how every locator chain into this image begins: the layer and the
// name of the file, without its folder; two such steps for a container that was
// split.
func (img *Image) Chain() []tutela.Locator { return slices.Clip(img.chain) }

// Close releases the files. Reading afterwards is an error.
func (img *Image) Close() error { return img.disk.Close() }

// ReadAt reads as io.ReaderAt does. Where bytes cannot be read it returns those
// before them and an *evidence.ReadError whose Run, in bytes from the beginning
// of the medium, is the stretch to step over; the bytes after it may be readable.
func (img *Image) ReadAt(p []byte, off int64) (int, error) {
	n, err := img.disk.ReadAt(p, off)
	if n < len(p) && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
