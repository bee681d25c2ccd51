package ledger

import (
	"context"
	"runtime"
	"sync"

	"tutela/internal/ledger/check"
)

// Verify makes every leaf again from its record, and the root from the leaves,
// and lists what does not agree, at most 100 problems. progress, if not nil, is
// told from time to time how many leaves are done. The error is about reading,
// not about what was read.
func (r *Reader) Verify(ctx context.Context, progress func(leaves uint64)) ([]Problem, error) {
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
		for i, err := range b.verify() {
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

// verify opens every body of the batch, on all processors, and returns one
// error for each leaf.
func (b *batch) verify() []error {
	errs := make([]error, b.leaves.count())
	share := max((len(errs)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), 64)
	var workers sync.WaitGroup
	for from := 0; from < len(errs); from += share {
		workers.Go(func() {
			walk := walkFrom(b.r.seed, b.from+uint64(from))
			for i := from; i < min(from+share, len(errs)); i++ {
				_, errs[i] = b.open(i, walk.leaf())
			}
		})
	}
	workers.Wait()
	return errs
}
