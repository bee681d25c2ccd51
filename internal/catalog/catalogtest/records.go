package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// one returns a lab in which the first scan of one exhibit runs.
func (l *lab) one() catalog.ScanID {
	l.Helper()
	l.open("1")
	l.seize("X", "1")
	return l.scan("X", 1)
}

// testRecords: every field comes back, except Runs, Unread and the
// variants of a picture.
func testRecords(l *lab) {
	id := l.one()
	at := time.Date(2020, 2, 29, 23, 59, 59, 999999999, time.UTC)
	full := &tutela.Record{
		Volume: "2", Path: []byte("/a/b.zip!/c:d.jpg"), Chain: []tutela.Locator{{Layer: "raw", At: "disk.dd"}, {Layer: "gpt", At: "2"}, {Layer: "zip", At: ""}},
		Kind: tutela.File, State: tutela.Embedded, Size: 1 << 40, Runs: []tutela.Run{{Offset: 1, Length: 2}}, Unread: []tutela.Run{{Length: 1}},
		Times:  tutela.Times{Modified: at, Accessed: at.Add(1), Changed: at.Add(-time.Hour), Born: at.In(time.FixedZone("", 3600))},
		Hashed: true, Digests: digests("c"), Type: "image/jpeg",
		Picture: &tutela.Perceptual{PDQ: bitsSet(77), Quality: 100, Width: 1, Height: math.MaxInt32, Decoder: "luma/1", Scale: 8,
			Variants: []tutela.Variant{{Name: "rot90", Quality: 100}}},
		Video: &tutela.Video{Container: "mp4", Codec: "avc1", Width: 1920, Height: -1, Duration: time.Hour, Decoder: "d",
			Frames: []tutela.Frame{{PDQ: bitsSet(3), Quality: 50}, {At: time.Second, PDQ: bitsSet(4), Quality: -1}}},
		Findings: []tutela.Finding{{Code: "b", Detail: "2"}, {Code: "a"}, {Code: "b", Detail: "1"}},
		Failure:  "read beyond the end",
	}
	bare := &tutela.Record{Path: []byte{}}
	gap := &tutela.Record{Volume: "1", Kind: tutela.Gap, State: tutela.Slack, Size: -1, Times: tutela.Times{Born: at}, Failure: "unreadable"}
	l.load(id, 2, full, bare, gap)
	l.same(id, full, bare, gap)
}

// same demands that a scan holds the records.
func (l *lab) same(id catalog.ScanID, records ...*tutela.Record) {
	l.Helper()
	hits := get(l.find(catalog.Query{Exhibit: id.Exhibit, Scan: id.Number}))
	if len(hits) != len(records) {
		l.Fatalf("%d of %d records came back", len(hits), len(records))
	}
	for i, r := range records {
		want := Stored(r)
		if got := text(l, hits[i].Record); got != text(l, want) || hits[i].Leaf != uint64(i) || hits[i].ScanID != id {
			l.Errorf("leaf %d of %s:\n got %s\nwant %s", hits[i].Leaf, hits[i].ScanID, got, text(l, want))
		}
	}
}

// text shows all of a record; a nil and an empty slice are the same.
func text(t testing.TB, r tutela.Record) string {
	picture, video := "none", "none"
	if r.Picture != nil {
		picture = fmt.Sprintf("%+v", *r.Picture)
	}
	if r.Video != nil {
		video = fmt.Sprintf("%+v", *r.Video)
	}
	times := fmt.Sprint(r.Times.Modified.Format(time.RFC3339Nano), r.Times.Accessed.Format(time.RFC3339Nano), r.Times.Changed.Format(time.RFC3339Nano), r.Times.Born.Format(time.RFC3339Nano))
	return fmt.Sprintf("%q %q %q %v %v %d %s %v %+v %q %s %s %q %q %d runs", r.Volume, r.Path, r.Chain, r.Kind, r.State, r.Size, times, r.Hashed, r.Digests, r.Type, picture, video, r.Findings, r.Failure, len(r.Runs)+len(r.Unread))
}

