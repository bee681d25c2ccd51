package btrfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const (
	orphanFolder = "/$OrphanFiles"
	fewPieces    = 16
)

// walker is one walk over the tree of directories.
type walker struct {
	fs     *FileSystem
	ctx    context.Context
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	pending []directory       // the next at the end
	listed  map[objectID]bool // directories
	roots   map[uint64]node   // of the subvolumes met
	entries int64             // names that may still be given
}

// objectID is an inode of a subvolume.
type objectID struct{ subvolume, inode uint64 }

func (o objectID) String() string { return fmt.Sprintf("subvolume %d inode %d", o.subvolume, o.inode) }

// directory is one that is still to be listed.
type directory struct {
	path    string // "" for the root, without a slash at the end
	id      objectID
	problem *tutela.Finding // why the path is not the whole path
}

var errLimit = errors.New("limited")

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := &walker{
		fs: fs, ctx: ctx, limits: limits.WithDefaults(), visit: visit,
		listed: map[objectID]bool{}, roots: map[uint64]node{},
	}
	w.entries = w.limits.EntriesPerRoot
	if len(fs.findings) > 0 {
		if err := w.about(directory{}, "superblock", fs.findings...); err != nil {
			return err
		}
	}
	w.pending = append(w.pending, directory{id: objectID{topLevel, firstObject}})
	for len(w.pending) > 0 {
		last := len(w.pending) - 1
		next := w.pending[last]
		w.pending = w.pending[:last]
		if err := w.list(next); err != nil {
			return err
		}
	}
	return nil
}

// about is an entry that carries what must be said about a directory.
func (w *walker) about(d directory, at string, findings ...tutela.Finding) error {
	path := d.path
	if path == "" {
		path = "/"
	}
	if d.problem != nil {
		findings = append(findings, *d.problem)
	}
	return w.visit(&evidence.Entry{
		Path:     []byte(path),
		Chain:    []tutela.Locator{{Layer: layerName, At: at}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: findings,
	})
}

func (w *walker) root(subvolume uint64) (node, error) {
	if n, ok := w.roots[subvolume]; ok {
		return n, nil
	}
	n, err := w.fs.subvolume(subvolume)
	if err == nil {
		w.roots[subvolume] = n
	}
	return n, err
}

// visitError is an error of visit or of ctx, as opposed to one of the tree.
type visitError struct{ err error }

func (e visitError) Error() string { return e.err.Error() }

// list gives out what is in a directory, and keeps the directories in it for
// later.
func (w *walker) list(d directory) error {
	if w.listed[d.id] {
		return w.about(d, d.id.String(), tutela.Finding{Code: tutela.FindingLoop, Detail: "the directory is listed elsewhere already"})
	}
	w.listed[d.id] = true
	first := len(w.pending)
	root, err := w.root(d.id.subvolume)
	if err == nil {
		from, to := key{d.id.inode, itemDirIndex, 0}, key{d.id.inode, itemDirIndex, 1<<64 - 1}
		err = w.fs.scan(root, from, to, func(_ key, b []byte) error { return w.names(d, root, b) })
	}
	for i, j := first, len(w.pending)-1; i < j; i, j = i+1, j-1 {
		w.pending[i], w.pending[j] = w.pending[j], w.pending[i]
	}
	if stop, ok := err.(visitError); ok {
		return stop.err
	}
	if err != nil {
		return w.about(d, d.id.String(), tutela.Finding{Code: codeOf(err), Detail: "not listed whole: " + err.Error()})
	}
	return nil
}

// names takes the names of one item of a directory (BTRFS "Directory item").
func (w *walker) names(d directory, root node, b []byte) error {
	for len(b) >= dirItemBytes {
		le := binary.LittleEndian
		value, length := int(le.Uint16(b[25:])), int(le.Uint16(b[27:]))
		if dirItemBytes+length+value > len(b) {
			break
		}
		if err := w.name(d, root, parseKey(b), b[dirItemBytes:dirItemBytes+length]); err != nil {
			return err
		}
		b = b[dirItemBytes+length+value:]
	}
	if len(b) > 0 {
		return errors.New("a name ends behind its item")
	}
	return nil
}

func (w *walker) name(d directory, root node, to key, name []byte) error {
	if err := w.ctx.Err(); err != nil {
		return visitError{err}
	}
	if w.entries--; w.entries < 0 {
		return fmt.Errorf("more than %d names: %w", w.limits.EntriesPerRoot, errLimit)
	}
	if to.kind == itemRoot {
		// A snapshot keeps the names of the subvolumes that lay in its original,
		// but not what was in them.
		ref := key{d.id.subvolume, itemRootRef, to.object}
		if _, err := w.fs.lookup(w.fs.roots, ref); errors.Is(err, errNone) {
			return nil
		}
		w.pending = append(w.pending, w.below(d, name, objectID{to.object, firstObject}))
		return nil
	}
	id := objectID{d.id.subvolume, to.object}
	e := &evidence.Entry{
		Path:  []byte(d.path + "/" + string(name)),
		Chain: []tutela.Locator{{Layer: layerName, At: id.String()}},
		Kind:  tutela.File,
		State: tutela.Allocated,
		Size:  -1,
	}
	if bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0 || len(name) == 0 {
		e.Find(tutela.FindingDamaged, "no directory may list such a name")
	}
	item, err := w.fs.lookup(root, key{to.object, itemInode, 0})
	var i inode
	if err == nil {
		i, err = parseInode(item)
	}
	switch {
	case err != nil:
		refuse(e, codeOf(err), fmt.Errorf("%s: %w", id, err))
	case i.kind() == tutela.Directory:
		w.pending = append(w.pending, w.below(d, name, id))
		return nil
	default:
		w.describe(e, root, id, &i)
	}
	return w.emit(e, d.problem)
}

// below is a directory in d. One whose path gets too long loses the directories
// above it, so that what is in it is not lost.
func (w *walker) below(d directory, name []byte, id objectID) directory {
	sub := directory{path: d.path + "/" + string(name), id: id, problem: d.problem}
	if len(sub.path) >= w.limits.NameBytes {
		sub.path = fmt.Sprintf("%s/directory-%d-%d", orphanFolder, id.subvolume, id.inode)
		sub.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}
	}
	return sub
}

