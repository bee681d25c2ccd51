//go:build unix

package ledger

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/storage/posix"
	"tutela/internal/ledger/check"
)

// keepsTiles says whether this platform can keep a log of tiles.
const keepsTiles = true

// tiles is a log of C2SP tlog-tiles, which Tessera keeps. For an entry it
//
//  1. writes it into a bundle and the hashes into tiles, durably. They are not read
//     until step 2, and are written again after a crash
//  2. writes its tree state, durably: the entry has its index. An entry cannot be
//     sequenced twice, since opening sequences only the bodies that lie behind the
//     tree state
//  3. has the checkpoint signed and puts it in place, durably
type tiles struct {
	reader   *LogReader
	appender *tessera.Appender
	state    tessera.LogReader
	stop     func(context.Context) error
}

var _ sequencer = (*tiles)(nil)

const (
	// checkpointInterval is the least that Tessera's POSIX driver allows
	// between two checkpoints: the latency of an Append that follows another.
	checkpointInterval = 100 * time.Millisecond
	pollInterval       = time.Millisecond
	// What Tessera waits for, so that events which come at once share its
	// syncs: one full bundle, or about as long as a sync takes.
	batchEntries = layout.EntryBundleWidth
	batchAge     = time.Millisecond
)

func newTiles(r *LogReader, guard *rootGuard) (sequencer, error) {
	ed, ml, err := r.keys.signers()
	if err != nil {
		return nil, err
	}
	// The driver's life is the log's, so it does not get the caller's context.
	ctx, cancel := context.WithCancel(context.Background())
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(r.dir, tilesName)})
	if err != nil {
		cancel()
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(guard.over(ed), guard.over(ml)).
		WithBatching(batchEntries, batchAge).
		WithCheckpointInterval(checkpointInterval).
		WithCheckpointRepublishInterval(0)
	appender, shutdown, state, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		cancel()
		return nil, err
	}
	return &tiles{reader: r, appender: appender, state: state, stop: func(ctx context.Context) error {
		defer cancel()
		return shutdown(ctx)
	}}, nil
}

func (t *tiles) placed(ctx context.Context) (uint64, error) { return t.state.IntegratedSize(ctx) }

func (t *tiles) add(ctx context.Context, commitment check.Hash) func() (uint64, error) {
	future := t.appender.Add(ctx, tessera.NewEntry(check.Entry(commitment)))
	return func() (uint64, error) {
		got, err := future()
		return got.Index, err
	}
}

// publish waits for what Tessera does by itself. It would tell, but looks no more
// often than it is asked to, and asks no signature.
func (t *tiles) publish(ctx context.Context, size uint64) error {
	for !t.covers(size) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
	return nil
}

// covers reports whether the checkpoint in place is of size entries or more. It
// looks at no signature.
func (t *tiles) covers(size uint64) bool {
	signed, err := os.ReadFile(t.reader.checkpointPath())
	if err != nil {
		return false
	}
	c, err := check.ParseCheckpoint(noteText(signed))
	return err == nil && c.Size >= size
}

func (t *tiles) close(ctx context.Context) error { return t.stop(ctx) }
