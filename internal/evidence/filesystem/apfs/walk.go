package apfs

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// maxProblems are told of one volume one by one; of more their number is.
const maxProblems = 16

// claimFactor is how many times the size of a container its files may be in all,
// in blocks: clones share theirs, but not without end.
const claimFactor = 64

// budget is an amount that hostile bytes can use up.
type budget struct{ left int64 }

// take reports whether n was left, and takes it.
func (b *budget) take(n int64) bool {
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

// product is a × b, or the largest number there is.
func product(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// walker is one walk over one volume: first it reads the tree to know every
// directory, then once more to give out the files.
type walker struct {
	*shared
	volume  *volume
	view    view
	folders *folders
	states  []view          // of snapshots and older checkpoints, the youngest of each first
	blocks  map[uint64]bool // of the nodes of today's tree
	inodes  []uint64        // that are there, ascending
	listed  []uint64        // that a directory lists, ascending

	findings []tutela.Finding // about the volume as a whole
	bad      int              // nodes and records that cannot be read
	told     bool             // that there are too many deleted files
}

// shared is what the walks over the volumes of a container have in common.
type shared struct {
	fs      *FileSystem
	limits  evidence.Limits
	visit   func(*evidence.Entry) error
	nodes   *nodes
	space   *space
	deleted budget // bytes of deleted content
	ghosts  budget // deleted entries
	claimed budget // bytes of blocks that files have
}

// view is the state of a volume that files are taken from.
type view struct {
	tree      *tree
	past      string // what keeps it, if it is not that of today
	kept      bool   // its blocks are kept for it
	encrypted bool
	hashed    bool
}

// isPast reports whether the files that are given out are those of an earlier
// state.
func (v *view) isPast() bool { return v.past != "" }

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	limits = limits.WithDefaults()
	s := &shared{
		fs: fs, limits: limits, visit: visit,
		nodes: newNodes(&fs.container), space: fs.openSpace(),
		deleted: budget{product(fs.held(), limits.DeletedFactor)},
		ghosts:  budget{fs.held() / fs.blockSize},
		claimed: budget{product(fs.held(), claimFactor)},
	}
	about := slices.Clone(fs.findings)
	if len(fs.volumes) != 1 {
		if err := s.root("", "container", about); err != nil {
			return err
		}
		about = nil
	}
	for _, v := range fs.volumes {
		w := &walker{shared: s, volume: v, folders: newFolders(v.prefix, limits.NameBytes), blocks: map[uint64]bool{}, findings: about}
		if err := w.walk(ctx); err != nil {
			return err
		}
	}
	return nil
}

// root is the entry that carries what must be said about a volume.
func (s *shared) root(prefix, at string, findings []tutela.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	path := prefix
	if path == "" {
		path = "/"
	}
	return s.visit(&evidence.Entry{
		Path:     []byte(path),
		Chain:    []tutela.Locator{{Layer: layerName, At: at}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: findings,
	})
}

func (w *walker) find(code, format string, args ...any) {
	w.findings = append(w.findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// noteBad tells of a part of the tree that cannot be read.
func (w *walker) noteBad(err error) {
	if w.bad++; w.bad <= maxProblems {
		w.findings = append(w.findings, finding(err))
	}
}

func (w *walker) walk(ctx context.Context) error {
	readable := w.open()
	if readable {
		if err := w.survey(ctx); err != nil {
			return err
		}
		w.openPast()
	} else {
		w.nameSnapshots()
	}
	if err := w.root(w.volume.prefix, w.volume.describe(), w.findings); err != nil || !readable {
		return err
	}
	if err := w.live(ctx); err != nil {
		return err
	}
	if err := w.unlisted(ctx); err != nil {
		return err
	}
	return w.earlier(ctx)
}

// describe is the volume in the locator of its root.
func (v *volume) describe() string {
	text := fmt.Sprintf("%s %q", v.at(), tutela.DisplayPath(v.name))
	if role := roleNames[v.role]; role != "" {
		text += ", role " + role
	}
	if v.incompatible&volumeCaseInsensitive != 0 {
		text += ", upper and lower case alike"
	}
	return text
}

// open finds the tree of the volume's files and reports whether it can be read.
func (w *walker) open() bool {
	v, xid := w.volume, w.fs.checkpoint.xid
	if err := v.unreadable(); err != nil {
		if v.problem == nil && v.encrypted() {
			w.findings = append(w.findings, v.secret(w.fs.checkpoint.flags&softwareCrypto != 0))
		}
		w.noteBad(err)
		return false
	}
	tree, err := v.fileTree(w.nodes, xid)
	if err != nil {
		w.view.tree = w.instead(err)
	} else if _, err = tree.node(tree.root, -1); err == nil {
		w.view.tree = tree
	} else if !v.encrypted() {
		w.noteBad(err)
	}
	if w.view.tree == nil && v.encrypted() {
		w.findings = append(w.findings, v.secret(w.fs.checkpoint.flags&softwareCrypto != 0))
	}
	w.view.encrypted, w.view.hashed = v.encrypted() || v.rolling, v.hashed()
	return w.view.tree != nil
}

// instead is the tree that a Mac would show where a volume's own cannot be read:
// system volumes are mounted from a snapshot, and what is beside it may be in the
// middle of an update. It is nil, and the reason told, where there is none.
func (w *walker) instead(reason error) *tree {
	snapshots, _ := w.volume.snapshots(w.nodes, w.fs.checkpoint.xid)
	for _, s := range snapshots {
		if s.xid != w.volume.mountedFrom {
			continue
		}
		if tree, err := w.volume.treeOf(w.nodes, s, w.fs.checkpoint.xid); err == nil {
			w.find(tutela.FindingBackupTable, "%v: %s is listed, from which the volume is mounted", reason, s)
			return tree
		}
	}
	w.noteBad(reason)
	return nil
}

// survey reads every record once and learns the directories.
func (w *walker) survey(ctx context.Context) error {
	var records uint64
	err := w.view.tree.scan(ctx, w.blocks, func(key, value []byte) error {
		records++
		w.learn(key, value)
		return nil
	}, w.noteBad, w.noteBad)
	if err != nil {
		return err
	}
	if root, err := w.view.tree.node(w.view.tree.root, -1); err == nil && w.bad == 0 && root.records() != records {
		w.find(tutela.FindingDamaged, "the %s says that it has %d records, %d are there", w.view.tree.name, root.records(), records)
	}
	if w.bad > maxProblems {
		w.find(tutela.FindingDamaged, "%d more parts of the %s cannot be read", w.bad-maxProblems, w.view.tree.name)
	}
	slices.Sort(w.listed)
	slices.Sort(w.inodes)
	return nil
}

func (w *walker) learn(key, value []byte) {
	switch at := identifier(key); at[1] {
	case recordInode:
		w.inodes = append(w.inodes, at[0])
	case recordEntry:
		e, err := parseEntry(key, value, w.view.hashed)
		if err != nil {
			w.noteBad(err)
			return
		}
		w.listed = append(w.listed, e.oid)
		if e.directory {
			w.folders.add(e.oid, folder{e.parent, string(e.name)})
		}
	}
}

// live gives out what the directories list.
func (w *walker) live(ctx context.Context) error {
	told := func(error) {}
	return w.view.tree.scan(ctx, map[uint64]bool{}, func(key, value []byte) error {
		if identifier(key)[1] != recordEntry {
			return nil
		}
		e, err := parseEntry(key, value, w.view.hashed)
		if err != nil || e.parent == inodeRootParent && e.oid != inodeRoot {
			return nil
		}
		if e.parent == inodeRootParent { // its attributes are "/:name"
			e.parent, e.name = inodeRoot, nil
		}
		return w.entry(e)
	}, told, told)
}

// entry gives out what a name in a directory stands for.
func (w *walker) entry(e entry) error {
	f, err := w.view.tree.load(e.oid)
	if err != nil {
		f.problems = append(f.problems, err)
	}
	if f.inode == nil {
		return w.lost(e, f)
	}
	return w.file(f, e.parent, e.name)
}

// lost is a name whose inode cannot be read.
func (w *walker) lost(e entry, f *file) error {
	it := item{kind: tutela.File}
	if e.directory {
		it.kind = tutela.Directory
	}
	for _, p := range f.problems {
		it.findings = append(it.findings, finding(p))
	}
	if len(f.problems) == 0 {
		it.find(tutela.FindingDamaged, "inode %d is not there", e.oid)
	}
	return w.emit(e.oid, tutela.Times{}, w.folders.find(e.parent), e.name, it)
}

// file gives out the entries of a file under one of its names.
func (w *walker) file(f *file, parent uint64, name []byte) error {
	dir := w.folders.find(parent)
	items := w.items(f)
	if len(f.problems) > 0 {
		if len(items) == 0 {
			items = append(items, item{kind: f.kind()})
		}
		for _, p := range f.problems {
			items[0].findings = append(items[0].findings, finding(p))
		}
	}
	for _, it := range items {
		if err := w.emit(f.oid, f.times, dir, name, it); err != nil {
			return err
		}
	}
	return nil
}

// unlisted gives out the files that no directory lists.
func (w *walker) unlisted(ctx context.Context) error {
	for _, oid := range w.inodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if oid == inodeRoot || oid == inodePrivate {
			continue
		}
		if _, ok := slices.BinarySearch(w.listed, oid); ok {
			continue
		}
		f, err := w.view.tree.load(oid)
		if f.inode == nil || f.isDirectory() {
			continue // told of already; what is in the directory is told of by itself
		}
		if err != nil {
			f.problems = append(f.problems, err)
		}
		if !f.private {
			f.problems = append(f.problems, damaged("no directory lists it"))
		}
		if err := w.file(f, inodePrivate, f.nameOrNumber()); err != nil {
			return err
		}
	}
	return nil
}

// nameOrNumber is the name that the inode itself keeps.
func (i *inode) nameOrNumber() []byte {
	if len(i.name) > 0 {
		return i.name
	}
	return fmt.Appendf(nil, "OrphanFile-%d", i.oid)
}

// emit gives out one entry.
func (w *walker) emit(oid uint64, times tutela.Times, dir where, name []byte, it item) error {
	e := &evidence.Entry{
		Path:     w.join(dir.path, name, it.suffix),
		Chain:    []tutela.Locator{{Layer: layerName, At: w.at(oid) + it.at}},
		Kind:     it.kind,
		State:    w.state(dir),
		Size:     it.size,
		Times:    times,
		Findings: it.findings,
		Runs:     it.runs,
		Slack:    it.slack,
		Open:     it.open,
	}
	if dir.problem != nil && (!w.view.isPast() || dir.problem.Code != tutela.FindingDamaged) {
		e.Findings = append(e.Findings, *dir.problem)
	}
	if bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(it.suffix, '/') >= 0 {
		e.Find(tutela.FindingDamaged, "the name contains a slash")
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if w.view.isPast() && !w.ghosts.take(1) {
		return w.crowded()
	}
	if it.gone {
		e.Open = nil
	}
	if w.view.isPast() && e.Open != nil && !w.deleted.take(max(0, e.Size)) {
		e.Find(tutela.FindingLimit, "more deleted bytes than the limit allows: not read")
		it.refuse(fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor))
		e.Runs, e.Open = it.runs, it.open
	}
	return w.visit(e)
}

// crowded says once that there are more deleted files than a container has
// blocks.
func (w *walker) crowded() error {
	if w.told {
		return nil
	}
	w.told = true
	return w.root(w.volume.prefix+orphanFolder, w.volume.at(), []tutela.Finding{{
		Code: tutela.FindingLimit, Detail: "more deleted files than blocks: the others are left out",
	}})
}

func (w *walker) at(oid uint64) string {
	text := fmt.Sprintf("%s inode %d", w.volume.at(), oid)
	if w.view.isPast() {
		return w.view.past + " " + text
	}
	return text
}

// state: see "Deleted files" in the package comment.
func (w *walker) state(dir where) tutela.State {
	switch {
	case !dir.linked:
		return tutela.Orphan
	case w.view.isPast():
		return tutela.Deleted
	}
	return tutela.Allocated
}

// join makes a path. One that gets too long loses its directories.
func (w *walker) join(dir string, name, suffix []byte) []byte {
	if len(dir)+1+len(name)+len(suffix) > w.limits.NameBytes {
		dir = w.volume.prefix + orphanFolder
	}
	return slices.Concat([]byte(dir), []byte{'/'}, name, suffix)
}