func (w *walker) emit(e *evidence.Entry, problem *tutela.Finding) error {
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if problem != nil {
		e.Findings = append(e.Findings, *problem)
	}
	if err := w.visit(e); err != nil {
		return visitError{err}
	}
	return nil
}

// refuse makes the content of e unreadable.
func refuse(e *evidence.Entry, code string, err error) {
	e.Find(code, err.Error())
	e.Runs, e.Slack = nil, nil
	e.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("btrfs: %w", err) }
}

// describe says of e what its inode tells.
func (w *walker) describe(e *evidence.Entry, root node, id objectID, i *inode) {
	e.Kind, e.Size, e.Times = i.kind(), i.size, i.times
	switch e.Kind {
	case tutela.File:
		w.file(e, root, id, i)
	case tutela.Symlink:
		target, err := w.target(root, id, i)
		if err != nil {
			e.Find(codeOf(err), err.Error())
		}
		e.Find(tutela.FindingSpecial, "symlink to "+tutela.DisplayPath(target))
	case tutela.Device:
		e.Find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", i.device>>20, i.device&(1<<20-1)))
	default:
		e.Find(tutela.FindingSpecial, e.Kind.String())
	}
}

func (w *walker) target(root node, id objectID, i *inode) ([]byte, error) {
	if i.size > maxInline {
		return nil, fmt.Errorf("a link's target of %d bytes", i.size)
	}
	pieces, err := w.fs.pieces(root, id.inode, i.size)
	if err != nil {
		return nil, err
	}
	b := make([]byte, i.size)
	n, err := w.fs.contentOf(pieces, i.size).(readerAt).ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

type readerAt interface {
	ReadAt(p []byte, off int64) (int, error)
}

func (w *walker) file(e *evidence.Entry, root node, id objectID, i *inode) {
	held := w.fs.src.Size()
	if most := max(64*held, 1<<34); i.size > most {
		refuse(e, tutela.FindingLimit, fmt.Errorf("%d bytes, mostly zeros, on a volume of %d: %w", i.size, held, errLimit))
		return
	}
	pieces, err := w.fs.pieces(root, id.inode, i.size)
	if err != nil {
		refuse(e, codeOf(err), fmt.Errorf("%s: %w", id, err))
		return
	}
	var extents []evidence.Extent
	for _, p := range pieces {
		switch {
		case p.compression == compressLZO, p.compression > compressZstd:
			_, err := expand(nil, p.compression, 0)
			refuse(e, codeOf(err), err)
			return
		case p.inline == nil && p.packed == 0:
			extents = append(extents, evidence.Extent{Offset: p.at, Length: p.length})
		}
	}
	e.Runs = evidence.RunsOf(extents)
	w.slack(e, pieces)
	fs, size, number := w.fs, i.size, id.inode
	if len(pieces) <= fewPieces {
		e.Open = func() (evidence.Content, error) { return fs.contentOf(pieces, size), nil }
		return
	}
	// The list is read again: many contents may be waiting to be read.
	e.Open = func() (evidence.Content, error) {
		pieces, err := fs.pieces(root, number, size)
		if err != nil {
			return nil, fmt.Errorf("btrfs: %s: %w", id, err)
		}
		return fs.contentOf(pieces, size), nil
	}
}

// slack is what lies behind the end of the content in its last sector.
func (w *walker) slack(e *evidence.Entry, pieces []piece) {
	if len(pieces) == 0 {
		return
	}
	last := pieces[len(pieces)-1]
	if last.inline != nil || last.at == evidence.Hole || last.packed > 0 {
		return
	}
	end := last.at + last.length
	sector := int64(w.fs.sb.sector)
	if rest := (sector - end%sector) % sector; rest > 0 && end+rest <= w.fs.src.Size() {
		e.Slack = []tutela.Run{{Offset: end, Length: rest}}
	}
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
