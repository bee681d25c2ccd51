package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// torture is given by `make torture`. Without it, tests are short.
var torture = flag.Int("torture", 0, "kill writers so many times at random instants, and go deeper in all else")

// kills is how many times a test kills, at random instants.
func kills() int {
	if *torture > 0 {
		return *torture
	}
	return 50
}

const tortureVariable = "TUTELA_LEDGER_TORTURE"

// tortureLeaves is the size at which a tortured tree is judged and another begun.
const tortureLeaves = 3000

// TestKilledAtRandom kills a process that writes as fast as it can, with real
// syncs, at random instants, and lets the next one go on. After each, no leaf
// that was acknowledged is lost, none is there twice, and the root is that of
// the leaves.
func TestKilledAtRandom(t *testing.T) {
	if dir := os.Getenv(tortureVariable); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	t.Parallel()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // instants are random anyway
	dir, acknowledged, whole := filepath.Join(t.TempDir(), "0"), uint64(0), 0
	for done := range kills() {
		acknowledged = max(acknowledged, killedWriterOf(t, dir, time.Duration(r.IntN(12_000))*time.Microsecond))
		tree, err := OpenTree(dir, testSeed)
		if errors.Is(err, fs.ErrNotExist) && acknowledged == 0 {
			continue // killed before there was a tree
		}
		if err != nil {
			t.Fatalf("kill %d: %v", done, err)
		}
		wantPrefix(t, tree, acknowledged)
		acknowledged = tree.Size() // what opening told must stay
		tree.Close()
		if acknowledged >= tortureLeaves {
			wantSound(t, folder(dir), acknowledged)
			os.RemoveAll(dir)
			whole++
			dir, acknowledged = filepath.Join(t.TempDir(), fmt.Sprint(whole)), 0
		}
	}
	if acknowledged > 0 {
		wantSound(t, folder(dir), acknowledged)
	}
	t.Logf("%d kills, %d whole trees", kills(), whole)
}

// killedWriterOf runs a child that writes a tree, and kills it some time after
// its first sign of life. It returns how many leaves the child acknowledged.
func killedWriterOf(t *testing.T, dir string, after time.Duration) (acknowledged uint64) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledAtRandom$", "-test.count=1")
	child.Env = append(os.Environ(), tortureVariable+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, clock := bufio.NewScanner(out), (*time.Timer)(nil)
	var other []string
	for lines.Scan() {
		if clock == nil {
			clock = time.AfterFunc(after, func() { child.Process.Kill() })
		}
		if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %d", &acknowledged); n == 0 {
			other = append(other, lines.Text())
		}
	}
	if err := child.Wait(); err == nil || len(other) > 0 && other[0] != "alive" {
		t.Fatalf("the child was to be killed: %v, %q", err, other)
	}
	return acknowledged
}

// writeUntilKilled prints what it acknowledges, unbuffered.
func writeUntilKilled(t *testing.T, dir string) {
	fmt.Println("alive")
	tree, err := OpenTree(dir, testSeed)
	if errors.Is(err, fs.ErrNotExist) {
		tree, err = CreateTree(dir, testSeed)
	}
	if err != nil {
		t.Fatal(err)
	}
	say := func(n uint64) { fmt.Printf("acknowledged %d\n", n) }
	say(tree.Size())
	if err := writer(tree, 100*tortureLeaves, say); err != nil {
		t.Fatal(err)
	}
}

// TestFailedSyncForgets lets each sync in turn fail the way Linux does it: what
// was to be synced is gone, and the next sync says that all is well.
func TestFailedSyncForgets(t *testing.T) {
	const until = 30
	failed := true
	for at := 1; failed; at++ {
		memory, syncs := newMemoryDisk(), 0
		failed = false
		d := &faultyDisk{disk: memory, interfere: func(_ int, what string) error {
			name, isSync := strings.CutPrefix(what, "sync ")
			if syncs++; !isSync || name == "folder" || syncs < at || failed {
				return nil
			}
			failed = true
			memory.files[name].cached = bytes.Clone(memory.files[name].durable)
			return syscall.EIO
		}}
		acknowledged, err := createAndWrite(d, until)
		if failed != errors.Is(err, syscall.EIO) {
			t.Fatalf("sync failed: %t, and the writer got %v", failed, err)
		}
		reopened(t, memory, until, acknowledged)
	}
}

// TestFullDisk writes to disks of every size up to one that suffices: each write
// that does not fit is cut short. Then there is room, and the tree goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const until = 9
	for room := 0; ; room += 3 {
		memory := newMemoryDisk()
		acknowledged, err := createAndWrite(&smallDisk{memory, room}, until)
		if err == nil {
			if room < 1000 {
				t.Fatalf("%d bytes were enough", room)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("disk of %d bytes: %v", room, err)
		}
		reopened(t, memory, until, acknowledged)
	}
}

