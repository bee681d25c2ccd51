package stack

import (
	"encoding/binary"
	"math/bits"

	"tutela"
)

// The index finds the medoids within the radius of a hash by multi-index
// hashing (Norouzi, Punjani, Fleet: Fast exact search in Hamming space with
// multi-index hashing, 2014). A hash is 16 bands of 16 bits. Of two hashes that
// differ in at most 31 bits, some band differs in at most one: so whatever is
// near is listed, in one of the bands, under that band's value or under one of
// the 16 values a bit away. Moreover (Qin, Xiao: Pigeonring, 2018), if the bands
// stand in a ring, such a band can be found that it and the next together
// differ in at most 3, so the next band's value stands in the lists too: of 400
// that are not near, hardly one has to be fetched and compared.
//
// The lists come in two forms. Most medoids lie in sorted arrays, which are
// quick to go through and cannot grow; those that came since are chained. When
// the chains hold a sixteenth of the arrays, all becomes arrays again.
//
// A list may name a picture that is no longer a medoid; who searches checks that.

const (
	bands  = 16
	values = 1 << 16 // of a band

	inTwo = Radius * 2 / bands // bits in which a band and the next may differ
)

// hash is a PDQ hash as words, the first bytes of it in the first.
type hash [4]uint64

func wordsOf(h tutela.PDQ) (w hash) {
	for i := range w {
		w[i] = binary.BigEndian.Uint64(h[8*i:])
	}
	return w
}

func (h hash) pdq() (p tutela.PDQ) {
	for i, w := range h {
		binary.BigEndian.PutUint64(p[8*i:], w)
	}
	return p
}

// band is the value of a band; that after the last is the first.
func (h hash) band(b int) uint16 { return uint16(h[b/4%4] >> (16 * (b % 4))) }

func (h hash) distance(o hash) int {
	return bits.OnesCount64(h[0]^o[0]) + bits.OnesCount64(h[1]^o[1]) +
		bits.OnesCount64(h[2]^o[2]) + bits.OnesCount64(h[3]^o[3])
}

type index struct {
	// arrays: the pictures with value v in band b are
	// listed[b][starts[b][v]:starts[b][v+1]], and behind[b] holds at the same
	// places their values in the next band
	starts [bands][]uint32
	listed [bands][]uint32
	behind [bands][]uint16

	// chains: the youngest picture with value v in band b is
	// young[heads[b][v]-1], 0 ends the chain
	heads [bands][]uint32
	young []link
}

// link is a picture and where its chains go on.
type link struct {
	picture uint32
	next    [bands]uint32
}

func newIndex() *index {
	x := &index{}
	for b := range bands {
		x.starts[b] = make([]uint32, values+1)
		x.heads[b] = make([]uint32, values)
	}
	return x
}

// add chains a picture.
func (x *index) add(p uint32, h hash) {
	l := link{picture: p}
	for b := range bands {
		head := &x.heads[b][h.band(b)]
		l.next[b], *head = *head, uint32(len(x.young)+1)
	}
	x.young = append(x.young, l)
}

// full reports whether there are too many chains.
func (x *index) full() bool { return len(x.young) >= max(4096, len(x.listed[0])/16) }

// rebuild makes arrays of these pictures and no others.
func (x *index) rebuild(pictures []uint32, hashes []hash) {
	for b := range bands {
		clear(x.heads[b])
		x.listed[b] = sortedByBand(pictures, hashes, b, x.starts[b])
		x.behind[b] = make([]uint16, len(pictures))
		for i, p := range x.listed[b] {
			x.behind[b][i] = hashes[p].band(b + 1)
		}
	}
	x.young = x.young[:0]
}

// sortedByBand sorts pictures by counting the values of a band, and says where
// each value starts.
func sortedByBand(pictures []uint32, hashes []hash, b int, starts []uint32) []uint32 {
	clear(starts)
	for _, p := range pictures {
		starts[hashes[p].band(b)]++
	}
	sum := uint32(0)
	for v, count := range starts {
		starts[v], sum = sum, sum+count
	}
	sorted := make([]uint32, len(pictures))
	for _, p := range pictures {
		at := &starts[hashes[p].band(b)]
		sorted[*at] = p
		*at++
	}
	copy(starts[1:], starts) // each start has moved to where the next begins
	starts[0] = 0
	return sorted
}

// search is a question under way: the nearest medoid so far.
type search struct {
	*Stacks
	h        hash
	stack    uint32
	distance int
}

// nearest is the stack whose medoid is nearest to a hash, if one lies within the
// radius; of several the lowest number.
func (s *Stacks) nearest(h hash) (stack uint32, distance int, ok bool) {
	q := &search{s, h, 0, Radius + 1}
	q.look(0, h.band(0), inTwo)
	for b := 0; b < bands && q.distance > 0; b++ { // all equal ones were in the first list
		v := h.band(b)
		q.look(b, v, inTwo)
		for bit := range 16 {
			q.look(b, v^1<<bit, inTwo-1)
		}
	}
	return q.stack, q.distance, q.distance <= Radius
}

// look goes through the pictures that have a value in a band, and in the next
// one that differs from the hash's in at most so many bits.
func (q *search) look(b int, v uint16, most int) {
	x, next := q.index, q.h.band(b+1)
	from, to := x.starts[b][v], x.starts[b][uint32(v)+1]
	for i, behind := range x.behind[b][from:to] {
		if bits.OnesCount16(behind^next) <= most {
			q.try(x.listed[b][from+uint32(i)])
		}
	}
	for l := x.heads[b][v]; l != 0; l = x.young[l-1].next[b] {
		q.try(x.young[l-1].picture)
	}
}

func (q *search) try(p uint32) {
	if d := q.h.distance(q.hashes[p]); d <= q.distance && d <= Radius {
		q.take(p, d)
	}
}

func (q *search) take(p uint32, d int) {
	n := q.on[p]
	if q.stacks[n].medoid == p && (d < q.distance || n < q.stack) {
		q.stack, q.distance = n, d
	}
}
