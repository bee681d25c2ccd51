//go:build unix

package ledger

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	tilesKind = logKind{"tiles", CreateLog, []string{"tlog/tile/0/000", "tlog/tile/0/001.p/4", "tlog/tile/1/000.p/1",
		"tlog/tile/entries/000", "tlog/tile/entries/001.p/4", "tlog/checkpoint"}}
	logKinds = []logKind{tilesKind, plainKind}
)

// What a killed or running writer leaves beside the tiles is no sign that
// somebody changed the log; a tile that disagrees below the head is.
func TestVerifyBesideAWriter(t *testing.T) {
	l, dir, keys := newLog(t, tilesKind)
	appendEvents(t, l, 0, 3)
	l.Close()
	tiles := filepath.Join(dir, tilesName, "tile", "0", "000.p")
	whole, err := os.ReadFile(filepath.Join(tiles, "3"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		content []byte
		agrees  bool
	}{
		{"7959402523", []byte("half a ti"), true}, // a temporary file
		{"4", append(bytes.Clone(whole), make([]byte, 32)...), true},
		{"4", append(make([]byte, 32), whole...), false},
		{"2", whole, false},
	} {
		name := filepath.Join(tiles, c.name)
		before, beforeErr := os.ReadFile(name)
		if err := os.WriteFile(name, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadLog(dir, keys)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := r.Verify(t.Context()); err != nil || (len(found) == 0) != c.agrees {
			t.Errorf("%s of %d bytes: %v, %v; agrees: %v", c.name, len(c.content), found, err, c.agrees)
		}
		if os.Remove(name); beforeErr == nil {
			if err := os.WriteFile(name, before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLogSignsNothingForged changes a tile behind the log's back: the entry
// that comes next would have been signed over a root that nobody meant.
func TestLogSignsNothingForged(t *testing.T) {
	l, dir, keys := newLog(t, tilesKind)
	appendEvents(t, l, 0, 2)
	l.Close()
	flip(t, filepath.Join(dir, "tlog/tile/0/000.p/2"), 40)
	l, err := OpenLog(t.Context(), dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.entries.close(canceled()); l.entries = nil; l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := l.Append(ctx, testEvent(2)); !errors.Is(err, ErrDamaged) {
		t.Errorf("append over a changed tile: %v", err)
	}
	if h, err := l.Head(t.Context()); err != nil || h.Size != 2 {
		t.Errorf("head after that: %d, %v", h.Size, err)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
