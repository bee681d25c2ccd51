package catalogtest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// lab is a store under test and what was fed to it.
type lab struct {
	testing.TB
	catalog.Store
	log     []tutela.Event
	records map[catalog.ScanID][]*tutela.Record
	runs    map[catalog.ScanID]matchRun
}

type matchRun struct {
	number  int
	matches []tutela.Match
}

func newLab(t testing.TB, open func(testing.TB) catalog.Store) *lab {
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &lab{TB: t, Store: s, records: map[catalog.ScanID][]*tutela.Record{}, runs: map[catalog.ScanID]matchRun{}}
}

// noon is when the lab's log begins; an event an hour follows.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// event makes the next event.
func (l *lab) event(kind tutela.EventKind, detail any) tutela.Event {
	l.Helper()
	ev, err := tutela.NewEvent(kind, noon.Add(time.Duration(len(l.log))*time.Hour), "examiner", detail)
	l.must(err)
	return ev
}

func (l *lab) apply(ev tutela.Event) {
	l.Helper()
	l.must(l.Apply(l.Context(), uint64(len(l.log)), ev))
	l.log = append(l.log, ev)
}

func (l *lab) happen(kind tutela.EventKind, detail any) {
	l.Helper()
	l.apply(l.event(kind, detail))
}

// open, seize and scan do what they say.
func (l *lab) open(number string) {
	l.Helper()
	l.happen(tutela.EventCaseOpen, tutela.Case{Number: number, Title: "about " + number})
}

func (l *lab) seize(label, caseNumber string) {
	l.Helper()
	ev := l.event(tutela.EventSeize, tutela.Exhibit{Label: label, Case: caseNumber, Kind: "drive"})
	ev.Case, ev.Exhibit = caseNumber, label
	l.apply(ev)
}

func (l *lab) scan(label string, number int) catalog.ScanID {
	l.Helper()
	ev := l.event(tutela.EventScanStart, tutela.ScanStart{Exhibit: label, Number: number, Profile: "full"})
	ev.Exhibit, ev.Authority = label, "W-1"
	l.apply(ev)
	return catalog.ScanID{Exhibit: label, Number: number}
}

// load adds records to a scan, committing after every batch of so many.
func (l *lab) load(id catalog.ScanID, batch int, records ...*tutela.Record) {
	l.Helper()
	loader, err := l.Loader(l.Context(), id)
	l.must(err)
	defer loader.Close()
	for chunk := range slices.Chunk(records, batch) {
		for _, r := range chunk {
			l.must(loader.Add(loader.Next(), r))
		}
		l.must(loader.Commit(l.Context()))
	}
	l.records[id] = append(l.records[id], records...)
}

func (l *lab) match(id catalog.ScanID, run int, matches ...tutela.Match) {
	l.Helper()
	l.must(l.LoadMatches(l.Context(), id, run, each(matches)))
	l.runs[id] = matchRun{run, matches}
}

// rebuild feeds another store what this one was fed, in the plainest order: the
// whole log, then every scan in one batch, then its newest matches.
func (l *lab) rebuild(open func(testing.TB) catalog.Store) *lab {
	l.Helper()
	again := newLab(l.TB, open)
	for _, ev := range l.log {
		again.apply(ev)
	}
	for id, records := range l.records {
		again.load(id, max(1, len(records)), records...)
	}
	for id, run := range l.runs {
		again.match(id, run.number, run.matches...)
	}
	return again
}

func (l *lab) dump() string {
	l.Helper()
	var b bytes.Buffer
	l.must(catalog.Dump(l.Context(), l, &b))
	return b.String()
}

// find returns all hits, and the error if there was one.
func (l *lab) find(q catalog.Query) (hits []catalog.Hit, err error) {
	for h, err := range l.Find(l.Context(), q) {
		if err != nil {
			return hits, err
		}
		hits = append(hits, h)
	}
	return hits, nil
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// refuse demands a certain error.
func (l *lab) refuse(what string, err, want error) {
	l.Helper()
	if !errors.Is(err, want) {
		l.Errorf("%s: %v, want %v", what, err, want)
	}
}

func each(matches []tutela.Match) iter.Seq2[tutela.Match, error] {
	return func(yield func(tutela.Match, error) bool) {
		for _, m := range matches {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// file is a readable record whose content is the text.
func file(path, content string) *tutela.Record {
	return &tutela.Record{
		Path: []byte(path), Kind: tutela.File, State: tutela.Allocated, Size: int64(len(content)),
		Hashed: true, Digests: digests(content), Type: "text/plain",
	}
}

func digests(content string) tutela.Digests {
	raw := []byte(content)
	return tutela.Digests{MD5: md5.Sum(raw), SHA1: sha1.Sum(raw), SHA256: sha256.Sum256(raw)}
}

// pictureOf is a file with a perceptual hash that has so many bits set.
func pictureOf(path string, bits, quality int) *tutela.Record {
	r := file(path, path)
	r.Type = "image/png"
	r.Picture = &tutela.Perceptual{PDQ: bitsSet(bits), Quality: quality, Width: 640, Height: 480, Decoder: "luma/1"}
	return r
}

func bitsSet(n int) (p tutela.PDQ) {
	for i := range n {
		p[i/8] |= 1 << (i % 8)
	}
	return p
}
