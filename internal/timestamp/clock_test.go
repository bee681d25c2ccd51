package timestamp

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestClockOffset(t *testing.T) {
	s := Stamp{Time: noon, Resolution: time.Second, Accuracy: 500 * time.Millisecond}
	o, err := ClockOffset(noon.Add(10*time.Second), noon.Add(12*time.Second), s)
	if want := (Offset{8500 * time.Millisecond, 12500 * time.Millisecond}); err != nil || o != want {
		t.Errorf("%v, %v, want %v", o, err, want)
	}
	if o.Within(8*time.Second) || !o.Within(9*time.Second) {
		t.Error("the clock is at least 8.5 s ahead")
	}
	if _, err := ClockOffset(noon, noon.Add(-time.Second), s); err == nil {
		t.Error("a clock that went back during the request was believed")
	}
	if both, ok := o.And(Offset{9 * time.Second, time.Minute}); !ok || both != (Offset{9 * time.Second, 12500 * time.Millisecond}) {
		t.Errorf("%v, %v", both, ok)
	}
	if _, ok := o.And(Offset{-time.Second, time.Second}); ok {
		t.Error("two authorities that contradict each other agree")
	}
}

func TestWatchNoticesAClockThatJumps(t *testing.T) {
	w := Watch{Tolerance: 100 * time.Millisecond}
	for i, c := range []struct{ wall, mono, jump time.Duration }{
		{0, 0, 0},
		{time.Second, time.Second, 0},
		{2050 * time.Millisecond, 2 * time.Second, 0},                   // steered
		{time.Hour, 3 * time.Second, time.Hour - 3050*time.Millisecond}, // set forward
		{time.Hour + time.Second, 4 * time.Second, 0},
		{time.Second, 5 * time.Second, -time.Hour - time.Second}, // and back
	} {
		if got := w.Observe(Reading{noon.Add(c.wall), c.mono}); got != c.jump {
			t.Errorf("reading %d: %v, want %v", i, got, c.jump)
		}
	}
	now := SystemClock()
	if j := Jump(now(), now()); j.Abs() > time.Minute {
		t.Errorf("jump of %v between two readings", j)
	}
}
