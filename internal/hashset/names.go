package hashset

import (
	"encoding/binary"
	"fmt"
	"math"

	"tutela"
)

// names numbers the categories and series of a set in order of appearance, from
// 1; 0 is none.
type names struct {
	categories []tutela.Category
	series     []string
	byCategory map[tutela.Category]uint16
	bySeries   map[string]uint32
	bytes      int
}

// maxNames bounds what names of categories and series may take, in bytes: they
// are held in memory, when compiling and when open.
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
	for _, s := range n.series {
		b = appendString(b, s)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

// decodeNames reads what encode wrote, without the maps.
func decodeNames(b []byte) (*names, error) {
	n, p := &names{}, parser{b: b}
	for range p.count(8) {
		n.categories = append(n.categories, tutela.Category{Scheme: p.string(), Code: p.string()})
	}
	for range p.count(4) {
		n.series = append(n.series, p.string())
	}
	if p.bad || len(p.b) != 0 {
		return nil, fmt.Errorf("%w: names of categories and series", ErrCorrupt)
	}
	return n, nil
}

// parser reads numbers and strings; bad is set when there is too little.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) u32() uint32 {
	if len(p.b) < 4 {
		p.b, p.bad = nil, true
		return 0
	}
	v := binary.LittleEndian.Uint32(p.b)
	p.b = p.b[4:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (p *parser) count(size int) int {
	n := p.u32()
	if uint64(n)*uint64(size) > uint64(len(p.b)) {
		p.b, p.bad = nil, true
		return 0
	}
	return int(n)
}

func (p *parser) string() string {
	n := p.count(1)
	s := string(p.b[:n])
	p.b = p.b[n:]
	return s
}
