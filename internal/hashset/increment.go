package hashset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"
	"slices"

	"tutela"
)

// Intent says what an import does with the version in use.
type Intent string

// Intents. Whatever was meant, the next version is written whole or as what
// differs from a whole one, whichever is less to write; what it answers is the
// same.
const (
	Replace  Intent = ""         // the files are the next version
	Add      Intent = "add"      // the files come to the version in use
	Withdraw Intent = "withdraw" // rows that hold what a row of the files holds leave
)

// A version that differs from a whole one in more than this part of its rows is
// written whole.
const maxDifference = 4

// change is how the next version differs from the version in use, and from the
// whole version that this one is or is based on.
type change struct {
	c     *compiler
	prev  *Set
	base  layer   // of the whole version
	left  *rowSet // rows of the base that are not in the next version
	drop  *rowSet // other rows of prev that are not, by their number behind the base
	added *sorter // rows of the next version that are not in the base
	bound most    // of added
	large bool    // too large to be kept as a difference
}

func newChange(c *compiler, prev *Set) *change {
	h := &change{c: c, prev: prev, base: prev.layers[0]}
	h.left = newRowSet(h.base.desc.Rows)
	own := uint64(0)
	if len(prev.layers) > 1 {
		own = prev.layers[1].desc.Rows
	}
	h.drop = newRowSet(own)
	h.added = newSorter(c.dir, c.memory/4, order(c.names))
	return h
}

// whole is the set whose file the base is.
func (h *change) whole() *Set {
	if h.prev.base != nil {
		return h.prev.base
	}
	return h.prev
}

// keepGone begins with the rows that prev withdrew.
func (h *change) keepGone() error {
	gone := &h.base.gone
	for i := uint64(0); i < gone.len()/4; i++ {
		b := gone.take(4*i, 4)
		if b == nil || !h.left.set(uint64(binary.LittleEndian.Uint32(b))) {
			return errors.Join(h.prev.Damage(), fmt.Errorf("%w: withdrawn rows", ErrCorrupt))
		}
	}
	return nil
}

// leave withdraws a row of prev.
func (h *change) leave(number uint64) {
	if number < h.base.desc.Rows {
		h.left.set(number)
		return
	}
	h.drop.set(number - h.base.desc.Rows)
}

// add keeps a row that the base does not have.
func (h *change) add(record []byte) error {
	if h.large {
		return nil
	}
	r := parseRecord(record)
	h.bound.count(r.has())
	return h.added.add(record)
}

// small reports whether the difference is worth being kept as one.
func (h *change) small() bool {
	return !h.large && h.left.count+h.added.count <= h.base.desc.Rows/maxDifference && h.base.desc.Rows+h.added.count <= maxRows
}

// replace goes through what was read and through prev side by side.
func (h *change) replace() error {
	side := h.prev.inOrder()
	row, more := side()
	var kept, read record
	var scratch []byte
	encode := func() (err error) {
		if more {
			if scratch, err = h.c.names.encodeRow(scratch[:0], &row.Assertion); err == nil {
				kept = parseRecord(scratch)
			}
		}
		return err
	}
	advance := func() error {
		row, more = side()
		return encode()
	}
	gone := func() error {
		if row.live {
			h.c.report.Withdrawn++
		}
		h.leave(row.number)
		return advance()
	}
	if err := encode(); err != nil {
		return err
	}
	seen := uint64(0)
	err := h.c.distinct(func(b []byte) error {
		if seen++; seen%4096 == 0 {
			h.c.tell(Progress{Comparing, int64(seen), int64(h.c.rows.count), int64(seen)})
			if err := h.c.ctx.Err(); err != nil {
				return err
			}
		}
		read = parseRecord(b)
		for more {
			order := h.c.names.compare(&kept, &read)
			if order > 0 {
				break
			}
			if order == 0 {
				return errors.Join(h.stay(&row, b), advance())
			}
			if err := gone(); err != nil {
				return err
			}
		}
		h.c.report.Added++
		h.large = h.large || !h.small()
		return h.add(b)
	})
	for err == nil && more {
		err = gone()
	}
	return errors.Join(err, h.prev.Damage())
}

// stay keeps a row of prev that was read again, withdrawn or not.
func (h *change) stay(row *placedRow, record []byte) error {
	if row.live {
		h.c.report.Unchanged++
	} else {
		h.c.report.Added++
	}
	if row.number < h.base.desc.Rows {
		return nil
	}
	return h.add(record)
}

// merge adds what was read to prev.
func (h *change) merge() error {
	if err := h.keepGone(); err != nil {
		return err
	}
	err := h.c.distinct(func(b []byte) error {
		if err := h.c.ctx.Err(); err != nil {
			return err
		}
		return h.mergeRow(b)
	})
	return errors.Join(err, h.keepOwn(), h.prev.Damage())
}

