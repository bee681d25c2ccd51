package witness

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// servedFolder names the folder that a child of the test serves.
const servedFolder = "TUTELA_TEST_WITNESS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(servedFolder); dir != "" {
		serveUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// serveUntilKilled prints its address and ends when the test does, at the latest.
func serveUntilKilled(dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	s.Serve(context.Background(), l)
	os.Exit(0)
}

// child is a witness in a process of its own.
type child struct {
	process *exec.Cmd
	address string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{process: exec.Command(os.Args[0])}
	c.process.Env = append(os.Environ(), servedFolder+"="+dir)
	c.process.Stderr = os.Stderr
	if _, err := c.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.process.StdoutPipe()
	if err == nil {
		err = c.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the witness did not start: %v", err)
	}
	c.address = "http://" + strings.TrimSpace(line) + AddPath
	return c
}

func (c *child) kill() {
	c.process.Process.Kill()
	c.process.Wait()
}

// add returns 0 and no error where the connection broke.
func (c *child) add(r Request) (code int, body []byte) {
	answer, err := http.Post(c.address, LinesType, bytes.NewReader(r.Encode()))
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	return answer.StatusCode, body
}

// A witness that is killed at any moment remembers every head that it answered for,
// and so never cosigns another history.
func TestKilledAtRandom(t *testing.T) {
	const entries = 1000
	l, fork := newLog(t, "one", entries), newLog(t, "another", entries)
	dir := newFolder(t, l)
	var answered, asked uint64
	for round := range 12 {
		c := startChild(t, dir)
		code, body := c.add(l.grow(entries, entries)) // which no witness is at: it says where it is
		known, err := ParseSize(body)
		if code != http.StatusConflict || err != nil || known < answered || known > asked {
			t.Fatalf("round %d, after a cosignature over %d entries and a request for %d: %d %q", round, answered, asked, code, body)
		}
		if known > 0 {
			if code, _ := c.add(fork.grow(known, known+1)); code != http.StatusUnprocessableEntity {
				t.Fatalf("round %d: another history: %d", round, code)
			}
		}
		killer := time.AfterFunc(time.Duration(1+rand.IntN(40))*time.Millisecond, func() { c.process.Process.Kill() })
		for code = http.StatusOK; code == http.StatusOK && known+2 < entries; {
			asked = known + 1
			if code, _ = c.add(l.grow(known, known+1)); code == http.StatusOK {
				known++
				answered = known
			}
		}
		killer.Stop()
		c.kill()
	}
	if answered == 0 {
		t.Error("nothing was cosigned before the kills")
	}
	t.Logf("%d heads were cosigned between 12 kills", answered)
}
