package hashset

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tutela"
)

type shares struct {
	row                    uint64
	query, known, distance int
}

func videos(s *Set, frames []tutela.PDQ) (out []shares) {
	s.Video(frames, func(row uint64, query, known, distance int) { out = append(out, shares{row, query, known, distance}) })
	return out
}

func TestVideoShares(t *testing.T) {
	far := tutela.PDQ{0: 0xff, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff}
	near31, near32 := pdqAt(31), pdqAt(32)
	still := pdqAt(0)
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{
		{Frames: []tutela.PDQ{near31, far, far}, Size: -1},
		{Frames: []tutela.PDQ{near32}, Size: -1},
		{PDQ: &still, Size: -1},
	})
	// Of three frames one is near one of the three known: a third each way, and 32
	// bits are too far.
	got := videos(set, []tutela.PDQ{pdqAt(0), {31: 0xff, 30: 0xff, 29: 0xff, 28: 0xff, 27: 0xff, 26: 0xff}, {9: 1, 20: 0xff, 21: 0xff, 22: 0xff, 23: 0xff, 24: 0xff, 25: 0xff}})
	row, found := uint64(0), false
	for n, a := range set.All() {
		if len(a.Frames) == 3 {
			row, found = n, true
		}
	}
	if !found || !slices.Equal(got, []shares{{row, 33, 33, 31}}) {
		t.Errorf("%v, want one third each way of row %d at 31 bits", got, row)
	}
	if got := videos(set, nil); got != nil {
		t.Errorf("no frames met %v", got)
	}
}

// TestVideoAgainstPlain counts both shares in the plain way.
func TestVideoAgainstPlain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		frame := rapid.Custom(func(t *rapid.T) tutela.PDQ {
			return flip(tutela.PDQ{5: 9}, rapid.SliceOfNDistinct(rapid.IntRange(0, 255), 0, 32, rapid.ID[int]).Draw(t, "bits"))
		})
		var all []tutela.Assertion
		for range rapid.IntRange(1, 4).Draw(rt, "videos") {
			all = append(all, tutela.Assertion{Frames: rapid.SliceOfN(frame, 1, 8).Draw(rt, "frames"), Size: -1})
		}
		query := rapid.SliceOfN(frame, 1, 8).Draw(rt, "query")
		set, _ := compile(t, meta("x", 1, tutela.Alert), all)
		var want []shares
		for row, a := range set.All() {
			s := shares{row: row, distance: 256}
			for _, q := range query {
				for _, k := range a.Frames {
					s.distance = min(s.distance, plainDistance(q, k))
				}
			}
			s.query, s.known = plainShare(query, a.Frames), plainShare(a.Frames, query)
			if s.distance <= MaxRadius {
				want = append(want, s)
			}
		}
		if got := videos(set, query); !slices.Equal(got, want) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

func plainShare(of, in []tutela.PDQ) int {
	met := 0
	for _, a := range of {
		if slices.ContainsFunc(in, func(b tutela.PDQ) bool { return plainDistance(a, b) <= MaxRadius }) {
			met++
		}
	}
	return 100 * met / len(of)
}
