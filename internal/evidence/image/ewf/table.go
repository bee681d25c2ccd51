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
	leading bool       // its first chunk is the first of those that lie there
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
	t.leading, s.fresh = s.fresh || t.inside, false
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
		t.leading = s.tables[last].leading
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
	// measure tells how many bytes the chunk at a place takes, and whether it
	// is compressed.
	measure func(chunk int64, at place) (length int64, packed bool, err error)

	mu       sync.Mutex // guards what follows
	states   map[int]state
	pages    recent[pageKey, *page]
	searched int64 // chunks of tables that were searched for
}

// state is what reading a whole table showed.
type state struct {
	at       int64 // of the entries that are used
	overflow int64 // the first entry whose highest bit belongs to its offset; -1 if none
	bare     bool  // no checksum covers the entries: each must be confirmed by its chunk
	doubted  bool  // the checksum is wrong: only what the copy says too is used
	lost     bool  // no entry can be used
	found    *found
}

type pageKey struct {
	table int
	page  int64
}

// page is some entries of a table and the one behind them, if there is one.
type page struct {
	entries []uint32
	bad     []bool // nil where all are good
}

// place is where a chunk is stored.
type place struct {
	segment int
	at      int64
	most    int64 // bytes it has at most
	exact   bool  // it must have that many, or the table is wrong
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
	if st.lost {
		return place{}, errTable
	}
	if st.found != nil {
		return st.found.place(one, n-one.first)
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
	out := place{segment: t.segment, at: at, most: end - at, packed: packed, exact: st.bare}
	if in+1 < int64(len(p.entries)) && !st.doubted {
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
	if cause == nil && (what.sound || what.bare && what.ordered) {
		return state{at: one.at, overflow: what.overflow, bare: what.bare}, nil
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
	if one.copy > 0 {
		t.note(tutela.FindingDamaged, "%s: the table of chunks %d to %d and its copy are damaged; what both tell is used", t.files.names[one.segment], one.first, one.first+one.entries-1)
		return state{at: one.at, overflow: -1, doubted: true}, nil
	}
	known := t.search(one)
	t.note(tutela.FindingDamaged, "%s: the table of chunks %d to %d is damaged and has no copy; %d of them are found without it", t.files.names[one.segment], one.first, one.first+one.entries-1, known.count())
	return state{found: known, lost: known == nil}, nil
}

// sums is what the entries of a table show when they are all read.
type sums struct {
	sound    bool  // the checksum behind them is right
	bare     bool  // the first chunk is where the checksum would be
	ordered  bool  // the chunks lie one behind the other where they must
	overflow int64 // the first entry past 2 GiB, -1 if none
}

// sum reads the entries at a place and the checksum behind them.
func (t *tables) sum(one *table, at int64) (sums, error) {
	out := sums{overflow: -1, ordered: true}
	sum, previous := adler32.New(), uint32(0)
	buf := make([]byte, 4*min(pageEntries, one.entries)+4)
	for k := int64(0); k < one.entries; k += pageEntries {
		n := min(pageEntries, one.entries-k)
		b := buf[:4*n]
		if err := t.read(one.segment, b, at+4*k); err != nil {
			return out, err
		}
		sum.Write(b)
		out.order(b, k, previous, one)
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

// order holds the entries against their neighbours and the place for chunks. The
// entry before them is the one called previous.
func (s *sums) order(b []byte, k int64, previous uint32, one *table) {
	for ; len(b) >= 4; b, k = b[4:], k+1 {
		low := binary.LittleEndian.Uint32(b) &^ packedBit
		at := one.base + int64(low) - one.chunks.Offset
		if k > 0 && low <= previous || at < 0 || at >= one.chunks.Length {
			s.ordered = false
			return
		}
		previous = low
	}
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
	p, ok := t.pages.get(key)
	t.mu.Unlock()
	if ok {
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
	if t.pages.has(key) {
		return // two read it at once
	}
	for oldest := range t.pages.oldestFirst() {
		if t.pages.len() < mostPages {
			break
		}
		t.pages.drop(oldest)
	}
	t.pages.put(key, p)
}

func (t *tables) load(one *table, from int64, st state) (*page, error) {
	entries, err := t.entries(one, st.at, from)
	if err != nil {
		return nil, err
	}
	p := &page{entries: entries}
	if st.doubted {
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

// doubt finds which entries of a damaged table its damaged copy confirms.
func (t *tables) doubt(one *table, p *page, from int64) error {
	second, err := t.entries(one, one.copy, from)
	if err != nil {
		return err
	}
	p.bad = make([]bool, len(p.entries))
	for i := range p.entries {
		p.bad[i] = p.entries[i] != second[i]
	}
	return nil
}