// mergeRow adds one row. Like when rows are repeated in one list, a size that is
// told wins over one that is not, and the smaller of two.
func (h *change) mergeRow(b []byte) error {
	a := h.c.names.assertion(b)
	live, found, err := h.find(&a, func(row *placedRow) bool { return row.live && !h.isGone(row.number) })
	if err != nil {
		return err
	}
	if found {
		if a.Size < 0 || live.Size >= 0 && live.Size <= a.Size {
			h.c.report.Unchanged++ // counted anew at the end
			return nil
		}
		h.leave(live.number)
		h.c.report.Withdrawn++
	}
	h.c.report.Added++
	again, found, err := h.find(&a, func(row *placedRow) bool {
		return row.number < h.base.desc.Rows && row.Size == a.Size && h.isGone(row.number)
	})
	if err != nil {
		return err
	}
	if found {
		h.left.clear(again.number)
		return nil
	}
	return h.add(b)
}

func (h *change) isGone(number uint64) bool {
	if number < h.base.desc.Rows {
		return h.left.has(number)
	}
	return h.drop.has(number - h.base.desc.Rows)
}

// find gives the first row of prev that says the same as a, but for the size, and
// that is wanted.
func (h *change) find(a *tutela.Assertion, wanted func(*placedRow) bool) (placedRow, bool, error) {
	smallest := *a
	smallest.Size = -1
	for i := range h.prev.layers {
		l := &h.prev.layers[i]
		row, end := l.rangeOf(&smallest)
		for ; row < end; row++ {
			p := placedRow{l.assertion(row), l.first + row, true}
			size := p.Size
			p.Size = -1
			if compareRows(&p.Assertion, &smallest) != 0 {
				break
			}
			p.Size = size
			p.live = !l.withdrawn(row)
			if wanted(&p) {
				return p, true, nil
			}
		}
	}
	return placedRow{}, false, h.prev.Damage()
}

// rangeOf is the rows from the first that does not come before a.
func (b *body) rangeOf(a *tutela.Assertion) (row, end uint64) {
	kind := strongest(digestsOf(a))
	if kind == 0 {
		end = b.digest[tutela.MatchMD5].from
	} else {
		row, end = b.candidates(kind, exactOf(a, kind))
	}
	for from := end; row < from; {
		middle := row + (from-row)/2
		if p := b.assertion(middle); compareRows(&p, a) < 0 {
			row = middle + 1
		} else {
			from = middle
		}
	}
	return row, end
}

func exactOf(a *tutela.Assertion, kind tutela.MatchKind) []byte {
	switch {
	case kind == tutela.MatchMD5 && a.MD5 != nil:
		return a.MD5[:]
	case kind == tutela.MatchSHA1 && a.SHA1 != nil:
		return a.SHA1[:]
	case kind == tutela.MatchSHA256 && a.SHA256 != nil:
		return a.SHA256[:]
	}
	return nil
}

