package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"tutela/internal/catalog"
)

// A query is answered scan by scan, in the order hits are told in, and page by
// page: first the ids of locations that fit, then all about them. Between pages
// nothing is held open, so the caller may take its time and use the store.
const (
	pageFirst = 64 // quickly something to look at
	pageMost  = 512
)

// Find implements [catalog.Store].
func (s *Store) Find(ctx context.Context, q catalog.Query) iter.Seq2[catalog.Hit, error] {
	return func(yield func(catalog.Hit, error) bool) {
		err := s.find(ctx, q, func(h catalog.Hit) bool { return yield(h, nil) })
		if err != nil && err != errStopped {
			yield(catalog.Hit{}, fmt.Errorf("find: %w", explain(err)))
		}
	}
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

func (s *Store) find(ctx context.Context, q catalog.Query, yield func(catalog.Hit) bool) error {
	if err := q.Check(); err != nil {
		return err
	}
	t := s.read(ctx)
	if err := t.there(q); err != nil {
		return err
	}
	a := answer{store: s, ctx: ctx, q: q, left: q.Limit, page: pageFirst, yield: yield}
	if possible, err := a.resolve(t); err != nil || !possible {
		return err
	}
	scans, err := a.scans(t)
	if err != nil {
		return err
	}
	for _, scan := range scans {
		if err := a.tell(scan); err != nil {
			return err
		}
	}
	return nil
}

// there makes sure that what the query names exists: a typing error should not
// look like a clean exhibit.
func (t *tx) there(q catalog.Query) error {
	if q.Case != "" {
		if _, err := t.Case(q.Case); err != nil {
			return named(err, "case", q.Case)
		}
	}
	if q.Exhibit != "" {
		if _, err := t.Exhibit(q.Exhibit); err != nil {
			return named(err, "exhibit", q.Exhibit)
		}
	}
	if q.Scan != 0 {
		id := catalog.ScanID{Exhibit: q.Exhibit, Number: q.Scan}
		if _, err := t.Scan(id); err != nil {
			return namedScan(err, id)
		}
	}
	return nil
}

// answer is one query on its way through the scans.
type answer struct {
	store *Store
	ctx   context.Context
	q     catalog.Query
	yield func(catalog.Hit) bool
	left  int // hits still wanted, if q.Limit is set
	page  int

	content int64   // of q.SHA256
	code    int64   // of q.Finding
	mimes   []int64 // of q.MIME
}

// resolve looks up what the query names by text. It is not possible to fit what
// was never seen.
func (a *answer) resolve(t *tx) (possible bool, err error) {
	if a.q.SHA256 != nil {
		err = t.one([]any{&a.content}, "SELECT id FROM contents WHERE prefix = ? AND sha256 = ?", prefix(*a.q.SHA256), a.q.SHA256[:])
	}
	if err == nil && a.q.Finding != "" {
		err = t.one([]any{&a.code}, "SELECT id FROM words WHERE text = ?", a.q.Finding)
	}
	if err == nil && a.q.MIME != "" {
		err = a.resolveMIME(t)
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (a *answer) resolveMIME(t *tx) error {
	from, to := a.q.MIME, a.q.MIME
	if prefix, all := strings.CutSuffix(a.q.MIME, "/"); all {
		to = prefix + "0" // the byte that follows the slash
	}
	err := t.each(func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		a.mimes = append(a.mimes, id)
		return err
	}, "SELECT id FROM words WHERE text = ?1 OR text > ?1 AND text < ?2", from, to)
	if err == nil && len(a.mimes) == 0 {
		return catalog.ErrNotFound
	}
	return err
}

// scanned is a scan that may hold hits.
type scanned struct {
	catalog.ScanID
	id         int64
	caseNumber string
}

func (a *answer) scans(t *tx) (scans []scanned, err error) {
	w := where{}
	w.and("x.label = s.exhibit")
	w.andIf(a.q.Case != "", "x.case_number = ?", a.q.Case)
	w.andIf(a.q.Exhibit != "", "s.exhibit = ?", a.q.Exhibit)
	w.andIf(a.q.Scan != 0, "s.number = ?", a.q.Scan)
	w.andIf(a.q.Scan == 0, "s.number = (SELECT max(n.number) FROM scans n WHERE n.exhibit = s.exhibit)")
	if c := a.q.After; c != nil {
		w.and("(s.exhibit, s.number) >= (?, ?)", c.Exhibit, c.Number)
	}
	// With many exhibits, most do not hold the content.
	w.andIf(a.q.SHA256 != nil, "s.id IN (SELECT id >> ? FROM locations WHERE content = ?)", leafBits, a.content)
	err = t.each(func(rows *sql.Rows) error {
		var s scanned
		err := rows.Scan(&s.id, &s.Exhibit, &s.Number, &s.caseNumber)
		scans = append(scans, s)
		return err
	}, "SELECT s.id, s.exhibit, s.number, x.case_number FROM scans s, exhibits x WHERE "+w.String()+" ORDER BY s.exhibit, s.number", w.args...)
	return scans, err
}

// tell yields the hits of one scan.
func (a *answer) tell(s scanned) error {
	from := locationID(s.id, 0)
	if c := a.q.After; c != nil && c.ScanID == s.ScanID {
		from = locationID(s.id, min(c.Leaf, 1<<leafBits-1)) + 1
	}
	for {
		want := a.page
		if a.q.Limit > 0 {
			want = min(want, a.left)
		}
		if want == 0 {
			return errStopped
		}
		hits, err := a.read(s, from, want)
		if err != nil {
			return err
		}
		if err := a.tellPage(s, hits); err != nil {
			return err
		}
		if len(hits) < want {
			return nil
		}
		from = locationID(s.id, hits[len(hits)-1].Leaf) + 1
		a.left -= len(hits)
		a.page = pageMost
	}
}

// read is one page, and one moment: what is told of a location fits the query
// even if a match run is replaced meanwhile.
func (a *answer) read(s scanned, from int64, want int) (hits []catalog.Hit, err error) {
	err = a.store.view(a.ctx, func(t *tx) error {
		ids, err := a.ids(t, s, from, want)
		if err != nil {
			return err
		}
		hits, err = t.hits(ids)
		return err
	})
	return hits, err
}

func (a *answer) tellPage(s scanned, hits []catalog.Hit) error {
	for i := range hits {
		h := &hits[i]
		h.Case, h.ScanID = s.caseNumber, s.ScanID
		if a.q.Near != nil {
			h.Distance = a.q.Near.Nearest(&h.Record)
		}
		if !a.yield(*h) {
			return errStopped
		}
	}
	return nil
}

// ids are the first want locations of a scan that fit, from an id on.
func (a *answer) ids(t *tx, s scanned, from int64, want int) ([]int64, error) {
	if a.q.Near == nil {
		return a.idsAmong(t, "", s, from, want)
	}
	pictures, err := a.idsAmong(t, "pictures", s, from, want)
	if err != nil {
		return nil, err
	}
	videos, err := a.idsAmong(t, "videos", s, from, want)
	ids := append(pictures, videos...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return ids[:min(want, len(ids))], err
}

// idsAmong are ids of what looks alike in one table. What SQL cannot say (names,
// distances) is held against each row here.
func (a *answer) idsAmong(t *tx, alike string, s scanned, from int64, want int) (ids []int64, err error) {
	query, args := a.candidates(alike, from, locationID(s.id+1, 0))
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var id int64
	var path, looks sql.RawBytes
	for len(ids) < want && rows.Next() {
		if err := rows.Scan(&id, &path, &looks); err != nil {
			return nil, err
		}
		again := len(ids) > 0 && ids[len(ids)-1] == id // two matches, one location
		if !again && a.fits(alike, path, looks) {
			ids = append(ids, id)
		}
	}
	if len(ids) == want {
		return ids, nil
	}
	return ids, rows.Err()
}

func (a *answer) fits(alike string, path, looks []byte) bool {
	if a.q.Name != "" && !catalog.MatchName(a.q.Name, path) {
		return false
	}
	switch alike {
	case "pictures":
		p, err := parsePDQ(looks)
		return err == nil && a.q.Near.Distance(p) <= a.q.Near.Radius
	case "videos":
		v, err := parseVideo(looks)
		return err == nil && a.q.Near.FitsVideo(v)
	}
	return true
}

// candidates asks for id, path and looks, the last two only where they are
// looked at: the hash of a picture or the body of a video, as alike names their
// table. The order of the tables is ours, written as CROSS JOIN: SQLite has no
// statistics here, and the most telling condition is known.
func (a *answer) candidates(alike string, from, to int64) (string, []any) {
	w := where{}
	columns, tables, driver := []string{"l.id", "NULL", "NULL"}, "locations l", "l.id"
	q := &a.q
	switch {
	case q.SHA256 != nil:
		tables = "locations l INDEXED BY locations_content"
	case alike != "":
		tables, driver = alike+" p CROSS JOIN locations l ON l.id = p.location", "p.location"
	case q.Match.Status() != 0:
		tables, driver = "matches m INDEXED BY matches_status CROSS JOIN locations l ON l.id = m.location", "m.location"
		w.and("m.status = ?", int64(q.Match.Status()))
	case q.Match == catalog.MatchAny:
		tables, driver = "matches m CROSS JOIN locations l ON l.id = m.location", "m.location"
	case q.Finding != "":
		tables, driver = "findings f INDEXED BY findings_code CROSS JOIN locations l ON l.id = f.location", "f.location"
		w.and("f.code = ?", a.code)
	}
	if q.Name != "" {
		columns[1] = "l.path"
	}
	if alike != "" {
		columns[2] = map[string]string{"pictures": "p.pdq", "videos": "p.body"}[alike]
		if driver != "p.location" {
			tables += " CROSS JOIN " + alike + " p ON p.location = l.id"
		}
	}
	w.and(driver+" >= ? AND "+driver+" < ?", from, to)
	w.andIf(alike == "pictures", "p.quality >= ?", catalog.MinQuality)
	a.conditions(&w)
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + tables + " WHERE " + w.String() + " ORDER BY " + driver, w.args
}

func (a *answer) conditions(w *where) {
	q := &a.q
	w.andIf(q.SHA256 != nil, "l.content = ?", a.content)
	w.andIf(q.State != 0, "l.state = ?", int64(q.State))
	// Says so that SQLite may use the index of all that is not allocated.
	w.andIf(q.State > 1, "l.state <> 1")
	w.andIf(q.Match.Status() != 0, "EXISTS (SELECT 1 FROM matches e WHERE e.status = ? AND e.location = l.id)", int64(q.Match.Status()))
	w.andIf(q.Match == catalog.MatchAny, "EXISTS (SELECT 1 FROM matches e WHERE e.location = l.id)")
	w.andIf(q.Match == catalog.MatchNone, "NOT EXISTS (SELECT 1 FROM matches e WHERE e.location = l.id)")
	w.andIf(q.Finding != "", "EXISTS (SELECT 1 FROM findings e WHERE e.code = ? AND e.location = l.id)", a.code)
	if len(a.mimes) > 0 {
		w.and("l.mime IN (SELECT value FROM json_each(?))", jsonIDs(a.mimes))
	}
}

// where gathers conditions and what fills their question marks.
type where struct {
	all  []string
	args []any
}

func (w *where) and(condition string, args ...any) {
	w.all = append(w.all, condition)
	w.args = append(w.args, args...)
}

func (w *where) andIf(wanted bool, condition string, args ...any) {
	if wanted {
		w.and(condition, args...)
	}
}

func (w *where) String() string { return strings.Join(w.all, " AND ") }
