package ewf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"math"
	"sort"
	"sync"

	"tutela"
)

// tableHeaderSize is the length of what comes before the entries of a table, in
// bytes ("Table header").
const tableHeaderSize = 24

// packedBit marks the entry of a compressed chunk; the rest of it is an offset.
const packedBit = 1 << 31

// mostTables bounds what an image can make the reader keep in memory, at about
// 100 bytes a table. They tell of 500 TB at 32 KiB a chunk.
const mostTables = 1 << 20

// table is where a table section lies, and what its header says.
type table struct {
	segment int
	first   int64 // number of its first chunk
	entries int64
	at      int64      // of the entries, in the segment
	copy    int64      // of the entries in table2; 0 if there is none
	base    int64      // what the offsets are counted from
	chunks  tutela.Run // where the chunks must lie
	lost    bool       // neither header is sound: no entry can be used
	mirror  bool       // it is read from table2 already
	inside  bool       // the chunks lie in the table section itself
}

// table takes in a table section. The chunks lie in the sectors section before
// it or, in EnCase 1, SMART and the original format, behind the entries.
func (s *segment) table(d descriptor, header []byte) {
	t := table{segment: s.index, at: d.at + descriptorSize + tableHeaderSize, chunks: s.chunks}
	end := d.end(s.size)
	if t.chunks.Length == 0 {
		t.inside = true
		t.chunks = tutela.Run{Offset: d.at, Length: end - d.at}
	}
	s.paired = true
	if !t.take(header, end) {
		s.note(tutela.FindingDamaged, "the header of the table at %d is damaged", d.at)
		t.lost = true
		t.guess(end)
		s.unsure = min(s.unsure, len(s.tables)+1)
	}
	s.tables = append(s.tables, t)
}

// table2 takes in a copy of the table before it, or what stands for a table that
// was lost.
func (s *segment) table2(d descriptor, header []byte) {
	end := d.end(s.size)
	t := table{segment: s.index, at: d.at + descriptorSize + tableHeaderSize, mirror: true, chunks: s.chunks}
	if t.chunks.Length == 0 {
		t.chunks = tutela.Run{Offset: headerSize, Length: s.size - headerSize}
	}
	if !t.take(header, end) {
		s.note(tutela.FindingDamaged, "the header of the table2 at %d is damaged", d.at)
		s.paired = false
		return
	}
	last := len(s.tables) - 1
	switch {
	case !s.paired:
		s.note(tutela.FindingBackupTable, "the table before %d is lost, its copy is used", d.at)
		s.tables = append(s.tables, t)
	case s.tables[last].lost:
		s.note(tutela.FindingBackupTable, "the copy at %d of a damaged table is used", d.at)
		s.tables[last] = t
	case s.tables[last].entries != t.entries || s.tables[last].base != t.base:
		s.note(tutela.FindingDamaged, "the table at %d and its copy differ", s.tables[last].at-descriptorSize-tableHeaderSize)
	default:
		s.tables[last].copy = t.at
	}
	s.paired = false
}

// take reads the header of a table whose section ends at end.
func (t *table) take(b []byte, end int64) bool {
	if len(b) < tableHeaderSize || !checked(b[:tableHeaderSize]) {
		return false
	}
	t.entries = int64(binary.LittleEndian.Uint32(b))
	base := binary.LittleEndian.Uint64(b[8:])
	t.base = int64(base)
	return base < math.MaxInt64>>1 && t.at+4*t.entries <= end
}

// guess finds from the length of the section how many chunks a table without a
// header tells of.
func (t *table) guess(end int64) {
	t.entries = 0
	if !t.inside {
		t.entries = max(end-t.at-4, 0) / 4
	}
}

// pageEntries is how many entries of a table are read at once.
const pageEntries = 1 << 14

// mostPages is how many pages are kept; 2 MiB.
const mostPages = 32

// tables finds chunks by their number. It reads the entries when they are needed
// and keeps few of them. It is safe for concurrent use.
type tables struct {
	files *files
	all   []table // by their first chunk
	note  func(code, format string, args ...any)
	size  int64 // of a chunk, in bytes

	mu     sync.Mutex // guards what follows
	states map[int]state
	pages  map[pageKey]*page
	clock  int64
}

// state is what reading a whole table showed.
type state struct {
	at       int64 // of the entries that are used
	overflow int64 // the first entry whose highest bit belongs to its offset; -1 if none
	suspect  bool  // no checksum covers the entries, or it is wrong
}

