package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"tutela"
	"tutela/internal/hashset"
	"tutela/internal/ledger"
)

// What the ledger is filled with.
const (
	leafBytes    = 250
	leavesCommit = 65_536
)

// rate is what a part did in a time of its own.
type rate struct {
	Count   int
	Seconds float64
	CPU     float64 // seconds of processors, user and system
}

func (r rate) perSecond() float64 { return float64(r.Count) / r.Seconds }

func timed(count int, work func() error) (rate, error) {
	began, used := time.Now(), processorTime()
	err := work()
	return rate{count, time.Since(began).Seconds(), (processorTime() - used).Seconds()}, err
}

func (b *bench) ledger() error {
	var speeds, costs []float64
	for range max(b.rounds, 3) {
		var r rate
		if err := b.ask("ledger", b.scaled(2_097_152), &r); err != nil {
			return err
		}
		b.tell("  %.3f M leaves/s, %.2f µs of processors each", r.perSecond()/1e6, 1e6*r.CPU/float64(r.Count))
		speeds, costs = append(speeds, r.perSecond()), append(costs, 1e6*r.CPU/float64(r.Count))
	}
	speed := median(speeds)
	ours := fmt.Sprintf("%.2f M leaves/s, %.2f µs of processors each", speed/1e6, median(costs))
	b.out.rows = append(b.out.rows, row{what: "ledger: 2,097,152 records of 250 bytes, encrypted, fdatasync every 65,536", ours: ours, goal: "≥ 0.3 M/s", verdict: judge(speed >= 0.3e6)})
	return nil
}

// fillLedger appends as many bodies as size says and makes them durable.
func fillLedger(ctx context.Context, dir, size string) (any, error) {
	leaves, err := strconv.Atoi(size)
	if err != nil {
		return nil, err
	}
	tree, err := ledger.CreateTree(filepath.Join(dir, "tree"), ledger.NewSeed())
	if err != nil {
		return nil, err
	}
	r, err := timed(leaves, func() error { return appendBodies(ctx, tree, leaves) })
	return r, errors.Join(err, tree.Close())
}

func appendBodies(ctx context.Context, tree *ledger.Tree, leaves int) error {
	body := make([]byte, leafBytes)
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

// lookUps are the rates of one kind of question.
type lookUps struct {
	Known, Unknown rate
}

func (b *bench) exact() error {
	var l lookUps
	if err := b.ask("exact", b.scaled(4_000_000), &l); err != nil {
		return err
	}
	ours := fmt.Sprintf("%.2f M/s of unknown, %.2f M/s of known digests", l.Unknown.perSecond()/1e6, l.Known.perSecond()/1e6)
	b.out.rows = append(b.out.rows, row{what: "exact look-ups in a set of 4,000,000 SHA-256, one goroutine", ours: ours})
	return nil
}

func (b *bench) near() error {
	var l lookUps
	if err := b.ask("near", b.scaled(1_000_000), &l); err != nil {
		return err
	}
	ours := fmt.Sprintf("%.0f/s of random hashes, %.0f/s of known ones with 12 bits turned", l.Unknown.perSecond(), l.Known.perSecond())
	b.out.rows = append(b.out.rows, row{what: "near look-ups (up to 31 bits) in a set of 1,000,000 PDQ, one goroutine", ours: ours})
	return nil
}

// drawn are assertions whose digests follow from their number.
type drawn struct {
	n, rows int
	digests func(n int, a *tutela.Assertion)
}

var _ hashset.Reader = (*drawn)(nil)

// Next implements [hashset.Reader].
func (d *drawn) Next() (tutela.Assertion, error) {
	if d.n == d.rows {
		return tutela.Assertion{}, io.EOF
	}
	a := tutela.Assertion{Size: -1, Category: tutela.Category{Code: "1"}}
	d.digests(d.n, &a)
	d.n++
	return a, nil
}

// fillDrawn fills b with what looks random and depends on n and stream alone.
func fillDrawn(b []byte, n, stream int) {
	r := rand.NewPCG(uint64(n), uint64(stream))
	for ; len(b) > 0; b = b[8:] {
		binary.LittleEndian.PutUint64(b, r.Uint64())
	}
}

// Streams of what is drawn: what the set holds, and what it does not.
const (
	held = iota
	foreign
)

// compileSet makes a set of so many rows in dir.
func compileSet(ctx context.Context, dir, rows string, digests func(n int, a *tutela.Assertion)) (*hashset.Set, int, error) {
	n, err := strconv.Atoi(rows)
	if err != nil {
		return nil, 0, err
	}
	path := filepath.Join(dir, "drawn.set")
	meta := hashset.Meta{Name: "drawn", Version: 1, Status: tutela.KnownGood, Format: "drawn"}
	if _, _, err := hashset.Compile(ctx, path, meta, &drawn{rows: n, digests: digests}, hashset.Work{}); err != nil {
		return nil, 0, err
	}
	set, err := hashset.Open(path)
	return set, n, err
}

func lookUpExact(ctx context.Context, dir, rows string) (any, error) {
	set, n, err := compileSet(ctx, dir, rows, func(n int, a *tutela.Assertion) {
		a.SHA256 = new(tutela.SHA256)
		fillDrawn(a.SHA256[:], n, held)
	})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	asked := func(stream int, want bool) (rate, error) {
		digests := make([]tutela.Digests, 2_000_000) // drawn outside the time
		for i := range digests {
			fillDrawn(digests[i].SHA256[:], int(uint64(i)*2_654_435_761%uint64(n)), stream)
		}
		return timed(len(digests), func() error {
			for i := range digests {
				if _, _, ok := set.Exact(digests[i]); ok != want {
					return fmt.Errorf("look-up %d: known is %v", i, ok)
				}
			}
			return nil
		})
	}
	known, err := asked(held, true)
	unknown, also := asked(foreign, false)
	return lookUps{known, unknown}, errors.Join(err, also)
}

func lookUpNear(ctx context.Context, dir, rows string) (any, error) {
	set, n, err := compileSet(ctx, dir, rows, func(n int, a *tutela.Assertion) {
		a.PDQ = new(tutela.PDQ)
		fillDrawn(a.PDQ[:], n, held)
	})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	asked := func(stream int, want bool) (rate, error) {
		hashes := make([]tutela.PDQ, 20_000)
		for i := range hashes {
			fillDrawn(hashes[i][:], int(uint64(i)*2_654_435_761%uint64(n)), stream)
			for bit := range 12 {
				hashes[i][2*bit] ^= 1 << (i % 8)
			}
		}
		return timed(len(hashes), func() error {
			for i := range hashes {
				met := false
				set.Near(hashes[i], hashset.MaxRadius, func(uint64, int) { met = true })
				if met != want {
					return fmt.Errorf("look-up %d: met is %v", i, met)
				}
			}
			return nil
		})
	}
	known, err := asked(held, true)
	unknown, also := asked(foreign, false)
	return lookUps{known, unknown}, errors.Join(err, also)
}
