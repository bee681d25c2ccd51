package catalogtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"tutela"
	"tutela/internal/catalog"
)

// Memory is a catalogue in maps: as plain as can be, so that clever ones can be
// held against it. It answers by looking at everything.
type Memory struct {
	mu    sync.Mutex // guards nouns and what they point at
	nouns *nouns
}

var _ catalog.Store = (*Memory)(nil)

// NewMemory returns an empty catalogue.
func NewMemory() *Memory { return &Memory{nouns: &nouns{}} }

// nouns is all that a catalogue holds. clone makes a transaction of it.
type nouns struct {
	log         []catalog.Entry
	cases       map[string]tutela.Case
	authorities map[string]tutela.Authority
	exhibits    map[string]tutela.Exhibit
	accounts    map[string]tutela.Account
	sets        []catalog.Set
	scans       []*scan // in the order they were started
}

type scan struct {
	catalog.Scan
	records []tutela.Record
	run     int
	matches map[uint64][]tutela.Match
}

var _ catalog.Nouns = (*nouns)(nil)

func (n *nouns) clone() *nouns {
	c := &nouns{log: slices.Clone(n.log), cases: map[string]tutela.Case{}, authorities: map[string]tutela.Authority{}, exhibits: map[string]tutela.Exhibit{}, accounts: map[string]tutela.Account{}, sets: slices.Clone(n.sets)}
	maps.Copy(c.cases, n.cases)
	maps.Copy(c.authorities, n.authorities)
	maps.Copy(c.exhibits, n.exhibits)
	maps.Copy(c.accounts, n.accounts)
	for _, s := range n.scans {
		copied := *s
		c.scans = append(c.scans, &copied)
	}
	return c
}

func lookup[T any](from map[string]T, key string) (T, error) {
	v, ok := from[key]
	if !ok {
		return v, catalog.ErrNotFound
	}
	return v, nil
}

func (n *nouns) Case(number string) (tutela.Case, error) { return lookup(n.cases, number) }

func (n *nouns) Authority(reference string) (tutela.Authority, error) {
	return lookup(n.authorities, reference)
}

func (n *nouns) Exhibit(label string) (tutela.Exhibit, error) { return lookup(n.exhibits, label) }

func (n *nouns) Account(name string) (tutela.Account, error) { return lookup(n.accounts, name) }

func (n *nouns) PutAccount(a tutela.Account) error {
	n.accounts[a.Name] = a
	return nil
}

func (n *nouns) PutCase(c tutela.Case) error {
	n.cases[c.Number] = c
	return nil
}

func (n *nouns) PutAuthority(a tutela.Authority) error {
	n.authorities[a.Reference] = a
	return nil
}

func (n *nouns) PutExhibit(x tutela.Exhibit) error {
	n.exhibits[x.Label] = x
	return nil
}

func (n *nouns) Scan(id catalog.ScanID) (catalog.Scan, error) {
	s, err := n.scan(id)
	if err != nil {
		return catalog.Scan{}, err
	}
	return s.Scan, nil
}

func (n *nouns) scan(id catalog.ScanID) (*scan, error) {
	for _, s := range slices.Backward(n.scans) {
		if s.Exhibit == id.Exhibit && (id.Number == 0 || s.Number == id.Number) {
			return s, nil
		}
	}
	return nil, catalog.ErrNotFound
}

func (n *nouns) PutScan(s catalog.Scan) error {
	if old, err := n.scan(s.ScanID); err == nil {
		old.Scan = s
		return nil
	}
	n.scans = append(n.scans, &scan{Scan: s})
	return nil
}

func (n *nouns) SetVersions(name string) (versions []catalog.Set, err error) {
	for _, s := range n.sets {
		if s.Set.Name == name {
			versions = append(versions, s)
		}
	}
	return versions, nil
}

func (n *nouns) PutSet(s catalog.Set) error {
	for i, old := range n.sets {
		if old.Set.Name == s.Set.Name && old.Set.Version == s.Set.Version {
			n.sets[i] = s
			return nil
		}
	}
	n.sets = append(n.sets, s)
	return nil
}

