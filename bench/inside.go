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
