// Package folder lists a live folder: files that an operating system serves,
// rather than an image of the medium they lie on.
//
// Start with [Open] for a folder and [OpenOne] for a single file. Walk visits in
// byte order of the names, a folder's content in the place of its name. Links
// are recorded with their target and never followed; devices, sockets and pipes
// are recorded and never opened; a folder has an entry only when something must
// be said about it.
//
// Promised: nothing outside the folder is reached, whatever is renamed or
// replaced by a link while it is read, because every step is taken from an open
// directory and refuses links. Paths may be longer than the operating system
// takes in one call. At most a few dozen directories are open at a time. A file
// that changed between being listed and being closed says so, see [ErrChanged].
// Mounted file systems below the folder are walked like any folder.
//
// Not promised: that the folder stands still. A live folder is not an image:
// two walks agree only if nobody writes. On Linux access times are left alone
// where the kernel allows it (the owner of a file, or root); elsewhere reading
// may change them, and so an entry does not tell them: what is observed must not
// depend on having been observed before. Use a write blocker or a read-only
// mount.
package folder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// ErrChanged is wrapped by the Close of a content whose file did not stay as it
// was listed (it grew, shrank, was written to, replaced or deleted), and by Open
// where the file is gone or has become something else. What was read is what
// was there at that time; the scan makes it tutela.FindingChanged.
var ErrChanged = errors.New("changed while it was read")

// Folder is an opened folder. Contents may be read from several goroutines.
type Folder struct {
	top   *node
	only  string // the one name to list; "" for all
	chain []tutela.Locator
}

var _ evidence.FileSystem = (*Folder)(nil)

// Open opens the folder at path. A link at path itself is followed.
func Open(path string) (*Folder, error) {
	dir, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", path, err)
	}
	return newFolder(dir, tutela.Locator{Layer: "folder", At: nameOf(path)}), nil
}

// OpenOne opens the folder of the file at path and lists that file alone, as
// "/name". A link at path itself is followed.
func OpenOne(path string) (*Folder, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open the folder of %s: %w", path, err)
	}
	f := newFolder(dir, tutela.Locator{Layer: "file", At: filepath.Base(path)})
	f.only = filepath.Base(path)
	return f, nil
}

func newFolder(dir directory, step tutela.Locator) *Folder {
	return &Folder{top: &node{dir: dir, users: 1}, chain: []tutela.Locator{step}}
}

// nameOf is the folder's own name, also where path is "." or ends in a slash.
func nameOf(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return filepath.Base(path)
}

// Chain is the first step of every entry: the name of the folder or file.
func (f *Folder) Chain() []tutela.Locator { return slices.Clip(f.chain) }

// Close ends the folder. Contents that are open stay readable; nothing more can
// be opened.
func (f *Folder) Close() error { return f.top.end() }

// Walk visits every entry. The limits do not bind it: the operating system
// vouches for what it lists.
func (f *Folder) Walk(ctx context.Context, _ evidence.Limits, visit func(*evidence.Entry) error) error {
	w := &walker{ctx: ctx, visit: visit, chain: f.Chain(), alone: f.only != ""}
	defer w.releaseAll()
	if f.only != "" {
		return w.names(w.push(f.top), nil, []string{f.only})
	}
	return w.directory(f.top, nil)
}
