package fat

import (
	"context"
	"fmt"
	"math"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk. It goes over the directories again and again: to learn which
// clusters the files in use have, where deleted ones begin and which clusters two
// of those would have, and at last to give everything out.
type walker struct {
	fs     *FileSystem
	geo    *geometry
	table  *table
	limits evidence.Limits
	visit  func(*evidence.Entry) error
	buffer []byte // of directories

	listed  clusterSet // of directories that this pass has listed
	claimed clusterSet // of files and directories in use
	crossed clusterSet // claimed twice
	begins  clusterSet // first ones of deleted contents
	covered clusterSet // of deleted contents, as far as guess goes
	both    clusterSet // of two deleted contents
	remains remains

	deleted int64 // bytes of deleted content that may still be given out
	ghosts  int64 // deleted entries that may still be given out
	steps   int64 // clusters of chains in use that may still be followed in this pass
	guesses int64 // clusters that may still be looked at for deleted ones
	dropped int64 // deleted entries that were not given out

	volume []tutela.Finding // about the volume, found on the way
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := newWalker(fs, limits.WithDefaults(), visit)
	if err := w.table.load(ctx); err != nil {
		return err
	}
	for _, pass := range []func(context.Context) error{w.claim, w.search, w.begin, w.cover, w.give} {
		w.listed = newClusterSet(w.geo)
		w.steps = 4*int64(w.geo.held) + 1<<16
		w.guesses = 16*int64(w.geo.held) + 1<<26
		if err := pass(ctx); err != nil {
			return err
		}
	}
	return w.tellVolume()
}

func newWalker(fs *FileSystem, limits evidence.Limits, visit func(*evidence.Entry) error) *walker {
	held := min(fs.geo.total, fs.src.Size())
	return &walker{
		fs: fs, geo: &fs.geo, table: newTable(fs), limits: limits, visit: visit,
		buffer:  make([]byte, pageBytes),
		claimed: newClusterSet(&fs.geo), crossed: newClusterSet(&fs.geo),
		begins: newClusterSet(&fs.geo), covered: newClusterSet(&fs.geo), both: newClusterSet(&fs.geo),
		deleted: product(held, limits.DeletedFactor),
		ghosts:  held / 512,
	}
}

func product(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// pass is what one pass does with files, and with directories that have
// something to be said about.
type pass struct {
	file  func(*directory, *entry) error
	about func(*directory, []tutela.Finding) error
	dead  bool // also what is deleted
}

// root is the root directory.
func (w *walker) root() *directory {
	return &directory{start: w.geo.rootAt, at: -1, state: tutela.Allocated}
}

// down lists a directory and all below it.
func (w *walker) down(ctx context.Context, top *directory, p pass) error {
	for todo := []*directory{top}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if d.state != tutela.Allocated && w.listed.has(d.start) {
			continue // another name led there
		}
		if told, ok := w.listable(d); !ok {
			if err := p.about(d, told); err != nil {
				return err
			}
			continue
		}
		var below []*directory
		findings, err := w.list(ctx, d, func(e *entry) error {
			switch {
			case e.dead && !p.dead:
				return nil
			case !e.slot.directory():
				return p.file(d, e)
			}
			if c := d.child(e, w.limits.NameBytes); !e.dead || w.revive(d, c) {
				below = append(below, c)
			}
			return nil
		})
		if err == nil && len(findings) > 0 {
			err = p.about(d, findings)
		}
		if err != nil {
			return err
		}
		slices.Reverse(below)
		todo = append(todo, below...)
	}
	return nil
}

// listable reports whether a directory can be listed at all, or why not.
func (w *walker) listable(d *directory) (told []tutela.Finding, ok bool) {
	code, reason := "", ""
	switch {
	case d.start == 0 && d.above == nil && w.geo.bits < 32:
		return nil, true
	case !w.geo.valid(d.start):
		code, reason = tutela.FindingDamaged, fmt.Sprintf("its first cluster is %d, which does not exist", d.start)
	case !w.geo.holds(d.start):
		code, reason = tutela.FindingTruncated, "it lies behind the end of the image"
	case w.listed.has(d.start):
		code, reason = tutela.FindingLoop, "it was listed before, in another place"
	default:
		return nil, true
	}
	return []tutela.Finding{{Code: code, Detail: reason}}, false
}

// claim learns which clusters belong to files and directories in use.
func (w *walker) claim(ctx context.Context) error {
	err := w.down(ctx, w.root(), pass{
		file: func(_ *directory, e *entry) error {
			if w.geo.valid(e.start) && w.affordable() {
				w.table.follow(e.start, w.claimOne)
			}
			return nil
		},
		about: func(*directory, []tutela.Finding) error { return nil },
	})
	for i, set := range w.listed {
		w.crossed[i] |= w.claimed[i] & set
		w.claimed[i] |= set
	}
	return err
}

func (w *walker) claimOne(c uint32) {
	w.steps--
	if w.claimed.has(c) {
		w.crossed.add(c)
	}
	w.claimed.add(c)
}

// affordable: each cluster can belong to one file, so chains that are longer
// than the volume many times over are made to keep a reader busy.
func (w *walker) affordable() bool { return w.steps > 0 }

// begin learns where deleted contents begin.
func (w *walker) begin(ctx context.Context) error {
	return w.everything(ctx, w.eachDead(func(e *entry) { w.begins.add(e.start) }))
}

// cover learns which clusters more than one deleted content would have.
func (w *walker) cover(ctx context.Context) error {
	return w.everything(ctx, w.eachDead(func(e *entry) {
		extents, _, _ := w.guess(e)
		for _, x := range extents {
			first := w.geo.clusterAt(x.Offset)
			for i := range uint32(x.Length / w.geo.cluster) {
				if w.covered.has(first + i) {
					w.both.add(first + i)
				}
				w.covered.add(first + i)
			}
		}
	}))
}

// eachDead is a pass over the deleted contents whose beginning is known.
func (w *walker) eachDead(visit func(*entry)) pass {
	return pass{
		dead: true,
		file: func(d *directory, e *entry) error {
			if e.dead && e.size > 0 && e.size <= w.geo.total {
				w.restoreStart(d, e)
				if w.geo.holds(e.start) {
					visit(e)
				}
			}
			return nil
		},
		about: func(*directory, []tutela.Finding) error { return nil },
	}
}

// give gives everything out.
func (w *walker) give(ctx context.Context) error {
	return w.everything(ctx, pass{dead: true, file: w.giveFile, about: w.giveDirectory})
}

// everything goes down from the root, then from each orphan.
func (w *walker) everything(ctx context.Context, p pass) error {
	if err := w.down(ctx, w.root(), p); err != nil {
		return err
	}
	for d := range w.remains.orphans(w) {
		if err := w.down(ctx, d, p); err != nil {
			return err
		}
	}
	return nil
}

// giveDirectory gives out a directory that something must be said about. What is
// said about the root is kept for the volume; deleted ones promise nothing.
func (w *walker) giveDirectory(d *directory, findings []tutela.Finding) error {
	switch {
	case d.above == nil && d.state == tutela.Allocated:
		w.fsFindings(findings)
		return nil
	case d.state != tutela.Allocated:
		return nil
	}
	e := w.entry(d.above, []byte(d.name), d.at, d.start)
	e.Kind, e.State, e.Findings = tutela.Directory, tutela.Allocated, append(e.Findings, findings...)
	return w.visit(e)
}

// entry is what every entry has.
func (w *walker) entry(d *directory, name []byte, at int64, start uint32) *evidence.Entry {
	e := &evidence.Entry{
		Path:  append(append(d.path(), '/'), name...),
		Chain: []tutela.Locator{{Layer: w.fs.Name(), At: fmt.Sprintf("entry at byte %d, cluster %d", at, start)}},
		Kind:  tutela.File,
		State: d.state,
	}
	if d.problem != nil {
		e.Findings = append(e.Findings, *d.problem)
	}
	if slices.Contains(name, '/') {
		e.Find(tutela.FindingDamaged, "the name contains a slash")
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	return e
}
