package ledger

import (
	"cmp"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"

	"tutela/internal/ledger/check"
)

// The second root is over the same leaves in the same order, with SHA-512 for
// SHA-256 in leaves and nodes: SHA-512(0x00 ‖ salt ‖ body), SHA-512(0x01 ‖ left ‖
// right). It is there for the day on which nobody believes the first any more.
// Its hashes are not kept but made from the bodies whenever they are asked for.

// Hash512 is a hash in the second tree.
type Hash512 = [sha512.Size]byte

func saltedLeaf512(salt check.Hash, body []byte) Hash512 {
	var room [1024]byte
	return sha512.Sum512(append(append(append(room[:0], check.LeafPrefix), salt[:]...), body...))
}

func node512(left, right Hash512) Hash512 {
	var room [1 + 2*sha512.Size]byte
	return sha512.Sum512(append(append(append(room[:0], check.NodePrefix), left[:]...), right[:]...))
}

// edge512 is the right edge of a growing tree, as [check.Edge] is.
type edge512 struct {
	size  uint64
	nodes []Hash512
}

func (e *edge512) append(leaf Hash512) {
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.nodes) - 1
		leaf = node512(e.nodes[last], leaf)
		e.nodes = e.nodes[:last]
	}
	e.nodes = append(e.nodes, leaf)
	e.size++
}

func (e *edge512) root() Hash512 {
	if e.size == 0 {
		return sha512.Sum512(nil)
	}
	root := e.nodes[len(e.nodes)-1]
	for i := len(e.nodes) - 2; i >= 0; i-- {
		root = node512(e.nodes[i], root)
	}
	return root
}

// SecondRoot reads all bodies, holds each against its leaf and the leaves against
// the root, and makes the root of the second tree of them. It costs what
// [Reader.Verify] does, and memory does not grow with the tree. Of erased leaves
// it takes the hashes that were noted when they were erased. Errors wrap
// [ErrDamaged] if anything is not what was committed.
func (r *Reader) SecondRoot(ctx context.Context) (Hash512, error) {
	var e edge512
	err := r.leaves512(ctx, func(_ uint64, leaf Hash512) { e.append(leaf) })
	if err != nil {
		return Hash512{}, fmt.Errorf("make second root: %w", err)
	}
	return e.root(), nil
}

// ProveMany512 is [Reader.ProveMany] in the second tree, and the root it leads to.
// It costs what [Reader.SecondRoot] does, and 64 bytes of memory for each hash of
// the proof.
func (r *Reader) ProveMany512(ctx context.Context, indices []uint64) (proof []Hash512, root Hash512, err error) {
	ranges, err := proveMany(r.Size(), indices, func(from, to uint64) ([2]uint64, error) { return [2]uint64{from, to}, nil })
	if err != nil {
		return nil, root, fmt.Errorf("prove %d leaves: %w", len(indices), err)
	}
	var whole, part edge512
	err = r.leaves512(ctx, func(index uint64, leaf Hash512) {
		whole.append(leaf)
		if len(proof) == len(ranges) || index < ranges[len(proof)][0] {
			return
		}
		part.append(leaf)
		if index+1 == ranges[len(proof)][1] {
			proof = append(proof, part.root())
			part = edge512{nodes: part.nodes[:0]}
		}
	})
	if err != nil {
		return nil, root, fmt.Errorf("prove %d leaves: %w", len(indices), err)
	}
	return proof, whole.root(), nil
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
	mid, last := splitAt(from, to), len(proof)-1
	if i < mid {
		return append(siblings(proof[:last], i, from, mid), proof[last])
	}
	return append(siblings(proof[1:], i, mid, to), proof[0])
}

// VerifyInclusion512 is [check.VerifyInclusion] in the second tree, of the leaf
// that an opening makes.
func VerifyInclusion512(root Hash512, size, index uint64, o check.Opening, path []Hash512) error {
	if index >= size {
		return fmt.Errorf("leaf %d of a tree of %d", index, size)
	}
	made, rest, err := climb512(saltedLeaf512(o.Salt, o.Body), index, 0, size, path)
	if err != nil {
		return err
	}
	if len(rest) > 0 || made != root {
		return fmt.Errorf("leaf %d does not lead to the second root %x", index, root)
	}
	return nil
}

// climb512 makes the root of the leaves from to to-1 and returns what it has not
// used of the path.
func climb512(leaf Hash512, index, from, to uint64, path []Hash512) (root Hash512, rest []Hash512, err error) {
	if to-from == 1 {
		return leaf, path, nil
	}
	mid := splitAt(from, to)
	if index < mid {
		root, rest, err = climb512(leaf, index, from, mid, path)
	} else {
		root, rest, err = climb512(leaf, index, mid, to, path)
	}
	if err != nil || len(rest) == 0 {
		return root, nil, cmp.Or(err, errors.New("the path ends too early"))
	}
	if index < mid {
		return node512(root, rest[0]), rest[1:], nil
	}
	return node512(rest[0], root), rest[1:], nil
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
			leaves[i] = saltedLeaf512(seed.salt(), body)
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
