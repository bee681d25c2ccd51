package sqlite

import (
	"context"
	"fmt"

	"tutela/internal/catalog"
)

// Unload implements [catalog.Store]. Pages of SQLite keep copies of rows that were
// moved or deleted, so that the file is written anew afterwards, and the
// write-ahead log cut off: that takes as long as copying the file, and as much
// room beside it.
func (s *Store) Unload(ctx context.Context, ids ...catalog.ScanID) error {
	what := fmt.Sprintf("unload %v", ids)
	err := s.write(ctx, what, func(t *tx) error {
		for _, id := range ids {
			if err := t.unload(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, clean := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := s.writer.ExecContext(ctx, clean); err != nil {
			return fmt.Errorf("%s: %w", what, explain(err))
		}
	}
	return nil
}

func (t *tx) unload(id catalog.ScanID) error {
	var scan int64
	if err := t.one([]any{&scan}, "SELECT id FROM scans WHERE exhibit = ? AND number = ?", id.Exhibit, id.Number); err != nil {
		return err
	}
	first, behind := locationID(scan, 0), locationID(scan+1, 0)
	const orphaned = `DELETE FROM contents WHERE id IN (SELECT content FROM locations WHERE id >= ?1 AND id < ?2)
		AND NOT EXISTS (SELECT 1 FROM locations WHERE content = contents.id AND (id < ?1 OR id >= ?2))`
	if err := t.exec(orphaned, first, behind); err != nil {
		return err
	}
	for table, column := range map[string]string{"matches": "location", "findings": "location", "videos": "location", "pictures": "location", "locations": "id"} {
		if err := t.exec(fmt.Sprintf("DELETE FROM %s WHERE %s >= ? AND %[2]s < ?", table, column), first, behind); err != nil {
			return err
		}
	}
	return t.exec("UPDATE scans SET next = 0, run = 0, counts = '{}' WHERE id = ?", scan)
}
