package scan

import (
	"sync/atomic"

	"tutela"
)

// progress counts while a scan runs. Its numbers are for people who watch; what
// is sealed is counted by the journal.
type progress struct {
	bytes      atomic.Int64
	items      atomic.Uint64
	unreadable atomic.Uint64
	alerts     atomic.Uint64
	ofInterest atomic.Uint64
	knownGood  atomic.Uint64
}

func (p *progress) take(r *tutela.Record) {
	p.items.Add(1)
	if !r.Readable() {
		p.unreadable.Add(1)
	}
}

func (p *progress) match(s *matchState) {
	p.alerts.Store(s.Alerts)
	p.ofInterest.Store(s.OfInterest)
	p.knownGood.Store(s.KnownGood)
}

// Status is how far a running scan has come: what it took since it was started
// or continued, and the matches of all of it.
type Status struct {
	Items, Unreadable             uint64
	Bytes                         int64 // read
	Alerts, OfInterest, KnownGood uint64
}

// Watch is handed to a scan by whoever wants to know how it goes. The zero
// value is ready; Status may be called at any time from anywhere.
type Watch struct{ progress progress }

// Status is how far the scan has come.
func (w *Watch) Status() Status {
	p := &w.progress
	return Status{
		Items: p.items.Load(), Unreadable: p.unreadable.Load(), Bytes: p.bytes.Load(),
		Alerts: p.alerts.Load(), OfInterest: p.ofInterest.Load(), KnownGood: p.knownGood.Load(),
	}
}