// smallDisk holds so many bytes in all.
type smallDisk struct {
	*memoryDisk
	room int
}

func (d *smallDisk) open(name string, how openMode) (file, error) {
	f, err := d.memoryDisk.open(name, how)
	if err != nil {
		return nil, err
	}
	return &smallFile{f.(*memoryFile), d}, nil
}

type smallFile struct {
	*memoryFile
	disk *smallDisk
}

func (f *smallFile) WriteAt(p []byte, off int64) (int, error) {
	used := 0
	for _, other := range f.disk.files {
		used += len(other.cached)
	}
	more := int(off) + len(p) - len(f.cached)
	if over := used + more - f.disk.room; over > 0 && more > 0 {
		n, _ := f.memoryFile.WriteAt(p[:max(len(p)-over, 0)], off)
		return n, syscall.ENOSPC
	}
	return f.memoryFile.WriteAt(p, off)
}

// TestEveryFlippedBitIsNamed flips each bit of the records and the leaves. Either
// the tree refuses to open, or its root is what it was and a check names what
// does not agree with it.
func TestEveryFlippedBitIsNamed(t *testing.T) {
	t.Parallel()
	const n = 5
	whole := newMemoryDisk()
	if acknowledged, err := createAndWrite(whole, n); err != nil || acknowledged != n {
		t.Fatal(acknowledged, err)
	}
	for _, name := range []string{recordsName, leavesName} {
		for bit := range whole.files[name].cached {
			for _, mask := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
				d := whole.copy()
				d.files[name].cached[bit] ^= mask
				wantNamed(t, d, n, fmt.Sprintf("bit %#x of byte %d of %s", mask, bit, name))
			}
		}
	}
}

func wantNamed(t *testing.T, d *memoryDisk, n uint64, what string) {
	t.Helper()
	r, err := readTree(d, testSeed)
	if errors.Is(err, ErrDamaged) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer r.Close()
	if found, err := r.Verify(t.Context(), nil); err != nil || len(found) == 0 || r.Root() != plainRoot(n) {
		t.Fatalf("%s: root %s, %v, %v", what, r.Root(), found, err)
	}
}

// namesDisk is a disk on which the names of files, too, are kept only when the
// folder was synced; a loss of power keeps any of the changes that were not.
type namesDisk struct {
	*memoryDisk
	durable map[string]*memoryFile
	pending []func(names map[string]*memoryFile)
}

func (d *namesDisk) open(name string, how openMode) (file, error) {
	_, there := d.files[name]
	f, err := d.memoryDisk.open(name, how)
	if made := d.files[name]; err == nil && !there {
		d.pending = append(d.pending, func(names map[string]*memoryFile) { names[name] = made })
	}
	return f, err
}

func (d *namesDisk) rename(from, to string) error {
	moved := d.files[from]
	d.pending = append(d.pending, func(names map[string]*memoryFile) {
		delete(names, from)
		names[to] = moved
	})
	return d.memoryDisk.rename(from, to)
}

func (d *namesDisk) syncDir() error {
	d.durable, d.pending = maps.Clone(d.files), nil
	return nil
}

// losses are the disks that a loss of power can leave.
func (d *namesDisk) losses() (found []*memoryDisk) {
	for kept := range 1 << len(d.pending) {
		names := maps.Clone(d.durable)
		for i, change := range d.pending {
			if kept>>i&1 == 1 {
				change(names)
			}
		}
		lost := newMemoryDisk()
		for name, f := range names {
			lost.files[name] = &memoryFile{bytes.Clone(f.durable), bytes.Clone(f.durable)}
		}
		found = append(found, lost)
	}
	return found
}

// TestPowerLossWhileCreating cuts the power at each operation that makes a tree:
// there is an empty tree, or none and one can be made.
func TestPowerLossWhileCreating(t *testing.T) {
	for last, created := 0, false; !created; last++ {
		d := &namesDisk{memoryDisk: newMemoryDisk(), durable: make(map[string]*memoryFile)}
		err := createTree(&faultyDisk{disk: d, interfere: func(count int, _ string) error {
			if count > last {
				return errPower
			}
			return nil
		}}, testSeed)
		if created = err == nil; !created && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		for _, lost := range d.losses() {
			if there, _ := lost.exists(commitName); created && !there {
				t.Fatal("a tree was created, and is gone")
			}
			reopened(t, lost, 3, 0)
		}
	}
}
