package ntfs

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

var update = flag.Bool("update", false, "rewrite the golden listings")

// memory is a Source in memory.
type memory struct{ *bytes.Reader }

func (m memory) Size() int64 { return m.Reader.Size() }

var _ evidence.Source = memory{}

// image unpacks testdata/name.gz.
func image(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name+".gz"))
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
	return b
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

var letters = map[tutela.State]string{tutela.Allocated: "A", tutela.Deleted: "D", tutela.Orphan: "O"}

// line is an entry as the golden listings write it.
func (o *observed) line() string {
	digest := "-"
	switch {
	case o.failure != nil:
		digest = "failed: " + o.failure.Error()
	case o.Open != nil:
		digest = fmt.Sprintf("%x", sha256.Sum256(o.bytes))
	}
	findings := make([]string, len(o.Findings))
	for i, f := range o.Findings {
		findings[i] = f.String()
	}
	return strings.Join([]string{
		letters[o.State], o.Kind.String(), tutela.DisplayPath(o.Path), fmt.Sprint(o.Size), digest,
		o.Chain[0].At, stamp(o.Times), fmt.Sprint(o.Runs), strings.Join(findings, "; "),
	}, "\t")
}

func stamp(t tutela.Times) string {
	if t.Modified.IsZero() {
		return "-"
	}
	return t.Modified.Format("2006-01-02T15:04:05.0000000Z")
}

func listing(all []observed) string {
	var b strings.Builder
	for i := range all {
		b.WriteString(strings.TrimRight(all[i].line(), "\t") + "\n")
	}
	return b.String()
}

// TestGolden holds the whole listing of each image, findings, runs and times
// included, against the one that was looked through when it was made.
func TestGolden(t *testing.T) {
	images, err := filepath.Glob("testdata/*.ntfs.gz")
	if err != nil || len(images) == 0 {
		t.Fatalf("no images: %v", err)
	}
	for _, path := range images {
		name := strings.TrimSuffix(filepath.Base(path), ".gz")
		t.Run(name, func(t *testing.T) {
			got := listing(walkAll(t, mustOpen(t, image(t, name)), evidence.Limits{}))
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs:\n%s", golden, difference(string(want), got))
			}
		})
	}
}

// difference are the lines that only one of two listings has.
func difference(want, got string) string {
	var b strings.Builder
	only := func(mark, a, other string) {
		have := map[string]bool{}
		for line := range strings.Lines(other) {
			have[line] = true
		}
		for line := range strings.Lines(a) {
			if !have[line] {
				b.WriteString(mark + line)
			}
		}
	}
	only("-", want, got)
	only("+", got, want)
	return b.String()
}

// TestSleuthKit holds what is allocated against listings made with another
// implementation (fls and icat of The Sleuth Kit): same paths, sizes, digests,
// no more and no less; and expects every deleted file it found.
func TestSleuthKit(t *testing.T) {
	listings, err := filepath.Glob("testdata/*.tsk.tsv")
	if err != nil || len(listings) == 0 {
		t.Fatalf("no listings: %v", err)
	}
	for _, path := range listings {
		name := strings.TrimSuffix(filepath.Base(path), ".tsk.tsv")
		t.Run(name, func(t *testing.T) { compareSleuthKit(t, path, image(t, name)) })
	}
}

func compareSleuthKit(t *testing.T, path string, img []byte) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	allocated, found := map[string]bool{}, map[string]bool{}
	for _, o := range walkAll(t, mustOpen(t, img), evidence.Limits{}) {
		row := fmt.Sprintf("%s\t%d\t%x", o.Path[1:], o.Size, sha256.Sum256(o.bytes))
		found[row] = true
		if o.State == tutela.Allocated && o.Kind == tutela.File && o.failure == nil {
			allocated[row] = true
		}
	}
	for line := range strings.Lines(string(raw)) {
		state, row, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if state != "A" && !found[row] {
			t.Errorf("deleted, not found: %s", row)
		}
		if state == "A" && !allocated[row] {
			t.Errorf("missing: %s", row)
		}
		delete(allocated, row)
	}
	for row := range allocated {
		t.Errorf("not in the listing: %s", row)
	}
}

// TestTruth holds each image against what was written to it by the program that
// made it: every file and stream, allocated, with its bytes.
func TestTruth(t *testing.T) {
	truths, err := filepath.Glob("testdata/*.truth.tsv")
	if err != nil || len(truths) == 0 {
		t.Fatalf("no truth: %v", err)
	}
	for _, path := range truths {
		name := strings.TrimSuffix(filepath.Base(path), ".truth.tsv") + ".ntfs"
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, o := range walkAll(t, mustOpen(t, image(t, name)), evidence.Limits{}) {
				if o.State == tutela.Allocated && o.Kind == tutela.File && o.failure == nil {
					found[fmt.Sprintf("%s\t%d\t%x", o.Path[1:], o.Size, sha256.Sum256(o.bytes))] = true
				}
			}
			for line := range strings.Lines(string(raw)) {
				if !found[strings.TrimSuffix(line, "\n")] {
					t.Errorf("missing: %s", line)
				}
			}
		})
	}
}
