package lab

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tutela"
)

// torture is given by `make torture`. Without it, the test is short.
var torture = flag.Int("torture", 0, "kill writers so many times at random instants")

const tortureVariable = "TUTELA_LAB_TORTURE"

// TestLabKilledAtRandom kills a process that records signed events, changes the
// log's keys, and encrypts and decrypts the lab's, at random instants, and lets the
// next one go on. After each, no event that was acknowledged is lost, none is there
// twice, every signature holds, and the catalogue is what the ledger says.
func TestLabKilledAtRandom(t *testing.T) {
	if dir := os.Getenv(tortureVariable); dir != "" {
		actUntilKilled(t, dir)
		return
	}
	t.Parallel()
	dir, acknowledged := newSignedLab(t), 0
	for range max(*torture, 12) {
		acknowledged = max(acknowledged, killedActor(t, dir, time.Duration(rand.IntN(400_000))*time.Microsecond))
		acknowledged = wantWholeLab(t, dir, acknowledged)
	}
	t.Logf("%d kills, %d events", max(*torture, 12), acknowledged)
}

// newSignedLab is the folder of a lab in which erika must sign.
func newSignedLab(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir, Write, "erika")
	if err != nil {
		t.Fatal(err)
	}
	erika := newPersonKey(t, "erika", 1)
	if err := errors.Join(l.EnrolKey(t.Context(), "erika", erika.VerifierKey()), l.SignWith(t.Context(), erika),
		l.SetPolicy(t.Context(), Policy{Signatures: true}), l.AddExhibitSeed("7-B"), l.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openAsErika opens a lab to write, encrypted or not: its key lies as it is in
// lab.age, see wrapOpenly.
func openAsErika(ctx context.Context, t *testing.T, dir string) (*Lab, error) {
	wrapped, err := Wrapped(dir)
	if err != nil {
		return nil, err
	}
	var key *[32]byte
	if wrapped != nil {
		key = (*[32]byte)(wrapped)
	}
	l, err := OpenSealed(ctx, dir, Write, "erika", key)
	if err != nil {
		return nil, err
	}
	return l, l.SignWith(ctx, newPersonKey(t, "erika", 1))
}

func killedActor(t *testing.T, dir string, after time.Duration) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestLabKilledAtRandom$", "-test.count=1")
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
	if err := child.Wait(); err == nil || len(other) != 1 || other[0] != "alive" {
		t.Fatalf("the child was to be killed: %v, %q", err, other)
	}
	return acknowledged
}

// actUntilKilled prints what is acknowledged, unbuffered.
func actUntilKilled(t *testing.T, dir string) {
	fmt.Println("alive")
	ctx := context.Background()
	for {
		l, err := openAsErika(ctx, t, dir)
		if err != nil {
			t.Fatal(err)
		}
		switch rand.IntN(5) {
		case 0:
			err = l.RotateKeys(ctx, "drill")
		case 1:
			err = l.EncryptKeys(wrapOpenly)
		case 2:
			if err = l.DecryptKeys(); errors.Is(err, ErrNotSealed) {
				err = nil
			}
		default:
			err = recordSome(ctx, l)
		}
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// recordSome repeats the last test event and goes on with a few.
func recordSome(ctx context.Context, l *Lab) error {
	n, err := testEvents(ctx, l)
	if err != nil {
		return err
	}
	for i := max(n-1, 0); i < n+3; i++ {
		if _, err := l.Record(ctx, numbered(i)); err != nil {
			return err
		}
		if i >= n {
			fmt.Printf("acknowledged %d\n", i+1)
		}
	}
	return nil
}

func numbered(i int) tutela.Event {
	return tutela.Event{Kind: tutela.EventRefused, Key: fmt.Sprint("test event ", i)}
}

// testEvents counts them and makes sure that they follow one another.
func testEvents(ctx context.Context, l *Lab) (n int, err error) {
	log, err := l.ReadLog()
	if err != nil {
		return 0, err
	}
	for e, err := range log.Events(ctx, 0) {
		if err != nil {
			return n, err
		}
		if e.Event.Kind != tutela.EventRefused {
			continue
		}
		if e.Event.Key != numbered(n).Key {
			return n, fmt.Errorf("event %d has the key %q, not that of test event %d", e.Index, e.Event.Key, n)
		}
		n++
	}
	return n, nil
}

// wantWholeLab opens the lab as the next process does and holds all of it together.
func wantWholeLab(t *testing.T, dir string, acknowledged int) int {
	t.Helper()
	l, err := openAsErika(t.Context(), t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n, err := testEvents(t.Context(), l)
	if err != nil || n < acknowledged {
		t.Fatalf("%d events were acknowledged, %d are left; %v", acknowledged, n, err)
	}
	if found := problemsOf(t, l); len(found) > 0 {
		t.Fatal(found)
	}
	if same, err := l.CompareCatalog(t.Context()); err != nil || !same {
		t.Fatalf("the catalogue is what the ledger says: %v, %v", same, err)
	}
	wrapped, err := Wrapped(dir)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, all := countSealed(t, dir); sealed != 0 && sealed != all || (sealed > 0) != (wrapped != nil) {
		t.Fatalf("%d of %d keys are encrypted, under a key of %d bytes", sealed, all, len(wrapped))
	}
	return n
}
