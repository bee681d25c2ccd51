package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// Applied implements [catalog.Store].
func (s *Store) Applied(ctx context.Context) (uint64, error) {
	next, err := s.read(ctx).applied()
	return next, named(err, "events", "applied")
}

func (t *tx) applied() (next uint64, err error) {
	err = t.one([]any{&next}, "SELECT coalesce(max(idx) + 1, 0) FROM events")
	return next, err
}

// Apply implements [catalog.Store].
func (s *Store) Apply(ctx context.Context, index uint64, ev tutela.Event) error {
	return s.write(ctx, fmt.Sprintf("apply event %d", index), func(t *tx) error {
		next, err := t.applied()
		switch {
		case err != nil:
			return err
		case index > next:
			return fmt.Errorf("%w: the next event is %d", catalog.ErrOrder, next)
		case index < next:
			return t.same(index, ev)
		}
		return t.apply(index, ev)
	})
}

func (t *tx) apply(index uint64, ev tutela.Event) error {
	entry := catalog.Entry{Index: index, Event: ev}
	repeat, err := t.seen(ev.Key)
	if err != nil {
		return err
	}
	if entry.Repeat = repeat; !repeat {
		err = catalog.Project(t, index, ev)
	}
	var misfit *catalog.Misfit
	if errors.As(err, &misfit) {
		entry.Misfit, err = misfit.Error(), nil
	}
	if err != nil {
		return err
	}
	return t.keep(entry)
}

// seen reports whether a key was applied before; the empty key never was.
func (t *tx) seen(key string) (bool, error) {
	var n int
	err := t.one([]any{&n}, "SELECT count(*) FROM events WHERE key = ? AND key <> ''", key)
	return n > 0, err
}

func (t *tx) keep(e catalog.Entry) error {
	return t.exec(`INSERT INTO events (idx, kind, sec, nsec, actor, case_number, exhibit, authority, detail, key, repeated, misfit)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(e.Index), string(e.Kind), e.Time.Unix(), e.Time.Nanosecond(), e.Actor, e.Case, e.Exhibit, e.Authority,
		append([]byte{}, e.Detail...), e.Key, e.Repeat, e.Misfit)
}

// same holds an event against the one that was applied at its index.
func (t *tx) same(index uint64, ev tutela.Event) error {
	entries, err := t.entries(index, 1, catalog.About{})
	if err != nil {
		return err
	}
	if len(entries) == 0 || entries[0].Index != index || !sameEvent(entries[0].Event, ev) {
		return fmt.Errorf("event %d %w", index, catalog.ErrDiffers)
	}
	return nil
}

func sameEvent(a, b tutela.Event) bool {
	return a.Kind == b.Kind && a.Time.Equal(b.Time) && a.Actor == b.Actor && a.Case == b.Case && a.Exhibit == b.Exhibit &&
		a.Authority == b.Authority && bytes.Equal(a.Detail, b.Detail) && a.Key == b.Key
}

// Check implements [catalog.Store].
func (s *Store) Check(ctx context.Context, ev tutela.Event) error {
	err := s.check(ctx, ev)
	var misfit *catalog.Misfit
	if err == nil || errors.As(err, &misfit) {
		return err
	}
	return fmt.Errorf("check %s event: %w", ev.Kind, explain(err))
}

// check applies an event in a transaction that is always rolled back: asking
// and doing cannot come to differ.
func (s *Store) check(ctx context.Context, ev tutela.Event) error {
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	t := &tx{ctx: ctx, q: sqlTx}
	if repeat, err := t.seen(ev.Key); err != nil || repeat {
		return err
	}
	return catalog.Project(t, 0, ev)
}

// entriesPage is how many events Custody reads at a time, so that no read
// transaction stays open while its caller thinks.
const entriesPage = 200

// Custody implements [catalog.Store].
func (s *Store) Custody(ctx context.Context, about catalog.About) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for from := uint64(0); ; {
			page, err := s.read(ctx).entries(from, entriesPage, about)
			if err != nil {
				yield(catalog.Entry{}, named(err, "read", "custody"))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				from = e.Index + 1
			}
			if len(page) < entriesPage {
				return
			}
		}
	}
}

// entries reads at most limit events from an index on.
func (t *tx) entries(from uint64, limit int, about catalog.About) (entries []catalog.Entry, err error) {
	query := "SELECT idx, kind, sec, nsec, actor, case_number, exhibit, authority, detail, key, repeated, misfit FROM events WHERE idx >= ?1"
	// The second half of each condition lets the partial index be used.
	if about.Exhibit != "" {
		query += " AND exhibit = ?3 AND exhibit <> ''"
	}
	if about.Case != "" {
		query += " AND case_number = ?4 AND case_number <> ''"
	}
	err = t.each(func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		entries = append(entries, e)
		return err
	}, query+" ORDER BY idx LIMIT ?2", from, limit, about.Exhibit, about.Case)
	return entries, err
}

func scanEntry(rows *sql.Rows) (e catalog.Entry, err error) {
	var sec, nsec int64
	err = rows.Scan(&e.Index, &e.Kind, &sec, &nsec, &e.Actor, &e.Case, &e.Exhibit, &e.Authority, &e.Detail, &e.Key, &e.Repeat, &e.Misfit)
	e.Time = time.Unix(sec, nsec).UTC()
	return e, err
}