// Apply implements [catalog.Store].
func (m *Memory) Apply(_ context.Context, index uint64, ev tutela.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ev.Time, ev.Detail = ev.Time.UTC(), bytes.Clone(ev.Detail)
	switch next := uint64(len(m.nouns.log)); {
	case index > next:
		return fmt.Errorf("event %d: %w", index, catalog.ErrOrder)
	case index < next && !same(m.nouns.log[index].Event, ev):
		return fmt.Errorf("event %d: %w", index, catalog.ErrDiffers)
	case index < next:
		return nil
	}
	entry := catalog.Entry{Index: index, Event: ev, Repeat: m.nouns.seen(ev.Key)}
	if !entry.Repeat {
		changed := m.nouns.clone()
		if err := catalog.Project(changed, index, ev); err != nil {
			entry.Misfit = err.Error()
		} else {
			m.nouns = changed
		}
	}
	m.nouns.log = append(m.nouns.log, entry)
	return nil
}

func same(a, b tutela.Event) bool {
	return a.Kind == b.Kind && a.Time.Equal(b.Time) && a.Actor == b.Actor && a.Case == b.Case && a.Exhibit == b.Exhibit &&
		a.Authority == b.Authority && bytes.Equal(a.Detail, b.Detail) && a.Key == b.Key
}

func (n *nouns) seen(key string) bool {
	return key != "" && slices.ContainsFunc(n.log, func(e catalog.Entry) bool { return e.Key == key })
}

// Check implements [catalog.Store].
func (m *Memory) Check(_ context.Context, ev tutela.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nouns.seen(ev.Key) {
		return nil
	}
	return catalog.Project(m.nouns.clone(), 0, ev)
}

// Applied implements [catalog.Store].
func (m *Memory) Applied(context.Context) (uint64, error) { return uint64(len(m.now().log)), nil }

// now is what the store holds; it is not changed any more once it is replaced,
// except by loaders, which tests do not run beside readers here.
func (m *Memory) now() *nouns {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nouns.clone()
}

// Case implements [catalog.Store].
func (m *Memory) Case(_ context.Context, number string) (tutela.Case, error) {
	return m.now().Case(number)
}

// Authority implements [catalog.Store].
func (m *Memory) Authority(_ context.Context, reference string) (tutela.Authority, error) {
	return m.now().Authority(reference)
}

// Exhibit implements [catalog.Store].
func (m *Memory) Exhibit(_ context.Context, label string) (tutela.Exhibit, error) {
	return m.now().Exhibit(label)
}

// Scan implements [catalog.Store].
func (m *Memory) Scan(_ context.Context, id catalog.ScanID) (catalog.Scan, error) {
	return m.now().Scan(id)
}

func sorted[T any](from map[string]T, wanted func(T) bool) (list []T) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if wanted(from[key]) {
			list = append(list, from[key])
		}
	}
	return list
}

// Cases implements [catalog.Store].
func (m *Memory) Cases(context.Context) ([]tutela.Case, error) {
	return sorted(m.now().cases, func(tutela.Case) bool { return true }), nil
}

// Authorities implements [catalog.Store].
func (m *Memory) Authorities(_ context.Context, number string) ([]tutela.Authority, error) {
	return sorted(m.now().authorities, func(a tutela.Authority) bool { return number == "" || a.Case == number }), nil
}

// Exhibits implements [catalog.Store].
func (m *Memory) Exhibits(_ context.Context, number string) ([]tutela.Exhibit, error) {
	return sorted(m.now().exhibits, func(x tutela.Exhibit) bool { return number == "" || x.Case == number }), nil
}

// Account implements [catalog.Store].
func (m *Memory) Account(_ context.Context, name string) (tutela.Account, error) {
	return m.now().Account(name)
}

// Accounts implements [catalog.Store].
func (m *Memory) Accounts(context.Context) ([]tutela.Account, error) {
	return sorted(m.now().accounts, func(tutela.Account) bool { return true }), nil
}

