//go:build unix

package ledger

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const limitVariable = "TUTELA_LEDGER_FILE_LIMIT"

// TestFileLimit lets the kernel cut writes short: a child may make no file longer
// than so many bytes (RLIMIT_FSIZE). It must be told, and what it acknowledged
// must be there.
func TestFileLimit(t *testing.T) {
	if limit := os.Getenv(limitVariable); limit != "" {
		writeToLimit(t, limit)
		return
	}
	t.Parallel()
	for limit := 30; limit < 7000; limit += 601 {
		dir := filepath.Join(t.TempDir(), "tree")
		child := exec.Command(os.Args[0], "-test.run=^TestFileLimit$", "-test.count=1")
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%s", limitVariable, limit, dir))
		out, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "refused") {
			t.Fatalf("limit %d: %v: %s", limit, err, out)
		}
		var acknowledged uint64
		for line := range strings.Lines(string(out)) {
			fmt.Sscanf(line, "acknowledged %d", &acknowledged)
		}
		reopened(t, unsynced{folder(dir)}, 60, acknowledged)
	}
}

func writeToLimit(t *testing.T, setting string) {
	var limit uint64
	var dir string
	if n, err := fmt.Sscanf(strings.Replace(setting, ":", " ", 1), "%d %s", &limit, &dir); n != 2 {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	if err := makeFolder(dir); err != nil {
		t.Fatal(err)
	}
	err := createTree(folder(dir), testSeed)
	if err == nil {
		var tree *Tree
		if tree, err = OpenTree(dir, testSeed); err != nil {
			t.Fatal(err)
		}
		err = writer(tree, 60, func(n uint64) { fmt.Printf("acknowledged %d\n", n) })
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("at %d bytes: %v", limit, err)
	}
	fmt.Println("refused")
}
