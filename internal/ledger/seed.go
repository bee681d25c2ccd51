package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"tutela/internal/ledger/check"
)

// Seed is the one secret of a tree. Every leaf has a seed of its own, grown
// from it by the construction of Goldreich, Goldwasser and Micali (1986): a
// binary tree of hashes, in which whoever holds a node holds the leaves below
// it and learns nothing about the others. So one leaf can be opened alone, and
// one leaf can be forgotten for ever by keeping everything but the way to it.
type Seed [32]byte

// NewSeed is a fresh random seed.
func NewSeed() Seed {
	var s Seed
	rand.Read(s[:]) // never fails: crypto/rand
	return s
}

// What a seed is hashed with to become something else. Leaves and nodes of the
// Merkle tree use 0x00 and 0x01. They must never change.
const (
	seedSalt        = 0x20
	seedKey         = 0x21
	seedLeft        = 0x22
	seedRight       = 0x23
	seedFingerprint = 0x24
)

// seedDepth is the number of levels of the seed tree: 2⁴⁰ leaves. It must never
// change.
const seedDepth = 40

// maxLeaves is the most leaves a tree can have.
const maxLeaves = 1 << seedDepth

func (s *Seed) derive(what byte) (out [32]byte) {
	var buf [1 + len(Seed{})]byte
	buf[0] = what
	copy(buf[1:], s[:])
	return sha256.Sum256(buf[:])
}

func (s *Seed) salt() check.Hash { return s.derive(seedSalt) }
func (s *Seed) key() [32]byte    { return s.derive(seedKey) }

// fingerprint tells seeds apart without telling anything else.
func (s Seed) fingerprint() (f [16]byte) {
	sum := s.derive(seedFingerprint)
	return [16]byte(sum[:])
}

func (s Seed) fingerprintText() string {
	f := s.fingerprint()
	return hex.EncodeToString(f[:])
}

func (s *Seed) child(right bool) Seed {
	if right {
		return s.derive(seedRight)
	}
	return s.derive(seedLeft)
}

// seedWalk yields the leaf seeds of consecutive indices at about two hashes
// each, where each one alone takes seedDepth.
type seedWalk struct {
	next uint64
	path [seedDepth + 1]Seed // path[0] is the tree's seed, path[seedDepth] the leaf's
	good int                 // path[:good] leads towards next
}

// walkFrom makes a walk whose first leaf is number index.
func walkFrom(seed Seed, index uint64) *seedWalk {
	w := &seedWalk{next: index, good: 1}
	w.path[0] = seed
	return w
}

// leaf is the seed of the next index, below maxLeaves, and moves on. It is
// valid until the next call.
func (w *seedWalk) leaf() *Seed {
	for ; w.good <= seedDepth; w.good++ {
		bit := w.next >> (seedDepth - w.good) & 1
		w.path[w.good] = w.path[w.good-1].child(bit == 1)
	}
	w.next++
	// Only the levels below the highest bit that just changed lead elsewhere.
	w.good = seedDepth
	for n := w.next; n&1 == 0 && w.good > 1; n >>= 1 {
		w.good--
	}
	return &w.path[seedDepth]
}

// at is the seed of one leaf.
func (s Seed) at(index uint64) Seed { return *walkFrom(s, index).leaf() }
