package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"math/bits"
	"slices"
)

// Deleted visits the rows of tables that lie whole on pages of the freelist, with
// the number of the page. Which table they were of is not known, nor whether they
// were deleted or lie somewhere else now, for a row that is moved leaves its page
// too. Of their overflow pages, each must be on the freelist, in one chain only.
// It returns the first error of visit unchanged, or that of the context.
func (d *Database) Deleted(ctx context.Context, visit func(page uint32, row *Row) error) error {
	p := &page{d: d, b: make([]byte, d.usable), begins: make([]uint64, d.page/64)}
	for no := range d.free.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(p.begins)
		*p = page{d: d, no: no, b: p.b, begins: p.begins}
		if d.read(p.b, no, 0) != nil || p.b[0] != tableLeaf || p.header() != nil {
			continue
		}
		for row := range p.deleted() {
			if err := visit(no, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleted are the rows of a free page that hold together.
func (p *page) deleted() iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		for i := range p.cells {
			c, err := p.cell(i)
			if err != nil {
				continue
			}
			c.payload.free = true
			row, err := c.row(0)
			if err == nil && c.payload.ends(row) && c.payload.whole() && !yield(row) {
				return
			}
		}
	}
}

// ends reports whether a row fills its payload.
func (p *payload) ends(row *Row) bool {
	if len(row.Values) == 0 {
		return false
	}
	last := row.Values[len(row.Values)-1]
	return last.at+last.Size == p.size
}

// whole reports whether the chain of a payload has as many pages as it should.
func (p *payload) whole() bool {
	rest := p.size - int64(len(p.local))
	if rest == 0 {
		return true
	}
	page, err := p.seek((rest - 1) / p.room())
	p.mark = 0
	var next [4]byte
	return err == nil && p.d.read(next[:], page, 0) == nil && binary.BigEndian.Uint32(next[:]) == 0
}

var errNotFree = errors.New("the page is not free, or of another row")

// takeFree says that a free page is of a row that was deleted.
func (d *Database) takeFree(page uint32) error {
	if !d.free.has(page) || !d.recovered.add(page) {
		return errNotFree
	}
	return nil
}

func (s pageSet) has(page uint32) bool {
	part := s[page>>16]
	return part != nil && part[page&0xffff>>6]&(1<<(page&63)) != 0
}

// all are the pages of the set, ascending.
func (s pageSet) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, high := range slices.Sorted(maps.Keys(s)) {
			for i, word := range s[high] {
				for ; word != 0; word &= word - 1 {
					if !yield(high<<16 | uint32(i)<<6 | uint32(bits.TrailingZeros64(word))) {
						return
					}
				}
			}
		}
	}
}
