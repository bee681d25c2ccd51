package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"tutela/internal/evidence"
	"tutela/internal/scan"
	"tutela/internal/term"
)

// meter tells how a scan goes: rates over the last seconds, and how long it
// will take once it is known how much there is.
type meter struct {
	app   *app
	job   scan.Job
	began time.Time
	total atomic.Int64 // bytes there are to read; 0 until they were counted
	past  [10]reading  // of the last seconds, the newest at at%len
	at    int
}

type reading struct {
	time time.Time
	scan.Status
}

// estimate tells how much there is to read: what the media hold where all of
// them is read, else what a walk finds that opens no file. It is for people who
// wait; nothing else rests on it.
func (m *meter) estimate(ctx context.Context) {
	var total int64
	if m.job.Profile == scan.Full {
		for _, s := range m.job.Sources {
			total += max(s.Size, 0)
		}
		m.total.Store(total)
		return
	}
	err := m.job.Evidence.Walk(ctx, m.job.Limits, func(e *evidence.Entry) error {
		if e.Open != nil && e.Size > 0 {
			total += e.Size
		}
		return nil
	})
	if err == nil {
		m.total.Store(total)
	}
}

func (m *meter) run(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	if statusSignal != nil {
		signal.Notify(asked, statusSignal)
		defer signal.Stop(asked)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.tick()
		case <-asked:
			fmt.Fprintln(m.app.errs, m.line(m.read()))
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) tick() {
	now := m.read()
	if m.app.json {
		m.app.print(m.json(now), nil)
		return
	}
	m.app.status.Show(m.line(now))
}

func (m *meter) read() reading {
	now := reading{time.Now(), m.job.Watch.Status()}
	m.at++
	m.past[m.at%len(m.past)] = now
	return now
}

// rates are items and bytes a second over the last seconds.
func (m *meter) rates(now reading) (items, bytes float64) {
	before := m.past[(m.at+1)%len(m.past)]
	if before.time.IsZero() {
		before = reading{time: m.began}
	}
	seconds := max(now.time.Sub(before.time).Seconds(), 0.001)
	return float64(now.Items-before.Items) / seconds, float64(now.Bytes-before.Bytes) / seconds
}

// left is how long the rest will take; negative if nobody knows.
func (m *meter) left(now reading, rate float64) time.Duration {
	total := m.total.Load()
	if total == 0 || rate <= 0 {
		return -1
	}
	return time.Duration(float64(max(total-now.Bytes, 0)) / rate * float64(time.Second))
}

func (m *meter) line(now reading) string {
	items, bytes := m.rates(now)
	line := fmt.Sprintf("%s  %s items  %s", term.Span(now.time.Sub(m.began)), term.Count(now.Items), term.Bytes(now.Bytes))
	if total := m.total.Load(); total > 0 {
		line += " of " + term.Bytes(total)
	}
	line += fmt.Sprintf("  %s items/s  %s/s", term.Count(int64(items)), term.Bytes(int64(bytes)))
	if left := m.left(now, bytes); left >= 0 {
		line += "  " + term.Span(left) + " left"
	}
	line += fmt.Sprintf("  %s alerts", term.Count(now.Alerts))
	if now.Unreadable > 0 {
		line += fmt.Sprintf("  %s unreadable", term.Count(now.Unreadable))
	}
	return line
}

func (m *meter) json(now reading) any {
	items, bytes := m.rates(now)
	var eta, total *float64
	if left := m.left(now, bytes); left >= 0 {
		seconds, all := left.Seconds(), float64(m.total.Load())
		eta, total = &seconds, &all
	}
	return struct {
		Type       string   `json:"message_type"`
		Exhibit    string   `json:"exhibit"`
		Scan       int      `json:"scan"`
		Items      uint64   `json:"items"`
		Bytes      int64    `json:"bytes"`
		Total      *float64 `json:"total_bytes"`
		ItemRate   float64  `json:"items_per_second"`
		ByteRate   float64  `json:"bytes_per_second"`
		ETA        *float64 `json:"eta_seconds"`
		Alerts     uint64   `json:"alerts"`
		OfInterest uint64   `json:"of_interest"`
		KnownGood  uint64   `json:"known_good"`
		Unreadable uint64   `json:"unreadable"`
	}{"status", m.job.ID.Exhibit, m.job.ID.Number, now.Items, now.Bytes, total, items, bytes, eta, now.Alerts, now.OfInterest, now.KnownGood, now.Unreadable}
}
