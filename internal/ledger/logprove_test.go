package ledger

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/ledger/check"
)

// filledLog has n events under one checkpoint; plain is its tree, kept whole.
func filledLog(t *testing.T, kind logKind, n int) (*Log, plainTree) {
	t.Helper()
	l, _, _ := newLog(t, kind)
	events := make([]tutela.Event, n)
	for i := range events {
		events[i] = testEvent(i)
	}
	if _, err := l.AppendAll(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	plain := plainTree{node: plainNode256}
	for e, err := range l.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		plain.leaves = append(plain.leaves, e.Leaf[:])
	}
	return l, plain
}

func (t plainTree) rootAt(size uint64) check.Hash {
	if size == 0 {
		return check.EmptyRoot()
	}
	return check.Hash(t.root(t.leaves[:size]))
}

func TestLogProvesManyOfEverySize(t *testing.T) { onBothKinds(t, testLogProvesManyOfEverySize) }

func testLogProvesManyOfEverySize(t *testing.T, kind logKind) {
	const n = 70
	l, plain := filledLog(t, kind, n)
	random := rand.New(rand.NewPCG(1, 2))
	for size := uint64(1); size <= n; size++ {
		for _, share := range []float64{0, 0.1, 0.5, 1} {
			wanted := []uint64{random.Uint64N(size)}
			for i := range size {
				if random.Float64() < share && i != wanted[0] {
					wanted = append(wanted, i)
				}
			}
			slices.Sort(wanted)
			openings, proof, err := l.ProveMany(t.Context(), wanted, size)
			if err != nil {
				t.Fatal(err)
			}
			var hashes [][]byte
			for _, h := range proof {
				hashes = append(hashes, h[:])
			}
			root := plain.rootAt(size)
			plain.want(t, size, wanted, root[:], hashes)
			for i, o := range openings {
				if leaf := check.Leaf(check.Entry(o.Leaf())); string(leaf[:]) != string(plain.leaves[wanted[i]]) {
					t.Fatalf("opening of %d does not lead to its leaf", wanted[i])
				}
			}
		}
		if root, err := l.Root(t.Context(), size); err != nil || root != plain.rootAt(size) {
			t.Errorf("root of %d: %s, %v", size, root, err)
		}
	}
	for _, bad := range [][]uint64{{}, {n}, {3, 3}, {4, 2}} {
		if _, _, err := l.ProveMany(t.Context(), bad, n); err == nil {
			t.Errorf("proved %v", bad)
		}
	}
	if _, _, err := l.ProveMany(t.Context(), []uint64{0}, n+1); err == nil {
		t.Error("proved under a size that nobody signed")
	}
}

func TestLogConsistencyOfEverySize(t *testing.T) { onBothKinds(t, testLogConsistencyOfEverySize) }

func testLogConsistencyOfEverySize(t *testing.T, kind logKind) {
	const n = 70
	l, plain := filledLog(t, kind, n)
	for to := range uint64(n + 1) {
		for from := range to + 1 {
			proof, err := l.Consistency(t.Context(), from, to)
			if err != nil {
				t.Fatal(err)
			}
			if err := check.VerifyConsistency(plain.rootAt(from), from, plain.rootAt(to), to, proof); err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
		}
	}
	for _, bad := range [][2]uint64{{2, 1}, {0, n + 1}} {
		if _, err := l.Consistency(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("consistency of %v", bad)
		}
	}
}

// A body whose leaf was changed on the disk is noticed before anything is proven.
func TestLogProvesNothingOfDamagedBodies(t *testing.T) {
	onBothKinds(t, testLogProvesNothingOfDamagedBodies)
}

func testLogProvesNothingOfDamagedBodies(t *testing.T, kind logKind) {
	l, _ := filledLog(t, kind, 5)
	name := filepath.Join(l.dir, bodiesName, "leaves")
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff, 0xff, 0xff}, 2*leafSize); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.ProveMany(t.Context(), []uint64{0}, 5); !errors.Is(err, ErrDamaged) {
		t.Errorf("prove: %v", err)
	}
	if _, err := l.Consistency(t.Context(), 1, 5); !errors.Is(err, ErrDamaged) {
		t.Errorf("consistency: %v", err)
	}
}
