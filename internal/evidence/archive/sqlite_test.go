package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

// openSQL makes a database with SQLite itself.
func openSQL(t testing.TB, statements ...string) (db *sql.DB, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "test.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	run(t, db, statements...)
	return db, file
}

func run(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// blobs are the values that SQLite calls blobs, as "table.column" and digest,
// each as often as it is there.
func blobs(t testing.TB, db *sql.DB) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, table := range query(t, db, "SELECT name FROM sqlite_schema WHERE type='table' AND rootpage>0") {
		for _, column := range query(t, db, fmt.Sprintf("SELECT name FROM pragma_table_xinfo('%s') WHERE hidden<>2", strings.ReplaceAll(table, "'", "''"))) {
			quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
			for _, blob := range query(t, db, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE typeof(%[1]s)='blob' AND length(%[1]s)>=16", quote(column), quote(table))) {
				all[table+"."+column+" "+digestOf(blob)]++
			}
		}
	}
	return all
}

func query(t testing.TB, db *sql.DB, q string) (all []string) {
	t.Helper()
	rows, err := db.Query(q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// folder finds what lies beside an entry in a folder of the machine.
func folder(t testing.TB, file string) func(string) *evidence.Entry {
	return func(name string) *evidence.Entry {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil {
			return nil
		}
		return besideEntry(b)
	}
}

func besideEntry(b []byte) *evidence.Entry {
	return &evidence.Entry{Kind: tutela.File, Size: int64(len(b)), Open: func() (evidence.Content, error) { return evidence.Bytes(b), nil }}
}

// expandFile lists a file and what lies beside it.
func expandFile(t testing.TB, name string, content []byte, beside func(string) *evidence.Entry, visit func(*evidence.Entry)) {
	t.Helper()
	parent := rootEntry(name)
	parent.State, parent.Beside = tutela.Allocated, beside
	spool := &memorySpool{}
	x := archive.New(archive.Options{Spool: spool})
	err := x.Expand(context.Background(), parent, bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		visit(e)
		return nil
	})
	if err != nil || spool.open != 0 {
		t.Errorf("%v, %d spooled contents open", err, spool.open)
	}
}

func expandLines(t testing.TB, name string, content []byte, beside func(string) *evidence.Entry) string {
	var b strings.Builder
	expandFile(t, name, content, beside, func(e *evidence.Entry) { writeLine(&b, e) })
	return b.String()
}

var memberName = regexp.MustCompile(`^/test\.db!/(.*)/-?\d+\.(.*)$`)

// sameBlobs holds a database, as it lies on disk now, against what SQLite says
// is in it, and returns the findings.
func sameBlobs(t *testing.T, db *sql.DB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var findings []string
	got := map[string]int{}
	expandFile(t, "test.db", content, folder(t, file), func(e *evidence.Entry) {
		if strings.Contains(string(e.Path), "!/$Deleted/") {
			return
		}
		for _, f := range e.Findings {
			findings = append(findings, f.String())
		}
		if name := memberName.FindStringSubmatch(string(e.Path)); name != nil && strings.Count(string(e.Path), "!/") == 1 {
			got[name[1]+"."+strings.TrimSuffix(name[2], ".jpg")+" "+digest(e)]++
		}
	})
	want := blobs(t, db)
	if !maps.Equal(got, want) {
		t.Errorf("%d blobs, want %d", len(got), len(want))
		for k := range got {
			if got[k] != want[k] {
				t.Errorf("%d times, want %d: %s", got[k], want[k], k)
			}
		}
		for k := range want {
			if got[k] == 0 {
				t.Errorf("missing: %s", k)
			}
		}
	}
	if len(want) == 0 {
		t.Error("there are no blobs to find")
	}
	return strings.Join(findings, "\n")
}

// series fills a table with n rows of blobs of growing sizes, and texts.
func series(table string, n, step int) string {
	return fmt.Sprintf(`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)
		INSERT INTO %s SELECT i, 'text '||i, randomblob(i*%d), cast(x'ffd8ffe0'||randomblob(12) AS BLOB), randomblob(15), i*1.5 FROM c`, n, table, step)
}

const plain = "(id INTEGER, name TEXT, data BLOB, small BLOB, tiny BLOB, number REAL)"

// Every blob that SQLite finds is listed with the same bytes, however the
// database is laid out.
func TestSQLiteAgreesWithSQLite(t *testing.T) {
	table := "CREATE TABLE t" + plain
	for name, statements := range map[string][]string{
		"empty tables":  {"CREATE TABLE none(x)", table, series("t", 3, 16)},
		"small pages":   {"PRAGMA page_size=512", table, series("t", 300, 31)},
		"large pages":   {"PRAGMA page_size=65536", table, series("t", 300, 997)},
		"two tables":    {table, "CREATE TABLE [o'ther \"x]" + plain, series("t", 200, 50), series(`"o'ther ""x"`, 200, 57)},
		"autovacuum":    {"PRAGMA page_size=1024", "PRAGMA auto_vacuum=1", table, series("t", 300, 61), "DELETE FROM t WHERE id%3=0"},
		"incremental":   {"PRAGMA page_size=1024", "PRAGMA auto_vacuum=2", table, series("t", 300, 61), "DELETE FROM t WHERE id%3=0"},
		"freelist":      {"PRAGMA page_size=1024", table, series("t", 500, 61), "DELETE FROM t WHERE id<400", series("t", 20, 1000)},
		"UTF-16LE":      {"PRAGMA encoding='UTF-16le'", "CREATE TABLE \"Bilder ü 😀\"(\"größe\", data BLOB)", "INSERT INTO \"Bilder ü 😀\" VALUES (randomblob(20), randomblob(9000))"},
		"UTF-16BE":      {"PRAGMA encoding='UTF-16be'", "CREATE TABLE \"Bilder ü 😀\"(\"größe\", data BLOB)", "INSERT INTO \"Bilder ü 😀\" VALUES (randomblob(20), randomblob(9000))"},
		"WITHOUT ROWID": {"PRAGMA page_size=1024", "CREATE TABLE w(a BLOB, b TEXT, c BLOB, d INTEGER, PRIMARY KEY(d DESC, c)) WITHOUT ROWID", "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<400) INSERT INTO w SELECT randomblob(i*7), 'x', randomblob(20), i FROM c"},
		"key in column": {"CREATE TABLE w(a BLOB, b BLOB PRIMARY KEY, c BLOB, UNIQUE(a), CHECK(length(a)>0)) WITHOUT ROWID", "INSERT INTO w VALUES (randomblob(30), randomblob(31), randomblob(32))"},
		"computed":      {"CREATE TABLE g(a BLOB, v BLOB GENERATED ALWAYS AS (a||a), /* a, comment */ s BLOB AS (substr(a,1,20)) STORED, -- and, another\n\"b,(\" NUMERIC(1,2) DEFAULT (1+(2)), c)", "INSERT INTO g(a,\"b,(\",c) VALUES (randomblob(30), randomblob(31), randomblob(32))"},
		"altered":       {table, series("t", 30, 40), "ALTER TABLE t ADD COLUMN later BLOB", "ALTER TABLE t RENAME COLUMN data TO picture", "UPDATE t SET later=randomblob(100) WHERE id%2", "ALTER TABLE t DROP COLUMN tiny"},
		"many columns":  {"CREATE TABLE m(" + columnList(1900) + ")", "INSERT INTO m(c0, c7, c1899) VALUES (randomblob(50000), randomblob(300), randomblob(70000))"},
		"one long row":  {"CREATE TABLE l(a, b, c)", "INSERT INTO l VALUES (randomblob(3000000), randomblob(2000000), randomblob(16))"},
		"rowids":        {table, "INSERT INTO t(rowid, data) VALUES (-5, randomblob(20)), (9223372036854775807, randomblob(20)), (0, zeroblob(5000))"},
	} {
		t.Run(name, func(t *testing.T) {
			db, file := openSQL(t, statements...)
			if findings := sameBlobs(t, db, file); findings != "" {
				t.Error(findings)
			}
		})
	}
}

func columnList(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("c", i)
	}
	return strings.Join(names, ", ")
}

