package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"tutela/internal/catalog"
	"tutela/internal/catalog/sqlite"
	"tutela/internal/durable"
)

// Rebuild makes the catalogue anew from the ledgers and returns how many records
// it holds. The old one is replaced when the new one is whole; the lab goes on
// with that.
func (l *Lab) Rebuild(ctx context.Context) (records uint64, err error) {
	fresh := filepath.Join(l.JobsDir(), "catalog.sqlite")
	defer removeDatabase(fresh)
	if records, err = l.build(ctx, fresh, func(catalog.Store) error { return nil }); err != nil {
		return 0, err
	}
	if l.Catalog != nil {
		if err := l.Catalog.Close(); err != nil {
			return 0, err
		}
	}
	if err := removeDatabase(l.catalogPath()); err != nil {
		return 0, err
	}
	if err := os.Rename(fresh, l.catalogPath()); err != nil {
		return 0, err
	}
	if err := durable.SyncDir(l.Dir); err != nil {
		return 0, err
	}
	l.Catalog, err = openCatalog(ctx, l.catalogPath())
	return records, err
}

// CompareCatalog makes a second catalogue from the ledgers and reports whether
// the lab's own holds the same.
func (l *Lab) CompareCatalog(ctx context.Context) (same bool, err error) {
	fresh := filepath.Join(l.JobsDir(), "catalog-check.sqlite")
	defer removeDatabase(fresh)
	want, err := dumpSum(ctx, l.Catalog)
	if err != nil {
		return false, err
	}
	_, err = l.build(ctx, fresh, func(store catalog.Store) error {
		got, err := dumpSum(ctx, store)
		same = got == want
		return err
	})
	return same, err
}

// build makes a catalogue at a path and hands it to use before it is closed.
func (l *Lab) build(ctx context.Context, path string, use func(catalog.Store) error) (records uint64, err error) {
	if err := removeDatabase(path); err != nil {
		return 0, err
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	if err = l.apply(ctx, store); err == nil {
		records, err = l.refill(ctx, store)
	}
	if err == nil {
		err = use(store)
	}
	return records, errors.Join(err, store.Close())
}

// refill loads what a catalogue that holds the events lacks of the records and
// newest match runs of all scans. It returns how many records the sealed and
// reloaded ones hold.
func (l *Lab) refill(ctx context.Context, store catalog.Store) (records uint64, err error) {
	scans, err := store.Scans(ctx, "")
	if err != nil {
		return 0, err
	}
	for _, s := range scans {
		counts, err := store.Rollup(ctx, s.ScanID)
		if err != nil {
			return records, err
		}
		if s.Seal == nil || counts.Records != s.Seal.Records {
			counts.Records, err = l.reload(ctx, store, s)
		}
		if err != nil {
			return records, fmt.Errorf("load %s into the catalogue: %w", s.ScanID, err)
		}
		records += counts.Records
	}
	return records, nil
}

func (l *Lab) reload(ctx context.Context, store catalog.Store, s catalog.Scan) (uint64, error) {
	tree, err := l.ReadRecords(s.ScanID)
	if errors.Is(err, fs.ErrNotExist) && s.Seal == nil {
		return 0, nil // begun, and stopped before the first record
	}
	if err != nil {
		return 0, err
	}
	defer tree.Close()
	if err := catalog.Load(ctx, store, s.ScanID, tree.Records); err != nil || s.Run == nil {
		return tree.Size(), err
	}
	return tree.Size(), l.ShowMatches(ctx, store, s.ScanID, s.Run.Run, math.MaxUint64)
}

// removeDatabase removes a database with what SQLite lays beside it.
func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the catalogue: %w", err)
		}
	}
	return nil
}

func dumpSum(ctx context.Context, store catalog.Store) ([sha256.Size]byte, error) {
	h := sha256.New()
	err := catalog.Dump(ctx, store, h)
	return [sha256.Size]byte(h.Sum(nil)), err
}
