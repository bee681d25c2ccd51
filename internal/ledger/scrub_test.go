package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func scrubbed(t *testing.T, dir string, secret Secret) ScrubReport {
	t.Helper()
	report, err := Scrub(t.Context(), dir, secret, ScrubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func treeFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{recordsName, leavesName, commitName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

func putFile(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestScrubFindsNothingInSoundTrees(t *testing.T) {
	for _, n := range []uint64{0, 1, 300} {
		dir := growTree(t, n)
		if r := scrubbed(t, dir, testSeed); len(r.Damage) > 0 || r.Leaves != n || r.Root != plainRoot(n) {
			t.Errorf("%d leaves: %+v", n, r)
		}
		r, err := Repair(t.Context(), dir, testSeed, n, plainRoot(n), ScrubOptions{})
		if err != nil || len(r.Damage) > 0 {
			t.Errorf("%v, %v", r, err)
		}
	}
	if _, err := Scrub(t.Context(), growTree(t, 3), Seed{9}, ScrubOptions{}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("with another seed: %v", err)
	}
}

// TestEveryFlippedBitIsHealed flips each bit of each file of a small tree: scrub
// names the file, and repair makes what was there before, but for cursors.
func TestEveryFlippedBitIsHealed(t *testing.T) {
	const n = 3
	dir := growTree(t, n)
	sound := treeFiles(t, dir)
	for name, whole := range sound {
		for at := range whole {
			bit := at % 8 // one of each byte: all would take a minute
			changed := slices.Clone(whole)
			changed[at] ^= 1 << bit
			putFile(t, dir, name, changed)
			r := scrubbed(t, dir, testSeed)
			if len(r.Damage) != 1 || r.Damage[0].File != name || !r.Damage[0].Heals || r.Hopeless > 0 {
				t.Fatalf("bit %d of byte %d of %s: %+v", bit, at, name, r)
			}
			if _, err := Repair(t.Context(), dir, testSeed, n, plainRoot(n), ScrubOptions{}); err != nil {
				t.Fatalf("bit %d of byte %d of %s: %v", bit, at, name, err)
			}
			now := treeFiles(t, dir)
			if name == commitName {
				wantSound(t, folder(dir), n)
			} else if !bytes.Equal(now[name], whole) {
				t.Fatalf("bit %d of byte %d of %s was not healed", bit, at, name)
			}
			if kept, err := os.ReadFile(filepath.Join(dir, name+damagedSuffix)); err != nil || !bytes.Equal(kept, changed) {
				t.Fatalf("what was damaged was not kept: %v", err)
			}
			for other, b := range sound {
				if other != name && !bytes.Equal(now[other], b) {
					t.Fatalf("%s was damaged, and %s was changed", name, other)
				}
			}
			putFile(t, dir, name, whole)
		}
	}
}

// TestScrubTellsWhatIsBeyondRepair damages what nothing else says.
func TestScrubTellsWhatIsBeyondRepair(t *testing.T) {
	const n = 20
	for _, c := range []struct {
		name   string
		damage func(files map[string][]byte)
		file   string
	}{
		{"a record", func(f map[string][]byte) { copy(f[recordsName][8:], "0123456789abcdef") }, recordsName},
		{"the end of records", func(f map[string][]byte) { f[recordsName] = f[recordsName][:len(f[recordsName])-9] }, recordsName},
		{"a leaf", func(f map[string][]byte) { clear(f[leavesName][5*leafSize : 6*leafSize]) }, recordsName},
		{"the end of leaves", func(f map[string][]byte) { f[leavesName] = f[leavesName][:len(f[leavesName])-9] }, leavesName},
	} {
		dir := growTree(t, n)
		files := treeFiles(t, dir)
		c.damage(files)
		for name, b := range files {
			putFile(t, dir, name, b)
		}
		r := scrubbed(t, dir, testSeed)
		if r.Hopeless == 0 || len(r.Damage) == 0 || r.Damage[0].File != c.file || r.Damage[0].Heals {
			t.Errorf("%s: %+v", c.name, r)
		}
		if _, err := Repair(t.Context(), dir, testSeed, n, plainRoot(n), ScrubOptions{}); !errors.Is(err, ErrBeyondRepair) {
			t.Errorf("%s: %v", c.name, err)
		}
		if now := treeFiles(t, dir); fmt.Sprint(now) != fmt.Sprint(files) {
			t.Errorf("%s: a tree beyond repair was changed", c.name)
		}
	}
}

// TestRepairMakesCommitAnew loses it, cuts it, and asks for another root.
func TestRepairMakesCommitAnew(t *testing.T) {
	const n = 30
	dir := growTree(t, n)
	sound := treeFiles(t, dir)
	for _, commit := range [][]byte{nil, sound[commitName][:headerSize]} {
		putFile(t, dir, commitName, commit)
		if _, err := Repair(t.Context(), dir, testSeed, n, plainRoot(n-1), ScrubOptions{}); !errors.Is(err, ErrBeyondRepair) {
			t.Errorf("another root: %v", err)
		}
		if _, err := Repair(t.Context(), dir, testSeed, n, plainRoot(n), ScrubOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSound(t, folder(dir), n)
	}
	if err := os.Remove(filepath.Join(dir, commitName)); err != nil {
		t.Fatal(err)
	}
	if r := scrubbed(t, dir, testSeed); len(r.Damage) != 1 || r.Damage[0].File != commitName || r.Leaves != n || r.Root != plainRoot(n) {
		t.Errorf("%+v", r)
	}
}

// TestRepairAfterErasing heals the hash of an erased leaf from what was noted.
func TestRepairAfterErasing(t *testing.T) {
	const n = 20
	dir := growTree(t, n)
	left := eraseLeaves(t, folder(dir), testSeed, n, 5)
	files := treeFiles(t, dir)
	clear(files[leavesName][5*leafSize : 5*leafSize+32])
	putFile(t, dir, leavesName, files[leavesName])
	if _, err := Repair(t.Context(), dir, left, n, plainRoot(n), ScrubOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := ReadTree(dir, left)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantProblems(t, r)
	flip(t, filepath.Join(dir, erasedName), 50)
	if r := scrubbed(t, dir, left); len(r.Damage) != 1 || r.Damage[0].File != erasedName {
		t.Errorf("%+v", r)
	}
}

// TestRepairCrashes lets every file operation in turn fail for good: afterwards
// it can be done again, and comes to the same.
func TestRepairCrashes(t *testing.T) {
	const n = 20
	broken := errors.New("broken")
	for at := 1; ; at++ {
		memory, failed := newMemoryDisk(), false
		if _, err := createAndWrite(memory, n); err != nil {
			t.Fatal(err)
		}
		for name, off := range map[string]int64{recordsName: 10, leavesName: 3*leafSize + 20, commitName: 40} {
			flipIn(t, memory, name, off)
		}
		d := &faultyDisk{disk: memory, interfere: func(count int, what string) error {
			if failed = failed || count >= at; failed {
				return broken
			}
			return nil
		}}
		if _, err := repair(t.Context(), d, testSeed, n, plainRoot(n), ScrubOptions{}); failed != errors.Is(err, broken) {
			t.Fatalf("operation %d: %v", at, err)
		}
		if _, err := repair(t.Context(), memory, testSeed, n, plainRoot(n), ScrubOptions{}); err != nil {
			t.Fatalf("again after operation %d: %v", at, err)
		}
		wantSound(t, memory, n)
		if !failed {
			if at < 20 {
				t.Fatalf("only %d operations", at)
			}
			return
		}
	}
}

func flipIn(t *testing.T, d disk, name string, at int64) {
	t.Helper()
	f, err := d.open(name, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestScrubKeepsToItsRate(t *testing.T) {
	dir := growTree(t, 2*scrubAtOnce)
	files := treeFiles(t, dir)
	read := len(files[recordsName])/2 + len(files[leavesName])/2 // about, when the pause comes
	synctest.Test(t, func(t *testing.T) {                        // in which time passes by waiting alone
		begun := time.Now()
		if _, err := Scrub(t.Context(), dir, testSeed, ScrubOptions{BytesPerSecond: 1000}); err != nil {
			t.Fatal(err)
		}
		if took, least := time.Since(begun), time.Duration(read)*time.Second/1100; took < least {
			t.Errorf("about %d bytes at 1,000 a second took %s", read, took)
		}
	})
	stopped, stop := context.WithCancel(t.Context())
	_, err := Scrub(stopped, dir, testSeed, ScrubOptions{BytesPerSecond: 1, Progress: func(uint64) { stop() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// FuzzScrub reads any three files as a tree: it says what is wrong or reports
// what is there, and what it calls healed is the tree that was sealed.
func FuzzScrub(f *testing.F) {
	d := newMemoryDisk()
	if _, err := createAndWrite(d, 5); err != nil {
		f.Fatal(err)
	}
	f.Add(contentOf(f, d, recordsName), contentOf(f, d, leavesName), contentOf(f, d, commitName))
	f.Add([]byte{}, make([]byte, 3*leafSize), []byte{})
	f.Fuzz(func(t *testing.T, records, leaves, commit []byte) {
		d := newMemoryDisk()
		for name, b := range map[string][]byte{recordsName: records, leavesName: leaves, commitName: commit} {
			if err := createFile(d, name, append([]byte{}, b...)); err != nil {
				t.Fatal(err)
			}
		}
		scrub(t.Context(), d, testSeed, ScrubOptions{})
		if _, err := repair(t.Context(), d, testSeed, 5, plainRoot(5), ScrubOptions{}); err == nil {
			wantSound(t, d, 5)
		}
	})
}

func contentOf(f *testing.F, d disk, name string) []byte {
	f.Helper()
	file, err := d.open(name, readOnly)
	if err != nil {
		f.Fatal(err)
	}
	size, err := file.size()
	if err != nil {
		f.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := file.ReadAt(b, 0); err != nil && err != io.EOF {
		f.Fatal(err)
	}
	return b
}
