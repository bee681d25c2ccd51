package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"tutela"
	"tutela/internal/evidence"
)

const (
	// maxOpen is how many directories on the way down stay open.
	maxOpen = 64
	// maxPath bounds a path in bytes, and so the depth of a tree that a
	// file system makes up as it is walked.
	maxPath = 64 << 10
)

// walker is one walk. It keeps the lowest maxOpen directories of its way in use
// and takes those above into use again when it comes back to them.
type walker struct {
	ctx   context.Context
	visit func(*evidence.Entry) error
	chain []tutela.Locator
	alone bool // one file is listed, and those beside it are not what was asked for
	way   []step
}

type step struct {
	node *node
	used bool
}

// push enters n and returns its place on the way.
func (w *walker) push(n *node) int {
	w.way = append(w.way, step{node: n})
	if i := len(w.way) - 1 - maxOpen; i >= 0 {
		w.drop(i)
	}
	return len(w.way) - 1
}

func (w *walker) pop() {
	w.drop(len(w.way) - 1)
	w.way = w.way[:len(w.way)-1]
}

func (w *walker) drop(i int) {
	if w.way[i].used {
		w.way[i].node.release()
		w.way[i].used = false
	}
}

func (w *walker) releaseAll() {
	for i := range w.way {
		w.drop(i)
	}
}

// at returns the open directory at place i. Coming back up, it takes a whole
// stretch above into use, so that a deep tree is not opened anew at every step.
func (w *walker) at(i int) (directory, error) {
	if w.way[i].used {
		return w.way[i].node.dir, nil // set while in use
	}
	for j := max(0, i-maxOpen+1); j <= i; j++ {
		if w.way[j].used {
			continue
		}
		if _, err := w.way[j].node.use(); err != nil {
			return nil, err
		}
		w.way[j].used = true
	}
	return w.way[i].node.dir, nil
}

// directory lists what lies in n, whose path is given without a slash at the end.
func (w *walker) directory(n *node, path []byte) error {
	place := w.push(n)
	defer w.pop()
	dir, err := w.at(place)
	if err != nil {
		return w.remark(path, troubleCode(err), err.Error())
	}
	names, err := dir.names()
	if err != nil {
		code := troubleCode(err)
		if len(names) > 0 {
			code = tutela.FindingReadError
		}
		if err := w.remark(path, code, fmt.Sprintf("%d names listed, then %v", len(names), err)); err != nil {
			return err
		}
	}
	slices.Sort(names)
	return w.names(place, path, names)
}

// names visits the names of the directory at the given place.
func (w *walker) names(place int, path []byte, names []string) error {
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		dir, err := w.at(place)
		if err != nil {
			return w.remark(path, troubleCode(err), fmt.Sprintf("from %s on: %v", tutela.DisplayPath([]byte(name)), err))
		}
		if err := w.name(dir, w.way[place].node, join(path, name), name); err != nil {
			return err
		}
	}
	return nil
}

func join(path []byte, name string) []byte {
	full := make([]byte, 0, len(path)+1+len(name))
	return append(append(append(full, path...), '/'), name...)
}

func (w *walker) name(dir directory, n *node, path []byte, name string) error {
	st, err := dir.lstat(name)
	switch {
	case err != nil:
		return w.visit(w.untold(path, err))
	case st.kind == tutela.Directory && len(path) > maxPath:
		return w.remark(path, tutela.FindingLimit, fmt.Sprintf("the path is longer than %d bytes; what is below was left", maxPath))
	case st.kind == tutela.Directory:
		return w.directory(&node{parent: n, name: name}, path)
	case st.kind != tutela.File:
		return w.visit(w.special(dir, path, name, st))
	}
	file := &file{node: n, name: name, listed: st}
	e := w.entry(path, tutela.File)
	e.Size, e.Times, e.Open, e.Beside = st.size, st.times, file.open, w.beside(n)
	return w.visit(e)
}

func (w *walker) entry(path []byte, kind tutela.EntryKind) *evidence.Entry {
	return &evidence.Entry{Path: path, Chain: w.chain, Kind: kind, State: tutela.Allocated}
}

// remark visits the directory itself, because something must be said about it.
func (w *walker) remark(path []byte, code, detail string) error {
	if len(path) == 0 {
		path = []byte("/")
	}
	e := w.entry(path, tutela.Directory)
	e.Find(code, detail)
	return w.visit(e)
}

// untold is the entry of a name about which nothing could be learnt.
func (w *walker) untold(path []byte, err error) *evidence.Entry {
	e := w.entry(path, tutela.File)
	e.Size = -1
	e.Find(troubleCode(err), err.Error())
	e.Open = func() (evidence.Content, error) { return nil, err }
	return e
}

func (w *walker) special(dir directory, path []byte, name string, st stat) *evidence.Entry {
	e := w.entry(path, st.kind)
	e.Times = st.times
	detail := "a " + st.kind.String()
	if st.kind == tutela.Symlink {
		detail = "a link to " + target(dir, name)
	}
	e.Find(tutela.FindingSpecial, detail)
	return e
}

func target(dir directory, name string) string {
	to, err := dir.readlink(name)
	if err != nil {
		return fmt.Sprintf("an unknown target: %v", err)
	}
	return tutela.DisplayPath([]byte(to))
}

// troubleCode tells what went away from what was never readable.
func troubleCode(err error) string {
	for _, gone := range []error{fs.ErrNotExist, ErrChanged, syscall.ENOTDIR, syscall.ELOOP} {
		if errors.Is(err, gone) {
			return tutela.FindingChanged
		}
	}
	return tutela.FindingUnreadable
}
