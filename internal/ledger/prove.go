package ledger

import (
	"fmt"
	"math/bits"

	"tutela/internal/ledger/check"
)

// tileLeaves is how many leaves are hashed anew for a proof; above that, the
// nodes are kept in memory (32 bytes for every 128 leaves). A power of two.
const tileLeaves = 256

// Prove is the inclusion proof of leaf i: the path that
// [check.VerifyInclusion] takes with [Reader.Root] and [Reader.Size]. The first
// proof reads all leaves, about a second for ten million; the others do not.
// If the leaves do not lead to the root, the error wraps [ErrDamaged].
func (r *Reader) Prove(i uint64) ([]check.Hash, error) {
	leaf, err := r.Leaf(i)
	if err != nil {
		return nil, err
	}
	path, err := r.path(i, 0, r.Size())
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d: %w", i, err)
	}
	if err := check.VerifyInclusion(r.root, r.Size(), i, leaf, path); err != nil {
		return nil, fmt.Errorf("%w: prove leaf %d: %v", ErrDamaged, i, err)
	}
	return path, nil
}

// path is PATH(i, D[from:to]) of RFC 6962 section 2.1.1, the sibling first.
func (r *Reader) path(i, from, to uint64) ([]check.Hash, error) {
	if to-from == 1 {
		return nil, nil
	}
	mid := check.SplitAt(from, to)
	if i < mid {
		return r.joinPath(i, from, mid, mid, to)
	}
	return r.joinPath(i, mid, to, from, mid)
}

// joinPath is the path inside one half of a tree and then the other half.
func (r *Reader) joinPath(i, from, to, otherFrom, otherTo uint64) ([]check.Hash, error) {
	path, err := r.path(i, from, to)
	if err != nil {
		return nil, err
	}
	sibling, err := r.subtree(otherFrom, otherTo)
	return append(path, sibling), err
}

// subtree is MTH(D[from:to]) of RFC 6962 section 2.1.
func (r *Reader) subtree(from, to uint64) (check.Hash, error) {
	n := to - from
	if n <= tileLeaves && (n < tileLeaves || from%tileLeaves != 0) {
		return r.small(from, to)
	}
	if n&(n-1) == 0 && from%n == 0 {
		levels, err := r.nodes()
		if err != nil {
			return check.Hash{}, err
		}
		return levels[bits.Len64(n/tileLeaves)-1][from/n], nil
	}
	mid := check.SplitAt(from, to)
	left, err := r.subtree(from, mid)
	if err != nil {
		return check.Hash{}, err
	}
	right, err := r.subtree(mid, to)
	return check.Node(left, right), err
}

// small is the root of at most tileLeaves leaves that begin at a multiple of
// the largest perfect tree in them.
func (r *Reader) small(from, to uint64) (check.Hash, error) {
	t, err := r.readLeaves(from, to)
	if err != nil {
		return check.Hash{}, err
	}
	return rootOf(t), nil
}

func rootOf(t leafTable) check.Hash {
	var e check.Edge
	for i := range t.count() {
		e.Append(t.hash(i))
	}
	return e.Root()
}

// perfectNodes are the roots of all perfect subtrees of tileLeaves leaves and
// more: level 0 those of tileLeaves, level 1 those of twice as many, and so on.
func (r *Reader) perfectNodes() ([][]check.Hash, error) {
	level := make([]check.Hash, 0, r.Size()/tileLeaves)
	for from := uint64(0); from+tileLeaves <= r.Size(); {
		to := min(from+batchLeaves, r.Size()/tileLeaves*tileLeaves)
		t, err := r.readLeaves(from, to)
		if err != nil {
			return nil, err
		}
		for ; len(t) > 0; t = t[tileLeaves*leafSize:] {
			level = append(level, rootOf(t[:tileLeaves*leafSize]))
		}
		from = to
	}
	levels := [][]check.Hash{level}
	for ; len(level) > 1; levels = append(levels, level) {
		level = pairUp(level)
	}
	return levels, nil
}

func pairUp(level []check.Hash) []check.Hash {
	above := make([]check.Hash, len(level)/2)
	for i := range above {
		above[i] = check.Node(level[2*i], level[2*i+1])
	}
	return above
}
