package ledger

import (
	"bytes"
	"context"
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
