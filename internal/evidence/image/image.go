// Package image reads the bytes behind a forensic image: a raw copy of a disk,
// one that was split into parts, a fixed VHD, or a block device itself.
//
// Start with [Open]. The [Image] it returns is an evidence.Source over the whole
// medium; volume and filesystem take it from there.
//
// Promised: no byte is ever made up. A stretch that cannot be read, and a part
// that became shorter than it was when it was opened, is an
// *evidence.ReadError that names exactly those bytes; what lies before it is
// delivered. A part missing from the middle of a split image is refused by
// name. Containers that this version cannot read (E01, VMDK, VHD, VHDX, QCOW2,
// DMG …) are recognised by their magic and refused by name.
//
// Not promised: that the last part of a split image is there. Nothing in a raw
// image tells how long it should be; a partition table that points past the end
// is where it shows. Windows device paths (\\.\PhysicalDrive0) are not read.
package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"

	"tutela"
	"tutela/internal/evidence"
)

// Image is an opened image. It is safe for concurrent use until Close.
type Image struct {
	parts []part // in order; part i+1 begins where part i ends
	size  int64
	chain []tutela.Locator
}

var _ evidence.Source = (*Image)(nil)

// Open opens the image that path names. For a split image path is the first
// part (disk.001, disk.dd.000, disk.aa); the others are found beside it.
//
// The error wraps an [*UnsupportedError] for a container this version cannot
// read, and fs.ErrNotExist for a part that is missing.
func Open(path string) (*Image, error) {
	paths, err := parts(path)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", path, err)
	}
	img, err := openParts(paths)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", path, err)
	}
	return img, nil
}

func openParts(paths []string) (*Image, error) {
	img := &Image{chain: []tutela.Locator{{Layer: "raw", At: filepath.Base(paths[0])}}}
	if len(paths) > 1 {
		img.chain[0] = tutela.Locator{Layer: "split-raw", At: filepath.Base(paths[0]) + "+" + strconv.Itoa(len(paths))}
	}
	for _, path := range paths {
		if err := img.add(path); err != nil {
			return nil, errors.Join(err, img.Close())
		}
	}
	if err := img.unwrap(); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

func (img *Image) add(path string) error {
	// Opening a pipe would wait for somebody to write into it.
	if info, err := os.Stat(path); err != nil {
		return err
	} else if mode := info.Mode(); !mode.IsRegular() && mode&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return fmt.Errorf("%s is neither a file nor a block device", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	// A block device reports size 0 to stat, so the end is asked for.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(fmt.Errorf("find the end: %w", err), f.Close())
	}
	img.parts = append(img.parts, part{file: f, name: filepath.Base(path), start: img.size, size: size})
	img.size += size
	return nil
}

// Size is the length of the medium in bytes, as it was when it was opened.
func (img *Image) Size() int64 { return img.size }

// Chain is the first step of every locator chain into this image: the layer
// and the name of the file, without its folder.
func (img *Image) Chain() []tutela.Locator { return img.chain[:1:1] }

// Close releases the files. Reading afterwards is an error.
func (img *Image) Close() error {
	var errs []error
	for _, p := range img.parts {
		errs = append(errs, p.file.Close())
	}
	return errors.Join(errs...)
}

// ReadAt reads as io.ReaderAt does. Where bytes cannot be read it returns those
// before them and an *evidence.ReadError whose Run, in bytes from the beginning
// of the image, is the stretch to step over; the bytes after it may be readable.
func (img *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read image: negative offset")
	}
	n := 0
	for n < len(p) && off+int64(n) < img.size {
		at := off + int64(n)
		part := img.partAt(at)
		m, err := part.readAt(p[n:min(int64(len(p)), int64(n)+part.end()-at)], at-part.start)
		n += m
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// partAt finds the part that holds offset off, which is below img.size.
func (img *Image) partAt(off int64) part {
	return img.parts[sort.Search(len(img.parts), func(i int) bool { return off < img.parts[i].end() })]
}
