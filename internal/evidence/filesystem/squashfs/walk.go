package squashfs

import (
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk over the tree, a directory at a time.
type walker struct {
	fs     *FileSystem
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	pending []directory // the next at the end
	seen    map[inodeRef]bool
	entries int64
}

// directory is one that is still to be listed.
type directory struct {
	path    string // "" for the root, without a slash at the end
	ref     inodeRef
	problem *tutela.Finding // why the path is not the whole path
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := &walker{fs: fs, limits: limits.WithDefaults(), visit: visit, seen: map[inodeRef]bool{}}
	if err := w.volume(); err != nil {
		return err
	}
	w.pending = append(w.pending, directory{ref: fs.super.root})
	for len(w.pending) > 0 {
		last := len(w.pending) - 1
		next := w.pending[last]
		w.pending = w.pending[:last]
		if err := w.list(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

// volume is the entry that carries what must be said about all of it.
func (w *walker) volume() error {
	if len(w.fs.findings) == 0 {
		return nil
	}
	return w.visit(&evidence.Entry{
		Path:     []byte("/"),
		Chain:    []tutela.Locator{{Layer: layerName, At: "superblock"}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: w.fs.findings,
	})
}

// list gives out what is in a directory, and keeps the directories in it for
// later.
func (w *walker) list(ctx context.Context, d directory) error {
	if w.seen[d.ref] {
		return w.unlisted(d, tutela.FindingLoop, "the directory is listed elsewhere already")
	}
	w.seen[d.ref] = true
	dir, err := w.fs.inode(d.ref)
	switch {
	case err != nil:
		return w.unlisted(d, codeOf(err), err.Error())
	case dir.kind != tutela.Directory:
		return w.unlisted(d, tutela.FindingDamaged, fmt.Sprintf("inode %d is a %s", dir.number, dir.kind))
	}
	first := len(w.pending)
	err = w.fs.names(&dir, func(n name) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.name(d, n)
	})
	reverse(w.pending[first:])
	if broken, ok := errors.AsType[*listingError](err); ok {
		return w.unlisted(d, codeOf(broken), "not listed to its end: "+broken.Error())
	}
	return err
}

func reverse(ds []directory) {
	for i, j := 0, len(ds)-1; i < j; i, j = i+1, j-1 {
		ds[i], ds[j] = ds[j], ds[i]
	}
}

// name takes one record of the directory d.
func (w *walker) name(d directory, n name) error {
	if w.entries++; w.entries > w.limits.EntriesPerRoot {
		return &listingError{fmt.Errorf("more than %d names: %w", w.limits.EntriesPerRoot, errLimit)}
	}
	if kindOf(n.kind) == tutela.Directory {
		w.pending = append(w.pending, w.below(d, n))
		return nil
	}
	e := w.entry(d, n)
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if misleads(n.name) {
		e.Find(tutela.FindingDamaged, "no directory may list such a name")
	}
	if d.problem != nil {
		e.Findings = append(e.Findings, *d.problem)
	}
	return w.visit(e)
}

var errLimit = errors.New("limited")

// below is the directory that n names. One whose path gets too long loses the
// directories above it, so that what is in it is not lost.
func (w *walker) below(d directory, n name) directory {
	sub := directory{path: d.path + "/" + string(n.name), ref: n.ref, problem: d.problem}
	if len(sub.path) >= w.limits.NameBytes {
		sub.path = fmt.Sprintf("%s/directory-%#x", orphanFolder, uint64(n.ref))
		sub.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}
	}
	return sub
}

// entry is what n leads to.
func (w *walker) entry(d directory, n name) *evidence.Entry {
	e := &evidence.Entry{
		Path:  []byte(d.path + "/" + string(n.name)),
		Kind:  kindOf(n.kind),
		State: tutela.Allocated,
		Size:  -1,
	}
	i, err := w.fs.inode(n.ref)
	if err == nil && i.kind != e.Kind {
		err = fmt.Errorf("inode %d is a %s", i.number, i.kind)
	}
	if err != nil {
		e.Chain = []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("inode at %#x", uint64(n.ref))}}
		e.Find(codeOf(err), err.Error())
		if e.Kind == tutela.File {
			e.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("squashfs: %w", err) }
		}
		return e
	}
	e.Chain = []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("inode %d", i.number)}}
	e.Times.Modified = i.modified
	e.Size = i.size
	w.describe(e, i)
	return e
}

func (w *walker) describe(e *evidence.Entry, i inode) {
	switch i.kind {
	case tutela.File:
		w.file(e, i)
	case tutela.Symlink:
		e.Find(tutela.FindingSpecial, "symbolic link to "+tutela.DisplayPath(i.target))
	case tutela.Device:
		major, minor := i.device>>8&0xfff, i.device&0xff|i.device>>12&0xfff00
		e.Find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", major, minor))
	default:
		e.Find(tutela.FindingSpecial, i.kind.String())
	}
}

// file makes a content readable and says where it is stored as it is.
func (w *walker) file(e *evidence.Entry, i inode) {
	fs := w.fs
	e.Open = func() (evidence.Content, error) { return fs.open(i), nil }
	if need := i.wholeBlocks(fs.super.blockBytes) * 4; need > fs.held(i.blockList.at) {
		err := fmt.Errorf("inode %d: a size of %d bytes has more blocks than the inode table could list", i.number, i.size)
		e.Find(tutela.FindingDamaged, err.Error())
		e.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("squashfs: %w", err) }
		return
	}
	runs, err := fs.storedRuns(i)
	if err != nil {
		e.Find(codeOf(err), err.Error())
	}
	e.Runs = runs
}

// unlisted is a directory that is not, or not all, listed.
func (w *walker) unlisted(d directory, code, detail string) error {
	path := d.path
	if path == "" {
		path = "/"
	}
	e := &evidence.Entry{
		Path:  []byte(path),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("inode at %#x", uint64(d.ref))}},
		Kind:  tutela.Directory,
		State: tutela.Allocated,
	}
	e.Find(code, detail)
	if d.problem != nil {
		e.Findings = append(e.Findings, *d.problem)
	}
	return w.visit(e)
}

// codeOf is the finding that an error is told by.
func codeOf(err error) string {
	if errors.Is(err, errLimit) {
		return tutela.FindingLimit
	}
	if errors.Is(err, evidence.ErrUnsupported) {
		return tutela.FindingUnsupported
	}
	if _, ok := errors.AsType[*evidence.ReadError](err); ok {
		return tutela.FindingReadError
	}
	return tutela.FindingDamaged
}
