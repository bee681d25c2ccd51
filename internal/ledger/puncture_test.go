package ledger

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// wantLeft checks that a secret opens the leaves below n as the seed did, but
// for those that are gone.
func wantLeft(t *testing.T, secret Secret, n uint64, gone map[uint64]bool) {
	t.Helper()
	walk := secret.walkFrom(0)
	for i := range n {
		want := testSeed.at(i)
		for way, got := range map[string]*Seed{"walking": walk.leaf(), "jumping": secret.walkFrom(i).leaf()} {
			switch {
			case gone[i] && got != nil:
				t.Fatalf("%s there, leaf %d still has a seed", way, i)
			case !gone[i] && (got == nil || *got != want):
				t.Fatalf("%s there, leaf %d has another seed or none", way, i)
			}
		}
	}
}

// TestPunctureEverySubset erases every choice of leaves of small trees, at once
// and in two steps, which must come to the same.
func TestPunctureEverySubset(t *testing.T) {
	const n = 9
	for chosen := uint64(1); chosen < 1<<n; chosen++ {
		var indices []uint64
		gone := map[uint64]bool{}
		for i := range uint64(n) {
			if chosen>>i&1 == 1 {
				indices, gone[i] = append(indices, i), true
			}
		}
		whole, err := Puncture(testSeed, indices, n)
		if err != nil {
			t.Fatal(err)
		}
		wantLeft(t, whole, n, gone)
		for cut := 1; cut < len(indices); cut++ {
			first, err := Puncture(testSeed, indices[cut:], n)
			if err != nil {
				t.Fatal(err)
			}
			second, err := Puncture(first, indices[:cut], n)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(second.left, whole.left) || !slices.Equal(second.gone, whole.gone) {
				t.Fatalf("erasing %v and then %v is not erasing both", indices[cut:], indices[:cut])
			}
		}
	}
}

// onTheWay are all seeds from which an erased leaf could be grown.
func onTheWay(index uint64) (seeds []Seed) {
	walk := walkFrom(testSeed, index)
	walk.leaf()
	return append(seeds, walk.path[:]...)
}

// TestPunctureKeepsNoWayToTheErased holds every seed that is kept against every
// seed above an erased leaf.
func TestPunctureKeepsNoWayToTheErased(t *testing.T) {
	const n = 100_000
	rng := rand.New(rand.NewPCG(3, 3))
	gone := map[uint64]bool{0: true, n - 1: true}
	for len(gone) < 200 {
		gone[rng.Uint64N(n)] = true
	}
	var indices []uint64
	kept := map[Seed]bool{}
	for i := range gone {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	p, err := Puncture(testSeed, indices, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.left {
		kept[r.seed] = true
	}
	for _, i := range indices {
		for _, s := range onTheWay(i) {
			if kept[s] {
				t.Fatalf("a seed is kept from which leaf %d grows", i)
			}
		}
	}
	wantLeft(t, p, n, gone)
}

func TestPunctureRefuses(t *testing.T) {
	for _, indices := range [][]uint64{nil, {10}, {3, 3}, {4, 3}} {
		if _, err := Puncture(testSeed, indices, 10); err == nil {
			t.Errorf("leaves %v of 10 were erased", indices)
		}
	}
	if _, err := Puncture(testSeed, []uint64{1}, maxLeaves+1); err == nil {
		t.Error("a tree has more leaves than there can be")
	}
}

// TestReaderOfPuncturedSeed reads a tree of which leaves were erased: everything
// else is what it was, and still provable.
func TestReaderOfPuncturedSeed(t *testing.T) {
	const n = 2*tileLeaves + 31
	dir := growTree(t, n)
	before := openReader(t, dir)
	erased := []uint64{0, 7, 8, 255, 256, n - 1}
	left, err := Puncture(testSeed, erased, n)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadTree(dir, left)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Root() != before.Root() {
		t.Fatal("the root is another")
	}
	index := uint64(0)
	for body, err := range r.Bodies(0) {
		if gone := slices.Contains(erased, index); gone != errors.Is(err, ErrErased) || !gone && string(body) != string(testBody(index)) {
			t.Fatalf("body %d: %q, %v", index, body, err)
		}
		index++
	}
	if index != n {
		t.Fatalf("%d bodies of %d", index, n)
	}
	for i := range uint64(n) {
		leaf, err := before.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		path, err := r.Prove(i)
		if want, err2 := before.Prove(i); err != nil || err2 != nil || !slices.Equal(path, want) {
			t.Fatalf("leaf %d: %v, %v", i, err, err2)
		}
		o, err := r.Opening(i)
		if gone := slices.Contains(erased, i); gone != errors.Is(err, ErrErased) || !gone && o.Leaf() != leaf {
			t.Fatalf("opening %d: %v", i, err)
		}
	}
	wantProblems(t, r, []int64{0, 7, 8, 255, 256, n - 1}...) // their bytes are still there
	other := testSeed
	other[0]++
	if wrong, err := Puncture(other, erased, n); err != nil {
		t.Fatal(err)
	} else if _, err := ReadTree(dir, wrong); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another punctured seed: %v", err)
	}
}

// BenchmarkErase10000Of1e9 punctures the seed of 10⁹ leaves at random places, and
// writes it to a file in place of the one before.
func BenchmarkErase10000Of1e9(b *testing.B) {
	const leaves, erased = 1_000_000_000, 10_000
	rng := rand.New(rand.NewPCG(5, 5))
	indices := make([]uint64, erased)
	for i := range indices {
		indices[i] = rng.Uint64N(leaves)
	}
	slices.Sort(indices)
	indices = slices.Compact(indices)
	name := filepath.Join(b.TempDir(), "a.seed")
	if err := (Safe{}).SaveSeed(name, testSeed); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := Puncture(testSeed, indices, leaves)
		if err != nil {
			b.Fatal(err)
		}
		if err := (Safe{}).ReplaceSecret(name, p); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(p.Cost())/float64(len(indices)), "B/erased")
	}
}
