package disclosure

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"tutela/internal/durable"
)

// Vacant reports whether nothing is in a place where a bundle is to be, as
// [ErrExists].
func Vacant(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	return err
}

// write writes the bundle beside its place and renames it into it. Before the
// rename there is no bundle, after it a whole one; a crash leaves a name that
// begins with a dot.
func (d *disclosing) write(files bundle) (err error) {
	parent := filepath.Dir(d.Path)
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(d.Path)+"-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	inside, w := filepath.Join(tmp, "bundle"), &writing{files, d.stored}
	if d.Form == Tar {
		err = w.tar(inside)
	} else {
		err = w.folder(inside)
	}
	if err != nil {
		return err
	}
	if err := Vacant(d.Path); err != nil {
		return err
	}
	if err := os.Rename(inside, d.Path); err != nil {
		return err
	}
	return durable.SyncDir(parent)
}

// writing is a bundle on its way to the disk.
type writing struct {
	files  bundle
	stored map[string]stored
}

// copyTo writes one file.
func (w *writing) copyTo(to io.Writer, path string) error {
	if s, ok := w.stored[path]; ok {
		return s.copyTo(to)
	}
	_, err := to.Write(w.files[path])
	return err
}

func (w *writing) size(path string) int64 {
	if s, ok := w.stored[path]; ok {
		return s.size
	}
	return int64(len(w.files[path]))
}

// paths are those of all files, sorted by their bytes.
func paths(files bundle, stored map[string]stored) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for path := range files {
			if !yield(path) {
				return
			}
		}
		maps.Keys(stored)(yield)
	})
}

func (w *writing) folder(root string) error {
	all, folders := paths(w.files, w.stored), map[string]bool{root: true}
	for _, path := range all {
		for dir := filepath.Dir(filepath.Join(root, filepath.FromSlash(path))); dir != root; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := w.writeFiles(root, all); err != nil {
		return err
	}
	for dir := range folders {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncsAtOnce is how many files are synced at a time: a file system commits what
// waits for it together, and a bundle may have ten thousands of files.
const syncsAtOnce = 32

func (w *writing) writeFiles(root string, all []string) error {
	names, failed := make(chan string), make(chan error, syncsAtOnce)
	var writers sync.WaitGroup
	for range syncsAtOnce {
		writers.Go(func() {
			var err error
			for path := range names {
				if err == nil {
					err = writeSynced(filepath.Join(root, filepath.FromSlash(path)), func(to io.Writer) error { return w.copyTo(to, path) })
				}
			}
			failed <- err
		})
	}
	for _, path := range all {
		names <- path
	}
	close(names)
	writers.Wait()
	close(failed)
	var errs error
	for err := range failed {
		errs = errors.Join(errs, err)
	}
	return errs
}

// writeSynced writes a new file, for its owner only.
func writeSynced(name string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

const (
	block      = 512       // what a tar is made of, in bytes
	maxTarFile = 1<<33 - 1 // what its eleven octal digits can tell, in bytes
)

func (w *writing) tar(name string) error {
	return writeSynced(name, func(to io.Writer) error {
		for _, path := range paths(w.files, w.stored) {
			if err := w.tarFile(to, path); err != nil {
				return err
			}
		}
		_, err := to.Write(make([]byte, 2*block))
		return err
	})
}

func (w *writing) tarFile(to io.Writer, path string) error {
	size := w.size(path)
	if size > maxTarFile {
		return fmt.Errorf("%s has %d bytes, in a tar a file has less than 8 GiB: write a folder", path, size)
	}
	if _, err := to.Write(tarHeader(path, size)); err != nil {
		return err
	}
	if err := w.copyTo(to, path); err != nil {
		return err
	}
	_, err := to.Write(make([]byte, -size&(block-1)))
	return err
}

// tarHeader is the one header that a file of a bundle has: POSIX ustar, made
// from the name and the size alone.
func tarHeader(name string, size int64) []byte {
	h := make([]byte, block)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(h[148:], "        0")
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}
