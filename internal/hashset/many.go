package hashset

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"tutela"
)

// One look-up waits for memory several times, and does nothing meanwhile. Many at
// once go step by step through groups: while one waits, the others of its group
// are asked for.
const together = 64

// group is the digests of one kind that are looked up together.
type group struct {
	digests [together][]byte
	which   [together]int // of all that were asked
	prefix  [together]uint64
	lo, hi  [together]uint64
	n       int
	trusted int  // groups that still go without the filter
	touched byte // keeps the compiler from leaving out what only touches memory
}

func (g *group) add(which int, digest []byte) {
	g.which[g.n], g.digests[g.n], g.prefix[g.n] = which, digest, binary.BigEndian.Uint64(digest)
	g.n++
}

// siftOften does without the filter for a while where it let most of a group
// pass: it is there for what is not known.
func (g *group) siftOften(f *filter) {
	if g.trusted > 0 {
		g.trusted--
		return
	}
	before := g.n
	if g.sift(f); 2*g.n > before {
		g.trusted = 16
	}
}

// sift leaves those that may be there.
func (g *group) sift(f *filter) {
	if len(f.shards) == 0 {
		return
	}
	n := 0
	for i := range g.n {
		g.which[n], g.digests[n], g.prefix[n] = g.which[i], g.digests[i], g.prefix[i]
		if f.may(g.prefix[i]) {
			n++
		}
	}
	g.n = n
}

// candidates does for a group what [body.candidates] does for one.
func (b *body) candidatesOf(kind tutela.MatchKind, g *group, visit func(which int, digest []byte, first, end uint64)) {
	c := &b.digest[kind]
	if c.ordered == 0 {
		return
	}
	g.siftOften(&c.sortedFilter)
	for i := range g.n {
		g.lo[i], g.hi[i] = c.sorted.offsets.find(g.prefix[i])
	}
	for i := range g.n {
		at := (g.lo[i] + c.sorted.guess(g.prefix[i], g.hi[i]-g.lo[i])) * c.size
		if at < c.digests.len() {
			g.touched ^= c.digests.b[at] // not believed, only asked for
		}
	}
	for i := range g.n {
		first, end := c.sorted.findIn(&c.digests, g.digests[i], g.prefix[i], g.lo[i], g.hi[i])
		if first < end {
			visit(g.which[i], g.digests[i], c.from+first, c.from+end)
		}
	}
}

// ExactAll does for many contents what [Set.Exact] does for one, several times as
// fast, and visits those that are known, in no order. It is safe for concurrent
// use.
func (s *Set) ExactAll(all []tutela.Digests, visit func(content int, row uint64, kind tutela.MatchKind)) {
	known := make([]bool, len(all))
	for kind := tutela.MatchSHA256; kind >= tutela.MatchMD5; kind-- {
		for i := range s.layers {
			s.layers[i].exactAll(kind, all, known, visit)
		}
	}
}

func (l *layer) exactAll(kind tutela.MatchKind, all []tutela.Digests, known []bool, visit func(content int, row uint64, kind tutela.MatchKind)) {
	if l.digest[kind].ordered == 0 {
		return
	}
	var g group
	order := spread(len(all), func(i int) byte { return digestOf(&all[i], kind)[0] })
	for len(order) > 0 {
		g.n = 0
		for len(order) > 0 && g.n < together {
			if at := int(order[0]); !known[at] {
				g.add(at, digestOf(&all[at], kind))
			}
			order = order[1:]
		}
		l.candidatesOf(kind, &g, func(which int, digest []byte, row, end uint64) {
			for ; row < end && l.holds(row, kind, digest); row++ {
				if l.agreesBelow(row, kind, &all[which]) && !l.withdrawn(row) {
					known[which] = true
					visit(which, l.first+row, kind)
					return
				}
			}
		})
	}
}

// havingAll does for many digests of one kind what [Set.having] does for one.
func (s *Set) havingAll(kind tutela.MatchKind, all [][]byte, visit func(which int, row uint64)) {
	var g group
	order := spread(len(all), func(i int) byte { return all[i][0] })
	for i := range s.layers {
		l := &s.layers[i]
		for some := range slices.Chunk(order, together) {
			found := func(which int, row uint64) {
				if !l.withdrawn(row) {
					visit(which, l.first+row)
				}
			}
			g.fill(all, some)
			l.candidatesOf(kind, &g, func(which int, digest []byte, row, end uint64) {
				for ; row < end && l.holds(row, kind, digest); row++ {
					found(which, row)
				}
			})
			g.fill(all, some)
			l.entriesOf(kind, &g, found)
		}
	}
}

func (g *group) fill(all [][]byte, some []int32) {
	g.n = 0
	for _, i := range some {
		g.add(int(i), all[i])
	}
}

