package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tutela"
)

const tortureLogVariable = "TUTELA_LEDGER_TORTURE_LOG"

// tortureLogKills is after how many kills another log is begun.
const tortureLogKills = 60

// logKills is how many times TestLogKilledAtRandom kills, for both kinds of log.
func logKills() int {
	if *torture > 0 {
		return *torture
	}
	return 30
}

// TestLogKilledAtRandom kills a process that opens a log as a lab does, appends
// events and changes the keys, by rotation and by recovery, and lets the next one
// go on. After each, no event that was acknowledged is lost, none is there twice,
// every root is what it was, the head is signed, and the keys that sign are those
// that the events name.
func TestLogKilledAtRandom(t *testing.T) {
	if dir := os.Getenv(tortureLogVariable); dir != "" {
		workUntilKilled(t, dir)
		return
	}
	onBothKinds(t, func(t *testing.T, kind logKind) {
		t.Parallel()
		r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // instants are random anyway
		var l *torturedLog
		events, changes := 0, 0
		for n := range (logKills() + 1) / 2 {
			if n%tortureLogKills == 0 {
				l = newTorturedLog(t, kind)
			}
			was := l.acknowledged
			l.kill(time.Duration(r.IntN([]int{100_000, 700_000}[r.IntN(2)])) * time.Microsecond)
			changes += l.judge()
			events += l.acknowledged - was
		}
		t.Logf("%d kills, %d events, %d changes of keys", (logKills()+1)/2, events, changes)
	})
}

// torturedLog is a log whose writers are killed, with what must be true of it.
type torturedLog struct {
	*testing.T
	dir          string
	first        []string // vkeys that signed when it was made
	acknowledged int      // test events
	heads        []Head
	changes      int
}

func newTorturedLog(t *testing.T, kind logKind) *torturedLog {
	t.Helper()
	l := &torturedLog{T: t, dir: t.TempDir()}
	keys := testKeys(t)
	recovery := NewRecovery(keys)
	if err := errors.Join((Safe{}).SaveKeys(l.keyDir(), keys), recovery.Save(filepath.Join(l.dir, "recovery.key"))); err != nil {
		t.Fatal(err)
	}
	log, err := kind.create(t.Context(), l.logDir(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), recovery.Register(tutela.Event{Actor: "officer"})); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	l.first = keys.VerifierKeys()
	return l
}

func (l *torturedLog) logDir() string { return filepath.Join(l.dir, "log") }
func (l *torturedLog) keyDir() string { return filepath.Join(l.dir, "keys") }

// kill runs a child and kills it some time after its first sign of life.
func (l *torturedLog) kill(after time.Duration) {
	l.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestLogKilledAtRandom$", "-test.count=1")
	child.Env = append(os.Environ(), tortureLogVariable+"="+l.dir)
	out, err := child.StdoutPipe()
	if err != nil {
		l.Fatal(err)
	}
	if err := child.Start(); err != nil {
		l.Fatal(err)
	}
	lines, clock := bufio.NewScanner(out), (*time.Timer)(nil)
	var other []string
	for lines.Scan() {
		if clock == nil {
			clock = time.AfterFunc(after, func() { child.Process.Kill() })
		}
		var n int
		if got, _ := fmt.Sscanf(lines.Text(), "acknowledged %d", &n); got == 1 {
			l.acknowledged = max(l.acknowledged, n)
		} else {
			other = append(other, lines.Text())
		}
	}
	if err := child.Wait(); err == nil || len(other) != 1 || other[0] != "alive" {
		l.Fatalf("the child was to be killed: %v, %q", err, other)
	}
}

