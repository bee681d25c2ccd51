package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/durable"
	"tutela/internal/ledger"
)

func newLab(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Test & Söhne", Country: "XX"}, "tester"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openLab(t *testing.T, dir string, mode Mode) *Lab {
	t.Helper()
	l, err := Open(t.Context(), dir, mode, "tester")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t *testing.T, l *Lab, kind tutela.EventKind, exhibit string, detail any) {
	t.Helper()
	ev, err := tutela.NewEvent(kind, time.Now(), "tester", detail)
	if err != nil {
		t.Fatal(err)
	}
	ev.Case, ev.Exhibit = "1", exhibit
	if _, err := l.Record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
}

func TestInitRefusesAFilledFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Init(t.Context(), dir, Config{Agency: "A", Country: "XX"}, "tester")
	if !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("%v", err)
	}
}

func TestLocate(t *testing.T) {
	dir := newLab(t)
	deep := filepath.Join(dir, "sets", "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	got, err := Locate("")
	if err != nil || !sameFolder(t, got, dir) {
		t.Errorf("from %s: %q, %v", deep, got, err)
	}
	if _, err := Locate(deep); !errors.Is(err, ErrNoLab) {
		t.Errorf("a folder without lab.toml was named, and found: %v", err)
	}
	t.Chdir(t.TempDir())
	if _, err := Locate(""); !errors.Is(err, ErrNoLab) {
		t.Errorf("%v", err)
	}
}

func sameFolder(t *testing.T, a, b string) bool {
	t.Helper()
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func TestOneWriterManyReaders(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	openLab(t, dir, Write)
	if _, err := Open(t.Context(), dir, Write, "second"); !errors.Is(err, durable.ErrLocked) || !strings.Contains(err.Error(), "tester") {
		t.Errorf("a second writer: %v, want ErrLocked that says who", err)
	}
	openLab(t, dir, Read)
	openLab(t, dir, Read)
}

func TestNewerLab(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	toml := filepath.Join(dir, "lab.toml")
	text, err := os.ReadFile(toml)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(text), "format = 1", "format = 2", 1)
	if newer == string(text) {
		t.Fatalf("lab.toml names no format: %s", text)
	}
	if err := os.WriteFile(toml, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Read, Write} {
		if _, err := Open(t.Context(), dir, mode, "tester"); !errors.Is(err, ErrNewer) {
			t.Errorf("%v", err)
		}
	}
}

// The catalogue is derived: without it a reader says so, and a writer makes it
// again with everything that was in it, records too.
func TestLostCatalogIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	id := scanOfOne(t, l)
	l.Close()
	if err := removeDatabase(l.catalogPath()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Read, "tester"); !errors.Is(err, ErrNoCatalog) {
		t.Errorf("a reader without a catalogue: %v", err)
	}
	l = openLab(t, dir, Write)
	counts, err := l.Catalog.Rollup(t.Context(), id)
	if err != nil || counts.Records != 1 {
		t.Errorf("%d records, %v", counts.Records, err)
	}
	if same, err := l.CompareCatalog(t.Context()); err != nil || !same {
		t.Errorf("same %v, %v", same, err)
	}
}

// scanOfOne writes a sealed scan with one record.
func scanOfOne(t *testing.T, l *Lab) catalog.ScanID {
	t.Helper()
	id := begunScan(t, l)
	tree, err := l.ReadRecords(id)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	record(t, l, tutela.EventSeal, "A", tutela.Seal{Exhibit: "A", Number: 1, Root: tutela.SHA256(tree.Root()), Records: 1})
	return id
}

// begunScan writes a scan with one record and no seal.
func begunScan(t *testing.T, l *Lab) catalog.ScanID {
	t.Helper()
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Status: tutela.CaseOpen})
	if err := l.AddExhibitSeed("A"); err != nil {
		t.Fatal(err)
	}
	record(t, l, tutela.EventSeize, "A", tutela.Exhibit{Label: "A", Case: "1"})
	id := catalog.ScanID{Exhibit: "A", Number: 1}
	record(t, l, tutela.EventScanStart, "A", tutela.ScanStart{Exhibit: "A", Number: 1, Profile: "standard"})
	tree, err := l.OpenRecords(id)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	r := tutela.Record{Path: []byte("/a"), Kind: tutela.File, State: tutela.Allocated}
	if err := errors.Join(tree.Append(ledger.AppendRecord(nil, &r)), tree.Commit(nil)); err != nil {
		t.Fatal(err)
	}
	return id
}

// A repeated event is written once and answered twice.
func TestRepeatedEvent(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	ev := tutela.Event{Kind: tutela.EventAccess, Detail: []byte("{}"), Key: "once"}
	first, err := l.Record(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	ev.Time = time.Now().Add(time.Hour)
	second, err := l.Record(t.Context(), ev)
	if err != nil || first != second {
		t.Errorf("entries %d and %d, %v", first, second, err)
	}
}

// Verification names what was changed, whichever file it was, in a lab of either
// kind.
func TestVerifyFindsEveryChange(t *testing.T) {
	t.Parallel()
	t.Run("tiles", func(t *testing.T) { wantEveryChangeFound(t, newLab(t)) })
	t.Run("plain", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "lab")
		if err := Init(t.Context(), dir, Config{Agency: "Field", Country: "XX", Field: true}, "tester"); err != nil {
			t.Fatal(err)
		}
		wantEveryChangeFound(t, dir)
	})
}

func wantEveryChangeFound(t *testing.T, dir string) {
	t.Helper()
	l := openLab(t, dir, Write)
	scanOfOne(t, l)
	if v, err := l.Verify(t.Context(), nil); err != nil || len(v.Problems) > 0 || v.Records != 1 || v.Exhibits != 1 {
		t.Fatalf("untouched: %+v, %v", v, err)
	}
	l.Close()
	files := ledgerFiles(t, dir)
	if len(files) < 6 {
		t.Fatalf("only %d files of the ledger found: %v", len(files), files)
	}
	for _, name := range files {
		original, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(original) / 2, len(original) - 1} {
			changed := append([]byte(nil), original...)
			changed[at] ^= 0x10
			write(t, name, changed)
			if !refused(t, dir) {
				t.Errorf("byte %d of %s was changed, and the lab verifies", at, name)
			}
		}
		write(t, name, original)
	}
}

// ledgerFiles are the files that the lab's claims rest on.
func ledgerFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "ledger"), func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(name, ".state") {
			return err
		}
		if info, err := e.Info(); err != nil || info.Size() == 0 {
			return err
		}
		files = append(files, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refused reports whether opening or verifying the lab finds something wrong.
func refused(t *testing.T, dir string) bool {
	t.Helper()
	l, err := Open(t.Context(), dir, Read, "tester")
	if err != nil {
		return true
	}
	defer l.Close()
	v, err := l.Verify(t.Context(), nil)
	return err != nil || len(v.Problems) > 0
}

func TestEscapedLabelsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, label := range []string{"7-B", "7-b", "7/B", "7%2fB", "..", ".", "a b", "A B", "é", "e\u0301", "x.", "con"} {
		name := escape(label)
		if other, taken := seen[strings.ToLower(name)]; taken {
			t.Errorf("%q and %q are both %q", label, other, name)
		}
		seen[strings.ToLower(name)] = label
		if name != filepath.Base(name) || name == "." || name == ".." {
			t.Errorf("%q becomes %q, which is a way", label, name)
		}
	}
}