// spread orders n digests by their first byte: those of a group then lie in one
// shard of a filter and near each other in a column, which the processor's caches
// can hold.
func spread(n int, first func(i int) byte) []int32 {
	var ends [257]int32
	for i := range n {
		ends[int(first(i))+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	order := make([]int32, n)
	for i := range n {
		at := &ends[first(i)]
		order[*at] = int32(i)
		*at++
	}
	return order
}

// entriesOf visits the rows that have the digests of a group beside a stronger
// one.
func (b *body) entriesOf(kind tutela.MatchKind, g *group, visit func(which int, row uint64)) {
	c := &b.digest[kind]
	if c.entries.count == 0 {
		return
	}
	g.sift(&c.entryFilter)
	for i := range g.n {
		g.lo[i], g.hi[i] = c.entries.offsets.find(g.prefix[i])
	}
	for i := range g.n {
		if at := 2 * g.lo[i]; at < c.entries.marks.len() {
			g.touched ^= c.entries.marks.b[at]
		}
		if at := 4 * g.lo[i]; at < c.entries.rows.len() {
			g.touched ^= c.entries.rows.b[at]
		}
	}
	for i := range g.n {
		c.entries.rowsIn(g.prefix[i], g.lo[i], g.hi[i], func(row uint64) bool {
			if row < b.desc.Rows && b.holds(row, kind, g.digests[i]) {
				visit(g.which[i], row)
			}
			return true
		})
	}
}

// ValueError says which of many values was wrong.
type ValueError struct {
	Index int // from 0
	Err   error
}

func (e *ValueError) Error() string { return e.Err.Error() }
func (e *ValueError) Unwrap() error { return e.Err }

// LookupAll does for many values what [Sets.LookupValue] does for one, many times
// as fast, and visits what each is known by: in no order of values, but for each
// in order of sets and kinds. A match says where the row is; what else it holds
// is asked of its set. A value that is no digest is a [*ValueError], and nothing
// was looked up.
func (s *Sets) LookupAll(values []string, visit func(value int, m tutela.Match)) error {
	var asked asked
	if err := asked.parse(values); err != nil {
		return err
	}
	for _, set := range s.sets {
		for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
			q := &asked[kind]
			set.havingAll(kind, q.digests, func(which int, row uint64) {
				visit(q.values[which], set.matched(0, row, kind, 0))
			})
		}
		if set.desc.Holds.PDQ == 0 && set.desc.Holds.Videos == 0 {
			continue
		}
		q := &asked[tutela.MatchSHA256]
		for i, digest := range q.digests {
			if h := tutela.PDQ(digest); h != (tutela.PDQ{}) {
				set.nearest(h, func(row uint64, distance int) {
					visit(q.values[i], set.matched(0, row, tutela.MatchPDQ, distance))
				})
			}
		}
	}
	return s.Damage()
}

// asked are values by kind of digest.
type asked [4]struct {
	digests [][]byte
	values  []int
}

func (a *asked) parse(values []string) error {
	room := make([]byte, 0, 32*len(values))
	for i, value := range values {
		kind := kindOfDigits(len(value))
		if kind == 0 {
			return &ValueError{i, errDigits(len(value))}
		}
		from := len(room)
		room = room[:from+len(value)/2]
		if _, err := hex.Decode(room[from:], []byte(value)); err != nil {
			return &ValueError{i, fmt.Errorf("%w: %s %q: %v", tutela.ErrDigest, kind, value, err)}
		}
		q := &a[kind]
		q.digests, q.values = append(q.digests, room[from:]), append(q.values, i)
	}
	return nil
}

// kindOfDigits is the exact digest that has so many hexadecimal digits; 0 if none
// has. PDQ hashes have as many as SHA-256.
func kindOfDigits(n int) tutela.MatchKind {
	switch n {
	case 32:
		return tutela.MatchMD5
	case 40:
		return tutela.MatchSHA1
	case 64:
		return tutela.MatchSHA256
	}
	return 0
}

func errDigits(n int) error {
	return fmt.Errorf("%w: %d characters; MD5 has 32 hexadecimal digits, SHA-1 40, SHA-256 and PDQ 64", tutela.ErrDigest, n)
}

// nearest visits each row once that has a hash within MaxRadius bits, its own or
// that of a frame, with the nearest.
func (s *Set) nearest(h tutela.PDQ, visit func(row uint64, distance int)) {
	if s.desc.Holds.Videos == 0 {
		s.Near(h, MaxRadius, visit)
		return
	}
	least := map[uint64]int{}
	var rows []uint64
	s.Alike(h, MaxRadius, func(a Alike) {
		d, met := least[a.Row]
		if !met {
			rows = append(rows, a.Row)
		}
		if !met || a.Distance < d {
			least[a.Row] = a.Distance
		}
	})
	for _, row := range rows {
		visit(row, least[row])
	}
}

// Damage is what was met in any of the sets where checksums did not hold. Whoever
// relies on that nothing was missed must ask after matching: see [Set.Damage].
func (s *Sets) Damage() error {
	for _, set := range s.sets {
		if err := set.Damage(); err != nil {
			return err
		}
	}
	return s.places.damage()
}
