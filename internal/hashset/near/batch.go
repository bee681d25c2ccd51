package near

import (
	"encoding/binary"
	"math/bits"

	"tutela"
)

const (
	blockSize = 512 // hashes that are compared while they are in the first cache
	groupSize = 8   // questions that are compared with them at a time

	// Within narrowRadius, half of a hash leaves next to nothing behind. The
	// kernels rely on it: a count above it has the bit of 32 set, unless it is
	// all 64, which then is looked at for nothing.
	narrowRadius = 31
)

// block are hashes, cut into words.
type block struct {
	words [4][blockSize]uint64
}

// marks say of which hashes in a block the kernels leave something to confirm:
// bit i%64 of word i/64 for hash i.
type marks [blockSize / 64]uint64

// Batch visits for each query every hash within radius bits, by comparing all
// with all. A radius below 0 finds nothing, one of 256 or more everything.
//
// Of each pair a lower bound of the distance is taken first: the bits set in
// (a0^b0) | (a1^b1), where a0 and a1 are words of 64 bits. One count does for
// 128 bits, and of a million unrelated pairs two are left within 31. Above 31,
// it is all four words.
func (x *Index) Batch(queries []tutela.PDQ, radius int, visit func(query int, id uint32, distance int)) {
	x.through(queries, radius, func(query int, id uint32, distance int) bool {
		visit(query, id, distance)
		return true
	})
}

// through goes on while visit says so.
func (x *Index) through(queries []tutela.PDQ, radius int, visit func(query int, id uint32, distance int) bool) {
	if radius < 0 {
		return
	}
	p := passage{x: x, radius: radius, visit: visit}
	for at := uint64(0); at < x.count; at += blockSize {
		p.load(at)
		for q := 0; q < len(queries); q += groupSize {
			if !p.compare(queries, q) {
				return
			}
		}
	}
}

// passage is one way through all hashes.
type passage struct {
	x      *Index
	radius int
	visit  func(query int, id uint32, distance int) bool

	at    uint64 // id of the block's first hash
	size  int    // hashes in the block; what lies behind is left from before
	block block
	group [groupSize]tutela.PDQ
	marks marks
}

func (p *passage) load(at uint64) {
	p.at, p.size = at, int(min(blockSize, p.x.count-at))
	hashes, w, le := p.x.hashes[hashSize*at:], &p.block.words, binary.LittleEndian
	for i := range p.size {
		hash := (*[hashSize]byte)(hashes[hashSize*i:])
		w[0][i], w[1][i] = le.Uint64(hash[:]), le.Uint64(hash[8:])
		w[2][i], w[3][i] = le.Uint64(hash[16:]), le.Uint64(hash[24:])
	}
}

// compare compares the group of queries from first on with the block, and
// reports whether to go on.
func (p *passage) compare(queries []tutela.PDQ, first int) bool {
	queries = queries[first:min(first+groupSize, len(queries))]
	group := &p.group
	if len(queries) == groupSize {
		group = (*[groupSize]tutela.PDQ)(queries)
	} else {
		p.fill(queries)
	}
	if !p.sweep(group) {
		return true
	}
	for i, word := range p.marks[:(p.size+63)/64] {
		for ; word != 0; word &= word - 1 {
			if at := 64*i + bits.TrailingZeros64(word); at < p.size && !p.confirm(queries, first, at) {
				return false
			}
		}
	}
	return true
}

// fill makes up a group of queries that are too few, with the first of them.
func (p *passage) fill(queries []tutela.PDQ) {
	for i := range p.group {
		p.group[i] = queries[0]
	}
	copy(p.group[:], queries)
}

// filled reports whether a query was asked before, as those that fill a group
// up are. Kernels that take one query at a time can do without.
func filled(group *[groupSize]tutela.PDQ, i int) bool { return i > 0 && group[i] == group[i-1] }

// sweep marks the hashes of the block of which something is to be confirmed, and
// reports whether there are any.
func (p *passage) sweep(group *[groupSize]tutela.PDQ) bool {
	if p.radius <= narrowRadius {
		return p.x.engine.sweepNarrow(&p.block, group, &p.marks)
	}
	return p.x.engine.sweepWide(&p.block, group, min(p.radius, 64), &p.marks)
}

// confirm takes the whole distance of one hash of the block from each query,
// and reports whether to go on.
func (p *passage) confirm(queries []tutela.PDQ, first, at int) bool {
	hash := words{p.block.words[0][at], p.block.words[1][at], p.block.words[2][at], p.block.words[3][at]}
	for i := range queries {
		query := wordsOf(queries[i][:])
		diff := query.xor(&hash)
		if d := diff.ones(); d <= p.radius && !p.visit(first+i, uint32(p.at)+uint32(at), d) {
			return false
		}
	}
	return true
}

// sweepNarrowPlain marks the hashes of which two words differ from those of some
// query in at most narrowRadius places, and perhaps others. It reports whether
// there are any.
func sweepNarrowPlain(b *block, group *[groupSize]tutela.PDQ, m *marks) bool {
	*m = marks{}
	for i := range group {
		if filled(group, i) {
			continue
		}
		q0, q1 := binary.LittleEndian.Uint64(group[i][:]), binary.LittleEndian.Uint64(group[i][8:])
		for at, h0 := range &b.words[0] {
			if bits.OnesCount64((h0^q0)|(b.words[1][at]^q1)) <= narrowRadius {
				m[at/64] |= 1 << (at % 64)
			}
		}
	}
	return *m != marks{}
}

// sweepWidePlain does the same with all four words and any limit.
func sweepWidePlain(b *block, group *[groupSize]tutela.PDQ, limit int, m *marks) bool {
	*m = marks{}
	for i := range group {
		if filled(group, i) {
			continue
		}
		q := wordsOf(group[i][:])
		for at := range blockSize {
			diff := (b.words[0][at] ^ q[0]) | (b.words[1][at] ^ q[1]) | (b.words[2][at] ^ q[2]) | (b.words[3][at] ^ q[3])
			if bits.OnesCount64(diff) <= limit {
				m[at/64] |= 1 << (at % 64)
			}
		}
	}
	return *m != marks{}
}