// testOddBytes: evidence chooses names, and errors quote them.
func testOddBytes(l *lab) {
	id := l.one()
	var records []*tutela.Record
	for i, odd := range []string{"", "/", "\x00", "a\x00b", "\xff\xfe", "new\nline\r", "' OR 1=1 --", `%_\*?[`, "\U0010ffff", "\xed\xa0\x80", strings.Repeat("long/", 4000), "\u202egnp.exe"} {
		r := file("/"+odd, fmt.Sprint(i))
		r.Volume, r.Type, r.Failure = odd, odd, odd
		r.Chain = []tutela.Locator{{Layer: odd, At: odd}}
		r.Findings = []tutela.Finding{{Code: odd, Detail: odd}}
		r.Picture = &tutela.Perceptual{Decoder: odd}
		records = append(records, r)
	}
	for _, year := range []int{-9999, 0, 1601, 1969, 2262, 2263, 30828} {
		r := file(fmt.Sprint("/year", year), "y")
		r.Times = tutela.Times{Modified: time.Date(year, 12, 31, 23, 59, 59, 999999999, time.UTC), Born: time.Unix(math.MinInt32, 0)}
		records = append(records, r)
	}
	records = append(records, &tutela.Record{Size: math.MaxInt64, State: 255, Kind: 255}, &tutela.Record{Size: math.MinInt64})
	l.load(id, 5, records...)
	l.same(id, records...)
	for _, r := range records[:12] {
		code := r.Findings[0].Code
		if code == "" {
			continue // asks for no finding at all
		}
		if hits := get(l.find(catalog.Query{Finding: code, MIME: r.Type})); len(hits) != 1 {
			l.Errorf("finding and type %q: %d hits", code, len(hits))
		}
	}
}

func testLoaderOrder(l *lab) {
	id := l.one()
	loader := get(l.Loader(l.Context(), id))
	defer loader.Close()
	l.refuse("leaf 1 first", loader.Add(1, file("/a", "a")), catalog.ErrOrder)
	l.must(loader.Commit(l.Context())) // nothing is fine
	l.must(loader.Add(0, file("/a", "a")))
	l.refuse("leaf 0 again", loader.Add(0, file("/a", "a")), catalog.ErrOrder)
	if loader.Next() != 1 {
		l.Errorf("next is %d after leaf 0", loader.Next())
	}
	l.must(loader.Commit(l.Context()))
	l.must(loader.Add(1, file("/b", "b")))
	l.must(loader.Commit(l.Context()))
	l.must(loader.Close())
	l.must(loader.Close())
	if loader.Add(2, file("/c", "c")) == nil || loader.Commit(l.Context()) == nil {
		l.Error("a closed loader goes on")
	}
	l.same(id, file("/a", "a"), file("/b", "b"))
	_, err := l.Loader(l.Context(), catalog.ScanID{Exhibit: "X", Number: 2})
	l.refuse("a scan that did not begin", err, catalog.ErrNotFound)
	_, err = l.Loader(l.Context(), catalog.ScanID{Exhibit: "X"})
	l.refuse("a scan without number", err, catalog.ErrNotFound)
}

// testInterrupted: what was not committed did not happen, and a record may be
// changed by its owner as soon as Add returns.
func testInterrupted(l *lab) {
	id := l.one()
	loader := get(l.Loader(l.Context(), id))
	r := file("/kept", "k")
	r.Findings = []tutela.Finding{{Code: "limit"}}
	r.Picture = &tutela.Perceptual{Quality: 60}
	kept := Stored(r)
	l.must(loader.Add(0, r))
	copy(r.Path, "/lost")
	r.Findings[0].Code, r.Picture.Quality, r.Picture, r.Size = "bomb", 0, nil, 99
	l.must(loader.Commit(l.Context()))
	l.must(loader.Add(1, file("/lost", "l")))
	l.must(loader.Close())
	l.same(id, &kept)

	again := get(l.Loader(l.Context(), id))
	defer again.Close()
	if again.Next() != 1 {
		l.Fatalf("go on at leaf %d, not 1", again.Next())
	}
	l.must(again.Add(1, file("/b", "b")))
	ctx, cancel := context.WithCancel(l.Context())
	cancel()
	l.refuse("commit after the end", again.Commit(ctx), context.Canceled)
	l.same(id, &kept)
	l.load(id, 1, file("/b", "b"), file("/c", "c"))
	l.same(id, &kept, file("/b", "b"), file("/c", "c"))
}

