package hashset

import (
	"errors"
	"strings"
	"testing"

	"tutela"
)

func pdqAt(distance int) tutela.PDQ {
	base := tutela.PDQ{0: 0xaa, 13: 0x55, 31: 0x0f}
	bits := make([]int, distance)
	for i := range bits {
		bits[i] = 7*i + 3
	}
	return flip(base, bits)
}

func picture(n uint64, quality int) *tutela.Record {
	return &tutela.Record{Hashed: true, Digests: content(n), Picture: &tutela.Perceptual{PDQ: pdqAt(0), Quality: quality}}
}

func withPDQ(a tutela.Assertion, distance int) tutela.Assertion {
	h := pdqAt(distance)
	a.PDQ = &h
	return a
}

func TestMatchOrder(t *testing.T) {
	b1, _ := compile(t, meta("b", 1, tutela.OfInterest), []tutela.Assertion{known(1, hasMD5, "1"), withPDQ(known(1, hasExact, "2"), 0), withPDQ(known(2, hasExact, "1"), 31), withPDQ(known(3, hasMD5, ""), 32)})
	a2, _ := compile(t, meta("a", 2, tutela.Alert), []tutela.Assertion{withPDQ(tutela.Assertion{Size: -1}, 5)})
	a1, _ := compile(t, meta("a", 1, tutela.Alert), []tutela.Assertion{known(1, hasSHA1, "1")})
	sets := NewSets(b1, a2, a1)
	got := sets.Match(42, picture(1, MinQuality))
	type short struct {
		set      string
		version  int
		kind     tutela.MatchKind
		distance int
	}
	want := []short{{"a", 1, tutela.MatchSHA1, 0}, {"a", 2, tutela.MatchPDQ, 5}, {"b", 1, tutela.MatchMD5, 0}, {"b", 1, tutela.MatchPDQ, 31}, {"b", 1, tutela.MatchSHA256, 0}}
	if len(got) != len(want) {
		t.Fatalf("%d matches, want %d: %+v", len(got), len(want), got)
	}
	seen := map[short]bool{}
	for i, m := range got {
		seen[short{m.Set, m.Version, m.Kind, m.Distance}] = true
		if m.Leaf != 42 {
			t.Errorf("match %d is of leaf %d", i, m.Leaf)
		}
		if i > 0 && got[i-1].Set == m.Set && got[i-1].Version == m.Version && got[i-1].Row >= m.Row {
			t.Errorf("row %d comes after row %d", m.Row, got[i-1].Row)
		}
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("no match %+v in %+v", w, got)
		}
	}
	if got[0].Set != "a" || got[0].Version != 1 || got[1].Version != 2 || got[0].Status != tutela.Alert || got[2].Status != tutela.OfInterest {
		t.Errorf("order %+v", got)
	}
}

func TestMatchRules(t *testing.T) {
	good, _ := compile(t, meta("good", 1, tutela.KnownGood), []tutela.Assertion{withPDQ(known(1, hasMD5, ""), 1)})
	bad, _ := compile(t, meta("bad", 1, tutela.Alert), []tutela.Assertion{withPDQ(known(2, hasMD5, ""), 1)})
	sets := NewSets(good, bad)
	if got := sets.Match(0, picture(9, MinQuality-1)); got != nil {
		t.Errorf("a poor picture met %+v", got)
	}
	if got := sets.Match(0, picture(9, 100)); len(got) != 1 || got[0].Set != "bad" {
		t.Errorf("a picture like both met %+v, want the alert only", got)
	}
	partly := picture(1, 100)
	partly.Hashed = false
	if got := sets.Match(0, partly); len(got) != 1 || got[0].Kind != tutela.MatchPDQ {
		t.Errorf("a record that was not hashed whole met %+v", got)
	}
	if got := sets.Match(0, &tutela.Record{Hashed: true, Digests: content(9)}); got != nil {
		t.Errorf("an unknown content met %+v", got)
	}
}

func TestMissDoesNotAllocate(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), mixed(1000))
	sets, r := NewSets(set), picture(1<<40, 100)
	if n := testing.AllocsPerRun(100, func() { sets.Match(0, r) }); n > 2 {
		t.Errorf("%v allocations for a miss", n)
	}
}

func TestLookupValue(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{known(1, hasExact, "1"), known(1, hasMD5, "2"), withPDQ(known(2, hasSHA1, ""), 3)})
	sets := NewSets(set)
	for value, want := range map[string]int{
		content(1).MD5.String():                   2,
		strings.ToUpper(content(1).SHA1.String()): 1,
		"  " + content(1).SHA256.String() + "\n":  1,
		pdqAt(0).String():                         1,
		content(9).MD5.String():                   0,
		tutela.PDQ{}.String():                     0,
		strings.Repeat("0", 40):                   0,
		content(2).SHA1.String():                  1,
	} {
		hits, err := sets.LookupValue(value)
		if err != nil || len(hits) != want {
			t.Errorf("%s: %d hits, error %v; want %d", value, len(hits), err, want)
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("g", 32), strings.Repeat("0", 128)} {
		if _, err := sets.LookupValue(bad); !errors.Is(err, tutela.ErrDigest) {
			t.Errorf("%q: error %v, want %v", bad, err, tutela.ErrDigest)
		}
	}
}
