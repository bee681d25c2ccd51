package feature

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	tables     = 8    // of an index; each knows other bits of the descriptions
	nearEnough = 26   // bits in which a description may differ to vote for a picture
	minVotes   = 3    // for a picture to be looked at closely
	candidates = 32   // pictures that are looked at closely for each query
	maxBucket  = 1000 // points in a bucket above which it is passed over
)

// Index finds those among many known pictures that a picture may be of. It is
// made once and must not change; any number of goroutines may search it.
//
// It works in two steps. Each description of the query votes for the pictures
// that hold one like it; those with the most votes are then verified as by
// Verify. The votes lose some: a picture that Verify would match by few places
// can be missed. What is found is never more than what Verify matches.
type Index struct {
	sets   []Set
	starts []int32 // of each set's points among all, and one more
	tables [tables]table
}

// Hit is a known picture that a query matches.
type Hit struct {
	Known int // its place among the sets that the index was made of
	Evidence
}

// NewIndex makes an index over the sets of known pictures, which it keeps. In
// memory a point takes 24 bytes in its set and at most 48 in the index: at most
// 14.4 kB a picture. More than 2³¹-1 points in all are refused by a panic.
func NewIndex(sets []Set) *Index {
	x := &Index{sets: sets, starts: make([]int32, 1, len(sets)+1)}
	points := 0
	for _, s := range sets {
		if points += len(s.points); points > math.MaxInt32 {
			panic("internal error: more points than an index can number")
		}
		x.starts = append(x.starts, int32(points))
	}
	width := min(max(bits.Len(uint(points))-2, 8), 26)
	for i := range x.tables {
		x.tables[i] = x.newTable(keyOf(i, width))
	}
	return x
}

func (x *Index) total() int32 { return x.starts[len(x.starts)-1] }

// Search finds the known pictures that a picture, or its mirror image, matches:
// those with the most inliers first.
func (x *Index) Search(query Set) []Hit {
	hits := x.search(query, nil)
	mirrored := len(hits)
	hits = x.search(query.Mirror(), hits)
	for i := range hits[mirrored:] {
		hits[mirrored+i].Mirrored = true
	}
	slices.SortStableFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Inliers, a.Inliers), cmp.Compare(a.Known, b.Known))
	})
	return slices.CompactFunc(hits, func(a, b Hit) bool { return a.Known == b.Known })
}

func (x *Index) search(query Set, hits []Hit) []Hit {
	for _, known := range x.elected(&query) {
		if e := upright(&query, &x.sets[known]); e.Match() {
			hits = append(hits, Hit{known, e})
		}
	}
	return hits
}

// elected are the pictures with the most votes. A point of the query has one vote
// for each picture.
func (x *Index) elected(query *Set) []int {
	votes, last := map[int]int{}, map[int]int{}
	for i := range query.points {
		looks := query.points[i].looks
		for t := range x.tables {
			for _, ref := range x.tables[t].bucket(looks) {
				known := x.owner(ref)
				if last[known] != i+1 && looks.distance(x.at(known, ref)) <= nearEnough {
					last[known] = i + 1
					votes[known]++
				}
			}
		}
	}
	return most(votes)
}

func (x *Index) at(known int, ref int32) description {
	return x.sets[known].points[ref-x.starts[known]].looks
}

// owner is the set that a point belongs to.
func (x *Index) owner(ref int32) int {
	i, found := slices.BinarySearch(x.starts, ref)
	if !found {
		return i - 1
	}
	for x.starts[i+1] == ref { // sets without points
		i++
	}
	return i
}

// most are the pictures with enough votes, those with the most first.
func most(votes map[int]int) (out []int) {
	for known, n := range votes {
		if n >= minVotes {
			out = append(out, known)
		}
	}
	slices.SortFunc(out, func(a, b int) int { return cmp.Or(cmp.Compare(votes[b], votes[a]), cmp.Compare(a, b)) })
	return out[:min(len(out), candidates)]
}

// key is which bits of a description a table knows: places, in the order in
// which they make a number.
type key []uint8

// keyOf takes the first of the 128 bits after a fixed shuffle, a different one
// for each table.
func keyOf(t, width int) key {
	order := make([]uint8, 128)
	for i := range order {
		order[i] = uint8(i)
	}
	state := uint64(t)
	for i := len(order) - 1; i > 0; i-- {
		state = state*6364136223846793005 + 1442695040888963407 // Knuth, MMIX
		j := int(state>>33) % (i + 1)
		order[i], order[j] = order[j], order[i]
	}
	return order[:width]
}

func (k key) of(d description) (v uint32) {
	for _, i := range k {
		v = v<<1 | uint32(d.bit(int(i)))
	}
	return v
}

// table lists the points by the bits it knows: refs[starts[v]:starts[v+1]] are
// those with the number v.
type table struct {
	key    key
	starts []uint32
	refs   []int32
}

func (x *Index) newTable(k key) table {
	t := table{k, make([]uint32, 1<<len(k)+1), make([]int32, x.total())}
	x.each(func(ref int32, d description) { t.starts[k.of(d)+1]++ })
	for i := range len(t.starts) - 1 {
		t.starts[i+1] += t.starts[i]
	}
	next := slices.Clone(t.starts)
	x.each(func(ref int32, d description) {
		v := k.of(d)
		t.refs[next[v]] = ref
		next[v]++
	})
	return t
}

// each visits all points.
func (x *Index) each(do func(ref int32, d description)) {
	for i, s := range x.sets {
		for j := range s.points {
			do(x.starts[i]+int32(j), s.points[j].looks)
		}
	}
}

// bucket lists the points that have the same bits. One that holds very many
// tells nothing and is passed over.
func (t *table) bucket(d description) []int32 {
	v := t.key.of(d)
	b := t.refs[t.starts[v]:t.starts[v+1]]
	if len(b) > maxBucket {
		return nil
	}
	return b
}