func testRivals(l *lab) {
	id := l.one()
	slow, quick := get(l.Loader(l.Context(), id)), get(l.Loader(l.Context(), id))
	defer slow.Close()
	defer quick.Close()
	l.must(slow.Add(0, file("/a", "a")))
	l.must(quick.Add(0, file("/a", "a")))
	l.must(l.Apply(l.Context(), uint64(len(l.log)), l.event(tutela.EventInterim, nil))) // nobody waits for a loader
	l.must(quick.Commit(l.Context()))
	l.refuse("the same leaf by another loader", slow.Commit(l.Context()), catalog.ErrOrder)
	if slow.Commit(l.Context()) == nil {
		l.Error("a loader goes on after a failure")
	}
	l.same(id, file("/a", "a"))
}

// testContradiction: one SHA-256 has one MD5 and one SHA-1. Stores that keep
// contents apart must not mix up what two ledgers say; [Memory] need not notice.
func testContradiction(l *lab) {
	if _, plain := l.Store.(*Memory); plain {
		l.Skip("keeps no contents apart")
	}
	id := l.one()
	l.load(id, 1, file("/a", "a"))
	for _, batch := range [][]string{{"/b"}, {"/b", "/c"}} {
		loader := get(l.Loader(l.Context(), id))
		for i, path := range batch {
			r := file(path, "a")
			r.Digests.MD5[0] ^= byte(i + 1)
			l.must(loader.Add(loader.Next(), r))
		}
		l.refuse("two MD5s of one content", loader.Commit(l.Context()), catalog.ErrDiffers)
	}
	l.same(id, file("/a", "a"))
}

func testMatchRuns(l *lab) {
	id := l.one()
	l.load(id, 2, file("/a", "a"), file("/b", "b"), file("/c", "c"))
	other := l.scan("X", 2)
	l.load(other, 2, file("/a", "a"))
	first := []tutela.Match{
		{Leaf: 2, Set: "s", Version: 3, Status: tutela.Alert, Category: tutela.Category{Scheme: "é", Code: "1"}, Kind: tutela.MatchPDQ, Row: math.MaxUint64, Distance: 31, Variant: "mirror"},
		{Leaf: 0, Set: "t", Version: 1, Status: tutela.KnownGood, Kind: tutela.MatchMD5},
		{Leaf: 2, Set: "a", Version: 1, Status: tutela.OfInterest, Kind: tutela.MatchSHA256, Row: 7},
	}
	l.match(id, 2, first...)
	l.match(other, 1, tutela.Match{Leaf: 0, Set: "u", Version: 1, Status: tutela.Alert})
	equal(l, "first", l.met(id), [][]tutela.Match{{first[1]}, nil, {first[0], first[2]}})

	l.must(l.LoadMatches(l.Context(), id, 1, each([]tutela.Match{{Leaf: 1}})))
	equal(l, "after an older run", l.met(id), [][]tutela.Match{{first[1]}, nil, {first[0], first[2]}})
	l.match(id, 2, first[2])
	equal(l, "the same run again", l.met(id), [][]tutela.Match{nil, nil, {first[2]}})
	l.match(id, 4)
	equal(l, "a newer run", l.met(id), [][]tutela.Match{nil, nil, nil})
	equal(l, "the other scan", l.met(other), [][]tutela.Match{{{Leaf: 0, Set: "u", Version: 1, Status: tutela.Alert}}})
}