// judge opens the log as the next process would and holds it against what must be
// true. It returns how often the keys were changed since it was asked last.
func (l *torturedLog) judge() int {
	l.Helper()
	log, keys, err := openTortured(l.Context(), l.dir)
	if err != nil {
		l.Fatal(err)
	}
	defer log.Close()
	n, changes := 0, 0
	signing := l.first
	for e, err := range log.Events(l.Context(), 0) {
		switch {
		case err != nil:
			l.Fatal(err)
		case e.Event.Kind == tutela.EventKeyRotate:
			if !slices.Equal(keysOf(&e.Event, tutela.FactRetiredLogKey), signing) {
				l.Fatalf("event %d retires other keys than those that signed", e.Index)
			}
			signing = keysOf(&e.Event, tutela.FactLogKey)
			changes++
		case e.Event.Kind == tutela.EventTransfer:
			if e.Event.Key != testEvent(n).Key {
				l.Fatalf("event %d has the key %q, not that of test event %d", e.Index, e.Event.Key, n)
			}
			n++
		}
	}
	if n < l.acknowledged {
		l.Fatalf("%d events were acknowledged, %d are left", l.acknowledged, n)
	}
	if !slices.Equal(signing, keys.VerifierKeys()) {
		l.Fatal("the keys that lie there are not those that the events name")
	}
	l.acknowledged = n
	l.judgeHead(log)
	fresh := changes - l.changes
	l.changes = changes
	return fresh
}

// judgeHead holds the signed head against those before.
func (l *torturedLog) judgeHead(log *Log) {
	l.Helper()
	head, err := log.Head(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	for _, before := range l.heads {
		root, err := log.Root(l.Context(), before.Size)
		if err != nil || root != before.Root {
			l.Fatalf("the root of %d entries was %s and is %s, %v", before.Size, before.Root, root, err)
		}
	}
	if n := len(l.heads); n == 0 || l.heads[n-1].Size < head.Size {
		l.heads = append(l.heads, head)
	}
	if found, err := log.Verify(l.Context()); err != nil || len(found) > 0 {
		l.Fatalf("verify: %v, %v", found, err)
	}
}

// openTortured opens a log as a lab does, and recovers its keys if a recovery was
// cut short.
func openTortured(ctx context.Context, dir string) (*Log, *Keys, error) {
	logDir, keyDir := filepath.Join(dir, "log"), filepath.Join(dir, "keys")
	err := (Safe{}).ResumeRotation(ctx, logDir, keyDir)
	if errors.Is(err, ErrUnrecovered) {
		err = recoverTortured(ctx, dir)
	}
	if err != nil {
		return nil, nil, err
	}
	keys, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		return nil, nil, err
	}
	log, err := OpenLog(ctx, logDir, keys)
	return log, keys, err
}

func recoverTortured(ctx context.Context, dir string) error {
	recovery, err := LoadRecovery(filepath.Join(dir, "recovery.key"))
	if err != nil {
		return err
	}
	_, err = (Safe{}).Recover(ctx, filepath.Join(dir, "log"), filepath.Join(dir, "keys"), recovery, tutela.Event{Actor: "chief"})
	return err
}

// workUntilKilled appends, rotates and recovers, and prints what is acknowledged,
// unbuffered.
func workUntilKilled(t *testing.T, dir string) {
	fmt.Println("alive")
	ctx := context.Background()
	for {
		log, _, err := openTortured(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		switch rand.IntN(5) {
		case 0:
			err = rotateTortured(ctx, dir, log)
		case 1:
			if err = log.Close(); err == nil {
				err = recoverTortured(ctx, dir)
			}
		default:
			err = errors.Join(appendSome(ctx, log), log.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// appendSome repeats the last two test events and goes on with a few, alone and
// together.
func appendSome(ctx context.Context, log *Log) error {
	n := 0
	for e, err := range log.Events(ctx, 0) {
		if err != nil {
			return err
		}
		if e.Event.Kind == tutela.EventTransfer {
			n++
		}
	}
	for i, until := max(n-2, 0), n+3; i < until; {
		batch := []tutela.Event{testEvent(i)}
		if rand.IntN(2) == 0 {
			batch = append(batch, testEvent(i+1))
		}
		if _, err := log.AppendAll(ctx, batch...); err != nil {
			return err
		}
		i += len(batch)
		if i > n {
			fmt.Printf("acknowledged %d\n", i)
		}
	}
	return nil
}

func rotateTortured(ctx context.Context, dir string, log *Log) error {
	r, err := (Safe{}).BeginRotation(filepath.Join(dir, "log"), filepath.Join(dir, "keys"))
	if err != nil {
		return err
	}
	if _, err := log.Append(ctx, r.Event(tutela.Event{Actor: "officer"})); err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	_, err = r.Finish(ctx)
	return err
}
