// Package sqlite is the catalogue of a lab on one machine: one SQLite file.
//
// Call [Open] on its path; what it returns keeps the promises of
// [catalog.Store]. The file is in write-ahead-log mode, so two more files stand
// beside it while it is open, and one writer and many readers, also from other
// processes, work at the same time. Commits are not synced one by one: after a
// power cut the catalogue may have lost its last batches, never a part of one.
//
// Not promised: that the file survives a disk fault. It says so and is rebuilt.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tutela/internal/catalog"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID is what the first migration writes into the file's header. It
// must never change.
const applicationID = 0x74746c61

// Store is an open catalogue.
type Store struct {
	writer  *sql.DB // one connection, so writers in this process queue here and not in SQLite
	readers *sql.DB
}

var _ catalog.Store = (*Store)(nil)

// Open opens the catalogue at path and makes it if it is not there, readable by
// its owner only. A file that cannot be a catalogue, or one whose beginning is
// damaged, is ErrDamaged; one written by a newer tutela is ErrNewer, and is not
// touched.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open catalogue %s: %w", path, explain(err))
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	// SQLite would make it readable by everyone, and gives its companions the
	// permissions of the file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s, err := connect(path)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(path string) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
	const common = "?_busy_timeout=20000&_synchronous=NORMAL&_dqs=0"
	// What a statement would need to be undone alone is kept in memory: as a
	// temporary file it took a sixth of the time of a load.
	const bulk = "&_pragma=temp_store(MEMORY)&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(16384)"
	writer, err := sqlite.NewConnector(file + common + bulk + "&_txlock=immediate&_foreign_keys=1")
	if err != nil {
		return nil, err
	}
	reader, err := sqlite.NewConnector(file + common + "&_query_only=1&_pragma=cache_size(-16384)")
	if err != nil {
		return nil, err
	}
	s := &Store{writer: sql.OpenDB(writer), readers: sql.OpenDB(reader)}
	s.writer.SetMaxOpenConns(1)
	s.readers.SetMaxOpenConns(8)
	s.readers.SetMaxIdleConns(2)
	return s, nil
}

// prepare leaves a file alone until it is known to be ours and not newer.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.identify(ctx); err != nil {
		return err
	}
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	steps, err := goose.NewProvider(goose.DialectSQLite3, s.writer, folder)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := steps.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: its schema is %d, this tutela knows %d", catalog.ErrNewer, have, want)
	}
	if have == want {
		return nil
	}
	if _, err := s.writer.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	_, err = steps.Up(ctx)
	return err
}

func (s *Store) identify(ctx context.Context) error {
	var id, tables int64
	if err := s.writer.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		// goose takes a version table it cannot read for one that is not there.
		var version int64
		return s.writer.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version)
	}
	const foreign = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'"
	if err := s.writer.QueryRowContext(ctx, foreign).Scan(&tables); err != nil {
		return err
	}
	if id != 0 || tables > 0 {
		return fmt.Errorf("%w: it is some other program's SQLite file", catalog.ErrDamaged)
	}
	return nil
}

// Close closes the catalogue. The last one to do so folds the write-ahead log
// into the file.
func (s *Store) Close() error {
	return errors.Join(s.readers.Close(), s.writer.Close())
}

// write does something in one transaction: all of it, or none.
func (s *Store) write(ctx context.Context, what string, do func(*tx) error) error {
	err := s.transact(ctx, do)
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

func (s *Store) transact(ctx context.Context, do func(*tx) error) error {
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	// The transaction ends with ctx; statements inside need not each start a
	// goroutine to watch it.
	if err := do(&tx{ctx: context.WithoutCancel(ctx), q: sqlTx}); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// read returns a way to ask that sees what was committed before each question.
func (s *Store) read(ctx context.Context) *tx { return &tx{ctx: ctx, q: s.readers} }

// view asks many questions of one moment.
func (s *Store) view(ctx context.Context, ask func(*tx) error) error {
	sqlTx, err := s.readers.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	return ask(&tx{ctx: ctx, q: sqlTx})
}

// explain adds what to do about a file that is damaged.
func explain(err error) error {
	var sqliteErr *sqlite.Error
	if !errors.As(err, &sqliteErr) {
		return err
	}
	switch sqliteErr.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", catalog.ErrDamaged, err)
	}
	return err
}

// tx is a place to ask and write: a transaction, or the readers' pool.
type tx struct {
	ctx context.Context
	q   interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
		PrepareContext(context.Context, string) (*sql.Stmt, error)
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.q.ExecContext(t.ctx, query, args...)
	return err
}

// one reads one row, and says ErrNotFound if there is none.
func (t *tx) one(into []any, query string, args ...any) error {
	err := t.q.QueryRowContext(t.ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return catalog.ErrNotFound
	}
	return err
}

// each reads all rows; visit scans them.
func (t *tx) each(visit func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	return visitAll(rows, visit)
}

func visitAll(rows *sql.Rows, visit func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
