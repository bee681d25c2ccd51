package disclosure

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/ledger"
)

// readHistory reads the events of the agency log that a bundle about exhibits may
// need: all of theirs, and those of keys and of the program.
func readHistory(ctx context.Context, l *lab.Lab, exhibits ...string) (entries []ledger.Entry, err error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	for e, err := range log.Events(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if e.Event.Exhibit == "" && aboutLab(e.Event.Kind) || slices.Contains(exhibits, e.Event.Exhibit) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func aboutLab(kind tutela.EventKind) bool {
	switch kind {
	case tutela.EventKeyEnrol, tutela.EventKeyWithdraw, tutela.EventKeyRotate, tutela.EventRecoveryKey, tutela.EventToolValidate:
		return true
	}
	return false
}

// chain are the events about an exhibit from its seizure to the one at index last,
// each of which names the one before. A log that was written before events did so
// has no such chain: [ErrNoChain].
func chain(entries []ledger.Entry, exhibit string, last uint64) (links []ledger.Entry, err error) {
	previous := uint64(0)
	for _, e := range entries {
		if e.Event.Exhibit != exhibit || e.Index > last {
			continue
		}
		if e.Event.Previous != previous || (e.Event.Kind == tutela.EventSeize) != (previous == 0) {
			return nil, fmt.Errorf("exhibit %s: event %d: %w", exhibit, e.Index, ErrNoChain)
		}
		links, previous = append(links, e), e.Index+1
	}
	if previous != last+1 {
		return nil, fmt.Errorf("exhibit %s: %w", exhibit, ErrNoChain)
	}
	return links, nil
}

// selection are the entries that a bundle shows, by index.
type selection map[uint64]ledger.Entry

func (s selection) add(entries ...ledger.Entry) {
	for _, e := range entries {
		s[e.Index] = e
	}
}

// addShown adds the tool-validate events that the order names.
func (s selection) addShown(entries []ledger.Entry, indices []uint64) {
	for _, e := range entries {
		if e.Event.Kind == tutela.EventToolValidate && slices.Contains(indices, e.Index) {
			s.add(e)
		}
	}
}

// addRotation adds the event by which a verifier learns the keys that signed a
// head of size entries, if they were changed since.
func (s selection) addRotation(entries []ledger.Entry, size uint64) {
	for _, e := range entries {
		if e.Event.Kind == tutela.EventKeyRotate && e.Index+1 >= size {
			s.add(e)
			return
		}
	}
}

// addKeys adds what enrolled, registered or withdrew the keys that signed the
// selected events, and those that signed these, and so on.
func (s selection) addKeys(entries []ledger.Entry, officer string) {
	known := map[string]bool{}
	for wanted := []string{officer}; len(wanted) > 0; {
		for _, id := range wanted {
			known[id] = true
			s.addKey(entries, id)
		}
		wanted = s.unknownSigners(known)
	}
}

func (s selection) addKey(entries []ledger.Entry, id string) {
	for _, e := range entries {
		for _, fact := range []string{tutela.FactActorKey, tutela.FactRecoveryKey} {
			if vkey := e.Event.Text(fact); vkey != "" && tutela.KeyID(vkey) == id {
				s.add(e)
			}
		}
	}
}

func (s selection) unknownSigners(known map[string]bool) (ids []string) {
	for _, e := range s {
		if id := e.Event.Signer; id != "" && !known[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// inOrder are the selected entries as they stand in the log.
func (s selection) inOrder() []ledger.Entry {
	all := make([]ledger.Entry, 0, len(s))
	for _, e := range s {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b ledger.Entry) int { return cmp.Compare(a.Index, b.Index) })
	return all
}
