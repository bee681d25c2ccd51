package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// eachDirectory runs a test with every implementation of directory there is.
func eachDirectory(t *testing.T, test func(t *testing.T, open func(string) *Folder)) {
	for name, how := range map[string]func(string) (directory, error){"native": openDirectory, "root": openRootDirectory} {
		t.Run(name, func(t *testing.T) {
			test(t, func(path string) *Folder {
				dir, err := how(path)
				if err != nil {
					t.Fatal(err)
				}
				f := newFolder(dir, tutela.Locator{Layer: "folder", At: "x"})
				t.Cleanup(func() { f.Close() })
				return f
			})
		})
	}
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func walk(t *testing.T, f evidence.FileSystem) []*evidence.Entry {
	t.Helper()
	var entries []*evidence.Entry
	err := f.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// outline is one line for an entry: kind, path, what could be read, findings.
func outline(e *evidence.Entry) string {
	s := fmt.Sprintf("%v %s", e.Kind, tutela.DisplayPath(e.Path))
	if e.Open != nil {
		s += " " + slurp(e)
	}
	for _, f := range e.Findings {
		s += " [" + f.Code + "]"
	}
	return s
}

func slurp(e *evidence.Entry) string {
	c, err := e.Open()
	if err != nil {
		return "unopened"
	}
	b, err := io.ReadAll(c)
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Sprintf("%q %v", b, err)
	}
	return fmt.Sprintf("%q", b)
}

func expect(t *testing.T, entries []*evidence.Entry, want ...string) {
	t.Helper()
	var got []string
	for _, e := range entries {
		got = append(got, outline(e))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestWalkOrderAndContent(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a/z", "a/y/deep", "a.txt", "Z", "ä", "empty"} {
		put(t, dir, name, strings.TrimSuffix(name, "empty"))
	}
	os.Mkdir(filepath.Join(dir, "nothing"), 0o700)
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		f := open(dir)
		for range 2 { // a second walk says the same
			expect(t, walk(t, f), `file /Z "Z"`, `file /a/y/deep "a/y/deep"`, `file /a/z "a/z"`, `file /a.txt "a.txt"`, `file /b "b"`, `file /empty ""`, `file /ä "ä"`)
		}
	})
}

func TestEntryTellsWhatTheSystemTells(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "content")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := os.Stat(filepath.Join(dir, "a"))
	e := walk(t, f)[0]
	if e.Size != 7 || !e.Times.Modified.Equal(info.ModTime()) || e.State != tutela.Allocated || e.Volume != "" {
		t.Errorf("%+v", e)
	}
	if want := []tutela.Locator{{Layer: "folder", At: filepath.Base(dir)}}; !slices.Equal(e.Chain, want) || cap(e.Chain) != 1 {
		t.Errorf("chain %v, want %v and no room to append to", e.Chain, want)
	}
}

func TestOpenOne(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "wrong")
	put(t, dir, "b", "right")
	f, err := OpenOne(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expect(t, walk(t, f), `file /b "right"`)
	if _, err := OpenOne(filepath.Join(dir, "c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "b")); err == nil {
		t.Error("a file was opened as a folder")
	}
}

func TestContentReadsAnywhere(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "0123456789")
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		c, err := walk(t, open(dir))[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		at := c.(io.ReaderAt)
		for _, want := range []struct {
			off  int64
			n    int
			text string
			err  error
		}{{3, 4, "3456", nil}, {6, 4, "6789", nil}, {8, 4, "89", io.EOF}, {10, 1, "", io.EOF}} {
			b := make([]byte, want.n)
			if n, err := at.ReadAt(b, want.off); string(b[:n]) != want.text || err != want.err {
				t.Errorf("ReadAt(%d, %d) = %q, %v", want.n, want.off, b[:n], err)
			}
		}
	})
}

func TestChangesAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		want   string
	}{
		"grown":    {func(p string) error { return os.WriteFile(p, []byte("contents and more"), 0o600) }, "now has 17"},
		"shrunk":   {func(p string) error { return os.Truncate(p, 3) }, "now has 3"},
		"replaced": {func(p string) error { return os.Rename(filepath.Join(filepath.Dir(p), "b"), p) }, "another file"},
		"touched":  {func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1e9, 0)) }, "written to"},
	} {
		t.Run(name, func(t *testing.T) {
			eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
				dir := t.TempDir()
				put(t, dir, "a", "content")
				put(t, dir, "b", "another")
				e := walk(t, open(dir))[0]
				if err := c.change(filepath.Join(dir, "a")); err != nil {
					t.Fatal(err)
				}
				content, err := e.Open()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, content); err != nil {
					t.Error(err)
				}
				if err := content.Close(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("close: %v, want %q", err, c.want)
				}
			})
		})
	}
}

