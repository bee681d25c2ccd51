package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// writer drives a tree the way a scan does: in commits of a few leaves, with
// the number of leaves as its cursor. acknowledged is told the leaves that count.
func writer(tree *Tree, until uint64, acknowledged func(n uint64)) error {
	for step := uint64(1); tree.Size() < until; step++ {
		for range min(1+tree.Size()%7, until-tree.Size()) {
			if err := tree.Append(testBody(tree.Size())); err != nil {
				return err
			}
			if tree.Size()%5 == 0 {
				if err := tree.flush(); err != nil { // as a full batch would
					return err
				}
			}
		}
		if err := tree.Commit(binary.BigEndian.AppendUint64(nil, tree.Size())); err != nil {
			return err
		}
		acknowledged(tree.Size())
	}
	return nil
}

// wantPrefix checks that a tree that was opened holds the first leaves of every
// test tree, at least those acknowledged, and that its cursor says so.
func wantPrefix(t *testing.T, tree *Tree, acknowledged uint64) {
	t.Helper()
	n := tree.Size()
	if n < acknowledged {
		t.Fatalf("%d leaves were acknowledged, %d are left", acknowledged, n)
	}
	if c := tree.Cursor(); n > 0 && (len(c) != 8 || binary.BigEndian.Uint64(c) != n) {
		t.Fatalf("%d leaves, and the cursor is %x", n, c)
	}
	if root, err := tree.Root(); err != nil || root != plainRoot(n) {
		t.Fatalf("root of %d leaves is %s, %v", n, root, err)
	}
}

