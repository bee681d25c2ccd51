package catalogtest

import (
	"context"
	"fmt"
	"sync"

	"tutela"
	"tutela/internal/catalog"
)

func testFindRefuses(l *lab) {
	l.one()
	for what, q := range map[string]catalog.Query{
		"match":       {Match: "certain"},
		"scan":        {Scan: 1},
		"scan below":  {Exhibit: "X", Scan: -1},
		"radius":      {Near: &catalog.Near{Radius: 32}},
		"radius < 0":  {Near: &catalog.Near{Radius: -1}},
		"limit":       {Limit: -1},
		"name":        {Name: "[a"},
		"name escape": {Name: `a\`},
	} {
		_, err := l.find(q)
		l.refuse(what, err, catalog.ErrQuery)
	}
	for what, q := range map[string]catalog.Query{
		"case":    {Case: "2"},
		"exhibit": {Exhibit: "Y"},
		"no scan": {Exhibit: "X", Scan: 2},
	} {
		_, err := l.find(q)
		l.refuse(what, err, catalog.ErrNotFound)
	}
	equal(l, "an empty scan", len(get(l.find(catalog.Query{Case: "1", Exhibit: "X", Scan: 1}))), 0)
}

// ask holds what a query finds against paths, in order.
func (l *lab) ask(what string, q catalog.Query, paths ...string) {
	l.Helper()
	hits, err := l.find(q)
	l.must(err)
	equal(l, what, keys(hits, func(h catalog.Hit) string { return string(h.Record.Path) }), paths)
}

func testFindFilters(l *lab) {
	l.open("1")
	l.open("2")
	l.seize("X", "1")
	l.seize("Y", "2")
	deleted := file("/deleted", "same")
	deleted.State, deleted.Findings = tutela.Deleted, []tutela.Finding{{Code: "overwritten"}, {Code: "overwritten"}, {Code: "limit"}}
	picture := pictureOf("/picture", 3, 100)
	limited := file("/limited", "l")
	limited.Findings = []tutela.Finding{{Code: "limit", Detail: "deep"}}
	carved := pictureOf("/carved", 3, 100)
	carved.State = tutela.Carved
	x := l.scan("X", 1)
	l.load(x, 10, file("/plain", "same"), deleted, picture, limited)
	y := l.scan("Y", 1)
	l.load(y, 10, file("/plain2", "same"), carved)
	l.match(x, 1, tutela.Match{Leaf: 0, Status: tutela.KnownGood}, tutela.Match{Leaf: 2, Status: tutela.Alert}, tutela.Match{Leaf: 2, Status: tutela.Alert}, tutela.Match{Leaf: 2, Status: tutela.KnownGood})
	l.match(y, 1, tutela.Match{Leaf: 1, Status: tutela.OfInterest})

	l.ask("all", catalog.Query{}, "/plain", "/deleted", "/picture", "/limited", "/plain2", "/carved")
	l.ask("case", catalog.Query{Case: "2"}, "/plain2", "/carved")
	l.ask("exhibit", catalog.Query{Exhibit: "X"}, "/plain", "/deleted", "/picture", "/limited")
	l.ask("exhibit of another case", catalog.Query{Exhibit: "X", Case: "2"})
	l.ask("alert", catalog.Query{Match: catalog.MatchAlert}, "/picture")
	l.ask("of interest", catalog.Query{Match: catalog.MatchOfInterest}, "/carved")
	l.ask("known good", catalog.Query{Match: catalog.MatchKnownGood}, "/plain", "/picture")
	l.ask("any", catalog.Query{Match: catalog.MatchAny}, "/plain", "/picture", "/carved")
	l.ask("none", catalog.Query{Match: catalog.MatchNone}, "/deleted", "/limited", "/plain2")
	l.ask("allocated", catalog.Query{State: tutela.Allocated}, "/plain", "/picture", "/limited", "/plain2")
	l.ask("deleted", catalog.Query{State: tutela.Deleted}, "/deleted")
	l.ask("slack", catalog.Query{State: tutela.Slack})
	l.ask("type", catalog.Query{MIME: "image/png"}, "/picture", "/carved")
	l.ask("types", catalog.Query{MIME: "image/"}, "/picture", "/carved")
	l.ask("half a type", catalog.Query{MIME: "image"})
	l.ask("no type", catalog.Query{MIME: "video/"})
	same, unknown := digests("same").SHA256, digests("unknown").SHA256
	l.ask("digest", catalog.Query{SHA256: &same}, "/plain", "/deleted", "/plain2")
	l.ask("unknown digest", catalog.Query{SHA256: &unknown})
	l.ask("finding", catalog.Query{Finding: "limit"}, "/deleted", "/limited")
	l.ask("finding twice", catalog.Query{Finding: "overwritten"}, "/deleted")
	l.ask("no finding", catalog.Query{Finding: "bomb"})
	l.ask("several", catalog.Query{SHA256: &same, State: tutela.Deleted, Finding: "limit", Match: catalog.MatchNone, MIME: "text/", Name: "D*"}, "/deleted")
	l.ask("several of which one not", catalog.Query{SHA256: &same, State: tutela.Deleted, Finding: "limit", Match: catalog.MatchAny})
	l.ask("alert by finding", catalog.Query{Match: catalog.MatchAlert, Finding: "limit"})
	l.ask("known good near", catalog.Query{Match: catalog.MatchKnownGood, Near: &catalog.Near{Radius: 3}}, "/picture")
	hit := get(l.find(catalog.Query{Case: "2", Match: catalog.MatchAny}))[0]
	equal(l, "where", fmt.Sprint(hit.Case, " ", hit.ScanID, " ", hit.Leaf), "2 Y scan 1 1")
}

func testFindNames(l *lab) {
	id := l.one()
	var records []*tutela.Record
	for _, path := range []string{"/dir.jpg/a.TXT", "/dir/Photo.JPG", "/é.jpg", "/b\xff.jpg", "/new\nline.jpg", "/z.zip!/in.jpg", "/a.txt:stream", "nothing", "/[x]", "/dir/"} {
		records = append(records, file(path, path))
	}
	l.load(id, 3, records...)
	l.ask("extension", catalog.Query{Name: "*.jpg"}, "/dir/Photo.JPG", "/é.jpg", "/b\xff.jpg", "/new\nline.jpg", "/z.zip!/in.jpg")
	l.ask("capitals", catalog.Query{Name: "PHOTO.*"}, "/dir/Photo.JPG")
	l.ask("one rune", catalog.Query{Name: "?.jpg"}, "/é.jpg")
	l.ask("one bad byte", catalog.Query{Name: "b?.jpg"}, "/b\xff.jpg")
	l.ask("set", catalog.Query{Name: "[a-b]*"}, "/dir.jpg/a.TXT", "/b\xff.jpg", "/a.txt:stream")
	l.ask("not in set", catalog.Query{Name: "[^a-p]*"}, "/é.jpg", "/[x]")
	l.ask("escaped", catalog.Query{Name: `\[x]`}, "/[x]")
	l.ask("whole", catalog.Query{Name: "nothing"}, "nothing")
	l.ask("part", catalog.Query{Name: "not"})
	l.ask("no slash", catalog.Query{Name: "dir/*"})
}

func testFindNear(l *lab) {
	id := l.one()
	plain := file("/plain", "p")
	l.load(id, 2, plain, pictureOf("/0", 0, 50), pictureOf("/31", 31, 100), pictureOf("/32", 32, 100), pictureOf("/flat", 0, 49), pictureOf("/5", 5, 80))
	near := func(bits, radius int) catalog.Query {
		return catalog.Query{Near: &catalog.Near{PDQ: bitsSet(bits), Radius: radius}}
	}
	l.ask("same", near(0, 0), "/0")
	l.ask("31 bits", near(0, 31), "/0", "/31", "/5")
	l.ask("from the other side", near(32, 1), "/31", "/32")
	l.ask("far away", near(256, 31))
	hits := get(l.find(near(3, 5)))
	equal(l, "distances", keys(hits, func(h catalog.Hit) string { return fmt.Sprint(h.Distance) }), []string{"3", "2"})
}

func testFindNewest(l *lab) {
	id := l.one()
	l.seize("Y", "1")
	l.load(id, 1, file("/old", "a"))
	y := l.scan("Y", 1)
	l.load(y, 1, file("/y", "a"))
	l.ask("before", catalog.Query{}, "/old", "/y")
	newer := l.scan("X", 2)
	l.ask("just restarted", catalog.Query{}, "/y")
	l.load(newer, 1, file("/new", "a"))
	l.ask("after", catalog.Query{}, "/new", "/y")
	l.ask("named", catalog.Query{Exhibit: "X", Scan: 1}, "/old")
	same := digests("a").SHA256
	l.ask("by digest", catalog.Query{SHA256: &same}, "/new", "/y")
}

// testFindPages reads with every limit, cutting within and between scans, and
// over more hits than a store reads at once.
func testFindPages(l *lab) {
	l.one()
	l.load(catalog.ScanID{Exhibit: "X", Number: 1}, 1000, repeat(1300)...)
	for _, label := range []string{"A", "Z"} {
		l.seize(label, "1")
		l.load(l.scan(label, 1), 10, repeat(3)...)
	}
	content := digests("1").SHA256
	for _, q := range []catalog.Query{{}, {Name: "*1"}, {SHA256: &content}} {
		whole := get(l.find(q))
		if len(whole) < 33 {
			l.Fatalf("%+v: only %d hits", q, len(whole))
		}
		for _, limit := range []int{1, 2, 7, 64, 600, 5000} {
			if limit < 7 && len(whole) > 200 {
				continue // takes long and tells nothing more
			}
			equal(l, fmt.Sprintf("%+v by %d", q, limit), keys(l.pages(q, limit), place), keys(whole, place))
		}
	}
	after := &catalog.Cursor{ScanID: catalog.ScanID{Exhibit: "M", Number: 5}, Leaf: 1 << 63}
	equal(l, "after a place that is not there", len(get(l.find(catalog.Query{After: after}))), 1303)
	last := &catalog.Cursor{ScanID: catalog.ScanID{Exhibit: "Z", Number: 1}, Leaf: 1<<64 - 1}
	equal(l, "after the end", len(get(l.find(catalog.Query{After: last}))), 0)
}

func place(h catalog.Hit) string { return fmt.Sprint(h.ScanID, h.Leaf, string(h.Record.Path)) }

func (l *lab) pages(q catalog.Query, limit int) (all []catalog.Hit) {
	l.Helper()
	for {
		q.Limit = limit
		page := get(l.find(q))
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		q.After = page[len(page)-1].Cursor()
	}
}

// testFindWhileLoading: an answer may be read slowly, and written beside.
func testFindWhileLoading(l *lab) {
	id := l.one()
	l.load(id, 1000, repeat(1000)...)
	told := 0
	for h, err := range l.Find(l.Context(), catalog.Query{}) {
		l.must(err)
		if h.Leaf%250 == 0 && h.Leaf < 1000 {
			l.load(id, 10, file("/more", "m"))
			l.match(id, int(h.Leaf)+1, tutela.Match{Leaf: h.Leaf, Status: tutela.Alert})
			l.ask("inside", catalog.Query{Match: catalog.MatchAlert}, string(h.Record.Path))
		}
		told++
	}
	if told < 1000 || told > 1004 {
		l.Errorf("told %d of 1000 to 1004", told)
	}
	for range l.Find(l.Context(), catalog.Query{}) {
		break // whoever has seen enough may leave
	}
	l.sideBySide(id)
}

// sideBySide reads and writes at once; the race detector watches.
func (l *lab) sideBySide(id catalog.ScanID) {
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			hits, err := l.find(catalog.Query{Name: "*9", Match: catalog.MatchNone})
			if err != nil || len(hits) == 0 {
				l.Errorf("beside a loader: %d hits, %v", len(hits), err)
			}
		})
	}
	wg.Go(func() {
		loader, err := l.Loader(l.Context(), id)
		if err != nil {
			l.Error(err)
			return
		}
		defer loader.Close()
		for range 5 {
			if err := loader.Add(loader.Next(), file("/side", "s")); err != nil {
				l.Error(err)
			}
			if err := loader.Commit(l.Context()); err != nil {
				l.Error(err)
			}
		}
	})
	wg.Wait()
}

func testCancelled(l *lab) {
	id := l.one()
	l.load(id, 10, repeat(100)...)
	ctx, cancel := context.WithCancel(l.Context())
	cancel()
	if _, plain := l.Store.(*Memory); plain {
		l.Skip("answers at once")
	}
	for _, err := range l.Find(ctx, catalog.Query{}) {
		l.refuse("find", err, context.Canceled)
	}
	_, err := l.Cases(ctx)
	l.refuse("cases", err, context.Canceled)
	l.refuse("apply", l.Apply(ctx, 3, l.event(tutela.EventInit, nil)), context.Canceled)
	l.refuse("matches", l.LoadMatches(ctx, id, 1, each(nil)), context.Canceled)
	l.ask("afterwards", catalog.Query{Name: "7"}, "/7")
}
