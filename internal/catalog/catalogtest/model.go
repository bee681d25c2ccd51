package catalogtest

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tutela"
	"tutela/internal/catalog"
)

// testLikeMemory feeds a store and the plainest one the same, drawn at random
// from few values so that they collide, and asks both the same.
func testLikeMemory(t *testing.T, open func(testing.TB) catalog.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		tested, plain := newLab(t, open), newLab(t, func(testing.TB) catalog.Store { return NewMemory() })
		defer tested.Close()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			step := drawStep(rt)
			step(tested)
			step(plain)
		}
		if got, want := tested.dump(), plain.dump(); got != want {
			rt.Fatalf("holds\n%s\nwant\n%s", got, want)
		}
		for range 8 {
			compareAnswers(rt, tested, plain, drawQuery(rt))
		}
		if got, want := tested.dump(), tested.rebuild(open).dump(); got != want {
			rt.Fatalf("was\n%s\nand was rebuilt as\n%s", got, want)
		}
	})
}

func compareAnswers(rt *rapid.T, tested, plain *lab, q catalog.Query) {
	got, err := tested.find(q)
	want, wantErr := plain.find(q)
	if (err == nil) != (wantErr == nil) {
		rt.Fatalf("%+v: error %v, want %v", q, err, wantErr)
	}
	if got, want := shown(got), shown(want); got != want {
		rt.Fatalf("%+v finds\n%s\nwant\n%s", q, got, want)
	}
}

func shown(hits []catalog.Hit) string {
	var b strings.Builder
	for _, h := range hits {
		fmt.Fprintf(&b, "%s %s %d %q %v %d\n", h.Case, h.ScanID, h.Leaf, h.Record.Path, h.Matches, h.Distance)
	}
	return b.String()
}

var (
	someCases    = rapid.SampledFrom([]string{"1", "2"})
	someExhibits = rapid.SampledFrom([]string{"B", "a", "C"})
)

func drawStep(rt *rapid.T) func(*lab) {
	label, number := someExhibits.Draw(rt, "exhibit"), someCases.Draw(rt, "case")
	id := catalog.ScanID{Exhibit: label, Number: rapid.IntRange(1, 2).Draw(rt, "scan")}
	switch rapid.SampledFrom([]string{"exhibit", "scan", "load", "load", "match"}).Draw(rt, "step") {
	case "exhibit":
		return func(l *lab) { l.open(number); l.seize(label, number) }
	case "scan":
		return func(l *lab) { l.scan(label, id.Number) }
	case "match":
		run, drawn := rapid.IntRange(1, 3).Draw(rt, "run"), rapid.SliceOfN(rapid.Custom(drawMatch), 0, 6).Draw(rt, "matches")
		return func(l *lab) { l.matchIfLoaded(id, run, drawn) }
	}
	batch, records := rapid.IntRange(1, 5).Draw(rt, "batch"), rapid.SliceOfN(rapid.Custom(drawRecord), 0, 12).Draw(rt, "records")
	return func(l *lab) {
		if _, err := l.Scan(l.Context(), id); err == nil {
			l.load(id, batch, records...)
		}
	}
}

// matchIfLoaded loads those matches whose records are there, if the run is not
// older than the one shown: rebuild needs to know which run is.
func (l *lab) matchIfLoaded(id catalog.ScanID, run int, drawn []tutela.Match) {
	loaded := uint64(len(l.records[id]))
	if loaded == 0 || run < l.runs[id].number {
		return
	}
	var matches []tutela.Match
	for _, m := range drawn {
		if m.Leaf < loaded {
			matches = append(matches, m)
		}
	}
	l.match(id, run, matches...)
}

func drawMatch(rt *rapid.T) tutela.Match {
	return tutela.Match{
		Leaf: rapid.Uint64Range(0, 12).Draw(rt, "leaf"), Set: rapid.SampledFrom([]string{"s", "t"}).Draw(rt, "set"),
		Status: rapid.SampledFrom([]tutela.Status{tutela.Alert, tutela.OfInterest, tutela.KnownGood}).Draw(rt, "status"),
		Kind:   tutela.MatchVPDQ, Decoder: "d", Scale: rapid.IntRange(0, 8).Draw(rt, "scale"), QueryShare: 7, KnownShare: 9,
	}
}

