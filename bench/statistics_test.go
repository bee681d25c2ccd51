package main

import "testing"

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 4}, 4}, {[]float64{8, 2, 4, 1}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, not %v", c.values, got, c.want)
		}
	}
}

func TestMedianLeavesTheOrderOfTheTurns(t *testing.T) {
	turns := []float64{3, 1, 2}
	median(turns)
	if turns[0] != 3 || turns[1] != 1 || turns[2] != 2 {
		t.Errorf("turns are now %v", turns)
	}
}

func TestCompare(t *testing.T) {
	got := compare([]float64{1, 2, 4}, []float64{4, 6, 8})
	if want := (ratio{medians: 3, low: 2, high: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestFastest(t *testing.T) {
	slow, fast := result{name: "slow", costs: []cost{{wall: 1}, {wall: 9}, {wall: 9}}}, result{name: "fast", costs: []cost{{wall: 5}, {wall: 5}, {wall: 5}}}
	if got := fastest([]result{slow, fast}).name; got != "fast" {
		t.Errorf("%s has the smallest median", got)
	}
}
