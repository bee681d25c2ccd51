package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"tutela/internal/ledger"
)

// What the ledger is filled with.
const (
	leafBytes    = 200
	leavesCommit = 65_536
	ledgerLeaves = 5_242_880
)

// What a ledger of many leaves is filled with: bodies as short as they come, so
// that the disk has room for them.
const (
	manyLeaves     = 100_000_000
	manyLeafBytes  = 40
	manyLeafMemory = 256 << 20 // bytes
)

// Tessera stores entries of the same length as they are: it neither salts nor
// encrypts. It is measured with several sizes of batches; the one with the best
// median is the peer.
const (
	tesseraEntries    = 131_072
	tesseraAge        = 100 * time.Millisecond // of a batch that is not full
	tesseraCheckpoint = 100 * time.Millisecond
)

var tesseraBatches = []int{4096, 16_384, 65_536}

func tesseraPart(batch int) string { return fmt.Sprintf("tessera-%d", batch) }

// ledger lets the ledger and Tessera take turns.
func (b *bench) ledger() error {
	ours, theirs := []rate(nil), make([][]rate, len(tesseraBatches))
	for range max(b.rounds, 3) {
		var r rate
		if err := b.ask("ledger", b.scaled(ledgerLeaves), &r); err != nil {
			return err
		}
		b.tell("  tutela %.3f M leaves/s, %.2f µs of processors each", r.perSecond()/1e6, r.processors()*1e6)
		ours = append(ours, r)
		for i, batch := range tesseraBatches {
			if err := b.ask(tesseraPart(batch), b.scaled(tesseraEntries), &r); err != nil {
				return err
			}
			b.tell("  Tessera, batches of %d: %.0f entries/s, %.2f µs of processors each", batch, r.perSecond(), r.processors()*1e6)
			theirs[i] = append(theirs[i], r)
		}
	}
	b.judgeLedger(ours, theirs)
	return nil
}

func (b *bench) judgeLedger(ours []rate, theirs [][]rate) {
	best := slices.MinFunc(theirs, func(x, y []rate) int { return cmp.Compare(medianOf(x, rate.each), medianOf(y, rate.each)) })
	batch := tesseraBatches[slices.IndexFunc(theirs, func(x []rate) bool { return &x[0] == &best[0] })]
	what := fmt.Sprintf("ledger: %d records of %d bytes, salted, encrypted, fdatasync every %d", b.scaled(ledgerLeaves), leafBytes, leavesCommit)
	b.out.add(what+"; Tessera alone, neither",
		fmt.Sprintf("%.2f M leaves/s", 1e-6/medianOf(ours, rate.each)),
		fmt.Sprintf("Tessera, batches of %d: %.0f entries/s", batch, 1/medianOf(best, rate.each)),
		compare(each(ours, rate.each), each(best, rate.each)), atLeast(15).stretching(50))
	b.out.add("the same, time of processors",
		fmt.Sprintf("%.2f µs a leaf", 1e6*medianOf(ours, rate.processors)),
		fmt.Sprintf("%.2f µs an entry", 1e6*medianOf(best, rate.processors)),
		compare(each(ours, rate.processors), each(best, rate.processors)), none())
	cost := medianOf(ours, rate.processors) * 1e6
	b.out.rows = append(b.out.rows, row{what: "a leaf, all included", ours: fmt.Sprintf("%.2f µs of processors", cost), goal: "≤ 1.3 µs (stretch 1.0)", verdict: judgeCost(cost)})
}

func judgeCost(microseconds float64) string {
	if microseconds <= 1.0 {
		return "stretch met"
	}
	return judge(microseconds <= 1.3)
}

func each(rates []rate, of func(rate) float64) (out []float64) {
	for _, r := range rates {
		out = append(out, of(r))
	}
	return out
}

func medianOf(rates []rate, of func(rate) float64) float64 { return median(each(rates, of)) }

// manyLeaves measures the memory of a ledger that grows long.
func (b *bench) manyLeaves() error {
	n := b.scaled(manyLeaves)
	b.out.title = fmt.Sprintf("ledger of %d leaves", n)
	var r rate
	results, err := b.contest(1, contestant{name: "tutela", ready: func() (*exec.Cmd, func([]byte) error, error) {
		dir, err := os.MkdirTemp(b.dir, "ledger-")
		if err != nil {
			return nil, nil, err
		}
		cmd, err := b.part("ledger-many", dir, n)
		return cmd, func(stdout []byte) error {
			return errors.Join(json.Unmarshal(stdout, &r), os.RemoveAll(dir))
		}, err
	}})
	if err != nil {
		return err
	}
	peak := results[0].costs[0].peak
	ours := fmt.Sprintf("%d MiB at its peak (%.2f M leaves/s, %.2f µs of processors each)", peak>>20, r.perSecond()/1e6, r.processors()*1e6)
	b.out.rows = append(b.out.rows, row{what: fmt.Sprintf("%s of %d bytes", b.out.title, manyLeafBytes), ours: ours, goal: "≤ 256 MiB", verdict: judge(peak <= manyLeafMemory)})
	return nil
}

// fillLedger appends as many bodies as size says and makes them durable.
func fillLedger(bodyBytes int) func(ctx context.Context, dir, size string) (any, error) {
	return func(ctx context.Context, dir, size string) (any, error) {
		leaves, err := strconv.Atoi(size)
		if err != nil {
			return nil, err
		}
		tree, err := ledger.CreateTree(filepath.Join(dir, "tree"), ledger.NewSeed())
		if err != nil {
			return nil, err
		}
		r, err := timed(leaves, func() error { return appendBodies(ctx, tree, leaves, make([]byte, bodyBytes)) })
		return r, errors.Join(err, tree.Close())
	}
}

func appendBodies(ctx context.Context, tree *ledger.Tree, leaves int, body []byte) error {
	for i := range leaves {
		binary.LittleEndian.PutUint64(body, uint64(i))
		if err := tree.Append(body); err != nil {
			return err
		}
		if (i+1)%leavesCommit != 0 {
			continue
		}
		if err := errors.Join(ctx.Err(), tree.Commit(nil)); err != nil {
			return err
		}
	}
	return tree.Commit(nil)
}

// fillTessera adds as many entries as size says to a log of Tessera's on files,
// all at once, and waits until each has its index.
func fillTessera(batch int) func(ctx context.Context, dir, size string) (any, error) {
	return func(ctx context.Context, dir, size string) (any, error) {
		entries, err := strconv.Atoi(size)
		if err != nil {
			return nil, err
		}
		appender, shutdown, err := newTessera(ctx, dir, batch)
		if err != nil {
			return nil, err
		}
		r, err := timed(entries, func() error { return addEntries(ctx, appender, entries) })
		return r, errors.Join(err, shutdown(ctx))
	}
}

func newTessera(ctx context.Context, dir string, batch int) (*tessera.Appender, func(context.Context) error, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example")
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")})
	if err != nil {
		return nil, nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(uint(batch), tesseraAge).
		WithPushback(tesseraEntries).
		WithCheckpointInterval(tesseraCheckpoint)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	return appender, shutdown, err
}

func addEntries(ctx context.Context, appender *tessera.Appender, entries int) error {
	futures := make([]tessera.IndexFuture, entries)
	for i := range futures {
		body := make([]byte, leafBytes)
		binary.LittleEndian.PutUint64(body, uint64(i))
		futures[i] = appender.Add(ctx, tessera.NewEntry(body))
	}
	for _, future := range futures {
		if _, err := future(); err != nil {
			return err
		}
	}
	return nil
}