func (l *lab) met(id catalog.ScanID) (matches [][]tutela.Match) {
	l.Helper()
	for _, h := range get(l.find(catalog.Query{Exhibit: id.Exhibit, Scan: id.Number})) {
		matches = append(matches, h.Matches)
	}
	return matches
}

// testBrokenRun: a run that cannot be loaded whole leaves the one before.
func testBrokenRun(l *lab) {
	id := l.one()
	l.load(id, 50, repeat(100)...)
	good := tutela.Match{Leaf: 99, Set: "s", Version: 1, Status: tutela.Alert}
	l.match(id, 1, good)
	before := l.dump()
	broken := errors.New("broken ledger")
	err := l.LoadMatches(l.Context(), id, 2, func(yield func(tutela.Match, error) bool) {
		for leaf := range uint64(90) {
			if !yield(tutela.Match{Leaf: leaf, Set: "s", Version: 1, Status: tutela.KnownGood}, nil) {
				return
			}
		}
		yield(tutela.Match{}, broken)
	})
	l.refuse("a broken run", err, broken)
	l.refuse("a leaf that is not there", l.LoadMatches(l.Context(), id, 2, each([]tutela.Match{{Leaf: 100}})), catalog.ErrOrder)
	l.refuse("run nought", l.LoadMatches(l.Context(), id, 0, each(nil)), catalog.ErrOrder)
	if after := l.dump(); after != before {
		l.Errorf("broken runs changed\n%s\ninto\n%s", before, after)
	}
}

func repeat(n int) (records []*tutela.Record) {
	for i := range n {
		records = append(records, file(fmt.Sprintf("/%d", i), fmt.Sprint(i%40)))
	}
	return records
}

func testRollup(l *lab) {
	id := l.one()
	equal(l, "nothing yet", get(l.Rollup(l.Context(), id)), catalog.Counts{})
	broken := file("/broken", "z")
	broken.Failure, broken.Hashed = "damaged", false
	deleted := file("/deleted", "aa")
	deleted.State = tutela.Deleted
	link := &tutela.Record{Path: []byte("/link"), Kind: tutela.Symlink, State: tutela.Allocated, Size: 1 << 62}
	records := []*tutela.Record{file("/1", "aa"), file("/2", "b"), deleted, broken, link, file("/3", "aa"), file("/4", "b")}
	l.load(id, 2, records...)
	l.match(id, 1, tutela.Match{Leaf: 0, Status: tutela.Alert}, tutela.Match{Leaf: 0, Status: tutela.Alert}, tutela.Match{Leaf: 0, Status: tutela.KnownGood}, tutela.Match{Leaf: 2, Status: tutela.OfInterest})
	want := catalog.Counts{
		Records: 7, Files: 6, Bytes: 8, Unreadable: 1, Contents: 2, States: tutela.StateCounts{Allocated: 6, Deleted: 1},
		Alerts: 1, OfInterest: 1, KnownGood: 1,
	}
	equal(l, "rollup", get(l.Rollup(l.Context(), id)), want)
	l.load(id, 1, file("/5", "c")) // goes on after matches
	want.Records, want.Files, want.Bytes, want.Contents, want.States.Allocated = 8, 7, 9, 3, 7
	equal(l, "rollup of more", get(l.Rollup(l.Context(), id)), want)

	second := l.scan("X", 2)
	equal(l, "newest", get(l.Rollup(l.Context(), catalog.ScanID{Exhibit: "X"})), catalog.Counts{})
	l.load(second, 9, records...)
	want = catalog.Counts{Records: 7, Files: 6, Bytes: 8, Unreadable: 1, Contents: 2, States: tutela.StateCounts{Allocated: 6, Deleted: 1}}
	equal(l, "rollup of contents known from elsewhere", get(l.Rollup(l.Context(), second)), want)
	_, err := l.Rollup(l.Context(), catalog.ScanID{Exhibit: "X", Number: 3})
	l.refuse("rollup of nothing", err, catalog.ErrNotFound)
}

