package witness

import "time"

// Alarm is how long a log may go on without a quorum before somebody must look.
const Alarm = time.Minute

// Watch tells when a log has gone on for too long without its newest head being
// cosigned by a quorum. It reads no clock. The zero value is ready.
type Watch struct {
	lacking time.Time // when the quorum was found missing; zero if it is not
	alarmed bool
}

// Notice is what there is to say.
type Notice int

// Notices.
const (
	Nothing Notice = iota
	Lost           // there has been no quorum for [Alarm]; it is said once
	Found          // after [Lost]: there is one again
)

// Observe takes what is the case at a time, and tells what there is to say.
func (w *Watch) Observe(now time.Time, quorum bool) Notice {
	switch {
	case quorum:
		alarmed := w.alarmed
		*w = Watch{}
		if alarmed {
			return Found
		}
	case w.lacking.IsZero():
		w.lacking = now
	case !w.alarmed && now.Sub(w.lacking) >= Alarm:
		w.alarmed = true
		return Lost
	}
	return Nothing
}

// Lacking is for how long the quorum has been missing.
func (w *Watch) Lacking(now time.Time) time.Duration {
	if w.lacking.IsZero() {
		return 0
	}
	return now.Sub(w.lacking)
}
