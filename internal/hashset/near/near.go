// Package near finds the perceptual hashes of a set that lie within a radius of
// a given one, all of them, by two engines over the same mapped bytes.
//
// Write makes an index, Open looks at one and at the hashes it was made of.
// Then Search is one look-up by the index, and Batch puts many hashes to the
// whole set at once without it: for sets that are kept without an index, and
// for radii that the index does not serve. With an index over hashes that are
// spread evenly, Search in a loop is the faster of the two for any number of
// hashes; what Batch takes depends on nothing but the number of hashes. Each is
// a check on the other.
//
// Promised: every hash within the radius is visited, once, with its distance,
// and no other, by either engine and on every processor, in an order that
// depends on the set and the question alone. Look-ups allocate nothing and may
// run at the same time. Write keeps its buffers within the memory it is given;
// equal hashes make equal bytes. An index that was made to deceive can hide
// hashes or show one twice, but it never makes a look-up panic, read elsewhere
// or report a distance that is not so.
// Not promised: to find damage. Whoever keeps the file checks its bytes.
//
// # How a look-up works
//
// It is multi-index hashing (Norouzi, Punjani, Fleet: Fast exact search in
// Hamming space with multi-index hashing, 2014) with a stronger rule for what
// is a candidate (Qin, Xiao: Pigeonring, 2018). A hash is cut into 16 bands of
// 16 bits, which stand in a ring. If two hashes differ in r bits, then, for the
// same reason as in the puzzle of the petrol stations on a circular road, there
// is a band from which on, for every n, the first n bands differ in at most
// n·r/16 bits. For r = 31: that band differs in at most 1 bit, it and the next in
// at most 3, the first three in at most 5. So each band is looked up with its
// own 17 neighbours, and a posting carries the 32 bits of the next two bands:
// of 100,000 unrelated postings it leaves one to be compared in full.
//
// What bounds it is the time to get at memory: 272 short lists somewhere in the
// file, asked for some lists ahead of being read. Of 4,000,000 hashes it reads 66
// KB; on a Zen 5 core that is 14 µs, 50 ns a list, of which looking things up
// in the page tables is a sixth. On hashes of real pictures lists were twice as
// long as on evenly spread ones.
//
// What bounds Batch is counting bits: a block of hashes and the questions stay in
// the first cache. Of 1,000 questions to 4,000,000 hashes, the same core compared
// 31 pairs in a nanosecond with AVX-512, 5 with AVX2 and 0.5 without either.
package near

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"tutela"
)

// MaxRadius is the largest radius that the index serves, in bits: 31 is what
// counts as alike, more is for hashes that are themselves only nearly right.
// Beyond it all is by going through the hashes.
const MaxRadius = 47

// Worth is from how many hashes on an index is worth the 4 MB that it takes at
// least: below, Search goes through the hashes in some 10 to 20 µs.
const Worth = 8192

// An index is, little endian: for each band 65537 offsets u32, counted in
// postings of the band; then for each band the signatures u32 of its postings
// in order of the band's value and then of id, then their ids u32.
const (
	hashSize    = 32
	bandCount   = 16
	bandBits    = 16
	bandValues  = 1 << bandBits
	offsetsSize = bandCount * (bandValues + 1) * 4
	perHash     = bandCount * 8 // bytes of postings
)

// ErrShape means that an index and hashes do not belong together.
var ErrShape = errors.New("index does not fit its hashes")

// Size is the size in bytes of an index of n hashes.
func Size(n uint64) uint64 { return offsetsSize + perHash*n }

// Index is a set of hashes with or without an index over them.
type Index struct {
	offsets  []byte // none: go through the hashes
	postings []byte
	hashes   []byte
	count    uint64
	engine   engine
}

// Open checks the shape of an index over hashes, which are 32 bytes each in
// order of id. Both may lie in mapped memory and must not change while the
// Index is in use. The index may be empty: then all is by going through the
// hashes. Errors wrap ErrShape.
func Open(index, hashes []byte) (*Index, error) {
	count := uint64(len(hashes) / hashSize)
	if len(hashes)%hashSize != 0 || count > math.MaxUint32 {
		return nil, fmt.Errorf("%w: %d bytes of hashes", ErrShape, len(hashes))
	}
	x := &Index{hashes: hashes, count: count, engine: engines()[0]}
	if len(index) == 0 {
		return x, nil
	}
	if uint64(len(index)) != Size(count) {
		return nil, fmt.Errorf("%w: %d bytes for %d hashes", ErrShape, len(index), count)
	}
	x.offsets, x.postings = index[:offsetsSize], index[offsetsSize:]
	return x, nil
}

// words are a hash as four numbers: band b is in word b/4, from bit 16·(b%4) on.
type words [4]uint64

func wordsOf(hash []byte) (w words) {
	_ = hash[hashSize-1]
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(hash[8*i:])
	}
	return w
}

// hash is the one with that id, which is below count.
func (x *Index) hash(id uint64) words { return wordsOf(x.hashes[hashSize*id:]) }

func (w *words) xor(o *words) words {
	return words{w[0] ^ o[0], w[1] ^ o[1], w[2] ^ o[2], w[3] ^ o[3]}
}

func (w *words) ones() int {
	return bits.OnesCount64(w[0]) + bits.OnesCount64(w[1]) + bits.OnesCount64(w[2]) + bits.OnesCount64(w[3])
}

func (w *words) band(b int) uint16 { return uint16(w[b/4] >> (b % 4 * bandBits)) }

// signature is what a posting of band b carries: the next two bands of the ring.
func (w *words) signature(b int) uint32 {
	return uint32(w.band((b+1)%bandCount)) | uint32(w.band((b+2)%bandCount))<<bandBits
}

// Any reports whether a hash of the set lies within radius bits of h.
func (x *Index) Any(h tutela.PDQ, radius int) bool {
	found := false
	x.search(&h, radius, func(uint32, int) bool {
		found = true
		return false
	})
	return found
}

// Search visits every hash within radius bits of h. A radius below 0 finds
// nothing, one of 256 or more everything.
func (x *Index) Search(h tutela.PDQ, radius int, visit func(id uint32, distance int)) {
	x.search(&h, radius, func(id uint32, distance int) bool {
		visit(id, distance)
		return true
	})
}

// search goes on while visit says so.
func (x *Index) search(h *tutela.PDQ, radius int, visit func(id uint32, distance int) bool) {
	if len(x.offsets) == 0 || radius > MaxRadius {
		one := [1]tutela.PDQ{*h}
		x.through(one[:], radius, func(_ int, id uint32, distance int) bool { return visit(id, distance) })
		return
	}
	if radius < 0 {
		return
	}
	l := lookup{x: x, hash: wordsOf(h[:]), radius: radius, visit: visit}
	l.reach, l.chain = radius/bandCount, 3*radius/bandCount
	l.run()
}