type pageKey struct {
	table int
	page  int64
}

// page is some entries of a table and the one behind them, if there is one.
type page struct {
	entries []uint32
	bad     []bool // nil where all are good
	used    int64
}

// place is where a chunk is stored.
type place struct {
	segment int
	at      int64
	most    int64 // bytes it has at most
	packed  bool  // compressed
}

var (
	errNoTable  = errors.New("no table tells where the chunk is")
	errTable    = errors.New("the table that tells where the chunk is, is damaged")
	errBounds   = errors.New("the table points to where no chunk can be")
	errChecksum = errors.New("the checksum of the chunk is wrong")
	errLength   = errors.New("the chunk does not have the length it should")
	errInflate  = errors.New("the chunk cannot be decompressed")
)

// find tells where chunk n is stored.
func (t *tables) find(n int64) (place, error) {
	i := sort.Search(len(t.all), func(i int) bool { return n < t.all[i].first+t.all[i].entries })
	if i == len(t.all) || n < t.all[i].first {
		return place{}, errNoTable
	}
	one := &t.all[i]
	if one.lost {
		return place{}, errTable
	}
	st, err := t.state(i)
	if err != nil {
		return place{}, err
	}
	k := n - one.first
	p, err := t.page(i, k/pageEntries, st)
	if err != nil {
		return place{}, err
	}
	return one.place(p, k, st)
}

// place takes entry k apart.
func (t *table) place(p *page, k int64, st state) (place, error) {
	in := k % pageEntries
	if p.bad != nil && p.bad[in] {
		return place{}, errTable
	}
	at, packed := t.offset(p.entries[in], k, st)
	end := t.chunks.Offset + t.chunks.Length
	if at < t.chunks.Offset || at >= end {
		return place{}, errBounds
	}
	out := place{segment: t.segment, at: at, most: end - at, packed: packed}
	if in+1 < int64(len(p.entries)) && !st.suspect {
		if next, _ := t.offset(p.entries[in+1], k+1, st); next > at {
			out.most = min(out.most, next-at)
		}
	}
	return out, nil
}

// offset is where an entry points in its segment. EnCase 6.7 went on counting
// past 2 GiB into the bit that marks compression; its chunks are not compressed
// there ("Table entries offset overflow").
func (t *table) offset(entry uint32, k int64, st state) (at int64, packed bool) {
	if st.overflow >= 0 && k >= st.overflow {
		return t.base + int64(entry), false
	}
	return t.base + int64(entry&^packedBit), entry&packedBit != 0
}

