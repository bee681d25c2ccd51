package main

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"time"

	"tutela"
	"tutela/internal/hashset"
)

// rate is what a part did in a time of its own.
type rate struct {
	Count   int
	Seconds float64
	CPU     float64 // seconds of processors, user and system
}

func (r rate) perSecond() float64 { return float64(r.Count) / r.Seconds }

// each and processors are seconds for one of what was counted.
func (r rate) each() float64       { return r.Seconds / float64(r.Count) }
func (r rate) processors() float64 { return r.CPU / float64(r.Count) }

func timed(count int, work func() error) (rate, error) {
	began, used := time.Now(), processorTime()
	err := work()
	return rate{count, time.Since(began).Seconds(), (processorTime() - used).Seconds()}, err
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