// keepOwn keeps the rows that prev added to the base and that did not leave.
func (h *change) keepOwn() error {
	if len(h.prev.layers) == 1 {
		return nil
	}
	own := &h.prev.layers[1]
	for row := range own.desc.Rows {
		if h.drop.has(row) {
			continue
		}
		a := own.assertion(row)
		record, err := h.c.encode(&a)
		if err != nil {
			return err
		}
		if err := h.add(record); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes out of prev what was read. A row leaves if it holds every digest
// that a row of the files holds, whatever else it holds.
func (h *change) withdraw() error {
	if err := h.keepGone(); err != nil {
		return err
	}
	err := h.c.distinct(func(b []byte) error {
		if err := h.c.ctx.Err(); err != nil {
			return err
		}
		a := h.c.names.assertion(b)
		met := false
		h.holding(&a, func(number uint64) {
			met = true
			if !h.isGone(number) {
				h.leave(number)
				h.c.report.Withdrawn++
			}
		})
		if !met {
			h.c.report.NotFound++
		}
		return nil
	})
	return errors.Join(err, h.keepOwn(), h.prev.Damage())
}

// holding visits the rows of prev that hold every digest of a. A row that only
// names frames is held by rows that have just these.
func (h *change) holding(a *tutela.Assertion, visit func(number uint64)) {
	confirm := func(number uint64) {
		if row := h.prev.Assertion(number); holdsAll(&row, a) {
			visit(number)
		}
	}
	if kind := strongest(digestsOf(a)); kind != 0 {
		h.prev.having(kind, exactOf(a, kind), confirm)
		return
	}
	if a.PDQ != nil {
		h.prev.Near(*a.PDQ, 0, func(number uint64, _ int) { confirm(number) })
		return
	}
	h.prev.Alike(a.Frames[0], 0, func(alike Alike) {
		if alike.Frame {
			confirm(alike.Row)
		}
	})
}

func holdsAll(row, a *tutela.Assertion) bool {
	return (a.MD5 == nil || row.MD5 != nil && *row.MD5 == *a.MD5) &&
		(a.SHA1 == nil || row.SHA1 != nil && *row.SHA1 == *a.SHA1) &&
		(a.SHA256 == nil || row.SHA256 != nil && *row.SHA256 == *a.SHA256) &&
		(a.PDQ == nil || row.PDQ != nil && *row.PDQ == *a.PDQ) &&
		(len(a.Frames) == 0 || slices.Equal(row.Frames, a.Frames))
}

// rowsOfWhole is the stream of all rows of the next version: those of the base
// that stay, and those that were added.
func (h *change) rowsOfWhole(visit func(record []byte) error) error {
	side := h.base.rows()
	var scratch []byte
	row, more := side()
	stay := func() error {
		defer func() { row, more = side() }()
		if h.left.has(row.number) {
			return nil
		}
		var err error
		if scratch, err = h.c.names.encodeRow(scratch[:0], &row.Assertion); err != nil {
			return err
		}
		return visit(scratch)
	}
	err := h.added.each(func(b []byte) error {
		a := h.c.names.assertion(b)
		for more && compareRows(&row.Assertion, &a) < 0 {
			if err := stay(); err != nil {
				return err
			}
		}
		return visit(b)
	})
	for err == nil && more {
		err = stay()
	}
	return errors.Join(err, h.prev.Damage())
}

// draft is what the file of the next version is made of.
func (h *change) draft(intent Intent) draft {
	switch {
	case h.small():
		return draft{rows: h.added.each, bound: h.bound, count: h.added.count, base: h.whole(), left: h.left}
	case intent == Replace:
		return draft{rows: h.c.distinct, bound: h.c.bound, count: h.c.rows.count}
	}
	bound, base := h.bound, h.base.desc.strongest()
	for kind := range bound {
		bound[kind] += base[kind]
	}
	return draft{rows: h.rowsOfWhole, bound: bound, count: h.base.desc.Rows + h.added.count}
}

// compileChange writes the next version of prev. Where prev cannot be read, only
// what replaces it whole can be written.
func compileChange(ctx context.Context, path string, meta Meta, r Reader, prev *Set, intent Intent, work Work) (_ tutela.SetVersion, _ Report, err error) {
	if err := checkMeta(path, meta); err != nil {
		return tutela.SetVersion{}, Report{}, err
	}
	c, err := newCompiler(ctx, filepath.Dir(path), work)
	if err != nil {
		return tutela.SetVersion{}, Report{}, err
	}
	defer func() { err = errors.Join(err, c.cleanUp()) }()
	if err := c.read(r); err != nil {
		return tutela.SetVersion{}, c.report, err
	}
	h := newChange(c, prev)
	defer func() { err = errors.Join(err, h.added.close()) }()
	before, compared := c.report, true
	if err := h.compare(intent); err != nil {
		if intent != Replace || ctx.Err() != nil {
			return tutela.SetVersion{}, c.report, err
		}
		c.report, compared, h.large = before, false, true
	}
	version, err := c.write(path, meta, h.draft(intent))
	if err != nil {
		return tutela.SetVersion{}, c.report, err
	}
	if !compared {
		c.report.Added = c.report.Rows
	}
	c.report.Unchanged = c.report.Rows - c.report.Added
	return version, c.report, nil
}

func (h *change) compare(intent Intent) error {
	switch intent {
	case Replace:
		return h.replace()
	case Add:
		return h.merge()
	case Withdraw:
		return h.withdraw()
	}
	return fmt.Errorf("internal error: intent %q", intent)
}

// placeOn tells what the file is based on and writes what was withdrawn.
func (c *compiler) placeOn(desc *description, out *sectionWriter, what draft) error {
	base := what.base
	desc.Base = &baseText{base.meta.Version, base.meta.Digest.String(), base.Rows()}
	for row := range what.left.all {
		a := base.Assertion(row)
		desc.Holds.change(digestsOf(&a), -1)
	}
	desc.Holds.add(&base.desc.Holds)
	if err := base.Damage(); err != nil {
		return err
	}
	out.begin(sectionWithdrawn)
	var b [4]byte
	for row := range what.left.all {
		binary.LittleEndian.PutUint32(b[:], uint32(row))
		if _, err := out.Write(b[:]); err != nil {
			return err
		}
	}
	return out.end()
}

// rowSet is a set of rows.
type rowSet struct {
	words []uint64
	rows  uint64
	count uint64
}

func newRowSet(rows uint64) *rowSet { return &rowSet{words: make([]uint64, (rows+63)/64), rows: rows} }

func (s *rowSet) has(row uint64) bool { return s.words[row/64]&(1<<(row%64)) != 0 }

// set is false if there is no such row.
func (s *rowSet) set(row uint64) bool {
	if row >= s.rows {
		return false
	}
	if !s.has(row) {
		s.words[row/64] |= 1 << (row % 64)
		s.count++
	}
	return true
}

func (s *rowSet) clear(row uint64) {
	if s.has(row) {
		s.words[row/64] &^= 1 << (row % 64)
		s.count--
	}
}

// all gives the rows in order.
func (s *rowSet) all(yield func(row uint64) bool) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			if !yield(uint64(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
