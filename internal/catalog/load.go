package catalog

import (
	"context"
	"errors"
	"iter"

	"tutela"
)

// loadBatch is how many records Load commits at a time.
const loadBatch = 10_000

// Load brings a store up to the records of a scan: it asks for them from the
// leaf on that the store needs next. A store that needs none is left alone.
func Load(ctx context.Context, store Store, id ScanID, from func(leaf uint64) iter.Seq2[*tutela.Record, error]) error {
	loader, err := store.Loader(ctx, id)
	if err != nil {
		return err
	}
	return errors.Join(load(ctx, loader, from(loader.Next())), loader.Close())
}

func load(ctx context.Context, loader Loader, records iter.Seq2[*tutela.Record, error]) error {
	for r, err := range records {
		if err != nil {
			return err
		}
		leaf := loader.Next()
		if err := loader.Add(leaf, r); err != nil {
			return err
		}
		if (leaf+1)%loadBatch == 0 {
			if err := loader.Commit(ctx); err != nil {
				return err
			}
		}
	}
	return loader.Commit(ctx)
}
