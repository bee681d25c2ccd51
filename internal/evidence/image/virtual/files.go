package virtual

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"

	"tutela"
	"tutela/internal/evidence"
)

// MaxParents is how many images may stand one upon the other.
const MaxParents = 32

// Files are the files that one image consists of, as far as they are opened,
// and what was noticed about them. It is for one goroutine until the image is
// open, and does not change afterwards.
type Files struct {
	storage evidence.Storage
	open    []io.Closer
	names   []string
	notes   []tutela.Finding
}

// NewFiles is an image of which nothing is opened yet.
func NewFiles(st evidence.Storage) *Files { return &Files{storage: st} }

// Open opens a file of the storage that Close will close.
func (f *Files) Open(name string) (evidence.File, error) {
	file, err := f.storage.Open(name)
	if err != nil {
		return nil, err
	}
	f.open, f.names = append(f.open, file), append(f.names, name)
	return file, nil
}

// Adopt takes over a parent, which Close will close, with its names and notes.
func (f *Files) Adopt(parent *Medium) {
	f.open = append(f.open, parent)
	f.names = append(f.names, parent.files.names...)
	f.notes = append(f.notes, parent.files.notes...)
}

// Note keeps what must be said about the image.
func (f *Files) Note(code, format string, args ...any) {
	f.notes = append(f.notes, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// Storage is where the files lie.
func (f *Files) Storage() evidence.Storage { return f.storage }

// Close closes the files.
func (f *Files) Close() error {
	var errs []error
	for _, c := range f.open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Resolve finds the name in the storage that an image's reference means: the
// last part of whatever path it gives, in its own letters or, if only one file
// fits, in other case. The error wraps fs.ErrNotExist where there is none.
func (f *Files) Resolve(reference string) (string, error) {
	name := Base(reference)
	names, err := f.storage.Names()
	if err != nil {
		return "", err
	}
	var alike []string
	for _, n := range names {
		if n == name {
			return n, nil
		}
		if strings.EqualFold(n, name) {
			alike = append(alike, n)
		}
	}
	if name == "" || len(alike) != 1 {
		return "", fmt.Errorf("%q is not beside it: %w", name, fs.ErrNotExist)
	}
	return alike[0], nil
}

// Base is the last part of a path of whatever system.
func Base(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// MissingParent is the error for an image whose parent is not in its storage. It
// wraps [evidence.ErrUnsupported] and cause.
func MissingParent(format string, cause error) error {
	return fmt.Errorf("%s: differencing image without its parent: %w: %w", format, cause, evidence.ErrUnsupported)
}

// UTF16 is the text of UTF-16 code units, up to the first that is 0.
func UTF16(units []uint16) string {
	for i, u := range units {
		if u == 0 {
			units = units[:i]
			break
		}
	}
	return string(utf16.Decode(units))
}