// Sets implements [catalog.Store].
func (m *Memory) Sets(context.Context) ([]catalog.Set, error) {
	sets := m.now().sets
	slices.SortFunc(sets, func(a, b catalog.Set) int {
		return cmp.Or(cmp.Compare(a.Set.Name, b.Set.Name), cmp.Compare(a.Set.Version, b.Set.Version))
	})
	return sets, nil
}

// Scans implements [catalog.Store].
func (m *Memory) Scans(_ context.Context, exhibit string) (scans []catalog.Scan, err error) {
	for _, s := range m.now().inOrder() {
		if exhibit == "" || s.Exhibit == exhibit {
			scans = append(scans, s.Scan)
		}
	}
	return scans, nil
}

func (n *nouns) inOrder() []*scan {
	return slices.SortedFunc(slices.Values(n.scans), func(a, b *scan) int { return compare(a.ScanID, b.ScanID) })
}

func compare(a, b catalog.ScanID) int {
	return cmp.Or(cmp.Compare(a.Exhibit, b.Exhibit), cmp.Compare(a.Number, b.Number))
}

// Custody implements [catalog.Store].
func (m *Memory) Custody(_ context.Context, about catalog.About) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for _, e := range m.now().log {
			fits := (about.Case == "" || about.Case == e.Case) && (about.Exhibit == "" || about.Exhibit == e.Exhibit)
			if fits && !yield(e, nil) {
				return
			}
		}
	}
}

// memoryLoader gathers records of a scan.
type memoryLoader struct {
	m      *Memory
	id     catalog.ScanID
	next   uint64
	added  []tutela.Record
	closed bool
}

// Loader implements [catalog.Store].
func (m *Memory) Loader(_ context.Context, id catalog.ScanID) (catalog.Loader, error) {
	s, err := m.now().scan(id)
	if err != nil || id.Number == 0 {
		return nil, catalog.ErrNotFound
	}
	return &memoryLoader{m: m, id: id, next: uint64(len(s.records))}, nil
}

func (l *memoryLoader) Next() uint64 { return l.next + uint64(len(l.added)) }

func (l *memoryLoader) Close() error {
	l.closed = true
	return nil
}

func (l *memoryLoader) Add(leaf uint64, r *tutela.Record) error {
	if l.closed {
		return errors.New("closed")
	}
	if leaf != l.Next() {
		return fmt.Errorf("leaf %d: %w", leaf, catalog.ErrOrder)
	}
	l.added = append(l.added, Stored(r))
	return nil
}

func (l *memoryLoader) Commit(ctx context.Context) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	s, err := l.m.nouns.scan(l.id)
	switch {
	case l.closed:
		return errors.New("closed")
	case ctx.Err() != nil || err != nil:
		l.closed = true
		return errors.Join(ctx.Err(), err)
	case uint64(len(s.records)) != l.next:
		l.closed = true
		return fmt.Errorf("another loader: %w", catalog.ErrOrder)
	}
	s.records = append(slices.Clip(s.records), l.added...)
	l.next, l.added = l.Next(), nil
	return nil
}

// Stored is what a catalogue gives back of a record: a copy without Runs
// and Unread, with times in UTC, and without digests if it was not hashed.
func Stored(r *tutela.Record) tutela.Record {
	c := *r
	c.Path, c.Runs, c.Unread = bytes.Clone(r.Path), nil, nil
	c.Chain, c.Findings = slices.Clone(r.Chain), slices.Clone(r.Findings)
	t := &c.Times
	t.Modified, t.Accessed, t.Changed, t.Born = t.Modified.UTC(), t.Accessed.UTC(), t.Changed.UTC(), t.Born.UTC()
	if !c.Hashed {
		c.Digests = tutela.Digests{}
	}
	if r.Picture != nil {
		p := *r.Picture
		p.Variants = nil
		c.Picture = &p
	}
	if r.Video != nil {
		v := *r.Video
		v.Frames = slices.Clone(v.Frames)
		c.Video = &v
	}
	return c
}

// Unload implements [catalog.Store].
func (m *Memory) Unload(_ context.Context, ids ...catalog.ScanID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var scans []*scan
	for _, id := range ids {
		s, err := m.nouns.scan(id)
		if err != nil || id.Number == 0 {
			return catalog.ErrNotFound
		}
		scans = append(scans, s)
	}
	for _, s := range scans {
		s.records, s.run, s.matches = nil, 0, nil
	}
	return nil
}