// wantSound checks that a tree has n leaves and that all of them verify.
func wantSound(t *testing.T, d disk, n uint64) {
	t.Helper()
	r, err := readTree(d, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if found, err := r.Verify(t.Context(), nil); err != nil || len(found) > 0 || r.Size() != n {
		t.Fatalf("%d leaves, want %d; %v, %v", r.Size(), n, found, err)
	}
}

// faultyDisk counts what is done to a disk and interferes before one of them.
type faultyDisk struct {
	disk
	count     int
	interfere func(count int, what string) error // an error instead of the act
}

func (d *faultyDisk) act(what string) error {
	d.count++
	return d.interfere(d.count, what)
}

func (d *faultyDisk) open(name string, how openMode) (file, error) {
	if err := d.act("open " + name); err != nil {
		return nil, err
	}
	f, err := d.disk.open(name, how)
	return &faultyFile{f, d, name}, err
}

func (d *faultyDisk) rename(from, to string) error {
	if err := d.act("rename"); err != nil {
		return err
	}
	return d.disk.rename(from, to)
}

func (d *faultyDisk) syncDir() error {
	if err := d.act("sync folder"); err != nil {
		return err
	}
	return d.disk.syncDir()
}

type faultyFile struct {
	file
	d    *faultyDisk
	name string
}

// WriteAt writes half of what it should before it fails.
func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.act("write " + f.name); err != nil {
		n, _ := f.file.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.file.WriteAt(p, off)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.d.act("read " + f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.d.act("truncate " + f.name); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *faultyFile) sync() error {
	if err := f.d.act("sync " + f.name); err != nil {
		return err
	}
	return f.file.sync()
}

func (f *faultyFile) size() (int64, error) {
	if err := f.d.act("size " + f.name); err != nil {
		return 0, err
	}
	return f.file.size()
}

// TestEveryFileOperationFails lets each file operation in turn fail, once with
// ENOSPC and once with EIO from then on.
func TestEveryFileOperationFails(t *testing.T) {
	const until = 30
	for at := 1; ; at++ {
		for _, broken := range []error{syscall.ENOSPC, syscall.EIO} {
			memory, failed := newMemoryDisk(), false
			d := &faultyDisk{disk: memory, interfere: func(count int, _ string) error {
				if failed = failed || count == at; count == at || count > at && broken == syscall.EIO {
					return broken
				}
				return nil
			}}
			acknowledged, err := createAndWrite(d, until)
			if failed && !errors.Is(err, broken) {
				t.Fatalf("operation %d failed, and the writer got %v", at, err)
			}
			if !failed {
				if err != nil || at < 40 {
					t.Fatalf("only %d operations, %v", at, err)
				}
				return
			}
			reopened(t, memory, until, acknowledged)
		}
	}
}

func createAndWrite(d disk, until uint64) (acknowledged uint64, err error) {
	if err := createTree(d, testSeed); err != nil {
		return 0, err
	}
	tree, err := openTree(d, testSeed)
	if err != nil {
		return 0, err
	}
	defer tree.Close()
	err = writer(tree, until, func(n uint64) { acknowledged = n })
	return acknowledged, err
}

// reopened goes on where something broke off, to the end.
func reopened(t *testing.T, d disk, until, acknowledged uint64) {
	t.Helper()
	if there, err := d.exists(commitName); err != nil || !there && acknowledged > 0 {
		t.Fatalf("%d leaves were acknowledged, the tree is gone; %v", acknowledged, err)
	} else if !there {
		if err := createTree(d, testSeed); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := openTree(d, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	wantPrefix(t, tree, acknowledged)
	if err := writer(tree, until, func(uint64) {}); err != nil {
		t.Fatal(err)
	}
	wantPrefix(t, tree, until)
	wantSound(t, d, until)
}

const killVariable = "TUTELA_LEDGER_KILL_AT"

// TestKilled runs this test again as a child, which kills itself at one of the
// file operations of a writer, and goes on where the child ended. What a
// process wrote outlives it, so nothing needs syncing here: see TestPowerLoss.
func TestKilled(t *testing.T) {
	const until = 12
	if at := os.Getenv(killVariable); at != "" {
		killedWriter(t, at, until)
		return
	}
	if runtime.GOOS == "windows" {
		t.Skip("no SIGKILL on this platform")
	}
	names := make(map[string]bool)
	for at := 1; at < 1000; at++ {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.count=1")
		child.Env = append(os.Environ(), killVariable+"="+strconv.Itoa(at)+":"+dir)
		out, err := child.Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		var acknowledged uint64
		for _, line := range lines {
			fmt.Sscanf(line, "acknowledged %d", &acknowledged)
		}
		if err == nil {
			if acknowledged != until {
				t.Fatalf("child ended with %d leaves: %s", acknowledged, out)
			}
			break
		}
		point, ok := strings.CutPrefix(lines[len(lines)-1], "killed at ")
		if !ok {
			t.Fatalf("child failed: %v: %s", err, out)
		}
		names[point] = true
		reopened(t, unsynced{folder(dir)}, until, acknowledged)
	}
	for _, point := range []string{"write records", "write leaves", "sync records", "sync leaves", "write commit", "sync commit", "rename", "sync folder"} {
		if !names[point] {
			t.Errorf("never killed at: %s", point)
		}
	}
}

// unsynced is a disk that does not wait for its medium.
type unsynced struct{ disk }

func (d unsynced) syncDir() error { return nil }

func (d unsynced) open(name string, how openMode) (file, error) {
	f, err := d.disk.open(name, how)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ file }

func (unsyncedFile) sync() error { return nil }

func killedWriter(t *testing.T, at string, until uint64) {
	number, dir, _ := strings.Cut(at, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	half := false
	d := &faultyDisk{disk: unsynced{folder(dir)}, interfere: func(count int, what string) error {
		if half {
			kill()
		}
		if count != n {
			return nil
		}
		fmt.Printf("killed at %s\n", what)
		if strings.HasPrefix(what, "write ") {
			half = true // half of it is written, then the next act kills
			return io.ErrShortWrite
		}
		kill()
		return nil
	}}
	if err := createTree(d, testSeed); err != nil {
		kill()
	}
	tree, err := openTree(d, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer(tree, until, func(n uint64) { fmt.Printf("acknowledged %d\n", n) }); err != nil {
		kill()
	}
}

// kill ends this process the way the power does, as far as one can.
func kill() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// TestEveryTruncation cuts each file at every byte.
func TestEveryTruncation(t *testing.T) {
	whole := newMemoryDisk()
	var ends []int // of the commit file after each commit
	var sizes []uint64
	if err := createTree(whole, testSeed); err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(whole, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer(tree, 12, func(n uint64) { ends, sizes = append(ends, int(tree.next.offset)), append(sizes, n) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{commitName, recordsName, leavesName} {
		for cut := range whole.files[name].cached {
			d := whole.copy()
			d.files[name].cached = d.files[name].cached[:cut]
			if name != commitName || cut < headerSize {
				if _, err := openTree(d, testSeed); !errors.Is(err, ErrDamaged) {
					t.Fatalf("%s cut to %d bytes: %v", name, cut, err)
				}
				continue
			}
			wantAfterCut(t, d, sizeAt(cut, ends, sizes))
		}
	}
}

// sizeAt is the leaves that the frames in the first bytes of a commit file hold.
func sizeAt(bytes int, ends []int, sizes []uint64) (n uint64) {
	for i, end := range ends {
		if bytes >= end {
			n = sizes[i]
		}
	}
	return n
}

func wantAfterCut(t *testing.T, d disk, want uint64) {
	t.Helper()
	tree, err := openTree(d, testSeed)
	if err != nil || tree.Size() != want {
		t.Fatalf("want %d leaves: %v", want, err)
	}
	wantPrefix(t, tree, want)
	wantSound(t, d, want)
}

// memoryDisk is a disk that loses power: writes stay in a cache until they are
// synced, and a loss of power keeps any of their sectors, in any order, or none.
type memoryDisk struct{ files map[string]*memoryFile }

type memoryFile struct {
	durable, cached []byte
}

var errPower = errors.New("no power")

func newMemoryDisk() *memoryDisk { return &memoryDisk{make(map[string]*memoryFile)} }

func (d *memoryDisk) copy() *memoryDisk {
	c := newMemoryDisk()
	for name, f := range d.files {
		c.files[name] = &memoryFile{bytes.Clone(f.durable), bytes.Clone(f.cached)}
	}
	return c
}

func (d *memoryDisk) open(name string, how openMode) (file, error) {
	f := d.files[name]
	if f == nil && how != readWriteCreate {
		return nil, fs.ErrNotExist
	}
	if f == nil {
		f = new(memoryFile)
		d.files[name] = f
	}
	return f, nil
}

func (d *memoryDisk) exists(name string) (bool, error) { return d.files[name] != nil, nil }

func (d *memoryDisk) rename(from, to string) error {
	d.files[to] = d.files[from]
	delete(d.files, from)
	return nil
}

func (d *memoryDisk) syncDir() error { return nil }

// lose cuts the power: each sector that was written and not synced arrived or
// did not, and so did the new length of the file.
func (d *memoryDisk) lose(r *rand.Rand) {
	for _, f := range d.files {
		f.durable = f.survivors(r)
		f.cached = bytes.Clone(f.durable)
	}
}

func (f *memoryFile) survivors(r *rand.Rand) []byte {
	const sector = 512
	length := len(f.durable)
	if more := len(f.cached) - length; more > 0 && r.IntN(3) > 0 {
		length += r.IntN(more + 1)
		if r.IntN(2) == 0 {
			length = len(f.cached)
		}
	} else if more < 0 && r.IntN(2) == 0 {
		length = len(f.cached)
	}
	out := make([]byte, length)
	copy(out, f.durable)
	for at := 0; at < length; at += sector {
		if end := min(at+sector, length, len(f.cached)); at < end && r.IntN(2) == 0 {
			copy(out[at:end], f.cached[at:end])
		}
	}
	return out
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.cached).ReadAt(p, off)
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(f.cached) {
		f.cached = append(f.cached, make([]byte, need-len(f.cached))...)
	}
	return copy(f.cached[off:], p), nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.cached = append(make([]byte, 0, size), f.cached[:min(int(size), len(f.cached))]...)
	f.cached = f.cached[:size]
	return nil
}

func (f *memoryFile) size() (int64, error) { return int64(len(f.cached)), nil }
func (f *memoryFile) sync() error          { f.durable = bytes.Clone(f.cached); return nil }
func (f *memoryFile) Close() error         { return nil }

// TestPowerLoss cuts the power at any operation, again and again while a tree
// grows and recovers, on a disk that writes sectors in any order.
func TestPowerLoss(t *testing.T) {
	const until = 120
	for round := range uint64(150) {
		r := rand.New(rand.NewPCG(round, 3))
		memory := newMemoryDisk()
		if err := createTree(memory, testSeed); err != nil {
			t.Fatal(err)
		}
		for acknowledged, losses := uint64(0), 0; acknowledged < until; losses++ {
			last := r.IntN(40)
			d := &faultyDisk{disk: memory, interfere: func(count int, _ string) error {
				if count > last && losses < 30 {
					return errPower
				}
				return nil
			}}
			tree, err := openTree(d, testSeed)
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("round %d, loss %d: %v", round, losses, err)
			}
			if err == nil {
				wantPrefix(t, tree, acknowledged)
				if err := writer(tree, until, func(n uint64) { acknowledged = n }); err != nil && !errors.Is(err, errPower) {
					t.Fatal(err)
				}
			}
			memory.lose(r)
		}
		wantSound(t, memory, until)
	}
}
