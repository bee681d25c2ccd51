package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const killedLogVariable = "TUTELA_LEDGER_KILLED_LOG"

// TestLogKilled runs this test again as a child that appends events until it is
// killed, opens the log again and goes on: nothing acknowledged is lost, and
// nothing is there twice.
func TestLogKilled(t *testing.T) {
	if dir := os.Getenv(killedLogVariable); dir != "" {
		appendForEver(t, dir)
		return
	}
	onBothKinds(t, testLogKilled)
}

func testLogKilled(t *testing.T, kind logKind) {
	dir, keys := t.TempDir(), testKeys(t)
	if err := (Safe{}).SaveKeys(filepath.Join(dir, "keys"), keys); err != nil {
		t.Fatal(err)
	}
	l, err := kind.create(t.Context(), filepath.Join(dir, "log"), keys)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var acknowledged int
	for round := range 6 {
		acknowledged = max(acknowledged, killedAppender(t, dir, time.Duration(round*17%40)*time.Millisecond))
		l, err := OpenLog(t.Context(), filepath.Join(dir, "log"), keys)
		if err != nil {
			t.Fatal(err)
		}
		wantEventsOnce(t, l, acknowledged)
		l.Close()
	}
}

// killedAppender runs a child until it has acknowledged two events, and a
// little longer; it returns how many events were acknowledged in all.
func killedAppender(t *testing.T, dir string, longer time.Duration) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestLogKilled$", "-test.count=1")
	child.Env = append(os.Environ(), killedLogVariable+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %d", &acknowledged); n == 1 {
			if seen++; seen == 2 {
				time.AfterFunc(longer, func() { child.Process.Kill() })
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return acknowledged
}

// appendForEver appends the events that every test log holds; those there
// already are repeats.
func appendForEver(t *testing.T, dir string) {
	keys, err := (Safe{}).LoadKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(context.Background(), filepath.Join(dir, "log"), keys)
	if err != nil {
		t.Fatal(err)
	}
	head, err := l.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i := max(int(head.Size)-2, 0); i < 1000; i++ {
		index, err := l.Append(context.Background(), testEvent(i))
		if err != nil || index != uint64(i) {
			t.Fatalf("event %d: %d, %v", i, index, err)
		}
		fmt.Printf("acknowledged %d\n", i+1)
	}
}

func wantEventsOnce(t *testing.T, l *Log, acknowledged int) {
	t.Helper()
	n := 0
	for e, err := range l.Events(t.Context(), 0) {
		if err != nil || e.Event.Key != testEvent(n).Key {
			t.Fatalf("event %d has the key %q; %v", n, e.Event.Key, err)
		}
		n++
	}
	if n < acknowledged {
		t.Fatalf("%d events were acknowledged, %d are left", acknowledged, n)
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("verify: %v, %v", found, err)
	}
}
