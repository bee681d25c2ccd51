package ext

import (
	"cmp"
	"fmt"
	"slices"

	"tutela"
)

// giveGhosts gives out the names that were removed from a directory, each with
// its inode once; those without one last.
func (l *listing) giveGhosts() error {
	slices.SortStableFunc(l.ghosts, func(a, b ghost) int { return cmp.Compare(b2i(a.inode == 0), b2i(b.inode == 0)) })
	for _, g := range l.ghosts {
		if l.names[key(g.name, g.inode)] {
			continue
		}
		l.names[key(g.name, g.inode)] = true
		l.names[key(g.name, 0)] = true
		if err := l.w.ghost(l.n, g, displayName(g.name, l.encrypted)); err != nil {
			return err
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// spend takes one from the number of deleted entries that a volume can have.
func (w *walker) spend() bool {
	if w.ghosts.take(1) {
		return true
	}
	if !w.limited {
		w.limited = true
		w.find(tutela.FindingLimit, "more deleted files than the volume has inodes and blocks: the rest is left out")
	}
	return false
}

// ghostState is that of a deleted name in a directory.
func (n *node) ghostState() tutela.State {
	if n.state == tutela.Orphan {
		return tutela.Orphan
	}
	return tutela.Deleted
}

// ghost gives out a removed name, with its content where that can be told.
func (w *walker) ghost(n *node, g ghost, name string) error {
	if w.limited {
		return nil
	}
	if g.inode == 0 {
		return w.nameOnly(n, g, name, "its inode number is gone")
	}
	if g.inode < w.fs.firstInode || g.inode > w.fs.inodes {
		return nil
	}
	used, err := w.alloc.inodeInUse(g.inode)
	used = used || w.seen.has(g.inode)
	if err != nil {
		return w.nameOnly(n, g, name, err.Error())
	}
	in, err := w.inode(g.inode)
	if err != nil {
		return w.nameOnly(n, g, name, err.Error())
	}
	v, past := w.past.lastOf(g.inode, g.age)
	same := !past || v.generation == in.generation
	switch {
	case used && same && in.known() && in.links == 0:
		return w.deletedOpen(n, name, n.ghostState(), in)
	case used && same:
		return w.nameOnly(n, g, name, fmt.Sprintf("inode %d is in use under another name", g.inode))
	case !used && same && in.known() && in.holdsContent():
		return w.gone(n, name, n.ghostState(), version{in, old{age: present}})
	case past && (v.holdsContent() || v.size == 0 && v.kind() == modeFile || v.kind() != modeFile):
		return w.gone(n, name, n.ghostState(), v)
	case used:
		return w.nameOnly(n, g, name, fmt.Sprintf("inode %d belongs to another file now", g.inode))
	}
	return w.nameOnly(n, g, name, fmt.Sprintf("inode %d was emptied: where the content was is not known", g.inode))
}

func (h *history) lastOf(number, age int64) (version, bool) {
	if h == nil {
		return version{}, false
	}
	return h.last(number, age)
}

// nameOnly gives out a name of which nothing else is left. That is no error: it
// is all there is.
func (w *walker) nameOnly(n *node, g ghost, name, why string) error {
	if g.kind == direntDir {
		return nil
	}
	kind := [...]tutela.EntryKind{tutela.File, tutela.File, tutela.Directory, tutela.Device, tutela.Device, tutela.Pipe, tutela.Socket, tutela.Symlink}
	it := item{kind: tutela.File, size: -1, at: fmt.Sprintf("inode %d, removed from directory inode %d", g.inode, n.in.number)}
	if int(g.kind) < len(kind) {
		it.kind = kind[g.kind]
	}
	it.find(tutela.FindingOverwritten, "only the name is left: "+why)
	return w.emit(n, name, n.ghostState(), it)
}

// deletedOpen gives out a file that was deleted while a program had it open: all
// of it is still there.
func (w *walker) deletedOpen(n *node, name string, state tutela.State, in *inode) error {
	if in.kind() == modeDir {
		w.given[in.file()] = true
		return nil // it had to be empty
	}
	w.given[in.file()] = true
	return w.emit(n, name, state, w.content(in, w.now(), false))
}

// gone gives out a deleted file, or lists a deleted directory.
func (w *walker) gone(n *node, name string, state tutela.State, v version) error {
	if v.kind() == modeDir {
		if !w.listed[v.file()] {
			w.given[v.file()] = true
			w.push(&node{parent: n, name: name, in: v.inode, state: state, age: v.age, gone: true})
		}
		return nil
	}
	w.given[v.file()] = true
	it := w.content(v.inode, w.then(v.age), true)
	if v.age != present {
		it.findings = append(it.findings, w.past.assumed(v))
	}
	return w.emit(n, name, state, it)
}
