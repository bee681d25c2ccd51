package apfs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"tutela"
)

// openPast finds the earlier states of the volume that can still be read, and
// tells of each snapshot.
func (w *walker) openPast() {
	today := w.fs.checkpoint.xid
	snapshots, problems := w.volume.snapshots(w.nodes, today)
	for _, p := range problems {
		w.findings = append(w.findings, finding(p))
	}
	for _, s := range slices.Backward(snapshots) {
		tree, err := w.volume.treeOf(w.nodes, s, today)
		if err != nil {
			w.find(tutela.FindingSnapshot, "%s: not read: %v", s, err)
			continue
		}
		w.find(tutela.FindingSnapshot, "%s: what differs in it is listed as deleted", s)
		v := w.view
		v.tree, v.past, v.kept = tree, fmt.Sprintf("snapshot %q", s.name), true
		w.states = append(w.states, v)
	}
	for _, c := range w.fs.older {
		if tree := w.treeAt(c); tree != nil {
			v := w.view
			v.tree, v.past = tree, fmt.Sprintf("checkpoint %d", c.xid)
			w.states = append(w.states, v)
		}
	}
}

// nameSnapshots tells of the snapshots of a volume that is not read. Where their
// list cannot be read either, that is no further loss.
func (w *walker) nameSnapshots() {
	snapshots, _ := w.volume.snapshots(w.nodes, w.fs.checkpoint.xid)
	for _, s := range slices.Backward(snapshots) {
		w.find(tutela.FindingSnapshot, "%s: not read", s)
	}
}

// treeAt is the volume's tree as a checkpoint has it; nil where that is not
// whole any more, as is usual, and where it is that of today.
func (w *walker) treeAt(c *checkpoint) *tree {
	m, err := openMap(w.nodes, c.objectMap, c.xid, "object map of the container")
	if err != nil {
		return nil
	}
	v, err := openVolume(m, w.volume.oid)
	if err != nil || v.unreadable() != nil || v.block == w.volume.block {
		return nil
	}
	t, err := v.fileTree(w.nodes, c.xid)
	if err != nil {
		return nil
	}
	return t
}

// version is a content that a name once had.
type version struct {
	oid, parent uint64
	name        string
	modified    time.Time
}

// ghosts is the way through the earlier states.
type ghosts struct {
	*walker
	today view
	seen  map[uint64]bool // blocks of trees that have nothing new to say
	told  map[version]bool
}

// earlier gives out the files of earlier states that today's does not have.
func (w *walker) earlier(ctx context.Context) error {
	if len(w.states) == 0 {
		return nil
	}
	g := &ghosts{walker: w, today: w.view, seen: w.blocks, told: map[version]bool{}}
	defer func() { w.view = g.today }()
	for _, v := range w.states {
		w.view = v
		gone, err := g.gone(ctx)
		if err != nil {
			return err
		}
		for _, e := range gone {
			if err := g.tell(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone are the names of an earlier state whose file is not there today, or is
// another. Blocks in seen are passed over; those read are added.
func (g *ghosts) gone(ctx context.Context) (gone []entry, err error) {
	var inodes []uint64
	named := map[uint64]bool{}
	nothing := func(error) {}
	err = g.view.tree.scan(ctx, g.seen, func(key, value []byte) error {
		switch at := identifier(key); at[1] {
		case recordInode:
			if !g.isThere(at[0]) || g.changed(at[0], value) {
				inodes = append(inodes, at[0])
			}
		case recordEntry:
			e, err := parseEntry(key, value, g.view.hashed)
			if err != nil || g.isThere(e.oid) {
				return nil
			}
			e.name, named[e.oid] = slices.Clone(e.name), true
			gone = append(gone, e)
			if e.directory {
				g.folders.add(e.oid, folder{e.parent, string(e.name)})
			}
		}
		return nil
	}, nothing, nothing)
	for _, oid := range inodes {
		if !named[oid] {
			gone = append(gone, entry{oid: oid})
		}
	}
	return gone, err
}

// isThere reports whether the volume has an inode today.
func (w *walker) isThere(oid uint64) bool {
	_, there := slices.BinarySearch(w.inodes, oid)
	return there
}

// changed reports whether an inode of an earlier state had another content than
// it has today.
func (g *ghosts) changed(oid uint64, value []byte) bool {
	then, err := parseInode(oid, value)
	if err != nil || then.isDirectory() || then.size == 0 {
		return false
	}
	now, err := g.today.tree.load(oid)
	if err != nil || now.inode == nil || now.times.Modified.Equal(then.times.Modified) && now.size == then.size {
		return false
	}
	if now.size != then.size || now.stream != then.stream {
		return true
	}
	were, _ := g.view.tree.extentsOf(then.stream)
	are, _ := g.today.tree.extentsOf(now.stream)
	return !slices.Equal(were, are)
}

// tell gives out a file of an earlier state, if its inode is still there.
func (g *ghosts) tell(e entry) error {
	f, err := g.view.tree.load(e.oid)
	if f.inode == nil || f.isDirectory() || err != nil && len(f.extents) == 0 {
		return nil
	}
	if err != nil {
		f.problems = append(f.problems, err)
	}
	if e.name == nil {
		e.parent, e.name = f.parent, f.nameOrNumber()
	}
	if g.isThere(e.oid) && !g.whole(f) {
		return nil
	}
	v := version{f.oid, e.parent, string(e.name), f.times.Modified}
	if g.told[v] {
		return nil
	}
	g.told[v] = true
	return g.file(f, e.parent, e.name)
}

// whole reports whether an earlier content of a file that is still there can be
// given. One that cannot is not worth an entry: the file has one.
func (g *ghosts) whole(f *file) bool {
	all, err := g.view.tree.extentsOf(f.stream)
	if err != nil || g.view.encrypted || f.size > math.MaxInt64 {
		return false
	}
	l := g.fs.lay(all, int64(f.size))
	if len(l.findings) > 0 || g.view.kept {
		return len(l.findings) == 0
	}
	used, _, err := g.space.inUse(l.extents)
	return err == nil && used == 0
}
