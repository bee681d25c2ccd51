package image

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

// write makes files in a folder of their own and returns the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustOpen(t *testing.T, path string) *Image {
	t.Helper()
	img, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func content(t *testing.T, src evidence.Source) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSplitRawIsOneMedium(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ext2.splitraw.000", "ext2.splitraw.001"} {
		unpack(t, filepath.Join("testdata", name+".gz"), filepath.Join(dir, name))
	}
	img := mustOpen(t, filepath.Join(dir, "ext2.splitraw.000"))
	sum := sha256.Sum256([]byte(content(t, img)))
	if got := hex.EncodeToString(sum[:]); got != "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80" {
		t.Errorf("sha256 %s", got)
	}
	if want := (tutela.Locator{Layer: "split-raw", At: "ext2.splitraw.000+2"}); img.Chain()[0] != want {
		t.Errorf("chain %v, want %v", img.Chain(), want)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	packed, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFindsParts(t *testing.T) {
	long := map[string]string{}
	var all strings.Builder
	for i := 1; i <= 1001; i++ {
		name := successorTimes("000", i)
		long["x."+name] = name
		all.WriteString(name)
	}
	gnu := map[string]string{"x.aa": "first"} // aa … yz, zaaa, zaab
	suffix, want := "aa", "first"
	for suffix != "yz" {
		suffix = successor(suffix)
		gnu["x."+suffix] = suffix
		want += suffix
	}
	gnu["x.zaaa"], gnu["x.zaab"] = "L", "M"

	for _, c := range []struct {
		name        string
		files       map[string]string
		first, want string
		layer       string
	}{
		{"one file", map[string]string{"disk.dd": "abc"}, "disk.dd", "abc", "raw"},
		{"no extension", map[string]string{"disk": "abc"}, "disk", "abc", "raw"},
		{"empty", map[string]string{"disk.dd": ""}, "disk.dd", "", "raw"},
		{"from 000", map[string]string{"d.000": "ab", "d.001": "c"}, "d.000", "abc", "split-raw"},
		{"from 001", map[string]string{"d.dd.001": "ab", "d.dd.002": "c", "d.dd.001.txt": "log"}, "d.dd.001", "abc", "split-raw"},
		{"unequal and empty parts", map[string]string{"d.001": "a", "d.002": "", "d.003": "bcd"}, "d.001", "abcd", "split-raw"},
		{"a lone part", map[string]string{"d.001": "a", "e.002": "b"}, "d.001", "a", "raw"},
		{"letters", map[string]string{"d.aa": "a", "d.ab": "b", "d.gz": "zipped", "d.txt": "log"}, "d.aa", "ab", "split-raw"},
		{"whole beside letters", map[string]string{"d.aa": "a", "d.ab": "b", "d.dd": "ab"}, "d.dd", "ab", "raw"},
		{"a year beside numbers", map[string]string{"d.001": "a", "d.002": "b", "d.2023": "x"}, "d.001", "ab", "split-raw"},
		{"more than 999", long, "x.001", all.String(), "split-raw"},
		{"gnu letters", gnu, "x.aa", want + "LM", "split-raw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := mustOpen(t, filepath.Join(write(t, c.files), c.first))
			if got := content(t, img); got != c.want {
				t.Errorf("content %.80q, want %.80q", got, c.want)
			}
			if img.Chain()[0].Layer != c.layer {
				t.Errorf("chain %v, want layer %s", img.Chain(), c.layer)
			}
		})
	}
}

func successorTimes(s string, n int) string {
	for range n {
		s = successor(s)
	}
	return s
}

func TestOpenRefusesIncompleteSplit(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		path  string
		want  string
	}{
		{map[string]string{"d.001": "a", "d.003": "c"}, "d.001", "part d.002 of the split image is missing"},
		{map[string]string{"d.000": "a", "d.001": "b", "d.009": "c"}, "d.000", "part d.002 "},
		{map[string]string{"d.aa": "a", "d.ab": "b", "d.ae": "c"}, "d.aa", "part d.ac "},
		{map[string]string{"d.001": "a", "d.002": "b"}, "d.002", "begins with d.001"},
		{map[string]string{"d.000": "a", "d.001": "b"}, "d.001", "begins with d.000"},
	} {
		_, err := Open(filepath.Join(write(t, c.files), c.path))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("open %s: %v, want %q", c.path, err, c.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "neither a file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "gone.dd")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestReadAtKeepsTheContract(t *testing.T) {
	img := mustOpen(t, filepath.Join(write(t, map[string]string{"d.001": "abc", "d.002": "de", "d.003": "f"}), "d.001"))
	for _, c := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 6, "abcdef", nil}, {1, 3, "bcd", nil}, {4, 2, "ef", nil}, {5, 4, "f", io.EOF},
		{6, 1, "", io.EOF}, {100, 1, "", io.EOF}, {2, 0, "", nil},
	} {
		b := make([]byte, c.n)
		n, err := img.ReadAt(b, c.off)
		if string(b[:n]) != c.want || err != c.err {
			t.Errorf("ReadAt(%d bytes, %d) = %q, %v; want %q, %v", c.n, c.off, b[:n], err, c.want, c.err)
		}
	}
	if _, err := img.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
}

