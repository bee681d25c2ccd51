package exfat

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
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

	bitmap  clusterSet // clusters in use, nil where that cannot be read
	listed  clusterSet // of directories that this pass has listed
	claimed clusterSet // of files and directories in use
	crossed clusterSet // claimed twice
	begins  clusterSet // first ones of deleted contents
	covered clusterSet // of deleted contents
	both    clusterSet // of two deleted contents

	pieces  []uint32   // clusters of directories that nothing in use has, ascending
	inside  clusterSet // clusters of directories that an entry in a piece names
	deleted int64      // bytes of deleted content that may still be given out
	ghosts  int64      // deleted entries that may still be given out
	steps   int64      // clusters in use that may still be followed in this pass
	guesses int64      // clusters that may still be looked at for deleted ones
	dropped int64      // deleted entries that were not given out

	volume []tutela.Finding // about the volume, found on the way
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := newWalker(fs, limits.WithDefaults(), visit)
	for _, pass := range []func(context.Context) error{w.openBitmap, w.claim, w.search, w.begin, w.cover, w.give} {
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
	set := func() clusterSet { return newClusterSet(&fs.geo) }
	return &walker{
		fs: fs, geo: &fs.geo, table: newTable(fs), limits: limits, visit: visit,
		buffer: make([]byte, pageBytes), listed: set(),
		claimed: set(), crossed: set(), begins: set(), covered: set(), both: set(), inside: set(),
		steps:   4*int64(fs.geo.held) + 1<<16,
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

func (w *walker) tell(code, format string, args ...any) {
	w.volume = append(w.volume, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// openBitmap reads the allocation bitmap: specification, section 7.1.
func (w *walker) openBitmap(ctx context.Context) error {
	var found *entry
	_, err := w.list(ctx, w.root(), func(e *entry) error {
		if e.system == typeBitmap && e.second == w.geo.active && found == nil {
			found = e
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found == nil {
		w.tell(tutela.FindingDamaged, "there is no allocation bitmap: deleted files are held against the files in use alone")
		return nil
	}
	chain := w.chainOf(found)
	content := evidence.NewExtents(w.fs.src, chain.extents, (int64(w.geo.held)+7)/8)
	bits := newClusterSet(w.geo)
	if err := fill(bits, content); err != nil || found.size < content.Size() {
		w.tell(tutela.FindingDamaged, "the allocation bitmap cannot be read whole: deleted files are held against the files in use alone")
		return nil
	}
	w.bitmap = bits
	return nil
}

// fill reads bits, the first cluster in the lowest bit of the first byte.
func fill(bits clusterSet, r io.Reader) error {
	b := make([]byte, 64<<10)
	for i := 0; ; {
		n, err := io.ReadFull(r, b)
		clear(b[n:])
		for at := 0; at < n && i < len(bits); at += 8 {
			bits[i] = binary.LittleEndian.Uint64(b[at:])
			i++
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		case io.ErrUnexpectedEOF:
			if _, err := r.Read(b[:1]); err != io.EOF {
				return io.ErrUnexpectedEOF
			}
			return nil
		default:
			return err
		}
	}
}

// pass is what one pass does with files, and with directories that have
// something to be said about.
type pass struct {
	file  func(*directory, *entry) error
	about func(*directory, []tutela.Finding) error
	dead  bool // also what is deleted
}

func silent(*directory, []tutela.Finding) error { return nil }

// root is the root directory.
func (w *walker) root() *directory {
	return &directory{root: true, state: tutela.Allocated, entry: entry{start: w.geo.root, possible: true, size: -1, at: -1}}
}

// down lists a directory and all below it.
func (w *walker) down(ctx context.Context, top *directory, p pass) error {
	for todo := []*directory{top}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
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
			case !e.directory:
				return p.file(d, e)
			}
			below = append(below, d.child(e, w.limits.NameBytes))
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
	code, reason := tutela.FindingDamaged, ""
	switch start := d.entry.start; {
	case !w.geo.valid(start):
		reason = fmt.Sprintf("its first cluster is %d, which does not exist", start)
	case !w.geo.holds(start):
		code, reason = tutela.FindingTruncated, "it lies behind the end of the image"
	case w.listed.has(start):
		code, reason = tutela.FindingLoop, "it was listed before, in another place"
	case d.state != tutela.Allocated && w.claimed.has(start):
		code, reason = tutela.FindingOverwritten, "its first cluster belongs to something else now"
	case d.entry.doubt != "" && d.state == tutela.Allocated:
		return []tutela.Finding{{Code: code, Detail: d.entry.doubt}}, true
	default:
		return nil, true
	}
	return []tutela.Finding{{Code: code, Detail: reason}}, false
}

// claim learns which clusters belong to files and directories in use.
func (w *walker) claim(ctx context.Context) error {
	err := w.down(ctx, w.root(), pass{
		about: silent,
		file: func(_ *directory, e *entry) error {
			each(w.geo, w.chainOf(e).extents, func(c uint32) bool {
				if w.claimed.has(c) {
					w.crossed.add(c)
				}
				w.claimed.add(c)
				return true
			})
			return nil
		},
	})
	for i, set := range w.listed {
		w.crossed[i] |= w.claimed[i] & set
		w.claimed[i] |= set
	}
	return err
}

// begin learns where deleted contents begin.
func (w *walker) begin(ctx context.Context) error {
	return w.everything(ctx, w.eachDead(func(e *entry) { w.begins.add(e.start) }))
}

// cover learns which clusters more than one deleted content would have.
func (w *walker) cover(ctx context.Context) error {
	return w.everything(ctx, w.eachDead(func(e *entry) {
		g := w.guess(e)
		each(w.geo, g.extents, func(c uint32) bool {
			if w.covered.has(c) {
				w.both.add(c)
			}
			w.covered.add(c)
			return true
		})
	}))
}

// eachDead is a pass over the deleted contents whose beginning is known.
func (w *walker) eachDead(visit func(*entry)) pass {
	return pass{
		dead:  true,
		about: silent,
		file: func(_ *directory, e *entry) error {
			if e.dead && e.size > 0 && e.size <= w.geo.total && w.geo.holds(e.start) {
				visit(e)
			}
			return nil
		},
	}
}

// give gives everything out.
func (w *walker) give(ctx context.Context) error {
	return w.everything(ctx, pass{dead: true, file: w.giveFile, about: w.giveDirectory})
}

// everything goes down from the root, then from each orphan: those that another
// one names last, if they were not reached that way.
func (w *walker) everything(ctx context.Context, p pass) error {
	if err := w.down(ctx, w.root(), p); err != nil {
		return err
	}
	for _, named := range []bool{false, true} {
		for _, c := range w.pieces {
			if w.inside.has(c) != named || w.listed.has(c) {
				continue
			}
			if err := w.down(ctx, orphan(c), p); err != nil {
				return err
			}
		}
	}
	return nil
}

func orphan(c uint32) *directory {
	return &directory{name: orphanFolder, length: len(orphanFolder), piece: true, state: tutela.Orphan, entry: entry{start: c, at: -1}}
}

// giveDirectory gives out a directory that something must be said about. What is
// said about the root is kept for the volume; deleted ones promise nothing.
func (w *walker) giveDirectory(d *directory, findings []tutela.Finding) error {
	switch {
	case d.root:
		w.volume = append(w.volume, findings...)
		return nil
	case d.state != tutela.Allocated:
		return nil
	}
	d.entry.name = []byte(d.name)
	e := w.entry(d.above, &d.entry)
	e.Kind, e.State, e.Times, e.Findings = tutela.Directory, tutela.Allocated, d.entry.times, append(e.Findings, findings...)
	return w.visit(e)
}

// entry is what every entry has.
func (w *walker) entry(d *directory, e *entry) *evidence.Entry {
	out := &evidence.Entry{
		Path:  append(append(d.path(), '/'), e.name...),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("entry at byte %d, cluster %d", e.at, e.start)}},
		Kind:  tutela.File,
		State: d.state,
	}
	if d.problem != nil {
		out.Findings = append(out.Findings, *d.problem)
	}
	if slices.Contains(e.name, '/') {
		out.Find(tutela.FindingDamaged, "the name contains a slash")
	}
	if len(out.Path) > w.limits.NameBytes {
		out.Path = out.Path[:w.limits.NameBytes]
		out.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	return out
}

// tellVolume gives out "/" if something must be said about the volume.
func (w *walker) tellVolume() error {
	all := append(append([]tutela.Finding{}, w.fs.findings...), w.volume...)
	if w.dropped > 0 {
		all = append(all, tutela.Finding{Code: tutela.FindingLimit, Detail: fmt.Sprintf("%d deleted entries more than the volume has sectors are left out", w.dropped)})
	}
	if len(all) == 0 {
		return nil
	}
	e := w.entry(&directory{}, &entry{})
	e.Chain[0].At, e.Kind, e.State, e.Findings = "volume", tutela.Directory, tutela.Allocated, all
	return w.visit(e)
}
