package timestamp

import (
	"fmt"
	"time"
)

// Offset bounds how far the local clock is ahead of an authority's: it is
// between Low and High, which are below zero if the local clock is behind.
type Offset struct{ Low, High time.Duration }

// ClockOffset bounds the offset of a local clock by a stamp that was made
// between two moments on it: before the request was sent and after the answer
// came. A time of limited resolution is taken to be cut off, not rounded.
// Whether the authority's clock is right is not asked.
func ClockOffset(sent, received time.Time, s Stamp) (Offset, error) {
	sent, received = sent.Round(0), received.Round(0) // wall clock only
	if received.Before(sent) {
		return Offset{}, fmt.Errorf("the local clock went back by %v while the authority answered", sent.Sub(received))
	}
	return Offset{
		Low:  sent.Sub(s.Time.Add(s.Resolution + s.Accuracy)),
		High: received.Sub(s.Time.Add(-s.Accuracy)),
	}, nil
}

// Within reports whether the clock may be less than limit off, either way.
func (o Offset) Within(limit time.Duration) bool { return o.Low <= limit && o.High >= -limit }

// And is what two authorities say together; false if they contradict each
// other, or the clock jumped between them.
func (o Offset) And(p Offset) (Offset, bool) {
	both := Offset{max(o.Low, p.Low), min(o.High, p.High)}
	return both, both.Low <= both.High
}

// Reading is one moment on two clocks of the machine: the one that tells the
// time and can be set, and one that only runs.
type Reading struct {
	Wall time.Time
	Mono time.Duration // since an arbitrary moment
}

// SystemClock reads the clocks of this machine. On Linux the one that only runs
// stands still while the machine sleeps, so waking up looks like a jump.
func SystemClock() func() Reading {
	start := time.Now()
	return func() Reading {
		now := time.Now()
		return Reading{Wall: now.Round(0), Mono: now.Sub(start)}
	}
}

// Jump is how far the clock was set between two readings: above zero forward,
// below zero back.
func Jump(before, after Reading) time.Duration {
	return after.Wall.Round(0).Sub(before.Wall.Round(0)) - (after.Mono - before.Mono)
}

// Watch notices that the clock was set. It is for one goroutine. Slow steering,
// as NTP does it, adds up against the first reading, so Tolerance is compared
// from one reading to the next.
type Watch struct {
	Tolerance time.Duration // jumps up to this are none
	last      Reading
	begun     bool
}

// Observe takes the next reading, and returns how far the clock jumped since
// the last one; 0 if it did not.
func (w *Watch) Observe(r Reading) time.Duration {
	jump := time.Duration(0)
	if w.begun {
		jump = Jump(w.last, r)
	}
	w.last, w.begun = r, true
	if jump.Abs() <= w.Tolerance {
		return 0
	}
	return jump
}