// A database that is copied while it is open has what is committed in its log:
// rows, pages that other rows had, new tables; and nothing of what is not.
func TestSQLiteLog(t *testing.T) {
	db, file := openSQL(t, "PRAGMA page_size=1024", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0",
		"CREATE TABLE t"+plain, series("t", 100, 40), "PRAGMA wal_checkpoint(FULL)", "DELETE FROM t WHERE id<50", "CREATE TABLE u"+plain, series("u", 50, 90))
	findings := sameBlobs(t, db, file)
	var frames int
	if _, err := fmt.Sscanf(findings, "snapshot: sqlite: %d frames of the write-ahead log", &frames); err != nil || strings.Contains(findings, "\n") {
		t.Error(findings)
	}
	log, err := os.ReadFile(file + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole := expandLines(t, "test.db", content, folder(t, file))
	if !strings.Contains(whole, " of its -wal") {
		t.Error("no member lies in the log")
	}
	// What follows the last whole commit is not applied. Behind it lie frames
	// from before the log was begun anew.
	end := 32 + frames*(24+1024)
	if end >= len(log) {
		t.Error("there are no earlier frames")
	}
	for name, damaged := range map[string][]byte{"cut": log[:end-1], "turned": flip(log, end-1)} {
		got := expandLines(t, "test.db", content, func(name string) *evidence.Entry {
			if name == "test.db-wal" {
				return besideEntry(damaged)
			}
			return nil
		})
		if strings.Contains(got, "!/u/") || !strings.Contains(got, "!/t/50.") || strings.Contains(got, "!/t/49.") {
			t.Errorf("%s: an uncommitted row is listed, or a committed one is not:\n%s", name, got)
		}
	}
	for name, tc := range map[string]struct {
		beside func(string) *evidence.Entry
		want   string
	}{
		"no log":      {func(string) *evidence.Entry { return nil }, "none was found"},
		"nobody asks": {nil, "could not be looked for"},
		"not a log":   {func(name string) *evidence.Entry { return besideEntry(bytes.Repeat([]byte(name), 10)) }, "damaged: sqlite: the write-ahead log beside it was not applied"},
	} {
		if got := expandLines(t, "test.db", content, tc.beside); !strings.Contains(got, tc.want) {
			t.Errorf("%s: no %q in:\n%s", name, tc.want, got)
		}
	}
}

// In an archive too a database has its log beside it.
func TestSQLiteLogInArchives(t *testing.T) {
	content, log := sqliteLogFiles(t)
	files := []file{file2("a/other.db-wal", []byte("no log")), file2("x/test.db", content), file2("x/test.db-wal", log), file2("test.db-wal", []byte("no log"))}
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"stored.zip":   {makeZip(t, zip.Store, files...), "!/t/2.data"},
		"deflated.zip": {makeZip(t, zip.Deflate, files...), "!/t/2.data"},
		"a.tar":        {makeTar(t, files...), "!/t/2.data"},
		"a.tar.gz":     {makeGzip(t, makeTar(t, files...)), "!/t/2.data"},
		"none.zip":     {makeZip(t, zip.Deflate, files[:2]...), "snapshot: sqlite: the database has a write-ahead log, and none was found beside it"},
		"test.db.gz":   {makeGzip(t, content), "unsupported: sqlite: the write-ahead log of a database in this kind of archive is not looked for"},
	} {
		if got := expandLines(t, name, tc.content, nil); !strings.Contains(got, tc.want) {
			t.Errorf("%s: no %q in\n%s", name, tc.want, got)
		}
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file2(name string, content []byte) file { return file{name, string(content)} }

// What was deleted is found on pages that are free now, says that it is inferred,
// and is what was there once, also where pages were used again.
func TestSQLiteDeleted(t *testing.T) {
	table := "CREATE TABLE t" + plain
	for name, tc := range map[string]struct {
		statements []string
		least      int // rows of 240
	}{
		"dropped":     {[]string{"DROP TABLE t"}, 200},
		"emptied":     {[]string{"DELETE FROM t"}, 200},
		"some":        {[]string{"DELETE FROM t WHERE id BETWEEN 50 AND 150"}, 40},
		"used again":  {[]string{"DELETE FROM t WHERE id BETWEEN 50 AND 150", series("t", 40, 230), "DELETE FROM t WHERE id%2", series("t", 90, 70), "DELETE FROM t WHERE id>3"}, 20},
		"overwritten": {[]string{"PRAGMA secure_delete=1", "DELETE FROM t"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			db, file := openSQL(t, "PRAGMA page_size=1024", "PRAGMA secure_delete=0", table, series("t", 240, 31))
			ever := map[string]bool{}
			for _, statement := range tc.statements {
				for blob := range everBlobs(t, db) {
					ever[blob] = true
				}
				run(t, db, statement)
			}
			rows := map[string]bool{}
			expandFile(t, "test.db", readFile(t, file), nil, func(e *evidence.Entry) {
				_, row, deleted := strings.Cut(string(e.Path), "!/$Deleted/")
				if !deleted {
					return
				}
				rows[strings.Split(row, ".")[0]] = true
				if !ever[digest(e)] || len(e.Findings) != 1 || e.Findings[0].Code != tutela.FindingAssumed {
					t.Errorf("never there, or without doubt: %s %s %v", e.Path, digest(e), e.Findings)
				}
			})
			if t.Log(len(rows)); len(rows) < tc.least || tc.least == 0 && len(rows) > 0 {
				t.Errorf("%d rows, want %d at least", len(rows), tc.least)
			}
		})
	}
}

// everBlobs are the digests of all blobs that are there now.
func everBlobs(t testing.TB, db *sql.DB) map[string]bool {
	all := map[string]bool{}
	for name := range blobs(t, db) {
		all[name[strings.LastIndexByte(name, ' ')+1:]] = true
	}
	return all
}

// A journal that was not ended is told, one that was is not.
func TestSQLiteJournal(t *testing.T) {
	db, file := openSQL(t, "PRAGMA cache_size=1", "CREATE TABLE t"+plain, series("t", 100, 40))
	if findings := sameBlobs(t, db, file); findings != "" {
		t.Error(findings)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for journal, told := range map[string]bool{"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + strings.Repeat("\x00", 600): true, strings.Repeat("\x00", 600): false, "": false} {
		got := expandLines(t, "test.db", content, func(name string) *evidence.Entry {
			if name == "test.db-journal" {
				return besideEntry([]byte(journal))
			}
			return nil
		})
		if strings.Contains(got, "damaged: sqlite: a rollback journal") != told {
			t.Errorf("journal %.8q:\n%s", journal, got)
		}
	}
}

// Of a page that two rows claim it is told, and no row has wrong bytes without
// that.
func TestSQLiteCrossedPages(t *testing.T) {
	db, file := openSQL(t, "PRAGMA page_size=512", "CREATE TABLE t(data)", "INSERT INTO t VALUES (randomblob(2000)), (randomblob(2000)), (randomblob(2000))")
	want := blobs(t, db)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pages := len(content) / 512
	wrong := 0
	for from := 3; from <= pages; from++ {
		for to := 1; to <= pages; to++ {
			damaged := slices.Clone(content)
			copy(damaged[(from-1)*512:], []byte{0, 0, 0, byte(to)})
			if bytes.Equal(damaged, content) {
				continue
			}
			var other, told bool
			expandFile(t, "test.db", damaged, nil, func(e *evidence.Entry) {
				sum := digest(e)
				other = other || len(sum) == 64 && want["t.data "+sum] == 0
				told = told || len(e.Findings) > 0
			})
			if other && !told {
				t.Errorf("page %d goes on at %d: there are other bytes and nothing is told", from, to)
			}
			if told {
				wrong++
			}
		}
	}
	if wrong == 0 {
		t.Error("nothing was told")
	}
}

func TestSQLiteImages(t *testing.T) {
	for _, name := range []string{"dfvfs/test_data/blob.db"} {
		evidencetest.GoldenText(t, filepath.Base(name), expandLines(t, filepath.Base(name), evidencetest.Image(t, name), nil))
	}
}

// sqliteFile is a database with trees of every kind, chains, and free pages.
func sqliteFile(t testing.TB) []byte {
	t.Helper()
	_, file := openSQL(t, "PRAGMA page_size=512", "CREATE TABLE t(a, data BLOB, b TEXT)", "CREATE TABLE w(a TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID",
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<40) INSERT INTO t SELECT i, zeroblob(i*37), 'x' FROM c",
		"INSERT INTO w SELECT 'key '||a, data FROM t", "DELETE FROM t WHERE a%4=0")
	return readFile(t, file)
}

// sqlitePages are the beginnings of the pages of sqliteFile, where its structure
// lies.
var sqlitePages = func() (hot []tutela.Run) {
	for n := range int64(100) {
		hot = append(hot, tutela.Run{Offset: n * 512, Length: 40})
	}
	return hot
}()

// sqliteLogFiles are a database and its log.
func sqliteLogFiles(t testing.TB) (content, log []byte) {
	t.Helper()
	_, file := openSQL(t, "PRAGMA page_size=512", "PRAGMA journal_mode=WAL", "CREATE TABLE t(data BLOB)", "PRAGMA wal_checkpoint(TRUNCATE)", "INSERT INTO t VALUES (zeroblob(700)), (zeroblob(100))")
	return readFile(t, file), readFile(t, file+"-wal")
}

// mendLog sets the checksums and salts of a log's frames (4.2 of the format).
func mendLog(b []byte) []byte {
	const page = 512
	if len(b) < 32 {
		return b
	}
	var s0, s1 uint32
	sum := func(p []byte) {
		for ; len(p) >= 8; p = p[8:] {
			s0 += binary.LittleEndian.Uint32(p) + s1
			s1 += binary.LittleEndian.Uint32(p[4:]) + s0
		}
	}
	set := func(p []byte) {
		binary.BigEndian.PutUint32(p, s0)
		binary.BigEndian.PutUint32(p[4:], s1)
	}
	copy(b, "\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00")
	sum(b[:24])
	set(b[24:])
	for frame := b[32:]; len(frame) >= 24+page; frame = frame[24+page:] {
		copy(frame[8:], b[16:24])
		sum(frame[:8])
		sum(frame[24:][:page])
		set(frame[16:])
	}
	return b
}

// hostileLog lists a database with a damaged log whose checksums are right.
func hostileLog(t testing.TB, content, log []byte) {
	t.Helper()
	log = mendLog(log)
	expandFile(t, "test.db", content, func(name string) *evidence.Entry {
		if name == "test.db-wal" {
			return besideEntry(log)
		}
		return nil
	}, func(e *evidence.Entry) {
		if sum := digest(e); strings.Contains(sum, "without a code") {
			t.Errorf("%s: %s", e.Path, sum)
		}
	})
}

func TestSQLiteLogMutants(t *testing.T) {
	content, log := sqliteLogFiles(t)
	before := expandLines(t, "test.db", content, func(string) *evidence.Entry { return besideEntry(mendLog(bytes.Clone(log))) })
	if !strings.Contains(before, "!/t/2.data") {
		t.Fatalf("the log is not applied:\n%s", before)
	}
	evidencetest.MutantsOf(t, log, nil, func(damaged []byte) { hostileLog(t, content, damaged) })
}
