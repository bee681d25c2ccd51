// Package evidencetest is what the tests of all readers of evidence share: the
// public test images, the way a listing is written down, and what must be true
// of any bytes.
//
// A reader's test usually calls [Golden] (the whole listing against a file that
// somebody has read), [SleuthKit] or [Truth] (against what another program says
// is there), [Hostile] from its fuzz target and [Mutants] (many damaged copies
// of good images).
//
// Golden files are rewritten with `go test -update`; their diffs are to be read.
package evidencetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// Open opens a reader on a source; each reader's Open, made to fit.
type Open func(evidence.Source) (evidence.FileSystem, error)

// memory is a Source in memory.
type memory struct{ *bytes.Reader }

func (m memory) Size() int64 { return m.Reader.Size() }

// Source is the bytes as a Source.
func Source(b []byte) evidence.Source { return memory{bytes.NewReader(b)} }

// Entry is an entry whose content has been read.
type Entry struct {
	evidence.Entry
	Bytes   int64         // that could be read
	SHA256  tutela.SHA256 // of those
	Failure error         // why no more could be
}

// Row is the entry as listings made with other tools write it: path without the
// first slash, size in bytes, SHA-256, with tabs between.
func (e *Entry) Row() string {
	return fmt.Sprintf("%s\t%d\t%s", bytes.TrimPrefix(e.Path, []byte("/")), e.Size, e.SHA256)
}

// Line is the entry as golden files write it: state, kind, path, size, digest or
// why there is none, place, times, runs, slack and findings.
func (e *Entry) Line() string {
	digest := "-"
	switch {
	case e.Failure != nil:
		digest = fmt.Sprintf("%d bytes, then: %v", e.Bytes, e.Failure)
	case e.Open != nil:
		digest = e.SHA256.String()
	}
	findings := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		findings[i] = f.String()
	}
	return strings.TrimRight(strings.Join([]string{
		e.State.String(), e.Kind.String(), tutela.DisplayPath(e.Path), fmt.Sprint(e.Size), digest,
		e.Chain[len(e.Chain)-1].At, times(e.Times), runs(e.Runs), runs(e.Slack), strings.Join(findings, "; "),
	}, "\t"), "\t")
}

func times(t tutela.Times) string {
	var b strings.Builder
	for _, one := range []struct {
		letter byte
		format string
	}{{'m', stamp(t.Modified)}, {'a', stamp(t.Accessed)}, {'c', stamp(t.Changed)}, {'b', stamp(t.Born)}} {
		if one.format != "" {
			fmt.Fprintf(&b, " %c%s", one.letter, one.format)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999999Z")
}

func runs(rs []tutela.Run) string {
	if len(rs) == 0 {
		return ""
	}
	return fmt.Sprint(rs)
}

// List walks a file system and reads every content to its end.
func List(t testing.TB, fs evidence.FileSystem) (all []Entry) {
	t.Helper()
	err := fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		all = append(all, read(e))
		return nil
	})
	if err != nil {
		t.Errorf("the walk ended early: %v", err)
	}
	return all
}

func read(e *evidence.Entry) Entry {
	out := Entry{Entry: *e}
	if e.Open == nil {
		return out
	}
	content, err := e.Open()
	if err != nil {
		out.Failure = err
		return out
	}
	defer content.Close()
	h := sha256.New()
	out.Bytes, out.Failure = io.Copy(h, content)
	h.Sum(out.SHA256[:0])
	return out
}

// Listing is all entries, a line each.
func Listing(all []Entry) string {
	var b strings.Builder
	for i := range all {
		b.WriteString(all[i].Line() + "\n")
	}
	return b.String()
}

// MustOpen opens a reader or ends the test.
func MustOpen(t testing.TB, open Open, src evidence.Source) evidence.FileSystem {
	t.Helper()
	fs, err := open(src)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// InPlace holds what an entry says of its Runs: where they add up to its size,
// they are its content.
func InPlace(t testing.TB, src evidence.Source, all []Entry) {
	t.Helper()
	for i := range all {
		e := &all[i]
		var total int64
		var extents []evidence.Extent
		for _, r := range e.Runs {
			total += r.Length
			extents = append(extents, evidence.Extent(r))
		}
		if len(e.Runs) == 0 || total != e.Size || e.Failure != nil {
			continue
		}
		h := sha256.New()
		if _, err := io.Copy(h, evidence.NewExtents(src, extents, e.Size)); err != nil {
			t.Errorf("%s: its runs cannot be read: %v", e.Path, err)
		} else if !bytes.Equal(h.Sum(nil), e.SHA256[:]) {
			t.Errorf("%s: its runs hold something else than its content", e.Path)
		}
	}
}

// Rows are the rows of the entries that were read whole, in a state.
func Rows(all []Entry, states ...tutela.State) map[string]bool {
	rows := map[string]bool{}
	for i := range all {
		e := &all[i]
		if slices.Contains(states, e.State) && e.Kind == tutela.File && e.Failure == nil && e.Open != nil {
			rows[e.Row()] = true
		}
	}
	return rows
}

// Deleted are the states of what is no longer listed by its file system.
var Deleted = []tutela.State{tutela.Deleted, tutela.Orphan}
