package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/ledger/check"
)

// logOf is a log of n events in one kind, by given keys.
func logOf(t *testing.T, kind logKind, keys *Keys, n int) *Log {
	t.Helper()
	l, err := kind.create(t.Context(), filepath.Join(t.TempDir(), "log"), keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	events := make([]tutela.Event, n)
	for i := range events {
		events[i] = testEvent(i)
	}
	if _, err := l.AppendAll(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestKindsAreOneLog writes the same events under the same keys into a log of each
// kind: heads, entries and proofs are the same but for the signatures.
func TestKindsAreOneLog(t *testing.T) {
	const n = 37
	keys := testKeys(t)
	public, err := check.ParseLogKeys(keys.VerifierKeys()...)
	if err != nil {
		t.Fatal(err)
	}
	first := logOf(t, logKinds[0], keys, n)
	want, err := first.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range logKinds[1:] {
		l := logOf(t, kind, keys, n)
		got, err := l.Head(t.Context())
		if err != nil || got.Checkpoint != want.Checkpoint {
			t.Fatalf("%s: head %+v, %v; want %+v", kind.name, got.Checkpoint, err, want.Checkpoint)
		}
		for i := range uint64(n) {
			a, errA := first.Prove(t.Context(), i)
			b, errB := l.Prove(t.Context(), i)
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.Path, b.Path) || string(a.Opening.Body) != string(b.Opening.Body) {
				t.Errorf("%s: entry %d is proven in another way", kind.name, i)
			}
			if _, err := b.VerifyEvent(b.Opening, public); err != nil {
				t.Errorf("%s: entry %d: %v", kind.name, i, err)
			}
		}
	}
}

// TestPlainHeadIsReplacedWhole leaves what a crash leaves while the head is
// replaced: half a new one beside the old, which is the log's.
func TestPlainHeadIsReplacedWhole(t *testing.T) {
	l, dir, keys := newLog(t, plainKind)
	appendEvents(t, l, 0, 2)
	before, err := os.ReadFile(l.checkpointPath())
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 2, 3)
	l.Close()
	name := l.checkpointPath()
	if err := errors.Join(os.WriteFile(name+".new", []byte("lab.exam"), 0o600), os.WriteFile(name, before, 0o600)); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(t.Context(), dir, keys); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if h, err := l.Head(t.Context()); err != nil || h.Size != 3 {
		t.Errorf("head: %d, %v", h.Size, err)
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
}

// TestPlainHeadThatIsGone is no log that begins anew.
func TestPlainHeadThatIsGone(t *testing.T) {
	l, dir, keys := newLog(t, plainKind)
	appendEvents(t, l, 0, 2)
	l.Close()
	if err := os.Remove(l.checkpointPath()); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(t.Context(), dir, keys); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// TestPlainLogWithOlderBodies is a folder of bodies put back to an earlier state:
// the signed head tells of more.
func TestPlainLogWithOlderBodies(t *testing.T) {
	l, dir, keys := newLog(t, plainKind)
	appendEvents(t, l, 0, 2)
	older := filepath.Join(t.TempDir(), "bodies")
	if err := os.CopyFS(older, os.DirFS(filepath.Join(dir, bodiesName))); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 2, 4)
	l.Close()
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, bodiesName)), os.Rename(older, filepath.Join(dir, bodiesName))); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(t.Context(), dir, keys); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}
