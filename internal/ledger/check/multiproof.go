package check

import (
	"fmt"
	"math/bits"
)

// ManyProof says that some leaves stand in a tree, all at once:
// docs/reference/bundle-format.md, "Leaves and proofs".
type ManyProof[H Digest[H]] struct {
	Indices []uint64 // of the leaves, strictly ascending
	Leaves  []H      // their hashes, in the same order
	Hashes  []H      // the roots of all largest subtrees that hold none of them, from left to right
}

// ParseHashes reads hashes that stand one after another. Errors wrap [ErrProof].
func ParseHashes[H Digest[H]](b []byte) ([]H, error) {
	var one H
	n := len(one)
	if len(b)%n != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not whole hashes of %d", ErrProof, len(b), n)
	}
	hashes := make([]H, 0, len(b)/n)
	for ; len(b) > 0; b = b[n:] {
		hashes = append(hashes, one.read(b[:n]))
	}
	return hashes, nil
}

// VerifyMany reports whether the leaves of p stand in the tree of the given size
// and root. There must be a leaf, and no hash may be left over. It takes a step
// for each hash and each level above a leaf. Errors wrap [ErrProof].
func VerifyMany[H Digest[H]](root H, size uint64, p ManyProof[H]) error {
	if len(p.Indices) == 0 || len(p.Indices) != len(p.Leaves) {
		return fmt.Errorf("%w: of %d leaves with %d hashes", ErrProof, len(p.Indices), len(p.Leaves))
	}
	if last := p.Indices[len(p.Indices)-1]; last >= size {
		return fmt.Errorf("%w: leaf %d of a tree of %d", ErrProof, last, size)
	}
	for i := range p.Indices[1:] {
		if p.Indices[i+1] <= p.Indices[i] {
			return fmt.Errorf("%w: leaf %d behind leaf %d", ErrProof, p.Indices[i+1], p.Indices[i])
		}
	}
	m := manyReader[H]{indices: p.Indices, leaves: p.Leaves, hashes: p.Hashes}
	top := m.subtree(0, size)
	switch {
	case m.short:
		return fmt.Errorf("%w: too few hashes", ErrProof)
	case len(m.hashes) > 0:
		return fmt.Errorf("%w: %d hashes too many", ErrProof, len(m.hashes))
	case top != root:
		return fmt.Errorf("%w: it leads to root %v, not %v", ErrProof, top, root)
	}
	return nil
}

// manyReader is what is left of a proof while the root is made from the top.
type manyReader[H Digest[H]] struct {
	indices        []uint64
	leaves, hashes []H
	short          bool // a hash was wanted and there was none
}

// subtree is the root of the leaves from to to-1, whose leaves and hashes come
// next.
func (m *manyReader[H]) subtree(from, to uint64) (root H) {
	switch {
	case m.short:
		return root
	case len(m.indices) == 0 || m.indices[0] >= to:
		return m.hash()
	case to-from == 1:
		leaf := m.leaves[0]
		m.indices, m.leaves = m.indices[1:], m.leaves[1:]
		return leaf
	}
	mid := SplitAt(from, to)
	left := m.subtree(from, mid)
	return left.node(m.subtree(mid, to))
}

func (m *manyReader[H]) hash() (h H) {
	if len(m.hashes) == 0 {
		m.short = true
		return h
	}
	h, m.hashes = m.hashes[0], m.hashes[1:]
	return h
}

// SplitAt is where a tree of the leaves from to to-1 divides: the largest power
// of two below their number, RFC 6962 section 2.1. There are at least two.
func SplitAt(from, to uint64) uint64 { return from + 1<<(bits.Len64(to-from-1)-1) }
