package fat

import (
	"context"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const orphanFolder = "/$OrphanFiles"

// directory is one on the way down. The names above it are found by climbing, so
// that a deep tree costs no more than its names.
type directory struct {
	above   *directory
	name    string
	length  int    // of the path, in bytes
	start   uint32 // first cluster; 0 for the root
	at      int64  // place of its entry in bytes; -1 for the root and orphans
	state   tutela.State
	pieces  bool            // one cluster of a directory, without beginning
	problem *tutela.Finding // why the path is not the whole path
}

// path is without a slash at the end, "" for the root.
func (d *directory) path() []byte {
	if d.above == nil {
		return []byte(d.name)
	}
	return append(append(d.above.path(), '/'), d.name...)
}

// child is a directory in d. One whose path would be longer than the limit goes
// below the orphans, and what is in it says why.
func (d *directory) child(e *entry, limit int) *directory {
	c := &directory{above: d, name: string(e.name), length: d.length + 1 + len(e.name), start: e.start, at: e.at, state: d.state, problem: d.problem}
	if e.dead && c.state == tutela.Allocated {
		c.state = tutela.Deleted
	}
	if c.length > limit {
		c.above = &directory{name: orphanFolder}
		c.length = len(orphanFolder) + 1 + len(e.name)
		c.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long: the directories above are left out"}
	}
	return c
}

// entry is an entry of a directory: a file or a directory.
type entry struct {
	slot slot // good until the next one
	name []byte
	at   int64 // its place in bytes
	dead bool  // no longer listed by its directory
	// start is its first cluster, 0 for none.
	start uint32
	size  int64
}

// reading is one pass over one directory.
type reading struct {
	w        *walker
	d        *directory
	long     longName
	ended    bool // behind the end of the directory
	index    int
	unsound  int // entries in use that are none
	findings []tutela.Finding
}

func (r *reading) find(code, detail string) {
	r.findings = append(r.findings, tutela.Finding{Code: code, Detail: detail})
}

// list calls visit for each entry of d and returns what kept it from listing
// all. The first error of visit ends it.
func (w *walker) list(ctx context.Context, d *directory, visit func(*entry) error) ([]tutela.Finding, error) {
	r := &reading{w: w, d: d}
	for _, e := range r.extents() {
		for at, end := e.Offset, e.Offset+e.Length; at < end; at += int64(len(w.buffer)) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.chunk(w.buffer[:min(int64(len(w.buffer)), end-at)], at, visit); err != nil {
				return nil, err
			}
		}
	}
	if r.unsound > 0 {
		r.find(tutela.FindingDamaged, fmt.Sprintf("%d entries in use are none", r.unsound))
	}
	return r.findings, nil
}

// extents are where the directory lies. Of a deleted one only the first cluster
// is known: what follows is found as orphans.
func (r *reading) extents() []evidence.Extent {
	w, d := r.w, r.d
	switch {
	case d.start == 0:
		return []evidence.Extent{{Offset: w.geo.root, Length: w.geo.rootBytes}}
	case d.state != tutela.Allocated && !w.table.used.has(d.start):
		w.listed.add(d.start)
		return []evidence.Extent{{Offset: w.geo.offset(d.start), Length: w.geo.cluster}}
	}
	if !w.affordable() {
		r.find(tutela.FindingLimit, errCrowded.Error())
		return nil
	}
	var twice int
	var fresh []evidence.Extent
	chain := w.table.follow(d.start, func(c uint32) {
		w.steps--
		if w.listed.has(c) {
			twice++
			return
		}
		w.listed.add(c)
		fresh = append(fresh, evidence.Extent{Offset: w.geo.offset(c), Length: w.geo.cluster})
	})
	if chain.problem != nil {
		r.findings = append(r.findings, *chain.problem)
	}
	if twice > 0 {
		r.find(tutela.FindingLoop, fmt.Sprintf("%d of its clusters belong to a directory that was listed before", twice))
	}
	return fresh
}

// chunk reads into b and takes its slots, sector by sector where that fails.
func (r *reading) chunk(b []byte, at int64, visit func(*entry) error) error {
	err := readFull(r.w.fs.src, b, at)
	switch sector := int(r.w.geo.sector); {
	case err == nil:
		return r.slots(b, at, visit)
	case len(b) > sector:
		for i := 0; i < len(b); i += sector {
			if err := r.chunk(b[i:min(i+sector, len(b))], at+int64(i), visit); err != nil {
				return err
			}
		}
		return nil
	}
	if !r.ended {
		r.find(tutela.FindingReadError, fmt.Sprintf("its sector at byte %d: %v", at, err))
	}
	r.long.reset()
	return nil
}

func (r *reading) slots(b []byte, at int64, visit func(*entry) error) error {
	for i := 0; i+slotBytes <= len(b); i += slotBytes {
		if r.d.pieces && r.ended {
			return nil
		}
		if err := r.slot(slot(b[i:i+slotBytes]), at+int64(i), visit); err != nil {
			return err
		}
		r.index++
	}
	return nil
}

// slot takes one slot. Behind the end of the directory may lie what was there
// before it was shortened: only what looks like an entry in every respect is
// taken for one.
func (r *reading) slot(s slot, at int64, visit func(*entry) error) error {
	geo := r.w.geo
	dead := r.ended || s.deleted() || r.d.state != tutela.Allocated
	switch {
	case s[0] == slotEnd:
		r.ended = true
		r.long.reset()
		return nil
	case s.isLong():
		r.long.add(s)
		return nil
	case r.index < 2 && (s.isDot() || s.isDotDot()):
		r.long.reset()
		return nil
	}
	name := r.long.take(s)
	switch {
	case dead && !s.strictWhen(geo, r.ended || r.d.state != tutela.Allocated):
		r.ended = r.ended || r.d.pieces
		return nil
	case !dead && !s.named() && name == nil:
		r.unsound++
		return nil
	case s.isLabel():
		return nil
	}
	if name == nil {
		name = s.short()
	}
	return visit(&entry{slot: s, name: name, at: at, dead: dead, start: s.start(geo.bits), size: s.size()})
}

// strictWhen is strict or merely sound.
func (s slot) strictWhen(g *geometry, strict bool) bool {
	if strict {
		return s.strict(g)
	}
	return s.sound(g)
}