// testRebuild feeds one catalogue in bits and pieces, side by side, and another
// in one go.
func testRebuild(t *testing.T, open func(testing.TB) catalog.Store) {
	l := newLab(t, open)
	l.open("1")
	l.seize("X", "1")
	l.seize("Y", "1")
	x, y := l.scan("X", 1), l.scan("Y", 1)
	records := repeat(100)
	for i, r := range records {
		r.Type = []string{"text/plain", "image/png"}[i%2]
		r.Findings = []tutela.Finding{{Code: fmt.Sprint(i % 3)}}
	}
	for chunk := range slices.Chunk(records, 30) {
		l.load(x, 7, chunk...)
		l.match(x, 1, tutela.Match{Leaf: 0, Set: "s", Status: tutela.Alert})
		l.load(y, 11, chunk[:len(chunk)/2]...)
	}
	l.happen(tutela.EventSeal, tutela.Seal{Exhibit: "X", Number: 1, Records: 100})
	l.match(x, 2, tutela.Match{Leaf: 5, Set: "t", Status: tutela.OfInterest})
	l.happen(tutela.EventMatchRun, tutela.MatchRun{Exhibit: "X", Number: 1, Run: 2})
	before, after := l.dump(), l.rebuild(open).dump()
	if before != after {
		t.Errorf("the catalogue was\n%s\nand was rebuilt as\n%s", before, after)
	}
	if lines := strings.Count(before, "\n"); lines < 150 {
		t.Errorf("a dump of %d lines holds no 150 locations", lines)
	}
}

// testDumpTellsApart: a dump that says the same of everything would make every
// comparison come out well.
func testDumpTellsApart(t *testing.T, open func(testing.TB) catalog.Store) {
	seen := map[string]string{}
	for name, change := range map[string]func(r *tutela.Record, m *tutela.Match){
		"nothing":  func(*tutela.Record, *tutela.Match) {},
		"path":     func(r *tutela.Record, _ *tutela.Match) { r.Path = []byte("/\xff") },
		"invalid":  func(r *tutela.Record, _ *tutela.Match) { r.Path = []byte("/\xfe") },
		"failure":  func(r *tutela.Record, _ *tutela.Match) { r.Failure = "\xff" },
		"failure2": func(r *tutela.Record, _ *tutela.Match) { r.Failure = "\xfe" },
		"time":     func(r *tutela.Record, _ *tutela.Match) { r.Times.Accessed = time.Unix(1, 1) },
		"digest":   func(r *tutela.Record, _ *tutela.Match) { r.Digests.SHA1[19]++ },
		"chain":    func(r *tutela.Record, _ *tutela.Match) { r.Chain = []tutela.Locator{{Layer: "a"}} },
		"finding":  func(r *tutela.Record, _ *tutela.Match) { r.Findings = []tutela.Finding{{Code: "a"}} },
		"picture":  func(r *tutela.Record, _ *tutela.Match) { r.Picture = &tutela.Perceptual{} },
		"width":    func(r *tutela.Record, _ *tutela.Match) { r.Picture = &tutela.Perceptual{Width: 1} },
		"match":    func(_ *tutela.Record, m *tutela.Match) { m.Variant = "mirror" },
		"set":      func(_ *tutela.Record, m *tutela.Match) { m.Set = "t" },
	} {
		l := newLab(t, open)
		id := l.one()
		r, m := file("/a", "a"), tutela.Match{Set: "s"}
		change(r, &m)
		l.load(id, 1, r)
		l.match(id, 1, m)
		dump := l.dump()
		if other, twice := seen[dump]; twice {
			t.Errorf("the dumps of %s and %s are the same:\n%s", name, other, dump)
		}
		seen[dump] = name
	}
}