// LoadMatches implements [catalog.Store].
func (m *Memory) LoadMatches(_ context.Context, id catalog.ScanID, run int, matches iter.Seq2[tutela.Match, error]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.nouns.scan(id)
	switch {
	case err != nil:
		return err
	case run < 1:
		return fmt.Errorf("run %d: %w", run, catalog.ErrOrder)
	case run < s.run:
		return nil
	}
	met := map[uint64][]tutela.Match{}
	for match, err := range matches {
		if err != nil {
			return err
		}
		if match.Leaf >= uint64(len(s.records)) {
			return fmt.Errorf("leaf %d: %w", match.Leaf, catalog.ErrOrder)
		}
		met[match.Leaf] = append(met[match.Leaf], match)
	}
	s.run, s.matches = run, met
	return nil
}

// Rollup implements [catalog.Store]. It counts, where others remember.
func (m *Memory) Rollup(_ context.Context, id catalog.ScanID) (c catalog.Counts, err error) {
	s, err := m.now().scan(id)
	if err != nil {
		return c, err
	}
	contents := map[tutela.SHA256]bool{}
	for leaf := range s.records {
		r := &s.records[leaf]
		c.Count(r)
		if r.Hashed {
			contents[r.Digests.SHA256] = true
		}
		countMatches(&c, s.matches[uint64(leaf)])
	}
	c.Contents = uint64(len(contents))
	return c, nil
}

func countMatches(c *catalog.Counts, matches []tutela.Match) {
	for status, n := range map[tutela.Status]*uint64{tutela.Alert: &c.Alerts, tutela.OfInterest: &c.OfInterest, tutela.KnownGood: &c.KnownGood} {
		if slices.ContainsFunc(matches, func(m tutela.Match) bool { return m.Status == status }) {
			*n++
		}
	}
}

// Find implements [catalog.Store] by [catalog.Query.Fits].
func (m *Memory) Find(_ context.Context, q catalog.Query) iter.Seq2[catalog.Hit, error] {
	return func(yield func(catalog.Hit, error) bool) {
		n := m.now()
		if err := errors.Join(q.Check(), n.there(q)); err != nil {
			yield(catalog.Hit{}, err)
			return
		}
		told := 0
		for _, h := range n.hits(q) {
			if q.Limit > 0 && told == q.Limit || !yield(h, nil) {
				return
			}
			told++
		}
	}
}

func (n *nouns) there(q catalog.Query) error {
	var errs []error
	if q.Case != "" {
		_, err := n.Case(q.Case)
		errs = append(errs, err)
	}
	if q.Exhibit != "" {
		_, err := n.Exhibit(q.Exhibit)
		errs = append(errs, err)
	}
	if q.Scan > 0 {
		_, err := n.scan(catalog.ScanID{Exhibit: q.Exhibit, Number: q.Scan})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (n *nouns) hits(q catalog.Query) (hits []catalog.Hit) {
	for _, s := range n.inOrder() {
		newest, err := n.scan(catalog.ScanID{Exhibit: s.Exhibit, Number: q.Scan})
		if err != nil || newest != s {
			continue
		}
		for leaf, r := range s.records {
			h := catalog.Hit{Case: n.exhibits[s.Exhibit].Case, ScanID: s.ScanID, Leaf: uint64(leaf), Record: r, Matches: s.matches[uint64(leaf)]}
			if !q.Fits(&h) || !behind(&h, q.After) {
				continue
			}
			if q.Near != nil {
				h.Distance = q.Near.Nearest(&r)
			}
			hits = append(hits, h)
		}
	}
	return hits
}

func behind(h *catalog.Hit, after *catalog.Cursor) bool {
	if after == nil {
		return true
	}
	return cmp.Or(compare(h.ScanID, after.ScanID), cmp.Compare(h.Leaf, after.Leaf)) > 0
}

// Close implements [catalog.Store].
func (m *Memory) Close() error { return nil }
