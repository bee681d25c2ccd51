package ntfs

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// memory is a Source in memory.
type memory struct{ *bytes.Reader }

func (m memory) Size() int64 { return m.Reader.Size() }

var _ evidence.Source = memory{}

// image unpacks testdata/name.
func image(t testing.TB, name string) []byte { return evidencetest.Image(t, "testdata/"+name) }

func openAny(src evidence.Source) (evidence.FileSystem, error) {
	fs, err := Open(src)
	if err != nil {
		return nil, err
	}
	return fs, nil
}

func mustOpen(t testing.TB, b []byte) *FileSystem {
	t.Helper()
	fs, err := Open(memory{bytes.NewReader(b)})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// observed is an entry with its content read.
type observed struct {
	evidence.Entry
	bytes   []byte
	failure error
}

func (o *observed) path() string { return string(o.Path) }

func walkAll(t testing.TB, fs *FileSystem, limits evidence.Limits) (all []observed) {
	t.Helper()
	err := fs.Walk(context.Background(), limits, func(e *evidence.Entry) error {
		o := observed{Entry: *e}
		if e.Open != nil {
			o.bytes, o.failure = readAll(e)
		}
		all = append(all, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readAll(e *evidence.Entry) ([]byte, error) {
	c, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(c)
}

// images are the names of those in testdata that end in suffix.
func images(t *testing.T, suffix string) (names []string) {
	paths, err := filepath.Glob("testdata/*" + suffix)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no *%s: %v", suffix, err)
	}
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), suffix))
	}
	return names
}

// TestGolden holds the whole listing of each image, findings, runs and times
// included, against the one that was looked through when it was made.
func TestGolden(t *testing.T) {
	for _, name := range images(t, ".gz") {
		t.Run(name, func(t *testing.T) { evidencetest.Golden(t, name, openAny, image(t, name)) })
	}
}

// TestSleuthKit holds what is allocated against listings made with another
// implementation: same paths, sizes, digests, no more and no less; and expects
// every deleted file it found.
func TestSleuthKit(t *testing.T) {
	for _, name := range images(t, ".tsk.tsv") {
		t.Run(name, func(t *testing.T) {
			listing, err := os.ReadFile("testdata/" + name + ".tsk.tsv")
			if err != nil {
				t.Fatal(err)
			}
			evidencetest.SleuthKit(t, string(listing), openAny, image(t, name), nil)
		})
	}
}

// TestTruth holds each image against what was written to it by the program that
// made it: every file and stream, allocated, with its bytes.
func TestTruth(t *testing.T) {
	for _, name := range images(t, ".truth.tsv") {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + name + ".truth.tsv")
			if err != nil {
				t.Fatal(err)
			}
			rows := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
			evidencetest.Truth(t, rows, openAny, image(t, name+".ntfs"))
		})
	}
}

// TestMutants damages images where the MFT and the boot sector lie.
func TestMutants(t *testing.T) {
	for _, name := range []string{"linux.ntfs", "windows.ntfs", "tiny.ntfs"} {
		img := image(t, name)
		hot := []tutela.Run{{Length: 512}}
		for _, e := range mustOpen(t, img).mft.extents {
			cluster := mustOpen(t, img).geo.cluster
			hot = append(hot, tutela.Run{Offset: e.lcn * cluster, Length: e.length * cluster})
		}
		evidencetest.Mutants(t, openAny, img, hot...)
	}
}

// TestFree holds the free clusters against the files: no live content lies in
// them, and together with what is in use they are the volume.
func TestFree(t *testing.T) {
	for _, name := range images(t, ".gz") {
		fs := mustOpen(t, image(t, name))
		var free []tutela.Run
		if err := fs.Free(context.Background(), func(r tutela.Run) error { free = append(free, r); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(free) == 0 {
			t.Errorf("%s: nothing is free", name)
		}
		for _, o := range walkAll(t, fs, evidence.Limits{}) {
			for _, r := range o.Runs {
				if o.State == tutela.Allocated && overlaps(free, r) {
					t.Errorf("%s: %s lies in free clusters", name, o.Path)
				}
			}
		}
	}
}

func overlaps(free []tutela.Run, r tutela.Run) bool {
	return slices.ContainsFunc(free, func(f tutela.Run) bool {
		return f.Offset < r.Offset+r.Length && r.Offset < f.Offset+f.Length
	})
}
