package oracle

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFindNothing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Find(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("no program is there: %v", err)
	}
}

// program makes a shell script that stands for one of the programs.
func program(t *testing.T, name, body string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script is no program on Windows")
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrograms(t *testing.T) {
	k := &Kit{
		mmls: program(t, "mmls", "echo 'Cannot determine partition type' >&2\necho more >&2\nexit 1\n"),
		fls:  program(t, "fls", `printf 'r/r 5:\t%s\ta\tb\tc\td\t3\t0\t0\n' "$*"`),
		icat: program(t, "icat", `printf '%s' "$4"`),
	}
	if _, err := k.partitions(t.Context(), "image"); err == nil || err.Error() != "mmls: Cannot determine partition type" {
		t.Errorf("the complaint is lost: %v", err)
	}
	var paths []string
	err := k.list(t.Context(), "-odd name", 65536, func(r row) error { paths = append(paths, r.path); return nil })
	if err != nil || len(paths) != 1 || paths[0] != "-r -p -l -z UTC -o 128 -odd name" {
		t.Errorf("%q, %v", paths, err)
	}
	stop := errors.New("stop")
	if err := k.list(t.Context(), "image", 0, func(row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error: %v", err)
	}
	if _, n, err := k.content(t.Context(), "image", 512, "5-128-1", 100); err != nil || n != int64(len("image")) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestEndlessContent is a program that never ends to write: it is stopped where
// more comes than was said to be there.
func TestEndlessContent(t *testing.T) {
	k := &Kit{icat: program(t, "icat", "exec yes\n")}
	if _, n, err := k.content(t.Context(), "image", 0, "5", 1000); err == nil || n != 1001 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestStopped(t *testing.T) {
	k := &Kit{fls: program(t, "fls", "exec sleep 60\n")}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.list(ctx, "image", 0, func(row) error { return nil }); err == nil {
		t.Error("it was stopped, and nobody was told")
	}
}

func TestLongLine(t *testing.T) {
	if err := lines(io.LimitReader(zeros{}, 1<<24), func(string) error { return nil }); err == nil {
		t.Error("a line of 16 MB")
	}
	complaint := &firstLine{}
	io.WriteString(complaint, strings.Repeat("x", 1000))
	if len(complaint.String()) != 300 {
		t.Errorf("%d bytes of a complaint", len(complaint.String()))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
