package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"tutela"
	"tutela/internal/ledger/check"
)

func testKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := GenerateKeys("lab.example/log")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testEvent(i int) tutela.Event {
	return tutela.Event{
		Kind: tutela.EventTransfer, Time: time.Date(2026, 11, 23, 14, 5, i, 0, time.UTC), Actor: "officer", Case: "2026-1",
		Exhibit: "7-B", Detail: fmt.Appendf(nil, `{"n":%d}`, i), Key: fmt.Sprint("event ", i),
	}
}

// logKind is one of the kinds of log; the suite holds for all of them.
type logKind struct {
	name   string
	create func(ctx context.Context, dir string, keys *Keys) (*Log, error)
	files  []string // of a log of 260 entries, beside its bodies
}

var plainKind = logKind{"plain", CreatePlainLog, []string{"plain/checkpoint"}}

func onBothKinds(t *testing.T, test func(t *testing.T, kind logKind)) {
	for _, kind := range logKinds {
		t.Run(kind.name, func(t *testing.T) { test(t, kind) })
	}
}

func newLog(t testing.TB, kind logKind) (*Log, string, *Keys) {
	t.Helper()
	dir, keys := filepath.Join(t.TempDir(), "log"), testKeys(t)
	l, err := kind.create(t.Context(), dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, dir, keys
}

func appendEvents(t testing.TB, l *Log, from, to int) {
	t.Helper()
	var done sync.WaitGroup
	for i := from; i < to; i++ {
		done.Go(func() {
			if _, err := l.Append(context.Background(), testEvent(i)); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}

func TestLogKeepsEvents(t *testing.T) { onBothKinds(t, testLogKeepsEvents) }

func testLogKeepsEvents(t *testing.T, kind logKind) {
	l, dir, keys := newLog(t, kind)
	for i := range 3 {
		if index, err := l.Append(t.Context(), testEvent(i)); err != nil || index != uint64(i) {
			t.Fatalf("append %d: %d, %v", i, index, err)
		}
		h, err := l.Head(t.Context())
		if err != nil || h.Size != uint64(i+1) || h.Origin != "lab.example/log" {
			t.Fatalf("head after %d: %+v, %v", i, h.Checkpoint, err)
		}
	}
	r, err := ReadLog(dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	var got int
	for e, err := range r.Events(t.Context(), 0) {
		want := testEvent(got)
		want.Previous = uint64(got) // all are about one exhibit
		if err != nil || e.Index != uint64(got) || !reflect.DeepEqual(e.Event, want) {
			t.Errorf("event %d: %+v, %v", got, e, err)
		}
		got++
	}
	if got != 3 {
		t.Errorf("%d events", got)
	}
}

func TestLogRepeatsAreNotAddedAgain(t *testing.T) { onBothKinds(t, testLogRepeatsAreNotAddedAgain) }

func testLogRepeatsAreNotAddedAgain(t *testing.T, kind logKind) {
	l, dir, keys := newLog(t, kind)
	appendEvents(t, l, 0, 2)
	again := testEvent(1)
	again.Actor = "somebody else"
	first, err := l.Append(t.Context(), testEvent(1))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if l, err = OpenLog(t.Context(), dir, keys); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if index, err := l.Append(t.Context(), again); err != nil || index != first {
		t.Errorf("repeat after opening: %d, %v; want %d", index, err, first)
	}
	nameless := testEvent(9)
	nameless.Key = ""
	for want := range 2 {
		if index, err := l.Append(t.Context(), nameless); err != nil || index != uint64(2+want) {
			t.Errorf("event without a key: %d, %v", index, err)
		}
	}
}

// TestLogProofs goes past a full tile, so that partial and full ones and two
// levels are read.
func TestLogProofs(t *testing.T) { onBothKinds(t, testLogProofs) }

func testLogProofs(t *testing.T, kind logKind) {
	l, dir, keys := newLog(t, kind)
	const n = 260
	appendEvents(t, l, 0, n)
	public, err := check.ParseLogKeys(keys.VerifierKeys()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []uint64{0, 1, 255, 256, n - 1} {
		p, err := l.Prove(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := check.ParseLogProof(p.Text())
		if err != nil {
			t.Fatal(err)
		}
		if c, err := sent.VerifyEvent(p.Opening, public); err != nil || c.Size != n {
			t.Errorf("proof of %d: %+v, %v", i, c, err)
		}
		p.Opening.Body[len(p.Opening.Body)-1] ^= 1
		if _, err := sent.VerifyEvent(p.Opening, public); !errors.Is(err, check.ErrProof) {
			t.Errorf("proof of another event than %d: %v", i, err)
		}
	}
	if _, err := l.Prove(t.Context(), n); err == nil {
		t.Error("an entry behind the last was proven")
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
	l.Close()
	wantVerifySees(t, dir, keys, kind.files)
}

// wantVerifySees changes one byte of each file of the log in turn.
func wantVerifySees(t *testing.T, dir string, keys *Keys, files []string) {
	t.Helper()
	for _, name := range append([]string{"bodies/records", "bodies/leaves", "bodies/commit"}, files...) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		flip(t, name, 30)
		if r, err := ReadLog(dir, keys); err == nil {
			if found, err := r.Verify(t.Context()); err == nil && len(found) == 0 {
				t.Errorf("%s changed, and nothing was found", name)
			}
		}
		flip(t, name, 30)
	}
	r, err := ReadLog(dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := r.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify after putting everything back: %v, %v", found, err)
	}
}

func TestLogOfAnotherLab(t *testing.T) { onBothKinds(t, testLogOfAnotherLab) }

func testLogOfAnotherLab(t *testing.T, kind logKind) {
	l, dir, keys := newLog(t, kind)
	appendEvents(t, l, 0, 1)
	l.Close()
	same, err := GenerateKeys(keys.Origin())
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKeys("other.example/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Keys{same, other} {
		if _, err := OpenLog(t.Context(), dir, k); !errors.Is(err, ErrWrongKey) {
			t.Errorf("open: %v", err)
		}
		if _, err := ReadLog(dir, k); !errors.Is(err, ErrWrongKey) {
			t.Errorf("read: %v", err)
		}
	}
	for _, over := range logKinds {
		if _, err := over.create(t.Context(), dir, keys); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create one of %s over a log: %v", over.name, err)
		}
	}
	if r, err := ReadLog(dir, keys); err != nil || r.isPlain() != (kind.name == "plain") {
		t.Errorf("after that: %v", err)
	}
	if _, err := ReadLog(t.TempDir(), keys); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read where there is none: %v", err)
	}
}

// TestLogRecovers puts the log back to what a crash between two steps leaves.
func TestLogRecovers(t *testing.T) { onBothKinds(t, testLogRecovers) }

func testLogRecovers(t *testing.T, kind logKind) {
	l, dir, keys := newLog(t, kind)
	appendEvents(t, l, 0, 2)
	l.Close()
	// A crash after step 1: two bodies without entries.
	bodies, err := OpenTree(filepath.Join(dir, bodiesName), keys.bodies)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := decodeEdge(bodies.Cursor(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 4; i++ {
		ev := testEvent(i)
		body := AppendEvent(nil, &ev)
		seed := keys.bodies.at(uint64(i))
		edge.Append(check.Leaf(check.Entry(check.SaltedLeaf(seed.salt(), body))))
		if err := errors.Join(bodies.Append(body), bodies.Commit(encodeEdge(edge))); err != nil {
			t.Fatal(err)
		}
	}
	bodies.Close()
	if l, err = OpenLog(t.Context(), dir, keys); err != nil {
		t.Fatal(err)
	}
	if index, err := l.Append(t.Context(), testEvent(3)); err != nil || index != 3 {
		t.Errorf("repeat of an event that a crash cut short: %d, %v", index, err)
	}
	checkpoint, err := os.ReadFile(l.checkpointPath())
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 4, 6)
	l.Close()
	// A crash after step 3: entries without a checkpoint.
	if err := os.WriteFile(l.checkpointPath(), checkpoint, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(t.Context(), dir, keys); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if h, err := l.Head(t.Context()); err != nil || h.Size != 6 {
		t.Errorf("head: %d, %v", h.Size, err)
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
}

func BenchmarkLogAppend(b *testing.B) {
	for _, kind := range logKinds {
		b.Run(kind.name, func(b *testing.B) { benchmarkLogAppend(b, kind) })
	}
}

func benchmarkLogAppend(b *testing.B, kind logKind) {
	l, dir, keys := newLog(b, kind)
	i := 0
	b.Run("OneAfterAnother", func(b *testing.B) {
		for range b.N {
			appendEvents(b, l, i, i+1)
			i++
		}
	})
	b.Run("AfterAWhile", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			time.Sleep(150 * time.Millisecond)
			b.StartTimer()
			appendEvents(b, l, i, i+1)
			i++
		}
	})
	l.Close()
	b.Run("OpenAppendClose", func(b *testing.B) {
		for range b.N {
			l, err := OpenLog(b.Context(), dir, keys)
			if err != nil {
				b.Fatal(err)
			}
			appendEvents(b, l, i, i+1)
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
