package nsrl

import (
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"testing"

	"tutela"
)

func readAll(path string) ([]tutela.Assertion, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []tutela.Assertion
	for {
		a, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
}

const sample = "../testdata/RDS_synthetic_minimal.db"

func TestSample(t *testing.T) {
	before, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readAll(sample)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 {
		t.Fatalf("%d assertions, want 5", len(all))
	}
	for _, a := range all {
		if a.MD5 == nil || a.SHA1 == nil || a.SHA256 == nil || a.Size < 0 || a.Category != (tutela.Category{}) {
			t.Errorf("read %+v", a)
		}
	}
	after, err := os.ReadFile(sample)
	if err != nil || string(before) != string(after) {
		t.Errorf("reading changed the database (error %v)", err)
	}
	if left, _ := filepath.Glob(sample + "-*"); len(left) > 0 {
		t.Errorf("reading left %v", left)
	}
}

// database makes one in a folder whose name needs quoting.
func database(t *testing.T, statements string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a b%20#?c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "x.db")
	db, err := sql.Open("sqlite", plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.db")
	if err := os.Rename(plain, path); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	md5    = "728EE0A8939199CA5B0E8D16FE171DBA"
	sha1   = "6de3322c12b30210033fd2e5df3044c947c96084"
	sha256 = "3811b8835336d9e7bbe5ee5b8a255bcc74adca9d83c848ed46592d0619278f31"
)

func TestDistinctHashAsTable(t *testing.T) {
	path := database(t, `CREATE TABLE DISTINCT_HASH (sha256, sha1, md5, crc32);
		INSERT INTO DISTINCT_HASH VALUES ('`+sha256+`', NULL, '`+md5+`', '');`)
	all, err := readAll(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].SHA1 != nil || all[0].SHA256.String() != sha256 || all[0].Size != -1 {
		t.Errorf("read %+v", all)
	}
}

func TestRefused(t *testing.T) {
	for name, statements := range map[string]string{
		"a view":            `CREATE VIEW FILE AS SELECT '` + sha256 + `' AS sha256, '' AS sha1, '' AS md5`,
		"computed columns":  `CREATE TABLE FILE (a, sha256 AS (hex(a)), sha1 AS (1), md5 AS (1))`,
		"a virtual table":   `CREATE VIRTUAL TABLE FILE USING fts5(sha256, sha1, md5)`,
		"no digest columns": `CREATE TABLE FILE (a, b)`,
		"no table":          `CREATE TABLE x (a)`,
		"a short digest":    `CREATE TABLE FILE (sha256, sha1, md5, file_size); INSERT INTO FILE VALUES ('00', '', '', 1)`,
		"a size of words":   `CREATE TABLE FILE (sha256, sha1, md5, file_size); INSERT INTO FILE VALUES ('', '` + sha1 + `', '', 'many')`,
	} {
		if all, err := readAll(database(t, statements)); err == nil {
			t.Errorf("%s: no error, %d records", name, len(all))
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(empty); err == nil {
		t.Error("an empty file was taken for a database")
	}
}

func FuzzOpen(f *testing.F) {
	b, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := readAll(path)
		for _, a := range all {
			if a.Size < -1 {
				t.Fatalf("read %+v, error %v", a, err)
			}
		}
	})
}
