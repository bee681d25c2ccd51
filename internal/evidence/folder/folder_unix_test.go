//go:build unix

package folder

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tutela"
	"tutela/internal/evidence"
)

func TestSpecialsAreRecordedAndNeverOpened(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	put(t, dir, "file", "content")
	put(t, dir, "sub/x", "x")
	for name, to := range map[string]string{"link": "file", "links": "sub", "out": "/etc", "none": "new\nline"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		entries := walk(t, open(dir))
		expect(t, entries, `file /file "content"`, `symlink /link [not-a-file]`, `symlink /links [not-a-file]`, `symlink /none [not-a-file]`,
			`symlink /out [not-a-file]`, `pipe /pipe [not-a-file]`, `socket /socket [not-a-file]`, `file /sub/x "x"`)
		if got := entries[3].Findings[0].Detail; got != `a link to new\x0aline` {
			t.Errorf("target %q", got)
		}
	})
}

func TestDevices(t *testing.T) {
	f, err := OpenOne("/dev/null")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	expect(t, walk(t, f), "device /null [not-a-file]")
}

func TestNamesAreBytes(t *testing.T) {
	dir := t.TempDir()
	names := []string{"\xff\xfe", "a\nb", "a\\b", "\x01", " ", "-rf", strings.Repeat("x", 255)}
	for _, name := range names {
		put(t, dir, name, "x")
	}
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		got := map[string]bool{}
		for _, e := range walk(t, open(dir)) {
			got[string(e.Path)] = slurp(e) == `"x"`
		}
		for _, name := range names {
			if !got["/"+name] {
				t.Errorf("%q was not found or not read", name)
			}
		}
	})
}

// deep makes a chain of n directories with names of the given length and a file
// at its end and in its middle, which no single path could reach.
func deep(t *testing.T, n, length int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", length)
	for i := range n {
		if i == n/2 {
			touch(t, fd, "z-middle")
		}
		if err := unix.Mkdirat(fd, name, 0o700); err != nil {
			t.Fatal(err)
		}
		below, err := unix.Openat(fd, name, unix.O_DIRECTORY|unix.O_RDONLY, 0)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		fd = below
	}
	touch(t, fd, "end")
	unix.Close(fd)
	return dir
}

func touch(t *testing.T, dir int, name string) {
	t.Helper()
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(fd, []byte(name))
	unix.Close(fd)
}

func TestPathsLongerThanTheSystemTakes(t *testing.T) {
	for _, c := range []struct{ n, length int }{{25, 200}, {1500, 3}} {
		dir := deep(t, c.n, c.length)
		eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
			f := open(dir)
			entries := walk(t, f)
			if len(entries) != 2 || slurp(entries[0]) != `"end"` || slurp(entries[1]) != `"z-middle"` {
				t.Fatalf("%d entries", len(entries))
			}
			if got, want := len(entries[0].Path), c.n*(c.length+1)+len("/end"); got != want || want < 5000 {
				t.Errorf("path of %d bytes, want %d", got, want)
			}
		})
	}
}

func TestDeepTreeKeepsFewDirectoriesOpen(t *testing.T) {
	dir := deep(t, 300, 3)
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := openFiles(t)
	err = f.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		if n := openFiles(t) - before; n > maxOpen+2 {
			t.Errorf("%d more files are open at %d bytes down", n, len(e.Path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t) - before; n > 0 {
		t.Errorf("%d directories stayed open", n)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(names)
}

func TestPathThatHasNoEnd(t *testing.T) {
	dir := deep(t, maxPath/201+2, 200)
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last *evidence.Entry
	for _, e := range walk(t, f) {
		if e.Kind == tutela.Directory {
			last = e
		}
	}
	if last == nil || last.Findings[0].Code != tutela.FindingLimit {
		t.Errorf("%+v", last)
	}
}

// A folder that is swapped for a link to another must not lead there, neither
// while walking nor when an entry is opened later.
func TestSwappedForALink(t *testing.T) {
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		dir, outside := t.TempDir(), t.TempDir()
		put(t, dir, "a", "1")
		put(t, dir, "b/secret", "inside")
		put(t, dir, "c/secret", "a sibling")
		put(t, outside, "secret", "outside")
		f := open(dir)
		entries := walk(t, f)
		swap(t, filepath.Join(dir, "b"), outside)
		if _, err := entries[1].Open(); err == nil {
			t.Error("a swapped folder was entered")
		}
		os.Remove(filepath.Join(dir, "b"))
		os.Symlink("c", filepath.Join(dir, "b"))
		if _, err := entries[1].Open(); err == nil {
			t.Error("a link to a sibling was entered")
		}
		expect(t, walk(t, f), `file /a "1"`, `symlink /b [not-a-file]`, `file /b.old/secret "inside"`, `file /c/secret "a sibling"`)
	})
}

func swap(t *testing.T, path, to string) {
	t.Helper()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestFileSwappedForAPipe(t *testing.T) {
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		dir := t.TempDir()
		put(t, dir, "a", "1")
		e := walk(t, open(dir))[0]
		os.Remove(filepath.Join(dir, "a"))
		if err := syscall.Mkfifo(filepath.Join(dir, "a"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Open(); !errors.Is(err, ErrChanged) {
			t.Errorf("open: %v", err)
		}
	})
}

func TestDeletedWhileRead(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "content")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := walk(t, f)[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "a"))
	if err := c.Close(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("close: %v", err)
	}
}

// Files of /proc say that they are empty and are not.
func TestFileWithoutSize(t *testing.T) {
	f, err := OpenOne("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	c, err := walk(t, f)[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 10)); n != 0 {
		t.Errorf("read %d, %v", n, err)
	}
	if err := c.Close(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "has more") {
		t.Errorf("close: %v", err)
	}
}

// The directories of another user, seen by somebody who is not root.
func TestPermissions(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root may read everything: TestTroubleIsAFinding stands in for this")
		return
	}
	dir := t.TempDir()
	put(t, dir, "closed/x", "")
	os.Chmod(filepath.Join(dir, "closed"), 0)
	defer os.Chmod(filepath.Join(dir, "closed"), 0o700)
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		expect(t, walk(t, open(dir)), `directory /closed [unreadable]`)
	})
}
