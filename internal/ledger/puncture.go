package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sort"
)

// ErrErased means that a leaf was erased: its hash stands, and nobody can open
// it any more.
var ErrErased = errors.New("erased")

// Secret opens the leaves of a tree: a [Seed] all of them, a [Punctured] those
// that were not erased.
type Secret interface {
	fingerprint() [16]byte
	// walkFrom yields the seeds of consecutive leaves from an index below
	// maxLeaves on.
	walkFrom(index uint64) leafSeeds
	// erased are the indices that were erased, ascending. Nobody changes them.
	erased() []uint64
}

var (
	_ Secret = Seed{}
	_ Secret = (*Punctured)(nil)
)

// leafSeeds yields seeds of consecutive leaves. A seed is nil where the leaf was
// erased, and valid until the next call.
type leafSeeds interface{ leaf() *Seed }

func (s Seed) walkFrom(index uint64) leafSeeds { return walkFrom(s, index) }
func (s Seed) erased() []uint64                { return nil }

// Punctured is what is left of a seed after leaves were erased: the seeds of the
// largest subtrees in which nothing was (Goldreich, Goldwasser and Micali 1986
// call such a function constrained; Boneh and Waters 2013 punctured). It opens
// every other leaf as the seed did, and nothing in it leads to those erased. It
// is never changed.
type Punctured struct {
	mark   [16]byte // fingerprint of the seed that was
	leaves uint64   // how many leaves the largest tree of the seed has
	gone   []uint64 // erased, ascending
	left   []remnant
}

// remnant is the seed of a subtree.
type remnant struct {
	from   uint64 // its first leaf
	height uint8  // it has 2^height leaves
	seed   Seed
}

func (r *remnant) end() uint64 { return r.from + 1<<r.height }

// Puncture is what is left of a secret without the leaves at the given indices,
// which are strictly ascending and below leaves, the number of leaves of the
// largest tree of this secret. What lies behind that number is given up. Each
// leaf erased costs at most seedDepth seeds, and about log2(leaves/indices) where
// there are many. The secret itself is not touched.
func Puncture(secret Secret, indices []uint64, leaves uint64) (*Punctured, error) {
	if leaves > maxLeaves {
		return nil, fmt.Errorf("puncture seed: %d leaves", leaves)
	}
	if err := checkWanted(leaves, indices); err != nil {
		return nil, fmt.Errorf("puncture seed: %w", err)
	}
	p := &Punctured{mark: secret.fingerprint(), leaves: leaves, gone: union(secret.erased(), indices)}
	roots := []remnant{{height: seedDepth}}
	switch s := secret.(type) {
	case Seed:
		roots[0].seed = s
	case *Punctured:
		p.leaves, roots = s.leaves, s.left
	}
	for _, root := range roots {
		p.keep(root, within(indices, root.from, root.end()))
	}
	return p, nil
}

// keep keeps what is needed of a subtree without the leaves at indices, all of
// which lie in it: from left to right the largest subtrees without any of them.
func (p *Punctured) keep(r remnant, indices []uint64) {
	switch {
	case r.from >= p.leaves:
		return
	case len(indices) == 0:
		p.left = append(p.left, r)
		return
	case r.height == 0:
		return
	}
	left := remnant{from: r.from, height: r.height - 1, seed: r.seed.child(false)}
	right := remnant{from: left.end(), height: r.height - 1, seed: r.seed.child(true)}
	p.keep(left, within(indices, left.from, left.end()))
	p.keep(right, within(indices, right.from, right.end()))
}

// NotErased are those of ascending indices that a secret still opens, if their
// tree is that large.
func NotErased(secret Secret, indices []uint64) (open []uint64) {
	gone := secret.erased()
	for _, index := range indices {
		if _, erased := slices.BinarySearch(gone, index); !erased {
			open = append(open, index)
		}
	}
	return open
}

// within are those of ascending indices from from to to-1.
func within(indices []uint64, from, to uint64) []uint64 {
	first, _ := slices.BinarySearch(indices, from)
	last, _ := slices.BinarySearch(indices, to)
	return indices[first:last]
}

// union merges ascending indices.
func union(a, b []uint64) []uint64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (p *Punctured) fingerprint() [16]byte { return p.mark }
func (p *Punctured) erased() []uint64      { return p.gone }

func (p *Punctured) walkFrom(index uint64) leafSeeds {
	first := sort.Search(len(p.left), func(i int) bool { return p.left[i].end() > index })
	return &remnantWalk{left: p.left[first:], next: index}
}

// remnantWalk goes through what is left of a seed.
type remnantWalk struct {
	left   []remnant // that end behind next
	next   uint64
	inside *seedWalk // of left[0], nil before it is entered
}

func (w *remnantWalk) leaf() *Seed {
	index := w.next
	w.next++
	if len(w.left) == 0 || index < w.left[0].from {
		return nil
	}
	if w.inside == nil {
		w.inside = walkBelow(&w.left[0], index)
	}
	seed := w.inside.leaf()
	if w.next == w.left[0].end() {
		w.left, w.inside = w.left[1:], nil
	}
	return seed
}

// walkBelow makes a walk from a leaf of a subtree to the last one in it.
func walkBelow(r *remnant, index uint64) *seedWalk {
	depth := seedDepth - int(r.height)
	w := &seedWalk{next: index, good: depth + 1}
	w.path[depth] = r.seed
	return w
}