func TestGrowingFileEnds(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "log", "start")
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		put(t, dir, "log", "start")
		c, err := walk(t, open(dir))[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "log", "start and then some")
		b, err := io.ReadAll(c)
		if string(b) != "start" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		if err := c.Close(); !errors.Is(err, ErrChanged) {
			t.Errorf("close: %v", err)
		}
	})
}

func TestVanishedFile(t *testing.T) {
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		dir := t.TempDir()
		put(t, dir, "a", "content")
		e := walk(t, open(dir))[0]
		os.Remove(filepath.Join(dir, "a"))
		if _, err := e.Open(); !errors.Is(err, ErrChanged) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open: %v", err)
		}
	})
}

func TestVanishedWhileWalking(t *testing.T) {
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		dir := t.TempDir()
		put(t, dir, "a/1", "1")
		put(t, dir, "a/2", "2")
		put(t, dir, "b/3", "3")
		put(t, dir, "c", "4")
		var got []string
		err := open(dir).Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
			got = append(got, outline(e))
			if string(e.Path) == "/a/1" {
				os.Remove(filepath.Join(dir, "a/2"))
				os.RemoveAll(filepath.Join(dir, "b"))
				os.Remove(filepath.Join(dir, "c"))
			}
			return nil
		})
		want := []string{`file /a/1 "1"`, `file /a/2 unopened [changed-while-read]`, `file /b unopened [changed-while-read]`, `file /c unopened [changed-while-read]`}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
		}
	})
}

// inner lets hooked have a method of the name of the interface it embeds.
type inner = directory

// hooked is a directory in which things go wrong that root cannot make go wrong.
type hooked struct {
	inner
	trouble map[string]error // by name; "" is the listing
}

func (h hooked) names() ([]string, error) {
	names, err := h.inner.names()
	return names, errors.Join(err, h.trouble[""])
}

func (h hooked) directory(name string) (directory, error) {
	if err := h.trouble[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return h.inner.directory(name)
}

func (h hooked) file(name string) (openFile, error) {
	if err := h.trouble[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return h.inner.file(name)
}

func TestTroubleIsAFinding(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "closed/x", "never seen")
	put(t, dir, "gone/x", "never seen")
	put(t, dir, "open", "seen")
	put(t, dir, "secret", "never seen")
	eachDirectory(t, func(t *testing.T, open func(string) *Folder) {
		f := open(dir)
		f.top.dir = hooked{f.top.dir, map[string]error{
			"": errors.New("the disk gave up"), "closed": fs.ErrPermission, "gone": fs.ErrNotExist, "secret": fs.ErrPermission,
		}}
		expect(t, walk(t, f),
			`directory / [read-error]`, `directory /closed [unreadable]`, `directory /gone [changed-while-read]`, `file /open "seen"`, `file /secret unopened`)
	})
}

func TestWalkStops(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a/1", "")
	put(t, dir, "a/2", "")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := errors.New("stop")
	visits := 0
	err = f.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { visits++; return stop })
	if err != stop || visits != 1 {
		t.Errorf("visit's error came back as %v after %d visits", err, visits)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = f.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled walk: %v", err)
	}
	if f.top.users != 1 {
		t.Errorf("%d users of the top after the walks, want the folder alone", f.top.users)
	}
}

func TestClosedFolder(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "content")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := walk(t, f)[0]
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("open: %v", err)
	}
}

// BenchmarkWalk tells entries per second, warm.
func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	const files, folders = 1000, 20
	for i := range folders {
		sub := filepath.Join(dir, fmt.Sprintf("folder-%03d", i))
		os.Mkdir(sub, 0o700)
		for j := range files {
			os.WriteFile(filepath.Join(sub, fmt.Sprintf("picture-%05d.jpg", j)), []byte("x"), 0o600)
		}
	}
	f, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		f.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { n++; return nil })
		if n != files*folders {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N)*files*folders/b.Elapsed().Seconds(), "entries/s")
}

// TestBeside finds what lies beside and below, and nothing else.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a/db": "1", "a/db-wal": "22", "a/ab/abcd": "333", "outside": "4444"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var db *evidence.Entry
	f.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		if string(e.Path) == "/db" {
			db = e
		}
		return nil
	})
	for path, size := range map[string]int64{"db-wal": 2, "ab/abcd": 3, "db": 1, "none": -1, "ab": -1, "ab/none": -1, "../outside": -1, "/db": -1, "": -1, "ab/../db": -1} {
		e := db.Beside(path)
		if (e == nil) != (size < 0) || e != nil && e.Size != size {
			t.Errorf("beside %q: %+v, want %d bytes", path, e, size)
			continue
		}
		if e == nil {
			continue
		}
		c, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); int64(len(b)) != size || err != nil {
			t.Errorf("%q holds %q, %v", path, b, err)
		}
		c.Close()
	}
	one, err := OpenOne(filepath.Join(dir, "a", "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	one.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		if e.Beside != nil {
			t.Error("a single file can look about")
		}
		return nil
	})
}
