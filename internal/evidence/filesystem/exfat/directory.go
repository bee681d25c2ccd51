package exfat

import (
	"context"
	"encoding/binary"
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
	length  int // of the path, in bytes
	entry   entry
	root    bool
	piece   bool // one cluster of a directory that nobody names
	state   tutela.State
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
	c := &directory{above: d, name: string(e.name), length: d.length + 1 + len(e.name), entry: *e, state: d.state, problem: d.problem}
	c.entry.name = nil
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

// reading is one pass over one directory.
type reading struct {
	w        *walker
	d        *directory
	set      set
	ended    bool // behind the end of the directory
	unsound  int  // sets in use that are none
	findings []tutela.Finding
	visit    func(*entry) error
}

func (r *reading) find(code, detail string) {
	r.findings = append(r.findings, tutela.Finding{Code: code, Detail: detail})
}

// list calls visit for each set of d and returns what kept it from listing all.
// The first error of visit ends it.
func (w *walker) list(ctx context.Context, d *directory, visit func(*entry) error) ([]tutela.Finding, error) {
	r := &reading{w: w, d: d, visit: visit}
	for _, x := range r.extents() {
		for at, end := x.Offset, x.Offset+x.Length; at < end; at += int64(len(w.buffer)) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.chunk(w.buffer[:min(int64(len(w.buffer)), end-at)], at); err != nil {
				return nil, err
			}
		}
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	if r.unsound > 0 {
		r.find(tutela.FindingDamaged, fmt.Sprintf("%d entries in use are none", r.unsound))
	}
	return r.findings, nil
}

// extents are where the directory lies, without what was listed before.
func (r *reading) extents() (fresh []evidence.Extent) {
	w, d := r.w, r.d
	var all []evidence.Extent
	switch {
	case d.piece:
		all = []evidence.Extent{{Offset: w.geo.offset(d.entry.start), Length: w.geo.cluster}}
	case d.state != tutela.Allocated:
		all = w.exactly(&d.entry)
	default:
		chain := w.chainOf(&d.entry)
		all = chain.extents
		if chain.problem != nil {
			r.findings = append(r.findings, *chain.problem)
		}
	}
	var twice int
	each(w.geo, all, func(c uint32) bool {
		switch {
		case w.listed.has(c):
			twice++
		case d.state == tutela.Allocated || !w.claimed.has(c):
			w.listed.add(c)
			fresh = append(fresh, evidence.Extent{Offset: w.geo.offset(c), Length: w.geo.cluster})
		}
		return true
	})
	if twice > 0 {
		r.find(tutela.FindingLoop, fmt.Sprintf("%d of its clusters belong to a directory that was listed before", twice))
	}
	return fresh
}

// chunk reads into b and takes its entries, sector by sector where that fails.
func (r *reading) chunk(b []byte, at int64) error {
	err := readFull(r.w.fs.src, b, at)
	switch sector := int(r.w.geo.sector); {
	case err == nil:
		return r.slots(b, at)
	case len(b) > sector:
		for i := 0; i < len(b); i += sector {
			if err := r.chunk(b[i:min(i+sector, len(b))], at+int64(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !r.ended {
		r.find(tutela.FindingReadError, fmt.Sprintf("its sector at byte %d: %v", at, err))
	}
	return r.finish()
}

func (r *reading) slots(b []byte, at int64) error {
	for i := 0; i < len(b); i += slotBytes {
		if err := r.slot(b[i:i+slotBytes], at+int64(i)); err != nil {
			return err
		}
	}
	return nil
}

// slot takes one entry: it continues the set before it or ends that.
func (r *reading) slot(b []byte, at int64) error {
	if r.set.takes(b) {
		r.set.add(b)
		if r.set.whole() {
			return r.finish()
		}
		return nil
	}
	if err := r.finish(); err != nil {
		return err
	}
	switch {
	case b[0] == typeEnd:
		r.ended = true
	case b[0]|inUse == typeFile:
		r.set.begin(b, at)
	case r.d.root && !r.ended && (b[0] == typeBitmap || b[0] == typeUpCase):
		return r.visit(systemFile(b, at))
	case b[0] == typeStream && !r.ended && r.d.state == tutela.Allocated:
		r.unsound++ // of no set
	}
	return nil
}

// systemFile is the bitmap or the up-case table: sections 7.1 and 7.2.
func systemFile(b []byte, at int64) *entry {
	size := binary.LittleEndian.Uint64(b[24:])
	e := &entry{system: b[0], second: b[1] & 1, at: at, possible: true, start: binary.LittleEndian.Uint32(b[20:]), size: int64(size &^ (1 << 63))}
	e.valid = e.size
	e.name = []byte("$ALLOC_BITMAP")
	if b[0] == typeUpCase {
		e.name, e.second = []byte("$UPCASE_TABLE"), 0
	}
	if size >= 1<<63 {
		e.doubt = fmt.Sprintf("it claims %d bytes", size)
	}
	return e
}

// finish gives out the set that is being read, if it is one. Where nobody says
// that a directory lies, and behind the end of one, only a right checksum makes a
// set.
func (r *reading) finish() error {
	s := &r.set
	if s.have == 0 {
		return nil
	}
	defer func() { s.have = 0 }()
	e, ok := s.entry()
	strict := r.ended || r.d.state != tutela.Allocated
	switch {
	case strict && !(ok && s.fits()):
		return nil
	case !ok && s.dead:
		return nil
	case !ok:
		r.unsound++
		return nil
	case s.dead && !s.fits() && !r.w.likely(&e):
		return nil
	}
	e.dead = e.dead || strict
	if len(e.name) == 0 {
		e.name = fmt.Appendf(nil, "OrphanFile-%d", e.at)
	}
	return r.visit(&e)
}

// likely reports whether an entry whose checksum cannot be verified can be one.
func (w *walker) likely(e *entry) bool {
	return e.size <= w.geo.total && e.valid <= e.size && (e.size == 0 || w.geo.valid(e.start)) && !e.times.Modified.IsZero()
}
