package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutela"
)

func looked(actor string, n int) tutela.Event {
	return tutela.Event{Kind: tutela.EventAccess, Actor: actor, Case: "1", Exhibit: "7-B", Authority: "W-1", Detail: fmt.Appendf(nil, `{"n":%d}`, n)}
}

func openReads(t *testing.T, l *Lab) *Reads {
	t.Helper()
	r, err := l.OpenReads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReadsTogether has many read at once: each has a leaf of its own, in the order
// in which it read, and the root in the agency log is over all of them.
func TestReadsTogether(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	r := openReads(t, l)
	const people, times = 16, 40
	var group sync.WaitGroup
	for p := range people {
		group.Go(func() {
			before := int64(-1)
			for n := range times {
				leaf, err := r.Record(t.Context(), looked(fmt.Sprint(p), n))
				if err != nil || int64(leaf) <= before {
					t.Errorf("person %d, read %d: leaf %d after %d, %v", p, n, leaf, before, err)
				}
				before = int64(leaf)
			}
		})
	}
	readWhileWritten(t, dir, people*times)
	group.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for read, err := range l.ReadReads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"n":%d}`, next[read.Actor]); string(read.Detail) != want {
			t.Fatalf("leaf %d of %s: %s, want %s", read.Leaf, read.Actor, read.Detail, want)
		}
		next[read.Actor]++
	}
	var roots []tutela.AccessRoot
	if err := l.accessRoots(t.Context(), func(_ uint64, root tutela.AccessRoot) error { roots = append(roots, root); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(next) != people || len(roots) != 1 || roots[0].Leaves != people*times || roots[0].Used["W-1"] != people*times {
		t.Errorf("%d people, roots %+v", len(next), roots)
	}
	wantReadsHold(t, l, people*times)
}

// readWhileWritten reads the ledger again and again beside its writer, until all is
// there: each time it is whole as far as it goes.
func readWhileWritten(t *testing.T, dir string, want uint64) {
	t.Helper()
	l := openLab(t, dir, Read)
	for seen := uint64(0); seen < want; {
		n := uint64(0)
		for read, err := range l.ReadReads(t.Context()) {
			if err != nil || read.Leaf != n {
				t.Fatalf("leaf %d of the ledger while it is written: %d, %v", n, read.Leaf, err)
			}
			n++
		}
		if n < seen {
			t.Fatalf("%d leaves after %d", n, seen)
		}
		seen = n
	}
}

// TestReadsTooLarge has one event refused, and the next taken.
func TestReadsTooLarge(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	r := openReads(t, l)
	defer r.Close()
	ev := looked("a", 0)
	ev.Detail = make([]byte, maxRead)
	if _, err := r.Record(t.Context(), ev); err == nil || errors.Is(err, ErrReads) {
		t.Errorf("too large: %v", err)
	}
	if leaf, err := r.Record(t.Context(), looked("a", 1)); err != nil || leaf != 0 {
		t.Errorf("after it: leaf %d, %v", leaf, err)
	}
}

func wantReadsHold(t *testing.T, l *Lab, reads uint64) {
	t.Helper()
	v, err := l.Verify(t.Context(), nil)
	if err != nil || len(v.Problems) > 0 || v.Reads != reads {
		t.Errorf("%d reads verified, want %d: %q, %v", v.Reads, reads, v.Problems, err)
	}
}

// TestReadsAreHeldAgainstTheLog changes the access ledger behind the log's back.
func TestReadsAreHeldAgainstTheLog(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(dir string) error{
		"gone": os.RemoveAll,
		"cut": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "records"), 10)
		},
		"changed": func(dir string) error {
			name := filepath.Join(dir, "records")
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(name, b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLab(t, newLab(t), Write)
			r := openReads(t, l)
			for n := range 3 {
				if _, err := r.Record(t.Context(), looked("a", n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(r.Close(), harm(l.readsDir(1))); err != nil {
				t.Fatal(err)
			}
			v, err := l.Verify(t.Context(), nil)
			if err != nil || len(v.Problems) == 0 || !strings.Contains(v.Problems[0], "access ledger 1") {
				t.Errorf("%q, %v", v.Problems, err)
			}
		})
	}
}

// TestReadsFailClosed has the disk fail under the ledger: from then on nothing is
// taken, and what was acknowledged is there.
func TestReadsFailClosed(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	r := openReads(t, l)
	if _, err := r.Record(t.Context(), looked("a", 0)); err != nil {
		t.Fatal(err)
	}
	r.tree.Close() // as a disk that is gone: what is written next cannot be
	for range 2 {
		if _, err := r.Record(t.Context(), looked("a", 1)); !errors.Is(err, ErrReads) {
			t.Fatalf("recorded without a disk: %v", err)
		}
	}
	if r.Err() == nil {
		t.Error("it is not told that the ledger has failed")
	}
	if err := r.Close(); err == nil {
		t.Error("closed as if all were well")
	}
	again := openReads(t, l)
	defer again.Close()
	if again.leaves != 1 || again.rooted != 1 {
		t.Errorf("%d leaves, %d of them under a root", again.leaves, again.rooted)
	}
}

const readsTorture = "TUTELA_READS_TORTURE"

// TestReadsKilledAtRandom kills a process while eight people read: whatever was
// acknowledged is there after it, once, and stands under a root of the log.
func TestReadsKilledAtRandom(t *testing.T) {
	if dir := os.Getenv(readsTorture); dir != "" {
		readUntilKilled(t, dir)
		return
	}
	t.Parallel()
	dir := newLab(t)
	acknowledged := map[string]bool{}
	for round := range max(*torture, 8) {
		readKilled(t, dir, round, acknowledged)
		l := openLab(t, dir, Write)
		if err := openReads(t, l).Close(); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		leaves := uint64(0)
		for read, err := range l.ReadReads(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			seen[read.Actor+string(read.Detail)]++
			leaves++
		}
		for what := range acknowledged {
			if seen[what] != 1 {
				t.Fatalf("round %d: %s was acknowledged and is there %d times", round, what, seen[what])
			}
		}
		wantReadsHold(t, l, leaves)
		wantUsed(t, l, leaves)
		l.Close()
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged before any kill")
	}
	t.Logf("%d reads acknowledged", len(acknowledged))
}

// wantUsed adds up what the roots tell of acts under W-1.
func wantUsed(t *testing.T, l *Lab, want uint64) {
	t.Helper()
	used := uint64(0)
	err := l.accessRoots(t.Context(), func(_ uint64, root tutela.AccessRoot) error {
		used += root.Used["W-1"]
		return nil
	})
	if err != nil || used != want {
		t.Errorf("the roots tell of %d acts, there are %d: %v", used, want, err)
	}
}

func readKilled(t *testing.T, dir string, round int, acknowledged map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestReadsKilledAtRandom$", "-test.count=1")
	child.Env = append(os.Environ(), readsTorture+"="+dir, fmt.Sprintf("TUTELA_ROUND=%d", round))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, clock := bufio.NewScanner(out), (*time.Timer)(nil)
	for lines.Scan() {
		if clock == nil {
			clock = time.AfterFunc(time.Duration(rand.IntN(150_000))*time.Microsecond, func() { child.Process.Kill() })
		}
		if what, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
			acknowledged[what] = true
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child was to be killed")
	}
}

// readUntilKilled prints what is acknowledged, a line at a time.
func readUntilKilled(t *testing.T, dir string) {
	ctx := context.Background()
	l, err := Open(ctx, dir, Write, "tester")
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.OpenReads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("alive")
	var group sync.WaitGroup
	for p := range 8 {
		group.Go(func() {
			for n := 0; ; n++ {
				ev := looked(fmt.Sprintf("%s/%d", os.Getenv("TUTELA_ROUND"), p), n)
				if _, err := r.Record(ctx, ev); err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("acknowledged %s%s\n", ev.Actor, ev.Detail)
				if n%50 == 49 {
					r.Root(ctx)
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkReads has 64 people read at once and tells the slowest of a hundred:
// go test -run - -bench Reads -benchtime 20000x ./internal/lab
func BenchmarkReads(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "lab")
	if err := Init(b.Context(), dir, Config{Agency: "A", Country: "XX"}, "tester"); err != nil {
		b.Fatal(err)
	}
	l, err := Open(b.Context(), dir, Write, "tester")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	r, err := l.OpenReads(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			began := time.Now()
			if _, err := r.Record(b.Context(), looked("a", 1)); err != nil {
				b.Error(err)
			}
			took[next.Add(1)-1] = time.Since(began)
		}
	})
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