var someNames = rapid.SampledFrom([]string{"/a.txt", "/A.TXT", "/d/b.jpg", "/d/\xff.jpg", "/x\ny", "/d.txt/"})

func drawRecord(rt *rapid.T) *tutela.Record {
	r := file(someNames.Draw(rt, "path"), rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 2, -1).Draw(rt, "content"))
	r.State = rapid.SampledFrom([]tutela.State{tutela.Allocated, tutela.Deleted, tutela.Carved}).Draw(rt, "state")
	r.Type = rapid.SampledFrom([]string{"text/plain", "image/png", "image/jpeg", ""}).Draw(rt, "type")
	r.Hashed = rapid.Bool().Draw(rt, "hashed")
	for _, code := range rapid.SliceOfN(rapid.SampledFrom([]string{"limit", "bomb"}), 0, 2).Draw(rt, "findings") {
		r.Findings = append(r.Findings, tutela.Finding{Code: code})
	}
	if rapid.Bool().Draw(rt, "picture") {
		r.Picture = &tutela.Perceptual{PDQ: bitsSet(rapid.IntRange(0, 40).Draw(rt, "bits")), Quality: rapid.IntRange(49, 51).Draw(rt, "quality")}
	}
	if rapid.Bool().Draw(rt, "video") {
		r.Video = &tutela.Video{Container: "mp4", Frames: []tutela.Frame{
			{PDQ: bitsSet(rapid.IntRange(0, 40).Draw(rt, "bits")), Quality: rapid.IntRange(49, 51).Draw(rt, "quality")},
			{PDQ: bitsSet(rapid.IntRange(0, 40).Draw(rt, "bits")), Quality: rapid.IntRange(49, 51).Draw(rt, "quality")}}}
	}
	return r
}

// maybe draws a value, or the zero value that asks for nothing.
func maybe[T any](rt *rapid.T, name string, from ...T) (v T) {
	if rapid.IntRange(0, 3).Draw(rt, name+"?") > 0 {
		return v
	}
	return rapid.SampledFrom(from).Draw(rt, name)
}

func drawQuery(rt *rapid.T) catalog.Query {
	a, empty := digests("a").SHA256, digests("").SHA256
	q := catalog.Query{
		Case: maybe(rt, "case", "1", "2", "3"), Exhibit: maybe(rt, "exhibit", "B", "a", "C", "D"),
		Match:   maybe(rt, "match", catalog.MatchAlert, catalog.MatchOfInterest, catalog.MatchKnownGood, catalog.MatchAny, catalog.MatchNone),
		State:   maybe(rt, "state", tutela.Allocated, tutela.Deleted, tutela.Carved),
		Name:    maybe(rt, "name", "*.txt", "?.JPG", "[a-b]*", "", "x*"),
		MIME:    maybe(rt, "mime", "image/", "image/png", "text/plain", "video/"),
		SHA256:  maybe(rt, "sha256", &a, &empty),
		Near:    maybe(rt, "near", &catalog.Near{PDQ: bitsSet(9), Radius: 9}, &catalog.Near{PDQ: bitsSet(40), Radius: 31}),
		Finding: maybe(rt, "finding", "limit", "bomb", "loop"),
		Limit:   maybe(rt, "limit", 1, 2, 5),
	}
	if q.Exhibit != "" {
		q.Scan = maybe(rt, "scan", 1, 2)
	}
	if rapid.Bool().Draw(rt, "after?") {
		q.After = &catalog.Cursor{ScanID: catalog.ScanID{Exhibit: someExhibits.Draw(rt, "after"), Number: rapid.IntRange(1, 2).Draw(rt, "after scan")}, Leaf: rapid.Uint64Range(0, 9).Draw(rt, "after leaf")}
	}
	return q
}
