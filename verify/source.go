package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tutela/internal/ledger/check"
)

// source is where a bundle lies: its files by their paths, none judged.
type source interface {
	// sizes are the sizes of all files, in bytes. The map is the caller's.
	sizes() map[string]uint64
	// open opens one of them. It must not follow a link.
	open(path string) (io.ReadCloser, error)
	close() error
}

// errChanged is wrapped when a file is not what it was a moment ago.
var errChanged = errors.New("a file that was changed")

// folder is a bundle as a folder.
type folder struct {
	root  *os.Root
	found map[string]uint64
}

var _ source = (*folder)(nil)

func openFolder(path string) (source, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, found: map[string]uint64{}}
	if err := f.walk(".", ""); err != nil {
		root.Close()
		return nil, err
	}
	return f, nil
}

// maxDepth is how many folders lie above the deepest file: trees/N-NAME.
const maxDepth = 2

// walk finds the files of a folder, a stretch of names at a time. What no bundle
// has ends it, so that no tree of folders can keep it busy.
func (f *folder) walk(name, inside string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	for n := 0; ; {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			if err := f.take(inside+e.Name(), e); err != nil {
				return err
			}
		}
		if n += len(entries); errors.Is(err, io.EOF) {
			if n == 0 {
				return fmt.Errorf("an empty folder: %q", inside)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *folder) take(path string, e os.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		if strings.Count(path, "/") >= maxDepth {
			return fmt.Errorf("a folder that has no place here: %q", path)
		}
		return f.walk(path, path+"/")
	case !info.Mode().IsRegular():
		return fmt.Errorf("a link or a device: %q", path)
	case len(f.found) >= check.MaxBundleFiles:
		return errors.New("too many files")
	}
	if _, err := check.ParseBundlePath(path); err != nil {
		return err
	}
	f.found[path] = uint64(info.Size())
	return nil
}

func (f *folder) sizes() map[string]uint64 { return f.found }
func (f *folder) close() error             { return f.root.Close() }

func (f *folder) open(path string) (io.ReadCloser, error) {
	before, err := f.root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q", errChanged, path)
	}
	return f.root.Open(path)
}

// archive is a bundle as a tar.
type archive struct {
	file  io.ReaderAt
	whole uint64 // bytes
	found map[string]uint64
	at    map[string]uint64 // where the bytes of each begin
	done  func() error
}

var _ source = (*archive)(nil)

func openTar(path string) (source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var a *archive
	if err == nil {
		a, err = readTar(f, uint64(info.Size()), f.Close)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// readTar finds the files of a tar of so many bytes: docs/reference/bundle-format.md,
// "As a tar".
func readTar(file io.ReaderAt, whole uint64, done func() error) (*archive, error) {
	a := &archive{file: file, whole: whole, found: map[string]uint64{}, at: map[string]uint64{}, done: done}
	var last string
	for at := uint64(0); ; {
		head, err := a.block(at)
		if err != nil {
			return nil, err
		}
		at += check.TarHeaderSize
		if head == [check.TarHeaderSize]byte{} {
			return a, a.end(at)
		}
		path, size, err := check.ParseTarHeader(head)
		if err != nil {
			return nil, err
		}
		if path <= last || len(a.found) >= check.MaxBundleFiles {
			return nil, fmt.Errorf("a tar that is not sorted, or has too many files, at %s", path)
		}
		a.found[path], a.at[path], last = size, at, path
		if at, err = a.behind(at, size); err != nil {
			return nil, err
		}
	}
}

func (a *archive) block(at uint64) (b [check.TarHeaderSize]byte, err error) {
	if a.whole-at < check.TarHeaderSize {
		return b, errors.New("a tar that ends too early")
	}
	_, err = a.file.ReadAt(b[:], int64(at))
	return b, err
}

// behind is where the next header is, behind size bytes at a place and zeroes.
// Sizes are below 2³³, and a place is below 2⁶³.
func (a *archive) behind(at, size uint64) (uint64, error) {
	padding := (check.TarHeaderSize - size%check.TarHeaderSize) % check.TarHeaderSize
	if size+padding > a.whole-at {
		return 0, errors.New("a tar that ends too early")
	}
	zeroes := make([]byte, padding)
	if _, err := a.file.ReadAt(zeroes, int64(at+size)); err != nil {
		return 0, err
	}
	for _, b := range zeroes {
		if b != 0 {
			return 0, errors.New("a tar with bytes between its files")
		}
	}
	return at + size + padding, nil
}

// end demands the second block of zeroes, and nothing behind it.
func (a *archive) end(at uint64) error {
	b, err := a.block(at)
	if err == nil && (b != [check.TarHeaderSize]byte{} || at+check.TarHeaderSize != a.whole) {
		err = errors.New("a tar with bytes behind its end")
	}
	return err
}

func (a *archive) sizes() map[string]uint64 { return a.found }
func (a *archive) close() error             { return a.done() }

func (a *archive) open(path string) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(a.file, int64(a.at[path]), int64(a.found[path]))), nil
}

// sum reads a file to its end, and tells its SHA-256. It must have the size that
// was found; ctx ends it.
func sum(ctx context.Context, src source, path string, size uint64) (h check.Hash, err error) {
	file, err := src.open(path)
	if err != nil {
		return h, err
	}
	defer file.Close()
	hash, buf := sha256.New(), make([]byte, min(size+1, 1<<20))
	for left := size; ; {
		if ctx.Err() != nil {
			return h, context.Cause(ctx)
		}
		n, err := file.Read(buf)
		if uint64(n) > left {
			return h, fmt.Errorf("%w: %q", errChanged, path)
		}
		left -= uint64(n)
		hash.Write(buf[:n])
		switch {
		case errors.Is(err, io.EOF) && left == 0:
			return check.Hash(hash.Sum(nil)), nil
		case errors.Is(err, io.EOF):
			return h, fmt.Errorf("%w: %q", errChanged, path)
		case err != nil:
			return h, err
		}
	}
}

// whole reads a file that fits in memory. It must have the size that was found.
func whole(src source, path string, size uint64) ([]byte, error) {
	file, err := src.open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := make([]byte, size)
	if _, err = io.ReadFull(file, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: %q", errChanged, path)
	}
	if err != nil {
		return nil, err
	}
	if n, err := file.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %q", errChanged, path)
	}
	return b, nil
}
