package hashset

import (
	"encoding/binary"
	"fmt"
	"math"

	"tutela"
)

// names numbers the categories and series of a set in order of appearance, from
// 1; 0 is none.
//
// The section names: number of categories u32, then scheme and code of each, a
// string being its length u32 and its bytes; then series: their number u32, the
// end u32 of each behind the ends, and their bytes.
type names struct {
	categories []tutela.Category
	series     []string
	byCategory map[tutela.Category]uint16
	bySeries   map[string]uint32
	bytes      int
}

// maxNames bounds what names of categories and series may take, in bytes: they
// are held in memory when compiling.
const maxNames = 64 << 20

func newNames() *names {
	return &names{byCategory: map[tutela.Category]uint16{}, bySeries: map[string]uint32{}}
}

func (n *names) category(c tutela.Category) (uint16, error) {
	if c == (tutela.Category{}) {
		return 0, nil
	}
	if id, ok := n.byCategory[c]; ok {
		return id, nil
	}
	if len(n.categories) == math.MaxUint16 {
		return 0, fmt.Errorf("more than %d different categories: is the right column mapped?", math.MaxUint16)
	}
	n.categories = append(n.categories, c)
	n.byCategory[c] = uint16(len(n.categories))
	return uint16(len(n.categories)), n.grow(len(c.Scheme) + len(c.Code))
}

func (n *names) seriesOf(s string) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	if id, ok := n.bySeries[s]; ok {
		return id, nil
	}
	n.series = append(n.series, s)
	n.bySeries[s] = uint32(len(n.series))
	return uint32(len(n.series)), n.grow(len(s))
}

// categoryAt is the inverse of category.
func (n *names) categoryAt(id uint16) tutela.Category {
	if id == 0 || int(id) > len(n.categories) {
		return tutela.Category{}
	}
	return n.categories[id-1]
}

func (n *names) seriesAt(id uint32) string {
	if id == 0 || int64(id) > int64(len(n.series)) {
		return ""
	}
	return n.series[id-1]
}

// grow counts what a name costs beside its bytes, roughly.
func (n *names) grow(size int) error {
	const overhead = 64
	if n.bytes += size + overhead; n.bytes > maxNames {
		return fmt.Errorf("names of series take more than %d bytes: is the right column mapped?", maxNames)
	}
	return nil
}

func (n *names) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(n.categories)))
	for _, c := range n.categories {
		b = appendString(appendString(b, c.Scheme), c.Code)
	}
	b = le.AppendUint32(b, uint32(len(n.series)))
	end := 0
	for _, s := range n.series {
		end += len(s)
		b = le.AppendUint32(b, uint32(end))
	}
	for _, s := range n.series {
		b = append(b, s...)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

// heldNames are the names of an open set. Series stay in the file: there may be
// a million of them.
type heldNames struct {
	categories []tutela.Category
	count      uint64 // of series
	ends, text part
}

func openNames(p part) (n heldNames, err error) {
	head := part{p.b, p.at, p.blocks}
	take := func(size uint64) []byte {
		b := head.take(0, size)
		if b != nil {
			head.b, head.at = head.b[size:], head.at+size
		}
		return b
	}
	count := func() uint64 {
		if b := take(4); b != nil {
			return uint64(binary.LittleEndian.Uint32(b))
		}
		err = fmt.Errorf("%w: names of categories and series", ErrCorrupt)
		return 0
	}
	text := func() string {
		size := count()
		if size == 0 {
			return ""
		}
		b := take(size)
		if b == nil {
			err = fmt.Errorf("%w: names of categories and series", ErrCorrupt)
		}
		return string(b)
	}
	for range min(count(), math.MaxUint16) {
		c := tutela.Category{Scheme: text(), Code: text()}
		if err != nil {
			return n, err
		}
		n.categories = append(n.categories, c)
	}
	if n.count = count(); err != nil || 4*n.count > head.len() {
		return n, fmt.Errorf("%w: names of categories and series", ErrCorrupt)
	}
	n.ends = part{head.b[:4*n.count], head.at, head.blocks}
	n.text = part{head.b[4*n.count:], head.at + 4*n.count, head.blocks}
	return n, nil
}

func (n *heldNames) category(id uint64) tutela.Category {
	if id == 0 || id > uint64(len(n.categories)) {
		return tutela.Category{}
	}
	return n.categories[id-1]
}

func (n *heldNames) series(id uint64) string {
	if id == 0 || id > n.count {
		return ""
	}
	le := binary.LittleEndian
	from := uint64(0)
	if id > 1 {
		b := n.ends.take(4*(id-2), 4)
		if b == nil {
			return ""
		}
		from = uint64(le.Uint32(b))
	}
	b := n.ends.take(4*(id-1), 4)
	if b == nil || uint64(le.Uint32(b)) < from {
		return ""
	}
	return string(n.text.take(from, uint64(le.Uint32(b))-from))
}
