package apfs

import (
	"context"
	"slices"
)

// earlier gives out the files that older checkpoints list and the youngest does
// not.
func (w *walker) earlier(ctx context.Context) error {
	today := w.view
	defer func() { w.view = today }()
	seen, err := w.blocksOfToday(ctx)
	if err != nil {
		return err
	}
	told := map[uint64]bool{}
	for _, c := range w.fs.older {
		tree := w.treeAt(c)
		if tree == nil {
			continue
		}
		w.view = view{tree: tree, xid: c.xid, old: true, encrypted: today.encrypted, hashed: today.hashed}
		gone, err := w.gone(ctx, seen, told)
		if err != nil {
			return err
		}
		for _, g := range gone {
			if err := w.ghost(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocksOfToday are the nodes of the tree that is in use: an older tree that
// has them too says nothing new there.
func (w *walker) blocksOfToday(ctx context.Context) (map[uint64]bool, error) {
	seen := map[uint64]bool{}
	if len(w.fs.older) == 0 {
		return seen, nil
	}
	nothing := func(error) {}
	err := w.view.tree.scan(ctx, seen, func(_, _ []byte) error { return nil }, nothing, nothing)
	return seen, err
}

// treeAt is the volume's tree as a checkpoint has it; nil where that is not
// whole any more, as is usual.
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

// gone are the names of an older tree whose inode is not there today and was
// not told of. Blocks in seen are passed over; those read are added.
func (w *walker) gone(ctx context.Context, seen map[uint64]bool, told map[uint64]bool) (gone []entry, err error) {
	var nameless []uint64
	named := map[uint64]bool{}
	nothing := func(error) {}
	err = w.view.tree.scan(ctx, seen, func(key, value []byte) error {
		at := identifier(key)
		if at[1] == recordInode && !w.isThere(at[0]) && !told[at[0]] {
			nameless = append(nameless, at[0])
		}
		if at[1] != recordEntry {
			return nil
		}
		e, err := parseEntry(key, value, w.view.hashed)
		if err != nil || w.isThere(e.oid) || told[e.oid] {
			return nil
		}
		if e.directory {
			w.folders.add(e.oid, folder{e.parent, string(e.name)})
			return nil
		}
		e.name = slices.Clone(e.name)
		gone, named[e.oid] = append(gone, e), true
		return nil
	}, nothing, nothing)
	for _, oid := range nameless {
		if !named[oid] {
			gone = append(gone, entry{oid: oid})
		}
	}
	for _, g := range gone {
		told[g.oid] = true
	}
	return gone, err
}

// isThere reports whether the volume has an inode today.
func (w *walker) isThere(oid uint64) bool {
	_, there := slices.BinarySearch(w.inodes, oid)
	return there
}

// ghost gives out a deleted file, if the older tree still holds its inode.
func (w *walker) ghost(g entry) error {
	f, err := w.view.tree.load(g.oid)
	if f.inode == nil || f.isDirectory() || err != nil && len(f.extents) == 0 {
		return nil
	}
	if err != nil {
		f.problems = append(f.problems, err)
	}
	if g.name == nil {
		g.parent, g.name = f.parent, f.nameOrNumber()
	}
	return w.file(f, g.parent, g.name)
}
