// Package survey opens what was seized and walks everything on it: it is where
// reading evidence begins.
//
// Start with [Open], which takes paths of folders, single files, images and
// block devices, then [Survey.Walk], which visits every entry, and
// [Survey.Describe], which tells what the paths turned out to be.
//
// An image is taken apart into its partitions; the file system of each is
// listed, then the gaps between them; what its container says about itself is
// told first. A path may lie elsewhere, see [Options]. A file is an image if its
// name says so (.dd, .001 …) or its bytes do (a partition table, a file system,
// the magic of a container); any other file is listed as itself.
//
// Promised: every byte of an image belongs to a volume whose file system is
// listed, to a volume entry that says why it is not, or to a gap. Whatever
// cannot be listed is an entry of kind volume with a finding that names it,
// never an empty listing (only a file system that is empty lists nothing) and
// never the end of the walk. Entries come in the same order every time, so that
// a scan resumes by counting them, and say nothing about the machine they are
// read on. A reader that panics or fails costs its own volume only.
//
// Not promised: that a volume without a reader is searched. Its bytes are not
// read at all; the finding says so. An image that lies in a folder is listed as
// a file: only a path that names it takes it apart.
package survey

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/carve"
	"tutela/internal/evidence/filesystem"
	"tutela/internal/evidence/folder"
	"tutela/internal/evidence/image"
)

// Survey is opened evidence.
type Survey struct {
	sources []source
}

var _ evidence.FileSystem = (*Survey)(nil)

// source is what stands behind one path.
type source interface {
	walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error
	describe() Source
	Close() error
}

// Options say how evidence is opened. The zero value lists what file systems
// list, with readers in this process, and opens nothing that is encrypted.
type Options struct {
	// Host runs the readers. Where hostile bytes are read it should be one of
	// package confine, which runs them in processes of their own.
	Host Host
	// Keys open encrypted volumes.
	Keys evidence.Keys
	// Unclaimed also visits what no file claims: slack behind files, space
	// that a file system calls free, and the files that are carved out of it,
	// out of gaps and out of volumes that no reader lists.
	Unclaimed bool
	// Storage tells where a path lies that is not of this machine: the place,
	// and the name of the file in it. ok is false for the paths of this
	// machine, which all paths are if Storage is nil.
	Storage func(path string) (st evidence.Storage, name string, ok bool, err error)
}

// Host opens readers. The errors and names are those of package filesystem.
type Host interface {
	// Volume opens a file system, with the reader called only if that is not
	// empty.
	Volume(src evidence.Source, only string) (evidence.FileSystem, string, error)
	// Carve looks through stretches of src for files.
	Carve(src evidence.Source, free []tutela.Run) evidence.FileSystem
}

// here runs the readers in this process.
type here struct{}

func (here) Volume(src evidence.Source, only string) (evidence.FileSystem, string, error) {
	return filesystem.Open(src, only)
}

func (here) Carve(src evidence.Source, free []tutela.Run) evidence.FileSystem {
	return carve.New(src, free)
}

// Open opens every path. It fails if one of them cannot be opened at all, or is
// a split image with a part missing; what is merely damaged or not supported
// opens and is told by the walk.
func Open(paths []string, options Options) (*Survey, error) {
	if options.Host == nil {
		options.Host = here{}
	}
	s := &Survey{}
	for _, path := range paths {
		src, err := openPath(path, options)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open evidence: %w", err), s.Close())
		}
		s.sources = append(s.sources, src)
	}
	return s, nil
}

// Walk visits every entry of every path, in the order in which the paths were
// given. It returns the first error of visit unchanged, or that of ctx.
func (s *Survey) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	for _, src := range s.sources {
		if err := src.walk(ctx, limits, visit); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the files. Contents cannot be opened afterwards.
func (s *Survey) Close() error {
	var errs []error
	for _, src := range s.sources {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}

func openPath(path string, options Options) (source, error) {
	if options.Storage != nil {
		if st, name, ok, err := options.Storage(path); err != nil {
			return nil, err
		} else if ok {
			return openStored(path, st, name, options)
		}
	}
	return openLocal(path, options)
}

func openLocal(path string, options Options) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return openFolder(path)
	case mode.IsRegular():
		return openFile(path, info.Size(), options)
	case mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
		img, err := image.Open(path)
		if err != nil {
			return nil, err
		}
		return newMedium(path, img, options), nil
	}
	return openOne(path) // a pipe, socket or terminal: recorded, not opened
}

func openFile(path string, size int64, options Options) (source, error) {
	img, err := image.Open(path)
	if unsupported, ok := errors.AsType[*image.UnsupportedError](err); ok {
		return newContainer(filepath.Base(path), path, size, unsupported), nil
	}
	if err != nil {
		return nil, err
	}
	m := newMedium(path, img, options)
	if image.Named(path) || m.recognised() {
		return m, nil
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	return openOne(path)
}

// files is a folder or a single file of the lab's own operating system.
type files struct {
	*folder.Folder
	description Source
}

func openFolder(path string) (source, error) {
	f, err := folder.Open(path)
	if err != nil {
		return nil, err
	}
	return files{f, Source{Path: path, Kind: "folder", Size: -1}}, nil
}

func openOne(path string) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	f, err := folder.OpenOne(path)
	if err != nil {
		return nil, err
	}
	return files{f, Source{Path: path, Kind: "file", Size: info.Size()}}, nil
}

func (f files) walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	return inOrder(visit, func(visit func(*evidence.Entry) error) error { return f.Walk(ctx, limits, visit) })
}

func (f files) describe() Source { return f.description }
