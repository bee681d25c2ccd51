package ledger

import (
	"context"
	"fmt"
	"math/bits"

	"tutela/internal/ledger/check"
)

// Root is the root of the log when it had size entries, at most as many as its
// head has. It reads the leaves of all bodies: 40 bytes an entry.
func (r *LogReader) Root(ctx context.Context, size uint64) (check.Hash, error) {
	tree, err := r.merkle(ctx, size)
	if err != nil {
		return check.Hash{}, fmt.Errorf("root of %d entries: %w", size, err)
	}
	return tree.root(0, size), nil
}

// ProveMany opens several entries and proves them all at once under the root
// that the log had at size entries, in the order that the disclosure bundle lays
// down: see [Reader.ProveMany]. indices are strictly ascending and below size,
// which is at most that of the head. It costs what [LogReader.Root] does. If
// the bodies do not lead to the signed head, the error wraps [ErrDamaged].
func (r *LogReader) ProveMany(ctx context.Context, indices []uint64, size uint64) ([]check.Opening, []check.Hash, error) {
	openings, proof, err := r.proveMany(ctx, indices, size)
	if err != nil {
		return nil, nil, fmt.Errorf("prove %d entries of the first %d: %w", len(indices), size, err)
	}
	return openings, proof, nil
}

func (r *LogReader) proveMany(ctx context.Context, indices []uint64, size uint64) ([]check.Opening, []check.Hash, error) {
	tree, err := r.merkle(ctx, size)
	if err != nil {
		return nil, nil, err
	}
	proof, err := proveMany(size, indices, func(from, to uint64) (check.Hash, error) { return tree.root(from, to), nil })
	if err != nil {
		return nil, nil, err
	}
	openings, err := r.openMany(tree, indices)
	return openings, proof, err
}

// openMany opens entries, and holds each against the leaf that was proven.
func (r *LogReader) openMany(tree merkle, indices []uint64) ([]check.Opening, error) {
	_, bodies, err := r.snapshot()
	if err != nil {
		return nil, err
	}
	defer bodies.Close()
	openings := make([]check.Opening, len(indices))
	for i, index := range indices {
		if openings[i], err = bodies.Opening(index); err != nil {
			return nil, err
		}
		if check.Leaf(check.Entry(openings[i].Leaf())) != tree[0][index] {
			return nil, fmt.Errorf("%w: body %d does not open its entry", ErrDamaged, index)
		}
	}
	return openings, nil
}

// Consistency is the proof of RFC 9162 section 2.1.4.1 that the log of from
// entries is the beginning of that of to entries, for [check.VerifyConsistency]:
// from ≤ to ≤ the size of the head. It is empty if from is 0 or to. It costs what
// [LogReader.Root] does.
func (r *LogReader) Consistency(ctx context.Context, from, to uint64) ([]check.Hash, error) {
	if from > to {
		return nil, fmt.Errorf("consistency of %d entries with %d: a log does not shrink", from, to)
	}
	tree, err := r.merkle(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("consistency of %d entries with %d: %w", from, to, err)
	}
	if from == 0 || from == to {
		return nil, nil
	}
	return tree.consistency(from, 0, to, knownRoot), nil
}

// merkle reads the leaves of the log's tree, and makes sure that they lead to
// the signed head and that size entries are among them.
func (r *LogReader) merkle(ctx context.Context, size uint64) (merkle, error) {
	h, bodies, err := r.snapshot()
	if err != nil {
		return nil, err
	}
	defer bodies.Close()
	if size > h.Size {
		return nil, fmt.Errorf("the log has %d entries", h.Size)
	}
	leaves := make([]check.Hash, 0, h.Size)
	for from := uint64(0); from < h.Size; from += batchLeaves {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		commitments, err := bodies.readLeaves(from, min(from+batchLeaves, h.Size))
		if err != nil {
			return nil, err
		}
		for i := range commitments.count() {
			leaves = append(leaves, check.Leaf(check.Entry(commitments.hash(i))))
		}
	}
	tree := newMerkle(leaves)
	if root := tree.root(0, h.Size); root != h.Root {
		return nil, fmt.Errorf("%w: the bodies lead to root %s, the signed one is %s", ErrDamaged, root, h.Root)
	}
	return tree, nil
}

// merkle is a whole Merkle tree: level 0 the leaves, above it the roots of all
// perfect subtrees, 64 bytes a leaf in all.
type merkle [][]check.Hash

func newMerkle(leaves []check.Hash) merkle {
	m := merkle{leaves}
	for len(leaves) > 1 {
		leaves = pairUp(leaves)
		m = append(m, leaves)
	}
	return m
}

// root is MTH(D[from:to]) of RFC 6962 section 2.1, for subtrees that its
// division leads to.
func (m merkle) root(from, to uint64) check.Hash {
	n := to - from
	if n == 0 {
		return check.EmptyRoot()
	}
	if n&(n-1) == 0 && from%n == 0 {
		return m[bits.TrailingZeros64(n)][from/n]
	}
	mid := check.SplitAt(from, to)
	return check.Node(m.root(from, mid), m.root(mid, to))
}

// inclusion is PATH(index, D[from:to]) of RFC 6962 section 2.1.1, the sibling first.
func (m merkle) inclusion(index, from, to uint64) []check.Hash {
	if to-from == 1 {
		return nil
	}
	mid := check.SplitAt(from, to)
	if index < mid {
		return append(m.inclusion(index, from, mid), m.root(mid, to))
	}
	return append(m.inclusion(index, mid, to), m.root(from, mid))
}

// A verifier of consistency knows the root of the older log, which is left out
// of the proof if it is a node of the newer one.
type olderRoot int

const (
	knownRoot olderRoot = iota
	proofTellsRoot
)

// consistency is SUBPROOF(m, D[from:to], b) of RFC 9162 section 2.1.4.1, where
// the older tree ends before leaf old; b is knownRoot.
func (m merkle) consistency(old, from, to uint64, b olderRoot) []check.Hash {
	if old == to {
		if b == knownRoot {
			return nil
		}
		return []check.Hash{m.root(from, to)}
	}
	mid := check.SplitAt(from, to)
	if old <= mid {
		return append(m.consistency(old, from, mid, b), m.root(mid, to))
	}
	return append(m.consistency(old, mid, to, proofTellsRoot), m.root(from, mid))
}