// state reads a whole table once, to hold it against its checksum.
func (t *tables) state(i int) (state, error) {
	t.mu.Lock()
	st, known := t.states[i]
	t.mu.Unlock()
	if known {
		return st, nil
	}
	st, err := t.examine(i)
	if err != nil {
		return st, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states[i] = st
	return st, nil
}

func (t *tables) examine(i int) (state, error) {
	one := &t.all[i]
	what, cause := t.sum(one, one.at)
	if cause == nil && (what.sound || what.bare) {
		return state{at: one.at, overflow: what.overflow, suspect: what.bare}, nil
	}
	if one.copy > 0 {
		if second, err := t.sum(one, one.copy); err == nil && second.sound {
			t.note(tutela.FindingBackupTable, "%s: the table of chunks %d to %d is damaged, its copy is used", t.files.names[one.segment], one.first, one.first+one.entries-1)
			return state{at: one.copy, overflow: second.overflow}, nil
		}
	}
	if cause != nil {
		return state{}, cause
	}
	t.note(tutela.FindingDamaged, "%s: the table of chunks %d to %d is damaged; what it tells is used where nothing speaks against it", t.files.names[one.segment], one.first, one.first+one.entries-1)
	return state{at: one.at, overflow: -1, suspect: true}, nil
}

// sums is what the entries of a table show when they are all read.
type sums struct {
	sound    bool  // the checksum behind them is right
	bare     bool  // the first chunk is where the checksum would be
	overflow int64 // the first entry past 2 GiB, -1 if none
}

// sum reads the entries at a place and the checksum behind them.
func (t *tables) sum(one *table, at int64) (sums, error) {
	out := sums{overflow: -1}
	sum, previous := adler32.New(), uint32(0)
	buf := make([]byte, 4*min(pageEntries, one.entries)+4)
	for k := int64(0); k < one.entries; k += pageEntries {
		n := min(pageEntries, one.entries-k)
		b := buf[:4*n]
		if err := t.read(one.segment, b, at+4*k); err != nil {
			return out, err
		}
		sum.Write(b)
		previous = out.scan(b, k, previous, t.size)
		if k == 0 && one.inside && at+4*one.entries == one.base+int64(binary.LittleEndian.Uint32(b)&^packedBit) {
			out.bare = true // the original format, SMART
		}
	}
	if out.bare {
		return out, nil
	}
	return out, t.footer(one, at+4*one.entries, sum, &out)
}

func (t *tables) footer(one *table, at int64, sum hash.Hash32, out *sums) error {
	b := make([]byte, 4)
	if err := t.read(one.segment, b, at); err != nil {
		return err
	}
	out.sound = binary.LittleEndian.Uint32(b) == sum.Sum32()
	return nil
}

// scan looks for the entry at which the offsets run into the bit above them: the
// one before lies within a chunk of the border, and the lower bits fall.
func (s *sums) scan(b []byte, k int64, previous uint32, chunk int64) uint32 {
	if s.overflow >= 0 {
		return previous
	}
	near := int64(packedBit) - 2*chunk - 1<<16
	for ; len(b) >= 4; b, k = b[4:], k+1 {
		entry := binary.LittleEndian.Uint32(b)
		low := entry &^ packedBit
		if entry != low && low < previous && int64(previous) >= near {
			s.overflow = k
			return previous
		}
		previous = low
	}
	return previous
}

func (t *tables) read(segment int, b []byte, at int64) error {
	n, err := t.files.readAt(segment, b, at)
	if n < len(b) {
		return fmt.Errorf("table in %s: %w", t.files.names[segment], notEnd(err))
	}
	return nil
}

// page is entries of a table, from memory or read.
func (t *tables) page(i int, number int64, st state) (*page, error) {
	key := pageKey{i, number}
	t.mu.Lock()
	t.clock++
	p := t.pages[key]
	if p != nil {
		p.used = t.clock
	}
	t.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := t.load(&t.all[i], number*pageEntries, st)
	if err != nil {
		return nil, err
	}
	t.keep(key, p)
	return p, nil
}

// keep stores a page, in the place of the one not used for longest.
func (t *tables) keep(key pageKey, p *page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.pages) >= mostPages {
		oldest, at := key, int64(math.MaxInt64)
		for k, one := range t.pages {
			if one.used < at {
				oldest, at = k, one.used
			}
		}
		delete(t.pages, oldest)
	}
	p.used = t.clock
	t.pages[key] = p
}

func (t *tables) load(one *table, from int64, st state) (*page, error) {
	entries, err := t.entries(one, st.at, from)
	if err != nil {
		return nil, err
	}
	p := &page{entries: entries}
	if st.suspect {
		return p, t.doubt(one, p, from)
	}
	return p, nil
}

// entries reads a page of them, and the one behind it.
func (t *tables) entries(one *table, at, from int64) ([]uint32, error) {
	b := make([]byte, 4*min(pageEntries+1, one.entries-from))
	if err := t.read(one.segment, b, at+4*from); err != nil {
		return nil, err
	}
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out, nil
}

// doubt finds which entries of a table without a sound checksum can be used:
// those that its copy confirms or, where there is none, those that lie in order
// between their neighbours. A wrong entry cannot point at the beginning of
// another chunk then; and every chunk has a checksum of its own.
func (t *tables) doubt(one *table, p *page, from int64) error {
	p.bad = make([]bool, len(p.entries))
	if one.copy > 0 {
		second, err := t.entries(one, one.copy, from)
		if err != nil {
			return err
		}
		for i := range p.entries {
			p.bad[i] = p.entries[i] != second[i]
		}
		return nil
	}
	previous := uint32(0)
	if from > 0 {
		b := make([]byte, 4)
		if err := t.read(one.segment, b, one.at+4*(from-1)); err != nil {
			return err
		}
		previous = binary.LittleEndian.Uint32(b) &^ packedBit
	}
	for i, entry := range p.entries {
		low := entry &^ packedBit
		last := i+1 == len(p.entries)
		p.bad[i] = low <= previous && from+int64(i) > 0 || !last && p.entries[i+1]&^packedBit <= low
		previous = low
	}
	return nil
}
