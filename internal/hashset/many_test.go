package hashset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

func TestLookupAllAgainstOne(t *testing.T) {
	x, _ := compile(t, meta("x", 1, tutela.Alert), large(300))
	y, _ := compile(t, meta("y", 1, tutela.KnownGood), mixed(200))
	sets := NewSets(x, y)
	var values []string
	for n := range uint64(400) {
		d := content(n)
		values = append(values, d.MD5.String(), strings.ToUpper(d.SHA1.String()), d.SHA256.String())
	}
	for _, a := range large(300) {
		if a.PDQ != nil {
			values = append(values, a.PDQ.String())
		}
		for _, h := range a.Frames {
			values = append(values, h.String())
		}
	}
	got := make([][]string, len(values))
	if err := sets.LookupAll(values, func(n int, m tutela.Match) {
		got[n] = append(got[n], fmt.Sprint(m.Set, m.Version, m.Status, m.Row, m.Kind, m.Distance, m.Category))
	}); err != nil {
		t.Fatal(err)
	}
	for n, value := range values {
		hits, err := sets.LookupValue(value)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, h := range hits {
			want = append(want, fmt.Sprint(h.Set.Name, h.Set.Version, h.Set.Status, h.Row, h.Kind, h.Distance, h.Assertion.Category))
		}
		slices.Sort(got[n])
		slices.Sort(want)
		if !slices.Equal(got[n], want) {
			t.Fatalf("%s: %v, alone %v", value, got[n], want)
		}
	}
	var wrong *ValueError
	if err := sets.LookupAll([]string{values[0], "x"}, nil); !errors.As(err, &wrong) || wrong.Index != 1 || !errors.Is(err, tutela.ErrDigest) {
		t.Errorf("error %v", err)
	}
}
