package evidencetest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
)

var update = flag.Bool("update", false, "rewrite the golden listings")

// Golden holds the whole listing of an image, findings, runs and times included,
// against testdata/NAME.golden.
func Golden(t *testing.T, name string, open Open, image []byte) {
	t.Helper()
	src := Source(image)
	all := List(t, MustOpen(t, open, src))
	InPlace(t, src, all)
	GoldenText(t, name, Listing(all))
}

// GoldenText holds a text against testdata/NAME.golden.
func GoldenText(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
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

// SleuthKit holds an image against a listing made with fls and icat: state (A or
// D), path, size and SHA-256 on each line. Every allocated row must be there with
// the same bytes, and none else; every deleted row must be among what we call
// deleted, but for those in except, which says of a row why it is not.
func SleuthKit(t *testing.T, listing string, open Open, image []byte, except map[string]string) {
	t.Helper()
	all := List(t, MustOpen(t, open, Source(image)))
	allocated := Rows(all, tutela.Allocated)
	anywhere := Rows(all, tutela.Allocated, tutela.Deleted, tutela.Orphan)
	for line := range strings.Lines(listing) {
		state, row, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		path, _, _ := strings.Cut(row, "\t")
		switch {
		case except[path] != "":
			delete(allocated, row)
		case state == "A" && !allocated[row]:
			t.Errorf("missing: %s", row)
		case state == "A":
			delete(allocated, row)
		case !anywhere[row]:
			t.Errorf("deleted, not found: %s", row)
		}
	}
	for row := range allocated {
		if path, _, _ := strings.Cut(row, "\t"); except[path] == "" {
			t.Errorf("not in the listing: %s", row)
		}
	}
}

// Truth holds an image against the tree that was written to it: a row (path,
// size, SHA-256) for each file. Every row must be there, allocated; what else is
// on the image is not looked at.
func Truth(t *testing.T, rows []string, open Open, image []byte) {
	t.Helper()
	found := Rows(List(t, MustOpen(t, open, Source(image))), tutela.Allocated)
	for _, row := range rows {
		if !found[row] {
			t.Errorf("missing: %s", row)
		}
	}
}

// GroundTruth is the tree that the images of fslib hold, as rows; those of MBR
// and APFS were made without its "folder/". The one text file has the line ends
// of DOS on all of them.
func GroundTruth(t testing.TB) (rows []string) {
	t.Helper()
	root := filepath.Join(Folder(t), "fslib", "ground_truth")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Base(path) == "Digital forensics.txt" {
			data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		}
		name, err := filepath.Rel(root, path)
		rows = append(rows, row(filepath.ToSlash(name), data))
		return err
	})
	if err != nil || len(rows) == 0 {
		t.Fatalf("no ground truth: %v", err)
	}
	return rows
}
