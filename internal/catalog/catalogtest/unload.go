package catalogtest

import (
	"slices"

	"tutela"
	"tutela/internal/catalog"
)

// testUnload: a scan that was unloaded is as if it had never been loaded, the
// others are as they were, and it can be loaded again.
func testUnload(l *lab) {
	x := l.one()
	l.seize("Y", "1")
	y := l.scan("Y", 1)
	records := repeat(50)
	l.load(y, 7, records[:20]...)
	l.match(y, 1, tutela.Match{Leaf: 3, Set: "s", Status: tutela.Alert})
	before := l.dump()
	l.load(x, 7, records...)
	l.match(x, 2, tutela.Match{Leaf: 9, Set: "s", Status: tutela.Alert})
	full := l.dump()
	l.must(l.Unload(l.Context(), x))
	if after := l.dump(); after != before {
		l.Errorf("unloaded, the catalogue is\n%s\nand was before loading\n%s", after, before)
	}
	delete(l.records, x)
	l.load(x, 11, records...)
	l.match(x, 2, tutela.Match{Leaf: 9, Set: "s", Status: tutela.Alert})
	if after := l.dump(); after != full {
		l.Errorf("loaded again, the catalogue is\n%s\nand was\n%s", after, full)
	}
	for _, id := range []catalog.ScanID{{Exhibit: "X", Number: 2}, {Exhibit: "X"}, {Exhibit: "Z", Number: 1}} {
		l.refuse("unload "+id.String(), l.Unload(l.Context(), x, id), catalog.ErrNotFound)
	}
	if after := l.dump(); after != full {
		l.Errorf("a refused unload changed\n%s\ninto\n%s", full, after)
	}
	l.must(l.Unload(l.Context(), x, y))
	l.must(l.Unload(l.Context(), x))
	l.must(l.Unload(l.Context()))
}

// testErased: a scan tells how many of its records were erased, over all times.
func testErased(l *lab) {
	l.one()
	l.scan("X", 2)
	l.happen(tutela.EventErase, tutela.Erase{Exhibit: "X", Scans: []tutela.ErasedScan{{Number: 1, Leaves: []uint64{3, 4}}, {Number: 2, Leaves: []uint64{3}}}})
	l.happen(tutela.EventErase, tutela.Erase{Exhibit: "X", Scans: []tutela.ErasedScan{{Number: 2, Leaves: []uint64{7}}}})
	var erased []uint64
	for _, s := range get(l.Scans(l.Context(), "X")) {
		erased = append(erased, s.Erased)
	}
	if !slices.Equal(erased, []uint64{2, 2}) {
		l.Errorf("%v records of the two scans were erased, want 2 and 2", erased)
	}
}
