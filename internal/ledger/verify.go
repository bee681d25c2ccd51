package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"tutela/internal/ledger/check"
)

// Verify makes every leaf again from its record, and the root from the leaves,
// and lists what does not agree, at most 100 problems. Of a leaf that was erased
// it checks that nothing is left of its record. progress, if not nil, is
// told from time to time how many leaves are done. The error is about reading,
// not about what was read.
func (r *Reader) Verify(ctx context.Context, progress func(leaves uint64)) ([]Problem, error) {
	return r.verify(ctx, progress, (*batch).verify)
}

// VerifyBoth is [Reader.Verify] that makes the root of the second tree in the same
// read. It is of no worth where there are problems.
func (r *Reader) VerifyBoth(ctx context.Context, progress func(leaves uint64)) ([]Problem, Hash512, error) {
	var second check.Edge512
	noted, damage := r.notedLeaves()
	if damage != nil && !errors.Is(damage, ErrDamaged) {
		return nil, Hash512{}, damage
	}
	found, err := r.verify(ctx, progress, func(b *batch) []error {
		leaves, errs := b.verifyBoth(noted)
		for _, leaf := range leaves {
			second.Append(leaf)
		}
		return errs
	})
	if damage != nil {
		found = append(found, Problem{-1, damage.Error()})
	}
	return found, second.Root(), err
}

// verifyBoth verifies the batch and returns its leaves in the second tree.
func (b *batch) verifyBoth(noted map[uint64]erasedLeaf) ([]Hash512, []error) {
	leaves := make([]Hash512, b.leaves.count())
	return leaves, b.each(func(i int, seed *Seed) (err error) {
		if seed == nil {
			if leaves[i], err = b.notedLeaf512(i, noted); err != nil {
				return err
			}
			return b.verifyOne(i, nil)
		}
		body, err := b.open(i, seed)
		if err == nil {
			leaves[i] = check.SaltedLeaf512(seed.salt(), body)
		}
		return err
	})
}

// verify has every batch verified, which returns an error for each leaf.
func (r *Reader) verify(ctx context.Context, progress func(leaves uint64), of func(*batch) []error) ([]Problem, error) {
	var found problems
	var stored check.Edge
	for from := uint64(0); from < r.Size(); {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		b, err := r.readBatch(from, min(from+batchLeaves, r.Size()))
		if err != nil {
			return found, err
		}
		for i, err := range of(b) {
			if err != nil {
				found.add(int64(from)+int64(i), "%v", err)
			}
		}
		for i := range b.leaves.count() {
			stored.Append(b.leaves.hash(i))
		}
		from += uint64(b.leaves.count())
		if progress != nil {
			progress(from)
		}
	}
	if root := stored.Root(); root != r.root {
		found.add(-1, "the leaves lead to root %s, the last commit says %s", root, r.root)
	}
	return found, nil
}

// verify opens every body of the batch and returns one error for each leaf.
func (b *batch) verify() []error { return b.each(b.verifyOne) }

// each does something with every leaf of the batch and its seed, which is nil if
// it was erased, on all processors, and returns one error for each leaf.
func (b *batch) each(do func(i int, seed *Seed) error) []error {
	errs := make([]error, b.leaves.count())
	share := max((len(errs)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), 64)
	var workers sync.WaitGroup
	for from := 0; from < len(errs); from += share {
		workers.Go(func() {
			walk := b.r.secret.walkFrom(b.from + uint64(from))
			for i := from; i < min(from+share, len(errs)); i++ {
				errs[i] = do(i, walk.leaf())
			}
		})
	}
	workers.Wait()
	return errs
}

func (b *batch) verifyOne(i int, seed *Seed) error {
	if seed != nil {
		_, err := b.open(i, seed)
		return err
	}
	record, err := b.enclosed(i)
	if err != nil {
		return err
	}
	if !blank(record[prefixSize:]) {
		return fmt.Errorf("record %d was erased, and its bytes are still there", b.from+uint64(i))
	}
	return nil
}

func blank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
