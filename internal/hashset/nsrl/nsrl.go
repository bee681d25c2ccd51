// Package nsrl reads the National Software Reference Library's RDS version 3: a
// SQLite database with a table FILE (NIST, "RDSv3 format specification"). The
// minimal schema is enough.
//
// Call [Open]. Promised: the database is opened read-only and immutable, rows
// are streamed, and nothing in the file is executed: the table must be a plain
// one, views and computed columns are refused. Not promised: a write-ahead log
// beside the file is not read, and repeated digests are given as often as they
// stand there.
package nsrl

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"

	_ "modernc.org/sqlite" // the driver
)

// Magic begins every SQLite database.
const Magic = "SQLite format 3\x00"

// Reader reads the rows of one table.
type Reader struct {
	db      *sql.DB
	rows    *sql.Rows
	sized   bool
	records int64
	size    int64 // of the file, in bytes
	last    int64 // number of the last record, or about
}

// Open opens the database at path.
func Open(path string) (_ *Reader, err error) {
	if err := checkMagic(path); err != nil {
		return nil, err
	}
	dsn, err := dataSource(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	table, columns, err := findTable(db)
	if err != nil {
		return nil, err
	}
	r := &Reader{db: db, sized: slices.Contains(columns, "file_size")}
	if err := r.measure(path, table); err != nil {
		return nil, err
	}
	r.rows, err = db.QueryContext(context.Background(), query(table, r.sized))
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", table, err)
	}
	return r, nil
}

// measure is for progress only. The last rowid is found without going through
// the table; a table without rowids has none.
func (r *Reader) measure(path, table string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.size = info.Size()
	var last sql.NullInt64
	if err := r.db.QueryRow("SELECT max(rowid) FROM " + table).Scan(&last); err == nil {
		r.last = last.Int64
	}
	return nil
}

// Progress is about how many bytes of the file were read, judged by records.
func (r *Reader) Progress() (done, total int64) {
	if r.last <= 0 {
		return 0, r.size
	}
	return int64(float64(r.size) * min(float64(r.records)/float64(r.last), 1)), r.size
}

// checkMagic comes first because SQLite takes an empty file for an empty
// database.
func checkMagic(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(Magic))
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, []byte(Magic)) {
		return errors.New("not a SQLite database")
	}
	return nil
}

func dataSource(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/… on Windows
	}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: url.Values{
		"mode":      {"ro"},
		"immutable": {"1"},
		"_pragma":   {"query_only(1)", "trusted_schema(0)", "cell_size_check(1)", "mmap_size(0)"},
	}.Encode()}
	return u.String(), nil
}

// findTable prefers FILE, which is a table in every schema NIST publishes. Its
// view DISTINCT_HASH would make SQLite sort the whole table; whoever compiles
// the set merges what is repeated anyway.
func findTable(db *sql.DB) (string, []string, error) {
	for _, table := range []string{"FILE", "METADATA", "DISTINCT_HASH"} {
		var definition string
		err := db.QueryRow(`SELECT sql FROM sqlite_schema WHERE type = 'table' AND upper(name) = ?`, table).Scan(&definition)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("read the schema: %w", err)
		}
		if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(definition)), "CREATE TABLE") {
			return "", nil, fmt.Errorf("table %s is not a plain table", table)
		}
		columns, err := plainColumns(db, table)
		if err != nil {
			return "", nil, err
		}
		if hasDigests(columns) {
			return table, columns, nil
		}
	}
	return "", nil, errors.New("neither a table FILE nor DISTINCT_HASH with columns sha256, sha1 and md5")
}

func hasDigests(columns []string) bool {
	return slices.Contains(columns, "sha256") && slices.Contains(columns, "sha1") && slices.Contains(columns, "md5")
}

func plainColumns(db *sql.DB, table string) ([]string, error) {
	rows, err := db.Query(`SELECT name, hidden FROM pragma_table_xinfo(?)`, table)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", table, err)
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var name string
		var hidden int
		if err := rows.Scan(&name, &hidden); err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", table, err)
		}
		if hidden != 0 {
			return nil, fmt.Errorf("column %.64q of %s is computed", name, table)
		}
		columns = append(columns, strings.ToLower(name))
	}
	return columns, rows.Err()
}

func query(table string, sized bool) string {
	if sized {
		return "SELECT sha256, sha1, md5, file_size FROM " + table
	}
	return "SELECT sha256, sha1, md5, -1 FROM " + table
}

// Next is the next assertion, or io.EOF.
func (r *Reader) Next() (tutela.Assertion, error) {
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return tutela.Assertion{}, r.fail(err)
		}
		return tutela.Assertion{}, io.EOF
	}
	a, err := r.scan()
	if err != nil {
		return tutela.Assertion{}, r.fail(err)
	}
	r.records++
	return a, nil
}

func (r *Reader) fail(err error) error {
	return &feed.PlaceError{Unit: "record", Number: r.records + 1, Err: err}
}

func (r *Reader) scan() (tutela.Assertion, error) {
	a := tutela.Assertion{Size: -1}
	var sha256, sha1, md5 sql.RawBytes
	if err := r.rows.Scan(&sha256, &sha1, &md5, &a.Size); err != nil {
		return a, err
	}
	if a.Size < 0 {
		a.Size = -1
	}
	if len(sha256) > 0 {
		d, err := tutela.ParseSHA256(string(sha256))
		if err != nil {
			return a, err
		}
		a.SHA256 = &d
	}
	if len(sha1) > 0 {
		d, err := tutela.ParseSHA1(string(sha1))
		if err != nil {
			return a, err
		}
		a.SHA1 = &d
	}
	if len(md5) > 0 {
		d, err := tutela.ParseMD5(string(md5))
		if err != nil {
			return a, err
		}
		a.MD5 = &d
	}
	return a, nil
}

// Close closes the database.
func (r *Reader) Close() error { return errors.Join(r.rows.Close(), r.db.Close()) }
