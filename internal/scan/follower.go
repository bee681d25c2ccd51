package scan

import (
	"context"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
)

// follower loads committed records into the catalogue beside the scan, so that
// they can be found while it runs. The catalogue is derived: how far it is
// behind when a crash comes does not matter.
type follower struct {
	ctx     context.Context
	loader  catalog.Loader
	batches chan batch
	done    chan struct{} // closed when run has ended
	err     error         // of run; valid after done

	show  func(below uint64) error // makes the matches of leaves below a number what the catalogue shows
	shown time.Time
	every time.Duration // until the matches are shown again; it doubles
}

// firstShow is how long after the start the first matches can be found.
const firstShow = 5 * time.Second

type batch struct {
	first   uint64
	records []*tutela.Record
}

// follow brings the catalogue up to the ledger and starts to load what comes.
func follow(ctx context.Context, store catalog.Store, id catalog.ScanID, records *ledger.Reader, show func(below uint64) error) (*follower, error) {
	if err := catalog.Load(ctx, store, id, records.Records); err != nil {
		return nil, fmt.Errorf("load into the catalogue: %w", err)
	}
	loader, err := store.Loader(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load into the catalogue: %w", err)
	}
	if next := loader.Next(); next != records.Size() {
		loader.Close()
		return nil, fmt.Errorf("%w: the catalogue holds %d records of %s, the ledger %d", catalog.ErrDiffers, next, id, records.Size())
	}
	f := &follower{ctx: ctx, loader: loader, batches: make(chan batch, 2), done: make(chan struct{}), show: show, shown: time.Now(), every: firstShow}
	return f, nil
}

// run loads until close.
func (f *follower) run() {
	defer close(f.done)
	for b := range f.batches {
		if f.err != nil {
			continue // keep taking, so that nobody waits for ever
		}
		f.err = f.load(b.first, b.records)
	}
}

func (f *follower) load(first uint64, records []*tutela.Record) error {
	for i, r := range records {
		if err := f.loader.Add(first+uint64(i), r); err != nil {
			return fmt.Errorf("load into the catalogue: %w", err)
		}
	}
	if err := f.loader.Commit(f.ctx); err != nil {
		return fmt.Errorf("load into the catalogue: %w", err)
	}
	return f.showNowAndThen()
}

// showNowAndThen keeps the matches in the catalogue roughly current at a cost
// that stays in proportion to the scan.
func (f *follower) showNowAndThen() error {
	if time.Since(f.shown) < f.every {
		return nil
	}
	if err := f.show(f.loader.Next()); err != nil {
		return err
	}
	f.shown, f.every = time.Now(), 2*f.every
	return nil
}

func (f *follower) send(first uint64, records []*tutela.Record) error {
	select {
	case f.batches <- batch{first, records}:
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// close loads what was sent and ends.
func (f *follower) close() error {
	close(f.batches)
	<-f.done
	if err := f.loader.Close(); f.err == nil {
		f.err = err
	}
	return f.err
}
