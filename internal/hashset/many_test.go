package hashset

import (
	"testing"

	"tutela"
)

// TestManyAgainstOne holds look-ups of many at once against single ones.
func TestManyAgainstOne(t *testing.T) {
	const rows = 5000
	set, _ := compile(t, meta("x", 1, tutela.Alert), append(large(rows), large(rows / 2)[rows/4:]...))
	var all []tutela.Digests
	for n := range uint64(2 * rows) {
		all = append(all, content(n*3))
	}
	type answer struct {
		row  uint64
		kind tutela.MatchKind
	}
	got := map[int]answer{}
	set.ExactAll(all, func(n int, row uint64, kind tutela.MatchKind) {
		if _, twice := got[n]; twice {
			t.Fatalf("content %d was visited twice", n)
		}
		got[n] = answer{row, kind}
	})
	for n := range all {
		row, kind, ok := set.Exact(all[n])
		if a, known := got[n]; known != ok || known && a != (answer{row, kind}) {
			t.Fatalf("content %d: %v and %v, alone %v", n, known, a, answer{row, kind})
		}
	}
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		var digests [][]byte
		for n := range all {
			digests = append(digests, digestOf(&all[n], kind))
		}
		many := map[int][]uint64{}
		set.havingAll(kind, digests, func(n int, row uint64) { many[n] = append(many[n], row) })
		for n := range digests {
			var one []uint64
			set.having(kind, digests[n], func(row uint64) { one = append(one, row) })
			if len(one) != len(many[n]) {
				t.Fatalf("%s of content %d: rows %v, alone %v", kind, n, many[n], one)
			}
		}
	}
}
