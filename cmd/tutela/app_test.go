package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/durable"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/scan"
)

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		hint string // a part of it; "" is none at all
	}{
		{errors.New("odd"), exitFailed, ""},
		{misuse("wrong"), exitUsage, ""},
		{hint(errors.New("odd"), "try %s", "again"), exitFailed, "try again"},
		{hint(misuse("wrong"), "try again"), exitUsage, "try again"},
		{errUnreadable, exitUnreadable, ""},
		{errIntegrity, exitIntegrity, ""},
		{lab.ErrIntegrity, exitIntegrity, "change nothing"},
		{ledger.ErrDamaged, exitIntegrity, "change nothing"},
		{&authority.Refusal{Reason: "no", Hint: "ask a judge"}, exitNotPermitted, "ask a judge"},
		{lab.ErrNoLab, exitNoLab, "tutela init"},
		{durable.ErrLocked, exitLocked, "wait"},
		{lab.ErrNewer, exitFailed, "install"},
		{scan.ErrEvidenceChanged, exitFailed, "--restart"},
		{context.Canceled, exitInterrupted, ""},
	} {
		for _, err := range []error{test.err, fmt.Errorf("do something: %w", test.err)} {
			code, hint := classify(err)
			if code != test.code || !strings.Contains(hint, test.hint) || (test.hint == "") != (hint == "") {
				t.Errorf("%v: %d %q, want %d and a hint with %q", err, code, hint, test.code, test.hint)
			}
		}
	}
}

func TestParseTime(t *testing.T) {
	for s, want := range map[string]string{
		"2026-11-23":                "2026-11-23T00:00:00Z",
		"2026-11-23 14:05":          "2026-11-23T14:05:00Z",
		"2026-11-23T14:05":          "2026-11-23T14:05:00Z",
		"2026-11-23T14:05:06+02:00": "2026-11-23T12:05:06Z",
		"2024-02-29":                "2024-02-29T00:00:00Z",
	} {
		got, err := parseTime(s)
		if err != nil || got.Format(time.RFC3339) != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "23/11/2026", "2026-02-30", "2026-11-23T25:00:00Z", "tomorrow"} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

// A date alone means the whole day, a time that moment.
func TestAuthorityWindow(t *testing.T) {
	added := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct{ from, until, wantFrom, wantUntil string }{
		{"", "2026-11-23", "2026-11-23T10:00:00Z", "2026-11-24T00:00:00Z"},
		{"2026-11-01", "2026-11-01", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"},
		{"2026-11-01", "2026-11-01T18:00:00Z", "2026-11-01T00:00:00Z", "2026-11-01T18:00:00Z"},
	} {
		auth := tutela.Authority{Added: added}
		err := (&authorityAdd{From: test.from, Until: test.until}).window(&auth)
		if err != nil || auth.From.Format(time.RFC3339) != test.wantFrom || auth.Until.Format(time.RFC3339) != test.wantUntil {
			t.Errorf("%v: %v to %v, %v", test, auth.From, auth.Until, err)
		}
	}
	for _, c := range []authorityAdd{{Until: "2026-11-22"}, {Until: "2026-11-23T10:00:00Z"}, {From: "2026-12-01", Until: "2026-11-29"}, {Until: "never"}} {
		if err := c.window(&tutela.Authority{Added: added}); err == nil {
			t.Errorf("from %q until %q was taken", c.From, c.Until)
		}
	}
}

func TestMeter(t *testing.T) {
	began := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	m := &meter{began: began}
	after := func(seconds int, items uint64, bytes int64) reading {
		now := reading{time: began.Add(time.Duration(seconds) * time.Second), Status: scan.Status{Items: items, Bytes: bytes}}
		m.at++
		m.past[m.at%len(m.past)] = now
		return now
	}
	now := after(2, 10, 2000)
	if items, bytes := m.rates(now); items != 5 || bytes != 1000 {
		t.Errorf("rates at the beginning: %v items/s, %v bytes/s", items, bytes)
	}
	if left := m.left(now, 1000); left >= 0 {
		t.Errorf("%v left of nobody knows how much", left)
	}
	m.total.Store(5000)
	if left := m.left(now, 1000); left != 3*time.Second {
		t.Errorf("%v left, want 3s", left)
	}
	if left := m.left(now, 0); left >= 0 {
		t.Errorf("%v left at no speed", left)
	}
	if left := m.left(after(3, 11, 6000), 1000); left != 0 {
		t.Errorf("%v left after more than all", left)
	}
	// Rates are of the last seconds only, not of the whole.
	for second := 4; second <= 30; second++ {
		now = after(second, 11, 6000)
	}
	if items, bytes := m.rates(now); items != 0 || bytes != 0 {
		t.Errorf("rates of standing still: %v items/s, %v bytes/s", items, bytes)
	}
	if line := m.line(now); !strings.Contains(line, "6.0 kB of 5.0 kB") || strings.Contains(line, "unreadable") {
		t.Errorf("line %q", line)
	}
}

func TestWord(t *testing.T) {
	for name, want := range map[string]string{"7-B": "7-B", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := tutela.ShellWord(name); got != want {
			t.Errorf("tutela.ShellWord(%q) is %s, want %s", name, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 entries", 1: "1 entry", 2000: "2,000 entries"} {
		if got := count(n, "entry"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := count(2, "record"); got != "2 records" {
		t.Errorf("%q", got)
	}
}
