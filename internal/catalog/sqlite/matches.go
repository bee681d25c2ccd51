package sqlite

import (
	"context"
	"fmt"
	"iter"

	"tutela"
	"tutela/internal/catalog"
)

// LoadMatches implements [catalog.Store].
func (s *Store) LoadMatches(ctx context.Context, id catalog.ScanID, run int, matches iter.Seq2[tutela.Match, error]) error {
	what := fmt.Sprintf("load match run %d of exhibit %s", run, id)
	if run < 1 {
		return fmt.Errorf("%s: %w: runs begin at 1", what, catalog.ErrOrder)
	}
	return s.write(ctx, what, func(t *tx) error {
		var scan int64
		var next uint64
		var shown int
		const query = "SELECT id, next, run FROM scans WHERE exhibit = ? AND number = ?"
		if err := t.one([]any{&scan, &next, &shown}, query, id.Exhibit, id.Number); err != nil {
			return err
		}
		if run < shown {
			return nil
		}
		if err := t.exec("DELETE FROM matches WHERE location >= ? AND location < ?", locationID(scan, 0), locationID(scan+1, 0)); err != nil {
			return err
		}
		if err := t.insertMatches(ctx, scan, next, matches); err != nil {
			return err
		}
		return t.countMatches(scan, run)
	})
}

// insertMatches numbers matches as they come, so that those of one location
// stay in order.
func (t *tx) insertMatches(ctx context.Context, scan int64, next uint64, matches iter.Seq2[tutela.Match, error]) error {
	words := map[string]int64{}
	into := t.inserter("INSERT INTO matches (location, seq, status, set_name, version, scheme, code, kind, row, distance, variant, decoder, scale, query_share, known_share)", 15)
	seq := 0
	for m, err := range matches {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.Leaf >= next {
			return fmt.Errorf("%w: a match of leaf %d, and %d are loaded", catalog.ErrOrder, m.Leaf, next)
		}
		if err := t.insertMatch(into, words, scan, seq, m); err != nil {
			return err
		}
		seq++
	}
	return into.flush()
}

func (t *tx) insertMatch(into inserter, words map[string]int64, scan int64, seq int, m tutela.Match) error {
	set, err := t.word(words, m.Set)
	if err != nil {
		return err
	}
	scheme, err := t.word(words, m.Category.Scheme)
	if err != nil {
		return err
	}
	return into.row(locationID(scan, m.Leaf), seq, int64(m.Status), set, m.Version, scheme, m.Category.Code, int64(m.Kind), int64(m.Row), m.Distance, m.Variant,
		m.Decoder, m.Scale, m.QueryShare, m.KnownShare)
}

// countMatches keeps how many records met what, and which run is shown.
func (t *tx) countMatches(scan int64, run int) error {
	counts, err := get[catalog.Counts](t, "SELECT counts FROM scans WHERE id = ?", scan)
	if err != nil {
		return err
	}
	for status, n := range map[tutela.Status]*uint64{tutela.Alert: &counts.Alerts, tutela.OfInterest: &counts.OfInterest, tutela.KnownGood: &counts.KnownGood} {
		const query = "SELECT count(DISTINCT location) FROM matches WHERE status = ? AND location >= ? AND location < ?"
		if err := t.one([]any{n}, query, int64(status), locationID(scan, 0), locationID(scan+1, 0)); err != nil {
			return err
		}
	}
	if err := t.exec("UPDATE scans SET run = ? WHERE id = ?", run, scan); err != nil {
		return err
	}
	return t.putCounts(scan, counts)
}
