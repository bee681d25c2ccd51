package hashset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/durable"
)

func store(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "sets"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func request(name string, files ...string) ImportRequest {
	return ImportRequest{Name: name, Status: tutela.Alert, Files: files, Imported: noon}
}

func importSet(t *testing.T, s *Store, q ImportRequest) (tutela.SetVersion, Report) {
	t.Helper()
	v, r, err := s.Import(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return v, r
}

func TestImportEverySample(t *testing.T) {
	s := store(t)
	for file, want := range map[string]struct {
		format, scheme string
		rows           int64
	}{
		"hashdeep.txt":              {"hashdeep", "", 2},
		"md5deep.txt":               {"checksums", "", 2},
		"sha256sum.txt":             {"checksums", "", 2},
		"sha256sum_bsd.txt":         {"checksums", "", 2},
		"vpdq.txt":                  {"vpdq", "", 1},
		"xways_md5.txt":             {"list", "", 2},
		"hashkeeper.hke.csv":        {"csv", "", 1},
		"icse_export.csv":           {"icse", "interpol-baseline", 1},
		"vics13_media.json":         {"vics", "vics-default", 1},
		"vics20_media_default.json": {"vics", "vics-default", 4},
		"vics20_cases_us.json":      {"vics", "vics-us", 1},
		"vics20_cases_us_bom.json":  {"vics", "vics-us", 1},
		"nist_caid12_media.json":    {"nist-caid", "vics-default", 1},
		"RDS_synthetic_minimal.db":  {"nsrl", "", 5},
	} {
		v, _ := importSet(t, s, request(file, filepath.Join("testdata", file)))
		if v.Format != want.format || v.Scheme != want.scheme || v.Count != want.rows || v.Version != 1 || v.Status != tutela.Alert || !v.Imported.Equal(noon) {
			t.Errorf("%s: %+v, want %+v", file, v, want)
		}
	}
	sets, err := s.OpenActive()
	if err != nil {
		t.Fatal(err)
	}
	defer sets.Close()
	hits, err := sets.LookupValue("728ee0a8939199ca5b0e8d16fe171dba")
	if err != nil || len(hits) != 8 {
		t.Errorf("%d hits, error %v; want one in each of the 8 samples that hold it by MD5", len(hits), err)
	}
	for _, set := range sets.All() {
		if err := set.Verify(context.Background()); err != nil {
			t.Error(err)
		}
		if src := set.Sources(); len(src) != 1 || src[0].Name != set.Meta().Name || src[0].Size == 0 {
			t.Errorf("sources %+v", src)
		}
	}
}

func TestVersionsAndRemoval(t *testing.T) {
	s := store(t)
	a, b := filepath.Join("testdata", "md5deep.txt"), filepath.Join("testdata", "hashdeep.txt")
	v1, _ := importSet(t, s, request("my set", a))
	v2, r2 := importSet(t, s, request("my set", a, b))
	if v1.Version != 1 || v2.Version != 2 || v2.Format != "checksums+hashdeep" || r2.Read != 4 {
		t.Fatalf("versions %+v, %+v, report %+v", v1, v2, r2)
	}
	active := func() []tutela.SetVersion {
		sets, err := s.OpenActive()
		if err != nil {
			t.Fatal(err)
		}
		defer sets.Close()
		return sets.Versions()
	}
	if got := active(); !slices.Equal(got, []tutela.SetVersion{v2}) {
		t.Errorf("in use: %+v", got)
	}
	for range 2 { // removing twice changes nothing
		if err := s.Remove("my set", 2, Removal{At: noon, Why: "mistake"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := active(); !slices.Equal(got, []tutela.SetVersion{v1}) {
		t.Errorf("in use after removing version 2: %+v", got)
	}
	old, err := s.Open("my set", 2)
	if err != nil {
		t.Fatal("a removed version must stay readable: ", err)
	}
	old.Close()
	list, err := s.List()
	if err != nil || len(list) != 2 || list[0].Removed != nil || list[1].Removed == nil || list[1].Removed.Why != "mistake" || list[1].SetVersion != v2 {
		t.Errorf("list %+v, error %v", list, err)
	}
	if err := s.Remove("my set", 1, Removal{At: noon}); err != nil {
		t.Fatal(err)
	}
	if got := active(); len(got) != 0 {
		t.Errorf("in use after removing all: %+v", got)
	}
	if _, err := s.Open("my set", 0); !errors.Is(err, ErrNoSet) {
		t.Errorf("error %v, want %v", err, ErrNoSet)
	}
	if v3, _ := importSet(t, s, request("my set", a)); v3.Version != 3 {
		t.Errorf("version %d after removal, want 3", v3.Version)
	}
}

func TestNoSuchSet(t *testing.T) {
	s := store(t)
	if _, err := s.Open("x", 1); !errors.Is(err, ErrNoSet) {
		t.Errorf("open: %v", err)
	}
	if _, err := s.Open("x", 0); !errors.Is(err, ErrNoSet) {
		t.Errorf("open active: %v", err)
	}
	if err := s.Remove("x", 1, Removal{}); !errors.Is(err, ErrNoSet) {
		t.Errorf("remove: %v", err)
	}
	if _, err := s.Open("../x", 1); !errors.Is(err, ErrName) {
		t.Errorf("open outside: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "Project VIC 2026-01", "7", "a..b", "x_y.z", strings.Repeat("a", 100)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a:b", " a", "a ", "a.", "-a", "é", "a\x00", "a\n", "CON", "nul.txt", "Com1", strings.Repeat("a", 101)} {
		if err := CheckName(bad); !errors.Is(err, ErrName) {
			t.Errorf("%q: error %v, want %v", bad, err, ErrName)
		}
	}
	s := store(t)
	importSet(t, s, request("Set", filepath.Join("testdata", "md5deep.txt")))
	if _, _, err := s.Import(context.Background(), request("sEt", filepath.Join("testdata", "md5deep.txt"))); !errors.Is(err, ErrName) {
		t.Errorf("a name that differs in case only: %v", err)
	}
}

func TestAFailedImportChangesNothing(t *testing.T) {
	s := store(t)
	bad := filepath.Join(t.TempDir(), "bad.md5")
	if err := os.WriteFile(bad, []byte("728ee0a8939199ca5b0e8d16fe171dba  a\n728e  b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Import(context.Background(), request("x", bad))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v does not name line 2", err)
	}
	for name, q := range map[string]ImportRequest{
		"no files":   request("x"),
		"no file":    request("x", filepath.Join(t.TempDir(), "none")),
		"a folder":   request("x", t.TempDir()),
		"no format":  request("x", "store_test.go"),
		"map and no": {Name: "x", Status: tutela.Alert, Files: []string{"testdata/md5deep.txt"}, Options: Options{Map: []Mapping{{Column: "a", Field: "md5"}}}},
	} {
		if _, _, err := s.Import(context.Background(), q); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("list %+v, error %v", list, err)
	}
}

func TestImportSweepsWhatACrashLeft(t *testing.T) {
	s := store(t)
	dir := filepath.Join(s.dir, "x")
	if err := os.MkdirAll(filepath.Join(dir, ".compile-1", "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".set-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	importSet(t, s, request("x", filepath.Join("testdata", "md5deep.txt")))
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, []string{".lock", "1.set", "1.set.sha256"}) {
		t.Errorf("left %v, error %v", names, err)
	}
}

func TestOneImportAtATime(t *testing.T) {
	s := store(t)
	importSet(t, s, request("x", filepath.Join("testdata", "md5deep.txt")))
	lock, err := durable.Lock(filepath.Join(s.dir, "x", ".lock"), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if _, _, err := s.Import(context.Background(), request("x", filepath.Join("testdata", "md5deep.txt"))); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("error %v, want %v", err, durable.ErrLocked)
	}
}

func TestDamagedSetIsListedAndStopsAScan(t *testing.T) {
	s := store(t)
	importSet(t, s, request("bad", filepath.Join("testdata", "md5deep.txt")))
	v, _ := importSet(t, s, request("good", filepath.Join("testdata", "md5deep.txt")))
	if err := os.WriteFile(s.file("bad", 1, setSuffix), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 2 || !errors.Is(list[0].Err, ErrCorrupt) || list[1].SetVersion != v || list[1].Err != nil {
		t.Errorf("list %+v, error %v", list, err)
	}
	if _, err := s.OpenActive(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want %v", err, ErrCorrupt)
	}
	// A set that was moved to another's place is not that other.
	b, err := os.ReadFile(s.file("good", 1, setSuffix))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(s.file("bad", 1, setSuffix+digestSuffix))
	if err := os.WriteFile(s.file("bad", 1, setSuffix), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("bad", 1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a moved set: error %v, want %v", err, ErrCorrupt)
	}
}

func TestExportComesBack(t *testing.T) {
	all := mixed(500)
	all[7].Frames = []tutela.PDQ{pdqAt(1), pdqAt(2), pdqAt(1)}
	set, _ := compile(t, meta("x", 1, tutela.Alert), all)
	var table bytes.Buffer
	written, left, err := set.Export(&table, ExportCSV)
	if err != nil || written != set.Rows() || left != 0 {
		t.Fatalf("%d written, %d left, error %v", written, left, err)
	}
	r, err := NewReader(CSV, &table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.set")
	m := meta("x", 1, tutela.Alert)
	if _, _, err := Compile(context.Background(), path, m, r, Work{}); err != nil {
		t.Fatal(err)
	}
	back, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	for row, a := range set.All() {
		if b := back.Assertion(row); describe(&a) != describe(&b) {
			t.Fatalf("row %d was %s and came back as %s", row, describe(&a), describe(&b))
		}
	}
}

func TestExportLists(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{known(1, hasMD5|hasSHA1, "1"), known(1, hasMD5|hasSHA1, "2"), known(2, hasSHA1, "")})
	for format, want := range map[Export]struct {
		detected      Format
		written, left uint64
		lines         int
	}{
		ExportMD5:      {List, 2, 1, 2},
		ExportSHA1:     {List, 3, 0, 3},
		ExportSHA256:   {List, 0, 3, 1},
		ExportHashdeep: {Hashdeep, 2, 1, 6},
	} {
		var b bytes.Buffer
		written, left, err := set.Export(&b, format)
		if err != nil || written != want.written || left != want.left || bytes.Count(b.Bytes(), []byte("\n")) != want.lines || Detect(b.Bytes(), "") != want.detected {
			t.Errorf("%s: %d written, %d left, error %v:\n%s", format, written, left, err, b.String())
		}
	}
	if _, _, err := set.Export(&bytes.Buffer{}, "xlsx"); err == nil {
		t.Error("an unknown format was written")
	}
}
