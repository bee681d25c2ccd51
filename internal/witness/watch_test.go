package witness

import (
	"testing"
	"time"
)

// The alarm comes after a minute, once, and so does the word that all is well.
func TestWatch(t *testing.T) {
	var w Watch
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		at      int // seconds
		quorum  bool
		want    Notice
		lacking int
	}{
		{0, true, Nothing, 0}, {10, false, Nothing, 0}, {40, false, Nothing, 30}, {50, true, Nothing, 0}, // short
		{60, false, Nothing, 0}, {119, false, Nothing, 59}, {120, false, Lost, 60}, {130, false, Nothing, 70}, {500, false, Nothing, 440},
		{510, true, Found, 0}, {520, true, Nothing, 0},
		{530, false, Nothing, 0}, {600, false, Lost, 70}, {610, true, Found, 0},
	} {
		now := start.Add(time.Duration(step.at) * time.Second)
		if got := w.Observe(now, step.quorum); got != step.want || w.Lacking(now) != time.Duration(step.lacking)*time.Second {
			t.Errorf("after %d s: %v, lacking for %s", step.at, got, w.Lacking(now))
		}
	}
}
