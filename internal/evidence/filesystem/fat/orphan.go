package fat

import (
	"context"
	"fmt"
	"iter"

	"tutela"
)

// remains are the directories that lie in clusters which nothing in use has.
type remains struct {
	// parents has an entry for each cluster that begins with "." and names
	// itself: the cluster of the parent it names, 0 for the root.
	parents map[uint32]uint32
	found   []uint32 // all clusters of directories, ascending
}

// search looks at the beginning of every cluster that nothing in use has.
func (w *walker) search(ctx context.Context) error {
	w.remains = remains{parents: map[uint32]uint32{}}
	heads := heads{src: w.fs.src, geo: w.geo}
	for c := uint32(firstCluster); w.geo.holds(c); c++ {
		if w.claimed.has(c) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := heads.of(c, w.geo.sector)
		if err != nil {
			continue // told where somebody reads it
		}
		self, parent, ok := w.dots(b)
		switch {
		case ok && self == c:
			w.remains.parents[c] = parent
			w.remains.found = append(w.remains.found, c)
		case !ok && w.piece(b):
			w.remains.found = append(w.remains.found, c)
		}
	}
	return nil
}

// dots reads what the first two entries of a directory name.
func (w *walker) dots(b []byte) (self, parent uint32, ok bool) {
	dot, up := slot(b[:slotBytes]), slot(b[slotBytes:2*slotBytes])
	return dot.start(w.geo.bits), up.start(w.geo.bits), dot.isDot() && up.isDotDot()
}

// piece reports whether a sector holds entries of a directory from its first to
// its last slot, or to its end, with nothing else, two of them at least.
func (w *walker) piece(b []byte) bool {
	entries := 0
	for i := 0; i < len(b); i += slotBytes {
		s := slot(b[i : i+slotBytes])
		switch {
		case s[0] == slotEnd:
			return entries > 1 && blank(b[i:])
		case s.isLong() && s.strictLong():
		case !s.isLong() && s.strict(w.geo):
			entries++
		default:
			return false
		}
	}
	return entries > 1
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// revive reports whether a deleted directory's first cluster still is what its
// entry says. Where Windows has cleared the upper half of the number, the half
// that fits is found.
func (w *walker) revive(above, d *directory) bool {
	parent := above.start
	if above.above == nil && above.state == tutela.Allocated {
		parent = 0 // ".." names the root as 0, on FAT32 too
	}
	for c := d.start; w.geo.holds(c); c += 1 << 16 {
		if p, ok := w.remains.parents[c]; ok && p == parent {
			d.start = c
			return true
		}
		if d.start >= 1<<16 {
			break
		}
	}
	return false
}

// orphans are the directories that no way leads to: first those whose parent is
// not among the remains, then what is left of circles, then pieces.
func (r *remains) orphans(w *walker) iter.Seq[*directory] {
	return func(yield func(*directory) bool) {
		for _, want := range []func(uint32) bool{r.isTop, r.isHead, r.isPiece} {
			for _, c := range r.found {
				if want(c) && !w.listed.has(c) && !yield(r.orphan(c)) {
					return
				}
			}
		}
	}
}

func (r *remains) isTop(c uint32) bool {
	parent, ok := r.parents[c]
	_, known := r.parents[parent]
	return ok && !known
}

func (r *remains) isHead(c uint32) bool  { _, ok := r.parents[c]; return ok }
func (r *remains) isPiece(c uint32) bool { return !r.isHead(c) }

func (r *remains) orphan(c uint32) *directory {
	return &directory{name: orphanFolder, length: len(orphanFolder), start: c, at: -1, state: tutela.Orphan, pieces: r.isPiece(c)}
}

func (w *walker) fsFindings(findings []tutela.Finding) { w.volume = append(w.volume, findings...) }

// tellVolume gives out "/" if something must be said about the volume.
func (w *walker) tellVolume() error {
	all := append(append([]tutela.Finding{}, w.fs.findings...), w.table.tell()...)
	all = append(all, w.volume...)
	if w.dropped > 0 {
		all = append(all, tutela.Finding{Code: tutela.FindingLimit, Detail: fmt.Sprintf("%d deleted entries more than the volume has sectors are left out", w.dropped)})
	}
	if len(all) == 0 {
		return nil
	}
	e := w.entry(&directory{}, nil, 0, 0)
	e.Chain[0].At, e.Kind, e.State, e.Findings = "volume", tutela.Directory, tutela.Allocated, all
	return w.visit(e)
}
