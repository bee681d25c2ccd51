package ledger

import (
	"errors"
	"fmt"
	"slices"

	"tutela/internal/ledger/check"
)

// proveMany is the proof of several leaves of a tree at once: the roots of all
// largest subtrees that hold none of them, from left to right, as somebody meets
// them who divides the tree as RFC 6962 section 2.1 does, left before right. The
// proof of one leaf has the hashes of its inclusion proof in that order. wanted
// are indices below size, strictly ascending and at least one; subtree is the
// root of the leaves from to to-1, and is asked for such subtrees only.
func proveMany[H any](size uint64, wanted []uint64, subtree func(from, to uint64) (H, error)) ([]H, error) {
	if err := checkWanted(size, wanted); err != nil {
		return nil, err
	}
	p := &manyProof[H]{subtree: subtree}
	err := p.descend(0, size, wanted)
	return p.hashes, err
}

func checkWanted(size uint64, wanted []uint64) error {
	if len(wanted) == 0 {
		return errors.New("a proof of no leaves")
	}
	if last := wanted[len(wanted)-1]; last >= size {
		return fmt.Errorf("leaf %d of a tree of %d", last, size)
	}
	for i, index := range wanted[1:] {
		if index <= wanted[i] {
			return fmt.Errorf("leaf %d is asked for behind leaf %d", index, wanted[i])
		}
	}
	return nil
}

// manyProof is a proof that grows from left to right.
type manyProof[H any] struct {
	subtree func(from, to uint64) (H, error)
	hashes  []H
}

// descend adds what the leaves from to to-1 contribute; wanted are those among
// them that the proof is for.
func (p *manyProof[H]) descend(from, to uint64, wanted []uint64) error {
	if len(wanted) == 0 {
		h, err := p.subtree(from, to)
		p.hashes = append(p.hashes, h)
		return err
	}
	if to-from == 1 {
		return nil
	}
	mid := check.SplitAt(from, to)
	left, _ := slices.BinarySearch(wanted, mid)
	if err := p.descend(from, mid, wanted[:left]); err != nil {
		return err
	}
	return p.descend(mid, to, wanted[left:])
}

// ProveMany is the proof of several leaves at once, in the order that the
// disclosure bundle lays down: what a verifier needs beside those leaves to make
// [Reader.Root]. indices are strictly ascending. It costs what [Reader.Prove]
// does. If the leaves do not lead to the root, the error wraps [ErrDamaged].
func (r *Reader) ProveMany(indices []uint64) ([]check.Hash, error) {
	proof, err := proveMany(r.Size(), indices, r.subtree)
	if err != nil {
		return nil, fmt.Errorf("prove %d leaves: %w", len(indices), err)
	}
	if root, err := r.subtree(0, r.Size()); err != nil || root != r.root {
		return nil, fmt.Errorf("%w: prove %d leaves: they lead to root %s, not %s; %v", ErrDamaged, len(indices), root, r.root, err)
	}
	return proof, nil
}
