package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/catalog"
)

// A location's id is the scan's id and the leaf, see the schema. It must never
// change.
const (
	leafBits  = 40 // a million million records a scan
	scanLimit = 1 << (63 - leafBits)
)

func locationID(scan int64, leaf uint64) int64 { return scan<<leafBits | int64(leaf) }

func leafOf(location int64) uint64 { return uint64(location) & (1<<leafBits - 1) }

var errClosed = errors.New("the loader is closed")

// loader gathers rows in memory and writes them in Commit, so that no
// transaction stays open, and nobody waits, while evidence is read.
type loader struct {
	store *Store
	id    catalog.ScanID
	scan  int64            // scans.id
	next  uint64           // the first leaf that is not committed
	words map[string]int64 // of this loader only: another transaction may have failed

	batch  batch
	counts catalog.Counts // of the batch
	closed bool
}

var _ catalog.Loader = (*loader)(nil)

// Loader implements [catalog.Store].
func (s *Store) Loader(ctx context.Context, id catalog.ScanID) (catalog.Loader, error) {
	l := &loader{store: s, id: id, words: map[string]int64{}}
	const query = "SELECT id, next FROM scans WHERE exhibit = ? AND number = ?"
	if err := s.read(ctx).one([]any{&l.scan, &l.next}, query, id.Exhibit, id.Number); err != nil {
		return nil, named(err, "load exhibit", id.String())
	}
	if l.scan >= scanLimit {
		return nil, fmt.Errorf("load exhibit %s: this store holds %d scans", id, scanLimit-1)
	}
	return l, nil
}

// Next implements [catalog.Loader].
func (l *loader) Next() uint64 { return l.next + uint64(len(l.batch.rows)) }

// Add implements [catalog.Loader].
func (l *loader) Add(leaf uint64, r *tutela.Record) error {
	if l.closed {
		return errClosed
	}
	if leaf != l.Next() || leaf>>leafBits != 0 {
		return fmt.Errorf("load exhibit %s: leaf %d: %w: the next is %d", l.id, leaf, catalog.ErrOrder, l.Next())
	}
	l.batch.add(r)
	l.counts.Count(r)
	return nil
}

// Close implements [catalog.Loader].
func (l *loader) Close() error {
	l.closed = true
	l.batch = batch{}
	return nil
}

// Commit implements [catalog.Loader].
func (l *loader) Commit(ctx context.Context) error {
	if l.closed {
		return errClosed
	}
	if len(l.batch.rows) == 0 {
		return nil
	}
	if err := l.store.write(ctx, fmt.Sprintf("load exhibit %s from leaf %d", l.id, l.next), l.commit); err != nil {
		l.Close()
		return err
	}
	l.next = l.Next()
	l.batch.reset()
	l.counts = catalog.Counts{}
	return nil
}

func (l *loader) commit(t *tx) error {
	counts, err := l.begin(t)
	if err != nil {
		return err
	}
	fresh, err := t.contents(&l.batch, l.scan)
	if err != nil {
		return err
	}
	for _, insert := range []func(*tx) error{l.locations, l.pictures, l.videos, l.findings} {
		if err := insert(t); err != nil {
			return err
		}
	}
	l.counts.Contents = fresh
	if err := t.exec("UPDATE scans SET next = ? WHERE id = ?", int64(l.Next()), l.scan); err != nil {
		return err
	}
	return t.putCounts(l.scan, sum(counts, l.counts))
}

// begin makes sure that nobody else loaded this scan since the loader was made.
func (l *loader) begin(t *tx) (counts catalog.Counts, err error) {
	var next uint64
	var body string
	if err := t.one([]any{&next, &body}, "SELECT next, counts FROM scans WHERE id = ?", l.scan); err != nil {
		return counts, err
	}
	if next != l.next {
		return counts, fmt.Errorf("%w: another loader has come to leaf %d", catalog.ErrOrder, next)
	}
	return counts, unpack(body, &counts)
}

func (t *tx) putCounts(scan int64, counts catalog.Counts) error {
	body, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	return t.exec("UPDATE scans SET counts = ? WHERE id = ?", string(body), scan)
}

// sum adds what a batch counted. What it met is counted by LoadMatches.
func sum(a, b catalog.Counts) catalog.Counts {
	a.Records += b.Records
	a.Files += b.Files
	a.Bytes += b.Bytes
	a.Unreadable += b.Unreadable
	a.Contents += b.Contents
	for s := tutela.Allocated; s <= tutela.Embedded; s++ {
		a.States.Add(s, b.States.Of(s))
	}
	return a
}

func (l *loader) locations(t *tx) error {
	into := t.inserter("INSERT INTO locations (id, state, kind, size, content, mime, volume, path, observation, failure)", 10)
	for i := range l.batch.rows {
		r := &l.batch.rows[i]
		mime, err := t.word(l.words, r.mime)
		if err != nil {
			return err
		}
		path, observation := l.batch.bytes(i)
		if err := into.row(l.location(i), int64(r.state), int64(r.kind), r.size, r.contentID(), mime, r.volume, path, observation, r.failure); err != nil {
			return err
		}
	}
	return into.flush()
}

func (l *loader) location(row int) int64 { return locationID(l.scan, l.next+uint64(row)) }

func (l *loader) pictures(t *tx) error {
	into := t.inserter("INSERT INTO pictures (location, pdq, quality, width, height, decoder, scale)", 7)
	for i := range l.batch.pictures {
		p := &l.batch.pictures[i]
		decoder, err := t.word(l.words, p.Decoder)
		if err != nil {
			return err
		}
		if err := into.row(l.location(p.row), p.PDQ[:], p.Quality, p.Width, p.Height, decoder, p.Scale); err != nil {
			return err
		}
	}
	return into.flush()
}

func (l *loader) videos(t *tx) error {
	into := t.inserter("INSERT INTO videos (location, body)", 2)
	for _, v := range l.batch.videos {
		if err := into.row(l.location(v.row), v.body); err != nil {
			return err
		}
	}
	return into.flush()
}

func (l *loader) findings(t *tx) error {
	into := t.inserter("INSERT INTO findings (location, seq, code, detail)", 4)
	for _, f := range l.batch.findings {
		code, err := t.word(l.words, f.Code)
		if err != nil {
			return err
		}
		if err := into.row(l.location(f.row), f.seq, code, f.Detail); err != nil {
			return err
		}
	}
	return into.flush()
}

// wordsKept bounds the memory of words against a source that makes them up.
const wordsKept = 4096

// word is the id of a string that comes again and again.
func (t *tx) word(known map[string]int64, text string) (int64, error) {
	if id, ok := known[text]; ok {
		return id, nil
	}
	if err := t.exec("INSERT INTO words (text) VALUES (?) ON CONFLICT DO NOTHING", text); err != nil {
		return 0, err
	}
	var id int64
	if err := t.one([]any{&id}, "SELECT id FROM words WHERE text = ?", text); err != nil {
		return 0, err
	}
	if len(known) >= wordsKept {
		clear(known)
	}
	known[text] = id
	return id, nil
}
