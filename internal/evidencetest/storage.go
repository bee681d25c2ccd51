package evidencetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"tutela/internal/evidence"
)

// Storage is a place for the files of an image, in memory: name to content.
type Storage map[string][]byte

var _ evidence.Storage = Storage(nil)

// Open opens one of the files.
func (s Storage) Open(name string) (evidence.File, error) {
	if strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("open %q: a path, not a name", name)
	}
	b, ok := s[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return memoryFile{memory{bytes.NewReader(b)}}, nil
}

// Names lists the files.
func (s Storage) Names() ([]string, error) {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

type memoryFile struct{ memory }

func (memoryFile) Close() error { return nil }

// OpenImage opens the disk inside a container; each container's Open, made to fit.
type OpenImage func(st evidence.Storage, name string) (evidence.File, error)

// mostRead is how many bytes of a damaged container's disk are read in each of
// the places that are tried.
const mostRead = 256 << 10

// HostileImage opens the disk in a container of whatever bytes, reads its
// beginning, its middle and its end, and holds what must be true of any: no
// panic, no short read without an error, none that gives more than was asked, no
// bytes past the end.
func HostileImage(t testing.TB, open OpenImage, st evidence.Storage, name string) {
	t.Helper()
	disk, err := open(st, name)
	if err != nil {
		return
	}
	defer disk.Close()
	size := disk.Size()
	if size < 0 {
		t.Fatalf("a disk of %d bytes", size)
	}
	buf := make([]byte, mostRead)
	for _, off := range []int64{0, 1, size / 3, size - mostRead/2, size - 1, size} {
		if off < 0 {
			continue
		}
		n, err := disk.ReadAt(buf, off)
		switch {
		case n < 0 || n > len(buf) || int64(n) > max(size-off, 0):
			t.Fatalf("%d bytes at %d of %d", n, off, size)
		case n < len(buf) && err == nil:
			t.Fatalf("%d bytes at %d without an error", n, off)
		case errors.Is(err, io.EOF) && off < size && off+int64(n) != size:
			if _, ok := errors.AsType[*evidence.ReadError](err); !ok {
				t.Fatalf("the end of the disk at %d of %d", off+int64(n), size)
			}
		}
	}
}
