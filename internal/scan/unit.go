package scan

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"

	"tutela"
	"tutela/internal/evidence"
)

// unit is one entry of the walk together with everything that comes out of it:
// its own record first, then those of its archive members. Units are numbered
// in the order of the walk; their records reach the ledger in that order,
// whoever worked on them and however long it took.
type unit struct {
	number  uint64
	entry   *evidence.Entry
	records chan *tutela.Record // closed when the unit is done
	turn    chan struct{}       // closed when the committer waits for this unit
}

// Cursor is how far a scan has come: the commit frame carries it, so that the
// journal and the ledger are one fact. A continued scan walks the evidence
// again, passes over Units entries without opening them, and drops the first
// Within records of the next one.
type Cursor struct {
	Units  uint64 // entries of the walk that are complete
	Within uint64 // records of the entry after those
	Names  uint64 // FNV-1a over the names of the complete units, in order
	Inside uint64 // as Names, with the entry that Within is about; 0 without one
}

// ErrEvidenceChanged means that a continued scan did not meet the names that
// its first part had met.
var ErrEvidenceChanged = fmt.Errorf("the evidence lists other names than when the scan was interrupted")

// trail is the running hash over the names of units. It is a guard against
// mixing two states of a live folder in one ledger, not against an adversary:
// what was read is committed to by the ledger itself.
type trail uint64

func (t trail) add(e *evidence.Entry) trail {
	h := fnv.New64a()
	var before [8]byte
	for i := range before {
		before[i] = byte(t >> (8 * i))
	}
	h.Write(before[:])
	h.Write([]byte(e.Volume))
	h.Write([]byte{0})
	h.Write(e.Path)
	return trail(h.Sum64())
}

// walk hands out the units after the cursor, each both to the workers and, in
// order, to the committer. It ends with the walk, its error, or ctx.
func walk(ctx context.Context, ev Evidence, limits evidence.Limits, wants func(*evidence.Entry) bool, from Cursor, work, order chan<- *unit) error {
	var number uint64
	var names trail
	err := ev.Walk(ctx, limits, func(e *evidence.Entry) error {
		if !wants(e) {
			return nil
		}
		number++
		if number == from.Units+1 && from.Within > 0 && uint64(names.add(e)) != from.Inside {
			return ErrEvidenceChanged
		}
		if number <= from.Units {
			names = names.add(e)
			if number == from.Units && uint64(names) != from.Names {
				return ErrEvidenceChanged
			}
			return nil
		}
		u := &unit{number: number, entry: e, records: make(chan *tutela.Record, 1), turn: make(chan struct{})}
		return hand(ctx, u, work, order)
	})
	if err == nil && number < from.Units {
		return fmt.Errorf("%w: %d entries, where the interrupted scan had seen %d", ErrEvidenceChanged, number, from.Units)
	}
	return err
}

func hand(ctx context.Context, u *unit, work, order chan<- *unit) error {
	for _, to := range []chan<- *unit{order, work} {
		select {
		case to <- u:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// slots bounds how many units are being expanded at once. The unit for which
// the committer waits always gets one: else units that come later could hold
// every slot while they wait for the committer.
type slots struct {
	free chan struct{}
	busy sync.WaitGroup
}

func newSlots(n int) *slots { return &slots{free: make(chan struct{}, n)} }

// run starts work for u once it may, in a goroutine of its own.
func (s *slots) run(ctx context.Context, u *unit, work func()) {
	s.busy.Go(func() {
		select {
		case s.free <- struct{}{}:
			defer func() { <-s.free }()
		case <-u.turn:
		case <-ctx.Done():
		}
		work()
	})
}

func (s *slots) wait() { s.busy.Wait() }
