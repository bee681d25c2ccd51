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
func (b bundle) write(path string, form Form) (err error) {
	parent := filepath.Dir(path)
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	inside := filepath.Join(tmp, "bundle")
	if form == Tar {
		err = b.writeTar(inside)
	} else {
		err = b.writeFolder(inside)
	}
	if err != nil {
		return err
	}
	if err := Vacant(path); err != nil {
		return err
	}
	if err := os.Rename(inside, path); err != nil {
		return err
	}
	return durable.SyncDir(parent)
}

func (b bundle) writeFolder(root string) error {
	folders := map[string]bool{root: true}
	for name := range b {
		for dir := filepath.Dir(filepath.Join(root, filepath.FromSlash(name))); dir != root; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := b.writeFiles(root); err != nil {
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

func (b bundle) writeFiles(root string) error {
	names := make(chan string)
	failed := make(chan error, syncsAtOnce)
	var writers sync.WaitGroup
	for range syncsAtOnce {
		writers.Go(func() {
			var errs error
			for name := range names {
				if errs == nil {
					errs = writeSynced(filepath.Join(root, filepath.FromSlash(name)), func(w io.Writer) error { _, err := w.Write(b[name]); return err })
				}
			}
			failed <- errs
		})
	}
	for _, name := range b.paths() {
		names <- name
	}
	close(names)
	writers.Wait()
	close(failed)
	var all error
	for err := range failed {
		all = errors.Join(all, err)
	}
	return all
}

func (b bundle) paths() []string { return slices.Sorted(maps.Keys(b)) }

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

// block is what a tar is made of, in bytes.
const block = 512

func (b bundle) writeTar(name string) error {
	return writeSynced(name, func(w io.Writer) error {
		for _, path := range b.paths() {
			padding := make([]byte, -len(b[path])&(block-1))
			for _, part := range [][]byte{tarHeader(path, len(b[path])), b[path], padding} {
				if _, err := w.Write(part); err != nil {
					return err
				}
			}
		}
		_, err := w.Write(make([]byte, 2*block))
		return err
	})
}

// tarHeader is the one header that a file of a bundle has: POSIX ustar, made
// from the name and the size alone.
func tarHeader(name string, size int) []byte {
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
