package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of pages (1.6).
const (
	indexInterior = 2
	tableInterior = 5
	indexLeaf     = 10
	tableLeaf     = 13
)

// tree is a walk through the rows of a b-tree (1.6): of a table, whose leaves
// have the rows, or of an index, where each page has.
type tree struct {
	ctx    context.Context
	d      *Database
	index  bool
	number int64          // of the last row
	levels [maxDepth]page // from the root to the one that is read
	visit  func(*Row) error
}

// walk visits the rows below a root. What cannot be read is told.
func (d *Database) walk(ctx context.Context, root uint32, visit func(*Row) error) error {
	t := &tree{ctx: ctx, d: d, visit: visit}
	return t.page(root, 0)
}

// page visits the rows of a page and those below it, in their order.
func (t *tree) page(no uint32, depth int) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	p, err := t.load(no, depth)
	if err != nil {
		t.d.tell(err)
		return nil
	}
	for i := range p.cells {
		c, err := p.cell(i)
		if err != nil {
			t.d.tell(fmt.Errorf("page %d: cell %d: %w", no, i+1, err))
			continue
		}
		if c.child != 0 || p.interior {
			if err := t.page(c.child, depth+1); err != nil {
				return err
			}
		}
		if err := t.row(c); err != nil {
			return err
		}
	}
	if p.interior {
		return t.page(p.right, depth+1)
	}
	return nil
}

func (t *tree) row(c *cell) error {
	if c.payload.size < 0 {
		return nil
	}
	t.number++
	row, err := c.row(t.number)
	if err != nil {
		t.d.tell(fmt.Errorf("page %d: row %d: %w", c.payload.page, row.ID, err))
	}
	return t.visit(row)
}

// page is a page of a tree.
type page struct {
	d        *Database
	no       uint32
	b        []byte // the usable bytes
	interior bool
	index    bool
	cells    int
	pointers int // where they begin
	right    uint32
	begins   []uint64 // bits: where the cells that were read begin
}

var errKind = errors.New("not a page of this tree")

func (t *tree) load(no uint32, depth int) (*page, error) {
	if depth >= maxDepth {
		return nil, fmt.Errorf("page %d: the tree is more than %d pages deep", no, maxDepth)
	}
	if err := t.d.take(no); err != nil {
		return nil, err
	}
	p := &t.levels[depth]
	if p.b == nil {
		p.b, p.begins = make([]byte, t.d.usable), make([]uint64, t.d.page/64)
	}
	clear(p.begins)
	*p = page{d: t.d, no: no, b: p.b, begins: p.begins}
	if err := t.d.read(p.b, no, 0); err != nil {
		return nil, err
	}
	if err := p.header(); err != nil {
		return nil, fmt.Errorf("page %d: %w", no, err)
	}
	if depth == 0 {
		t.index = p.index
	}
	if p.index != t.index {
		return nil, fmt.Errorf("page %d: %w", no, errKind)
	}
	return p, nil
}

// header reads the header of a page (1.6); that of the first stands behind the
// header of the database.
func (p *page) header() error {
	at := 0
	if p.no == 1 {
		at = headerBytes
	}
	h := p.b[at:]
	p.pointers = at + 8
	switch h[0] {
	case indexInterior, tableInterior:
		p.interior = true
		p.right = binary.BigEndian.Uint32(h[8:])
		p.pointers = at + 12
	case indexLeaf, tableLeaf:
	default:
		return errKind
	}
	p.index = h[0] == indexInterior || h[0] == indexLeaf
	p.cells = int(binary.BigEndian.Uint16(h[3:]))
	if p.pointers+2*p.cells > len(p.b) {
		return fmt.Errorf("%d cells on a page", p.cells)
	}
	return nil
}

// cell is a cell of a page: a page below, a row, or both.
type cell struct {
	child   uint32
	rowid   int64
	index   bool
	payload payload // of size -1 if there is none
}

var errCell = errors.New("the cell does not fit the page")

func (p *page) cell(i int) (*cell, error) {
	at := int(binary.BigEndian.Uint16(p.b[p.pointers+2*i:]))
	if at < p.pointers+2*p.cells || at >= len(p.b) {
		return nil, errCell
	}
	word, bit := &p.begins[at>>6], uint64(1)<<(at&63)
	if *word&bit != 0 {
		return nil, errors.New("two cells begin at the same place")
	}
	*word |= bit
	c := &cell{index: p.index, payload: payload{d: p.d, page: p.no, size: -1}}
	b := p.b[at:]
	if p.interior {
		if len(b) < 4 {
			return nil, errCell
		}
		c.child = binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	if p.interior && !p.index {
		return c, nil // its rowid is only a signpost
	}
	return c, p.content(c, b)
}

// content reads the cell of a row from its size on (1.6).
func (p *page) content(c *cell, b []byte) error {
	size, n := varint(b)
	if n == 0 || size < 0 || size > int64(p.d.pages)*int64(p.d.usable) {
		return errCell
	}
	b = b[n:]
	if !p.index {
		if c.rowid, n = varint(b); n == 0 {
			return errCell
		}
		b = b[n:]
	}
	local := p.local(size)
	need := local
	if int64(local) < size {
		need += 4
	}
	if need > len(b) {
		return errCell
	}
	c.payload.size, c.payload.at, c.payload.local = size, len(p.b)-len(b), b[:local:local]
	if int64(local) < size {
		c.payload.first = binary.BigEndian.Uint32(b[local:])
	}
	return nil
}

// local is how much of a payload lies on the page (1.6, at the end).
func (p *page) local(size int64) int {
	usable := int64(p.d.usable)
	most := usable - 35
	if p.index {
		most = (usable-12)*64/255 - 23
	}
	if size <= most {
		return int(size)
	}
	least := (usable-12)*32/255 - 23
	if k := least + (size-least)%(usable-4); k <= most {
		return int(k)
	}
	return int(least)
}

// varint reads a number of one to nine bytes (1.6) and says how many; 0 if it
// is cut off.
func varint(b []byte) (v int64, n int) {
	for n < 8 {
		if n >= len(b) {
			return 0, 0
		}
		c := b[n]
		n++
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	if n >= len(b) {
		return 0, 0
	}
	return v<<8 | int64(b[n]), n + 1
}
