package ledger

import (
	"context"
	"errors"
	"fmt"

	"tutela/internal/ledger/check"
)

// The second root is over the same leaves in the same order, with SHA-512 for
// SHA-256 in leaves and nodes: SHA-512(0x00 ‖ salt ‖ body), SHA-512(0x01 ‖ left ‖
// right). It is there for the day on which nobody believes the first any more.
// Its hashes are not kept but made from the bodies whenever they are asked for.

// Hash512 is a hash in the second tree.
type Hash512 = check.Hash512

// SecondRoot reads all bodies, holds each against its leaf and the leaves against
// the root, and makes the root of the second tree of them. It costs what
// [Reader.Verify] does, and memory does not grow with the tree. Of erased leaves
// it takes the hashes that were noted when they were erased. Errors wrap
// [ErrDamaged] if anything is not what was committed.
func (r *Reader) SecondRoot(ctx context.Context) (Hash512, error) {
	var e check.Edge512
	err := r.leaves512(ctx, func(_ uint64, leaf Hash512) { e.Append(leaf) })
	if err != nil {
		return Hash512{}, fmt.Errorf("make second root: %w", err)
	}
	return e.Root(), nil
}

// ProveMany512 is [Reader.ProveMany] in the second tree, and the root it leads to.
// It costs what [Reader.SecondRoot] does, and 64 bytes of memory for each hash of
// the proof.
func (r *Reader) ProveMany512(ctx context.Context, indices []uint64) (proof []Hash512, root Hash512, err error) {
	ranges, err := proveMany(r.Size(), indices, func(from, to uint64) ([2]uint64, error) { return [2]uint64{from, to}, nil })
	if err != nil {
		return nil, root, fmt.Errorf("prove %d leaves: %w", len(indices), err)
	}
	var whole, part check.Edge512
	err = r.leaves512(ctx, func(index uint64, leaf Hash512) {
		whole.Append(leaf)
		if len(proof) == len(ranges) || index < ranges[len(proof)][0] {
			return
		}
		part.Append(leaf)
		if index+1 == ranges[len(proof)][1] {
			proof = append(proof, part.Root())
			part.Reset()
		}
	})
	if err != nil {
		return nil, root, fmt.Errorf("prove %d leaves: %w", len(indices), err)
	}
	return proof, whole.Root(), nil
}

// Prove512 is [Reader.Prove] in the second tree: the path of leaf i, the sibling
// first, and the root it leads to. It costs what [Reader.SecondRoot] does.
func (r *Reader) Prove512(ctx context.Context, i uint64) (path []Hash512, root Hash512, err error) {
	proof, root, err := r.ProveMany512(ctx, []uint64{i})
	if err != nil {
		return nil, root, err
	}
	return siblings(proof, i, 0, r.Size()), root, nil
}

// siblings puts the proof of leaf i alone, which goes from left to right, in the
// order of a path, which goes upwards.
func siblings[H any](proof []H, i, from, to uint64) []H {
	if to-from == 1 {
		return nil
	}
	mid, last := check.SplitAt(from, to), len(proof)-1
	if i < mid {
		return append(siblings(proof[:last], i, from, mid), proof[last])
	}
	return append(siblings(proof[1:], i, mid, to), proof[0])
}

// VerifyInclusion512 is [check.VerifyInclusion] in the second tree, of the leaf
// that an opening makes.
func VerifyInclusion512(root Hash512, size, index uint64, o check.Opening, path []Hash512) error {
	return check.VerifyInclusion(root, size, index, check.SaltedLeaf512(o.Salt, o.Body), path)
}

// leaves512 hands out the leaves of the second tree in order.
func (r *Reader) leaves512(ctx context.Context, take func(index uint64, leaf Hash512)) error {
	noted, err := r.notedLeaves()
	if err != nil {
		return err
	}
	var first check.Edge
	for from := uint64(0); from < r.Size(); {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b, err := r.readBatch(from, min(from+batchLeaves, r.Size()))
		if err != nil {
			return err
		}
		leaves, err := b.leaves512(noted)
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			first.Append(b.leaves.hash(i))
			take(from+uint64(i), leaf)
		}
		from += uint64(len(leaves))
	}
	if first.Root() != r.root {
		return fmt.Errorf("%w: the leaves do not lead to the root", ErrDamaged)
	}
	return nil
}

func (b *batch) leaves512(noted map[uint64]erasedLeaf) ([]Hash512, error) {
	leaves := make([]Hash512, b.leaves.count())
	errs := b.each(func(i int, seed *Seed) error {
		body, err := b.open(i, seed)
		if errors.Is(err, ErrErased) {
			leaves[i], err = b.notedLeaf512(i, noted)
			return err
		}
		if err == nil {
			leaves[i] = check.SaltedLeaf512(seed.salt(), body)
		}
		return err
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// notedLeaf512 is what was noted of a leaf when it was erased.
func (b *batch) notedLeaf512(i int, noted map[uint64]erasedLeaf) (Hash512, error) {
	index := b.from + uint64(i)
	e, ok := noted[index]
	if !ok || e.leaf != b.leaves.hash(i) {
		return Hash512{}, fmt.Errorf("%w: leaf %d was erased, and its second hash was not noted", ErrDamaged, index)
	}
	return e.leaf512, nil
}
