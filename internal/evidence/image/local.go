package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// Local is a folder of this machine as a Storage. Links in it are followed, as
// they are for a path that is given on the command line; a name that is a path
// is refused.
func Local(folder string) evidence.Storage { return local{folder} }

type local struct{ folder string }

var _ evidence.Storage = local{}

// Names lists the folder.
func (l local) Names() ([]string, error) {
	dir, err := os.Open(l.folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// Open opens a regular file or a block device.
func (l local) Open(name string) (evidence.File, error) {
	if !isName(name) {
		return nil, fmt.Errorf("open %q: it is a path, and only the name of a file beside the image is followed", name)
	}
	path := filepath.Join(l.folder, name)
	// Opening a pipe would wait for somebody to write into it.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if mode := info.Mode(); !mode.IsRegular() && mode&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return nil, fmt.Errorf("%s is neither a file nor a block device", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	// A block device reports size 0 to stat, so the end is asked for.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the end: %w", err), f.Close())
	}
	return &localFile{file: f, name: name, size: size}, nil
}

// isName reports whether name can only mean a file in the folder itself. On
// Windows a colon begins a stream or ends a drive.
func isName(name string) bool {
	colon := runtime.GOOS == "windows" && strings.Contains(name, ":")
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00"+string(filepath.Separator)) && !colon
}

// A failed read is repeated in blocks and then in sectors, so that one bad
// sector costs one sector. 512 bytes is the smallest unit a medium can lose,
// 4096 what most lose today.
const (
	sector = 512
	block  = 4096
)

// localFile is a file or block device of this machine.
type localFile struct {
	file interface {
		io.ReaderAt
		io.Closer
	}
	name string
	size int64 // bytes, when it was opened
}

var _ evidence.File = (*localFile)(nil)

func (f *localFile) Size() int64  { return f.size }
func (f *localFile) Close() error { return f.file.Close() }

// ReadAt reads as io.ReaderAt does, within the size the file had when it was
// opened.
func (f *localFile) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset", f.name)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	if rest := f.size - off; int64(len(b)) > rest {
		n, err := f.readAt(b[:rest], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return f.readAt(b, off)
}

// readAt fills b, which lies within the size.
func (f *localFile) readAt(b []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(b, off)
	switch {
	case n == len(b):
		return n, nil
	case err == nil || errors.Is(err, io.EOF):
		return n, shrunk(f.name, f.size, tutela.Run{Offset: off + int64(n), Length: int64(len(b) - n)})
	case errors.Is(err, os.ErrClosed):
		return n, err
	}
	return f.narrow(b, off, n, err)
}

// shrunk is the error for a file that ends before the size it was opened with.
func shrunk(name string, size int64, missing tutela.Run) error {
	end := missing.Offset + missing.Length
	return &evidence.ReadError{
		Run: missing,
		Err: fmt.Errorf("read %s: it ends before byte %d and had %d bytes when it was opened: %w", name, end, size, io.ErrUnexpectedEOF),
	}
}

// narrow finds which bytes of b a failed read could not have. The first done
// bytes are good. It tries every sector of the request at most twice.
func (f *localFile) narrow(b []byte, off int64, done int, cause error) (int, error) {
	done += f.good(b[done:], off+int64(done), block)
	if done == len(b) {
		return done, nil // the second try read it
	}
	bad := f.bad(b[done:], off+int64(done))
	return done, &evidence.ReadError{
		Run: tutela.Run{Offset: off + int64(done), Length: int64(bad)},
		Err: fmt.Errorf("read %s: %d bytes at %d: %w", f.name, bad, off+int64(done), withoutPath(cause)),
	}
}

// withoutPath takes the folder on this machine out of an error: what is said of
// evidence ends up in sealed records and must be the same wherever it lies.
func withoutPath(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// good reads forward in steps and returns how many bytes come before the first
// sector that fails.
func (f *localFile) good(b []byte, off, step int64) int {
	n := 0
	for n < len(b) {
		piece := pieceOf(b[n:], off+int64(n), step)
		if !f.try(piece, off+int64(n)) {
			if step == sector {
				return n
			}
			if m := f.good(piece, off+int64(n), sector); m < len(piece) {
				return n + m
			}
		}
		n += len(piece)
	}
	return n
}

// bad returns how many bytes at the front of b cannot be read. The first sector
// is known not to be.
func (f *localFile) bad(b []byte, off int64) int {
	n := len(pieceOf(b, off, sector))
	for n < len(b) {
		piece := pieceOf(b[n:], off+int64(n), sector)
		if f.try(piece, off+int64(n)) {
			return n
		}
		n += len(piece)
	}
	return n
}

// pieceOf is the front of b up to the next multiple of step of the file.
func pieceOf(b []byte, off, step int64) []byte {
	return b[:min(int64(len(b)), step-off%step)]
}

func (f *localFile) try(b []byte, off int64) bool {
	n, _ := f.file.ReadAt(b, off)
	return n == len(b)
}