func TestShrunkFileIsAnErrorNotZeros(t *testing.T) {
	dir := write(t, map[string]string{"d.001": strings.Repeat("a", 1000), "d.002": strings.Repeat("b", 1000)})
	img := mustOpen(t, filepath.Join(dir, "d.001"))
	if err := os.Truncate(filepath.Join(dir, "d.002"), 100); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, err := img.ReadAt(b, 0)
	var bad *evidence.ReadError
	if !errors.As(err, &bad) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("error %v, want a ReadError", err)
	}
	if want := (tutela.Run{Offset: 1100, Length: 900}); n != 1100 || bad.Run != want {
		t.Errorf("read %d, bad run %v; want 1100, %v", n, bad.Run, want)
	}
}

// failing is a file with stretches that give EIO.
type failing struct {
	content []byte
	bad     []tutela.Run
}

func (f failing) Close() error { return nil }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	for _, r := range f.bad {
		if off < r.Offset+r.Length && r.Offset < off+int64(len(p)) {
			return 0, &fs.PathError{Op: "read", Path: "/on/this/machine", Err: syscall.EIO} // nothing at all, as some devices do
		}
	}
	return bytes.NewReader(f.content).ReadAt(p, off)
}

func failingImage(size int64, bad ...tutela.Run) (*Image, []byte) {
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	const head = 1024 // a part before it, so that offsets differ
	return &Image{disk: &raw{size: head + size, parts: []part{
		{File: &localFile{file: failing{content: make([]byte, head)}, name: "d.001", size: head}, name: "d.001"},
		{File: &localFile{file: failing{content, bad}, name: "d.002", size: size}, name: "d.002", start: head},
	}}}, append(make([]byte, head), content...)
}

func TestReadErrorNamesTheExactRun(t *testing.T) {
	bad := []tutela.Run{{Offset: 5 * 512, Length: 512}, {Offset: 40 * 512, Length: 3 * 512}, {Offset: 20000 * 5, Length: 1}}
	img, content := failingImage(200_000, bad...)
	want := []tutela.Run{
		{Offset: 1024 + 5*512, Length: 512},
		{Offset: 1024 + 40*512, Length: 3 * 512},
		{Offset: 1024 + 100_000/512*512, Length: 512}, // one byte costs its sector
	}
	var got []tutela.Run
	buf := make([]byte, 64<<10)
	for off := int64(0); off < img.Size(); {
		n, err := img.ReadAt(buf, off)
		if !bytes.Equal(buf[:n], content[off:off+int64(n)]) {
			t.Fatalf("wrong bytes at %d+%d", off, n)
		}
		off += int64(n)
		var readErr *evidence.ReadError
		if errors.As(err, &readErr) {
			if readErr.Run.Offset != off || !errors.Is(err, syscall.EIO) || strings.Contains(err.Error(), "machine") {
				t.Fatalf("run %v after %d bytes: %v", readErr.Run, off, err)
			}
			got = append(got, readErr.Run)
			off += readErr.Run.Length
		}
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("bad runs %v, want %v", got, want)
	}
}

func TestReadErrorToTheEndOfTheRequest(t *testing.T) {
	img, _ := failingImage(8192, tutela.Run{Offset: 1000, Length: 1 << 20})
	n, err := img.ReadAt(make([]byte, 4096), 0)
	var bad *evidence.ReadError
	if !errors.As(err, &bad) || n != 1024+512 || bad.Run != (tutela.Run{Offset: 1536, Length: 4096 - 1536}) {
		t.Errorf("read %d, %v %+v", n, err, bad)
	}
}

func TestNamed(t *testing.T) {
	dir := write(t, map[string]string{"d.aa": "", "d.ab": "", "song.aa": ""})
	for name, want := range map[string]bool{
		"x.dd": true, "x.RAW": true, "x.001": true, "x.000": true, "d.aa": true, "x.E01": true,
		"song.aa": false, "x.002": false, "x.jpg": false, "x": false, ".dd": true, "x.100": false, "x.1": false,
	} {
		if got := Named(filepath.Join(dir, name)); got != want {
			t.Errorf("Named(%s) = %v", name, got)
		}
	}
}

func FuzzSequence(f *testing.F) {
	f.Add("d.001", "002 003 2023")
	f.Add("d.aa", "ab ac gz")
	f.Add("d.000", "")
	f.Add("d.zz", "aaa aa ab")
	f.Fuzz(func(t *testing.T, path, names string) {
		stem, suffix := cut(path)
		if suffix == "" {
			return
		}
		present := map[string]bool{suffix: true}
		for _, name := range strings.Fields(names) {
			if isNumber(name) == isNumber(suffix) && isLetters(name) == isLetters(suffix) {
				present[name] = true
			}
		}
		first, ok := firstOf(suffix, present)
		if !ok {
			return
		}
		paths, err := sequence(stem, first, present)
		if err == nil && (len(paths) == 0 || len(paths) > len(present)) {
			t.Errorf("%d parts from %d files", len(paths), len(present))
		}
	})
}
