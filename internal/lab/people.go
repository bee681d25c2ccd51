package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tutela"
	"tutela/internal/ledger"
)

// Errors of enrolling and withdrawing keys of people.
var (
	ErrKeyKnown  = errors.New("the key was enrolled before")
	ErrNoSuchKey = errors.New("no such key is enrolled")
	ErrLastKey   = errors.New("no other key stands, and the lab's policy demands signatures: nobody could act any more")
)

// PersonKey is a key of a person with what became of it.
type PersonKey struct {
	Enrolled
	By        string    // who enrolled it
	At        time.Time // when, by the lab's clock
	Withdrawn time.Time // zero while it stands
	Reason    string    // why it was withdrawn
}

// KeysOfPeople are all keys that were ever enrolled, in that order.
func (l *Lab) KeysOfPeople(ctx context.Context) ([]PersonKey, error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	var keys []PersonKey
	for entry, err := range log.Events(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read the agency log: %w", err)
		}
		if keys, err = followKeys(keys, entry.Index, &entry.Event); err != nil {
			return nil, fmt.Errorf("event %d of the agency log: %w", entry.Index, err)
		}
	}
	return keys, nil
}

// followKeys is keys after an event.
func followKeys(keys []PersonKey, index uint64, ev *tutela.Event) ([]PersonKey, error) {
	vkey := ev.Text(tutela.FactActorKey)
	switch ev.Kind {
	case tutela.EventKeyEnrol:
		return append(keys, PersonKey{Enrolled: Enrolled{ev.Text(tutela.FactActor), vkey, index}, By: ev.Actor, At: ev.Time}), nil
	case tutela.EventKeyWithdraw:
		var told tutela.KeyWithdrawal
		if len(ev.Detail) > 0 {
			if err := tutela.DecodeDetail(ev.Detail, &told); err != nil {
				return nil, err
			}
		}
		for i := range keys {
			if keys[i].VKey == vkey && keys[i].Withdrawn.IsZero() {
				keys[i].Withdrawn, keys[i].Reason = ev.Time, told.Reason
			}
		}
	}
	return keys, nil
}

// EnrolKey records that a key is a person's: what it signs from then on is theirs.
// It returns ErrKeyKnown for a key that was enrolled before, for whomever: a key
// is of one person, and one that was withdrawn may be in other hands.
func (l *Lab) EnrolKey(ctx context.Context, person, vkey string) error {
	keys, err := l.KeysOfPeople(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if tutela.KeyBytes(k.VKey) == tutela.KeyBytes(vkey) || tutela.KeyID(k.VKey) == tutela.KeyID(vkey) {
			return fmt.Errorf("%w, for %s", ErrKeyKnown, k.Actor)
		}
	}
	_, err = l.Record(ctx, tutela.Event{Kind: tutela.EventKeyEnrol, Facts: keyFacts(person, vkey)})
	return err
}

// WithdrawKey records that a key signs no more. It returns ErrNoSuchKey if it
// does not stand, and ErrLastKey where the lab would shut itself out.
func (l *Lab) WithdrawKey(ctx context.Context, vkey, reason string) error {
	standing, err := l.Standing(ctx)
	if err != nil {
		return err
	}
	key, ok := standing.Keys[tutela.KeyID(vkey)]
	if !ok || key.VKey != vkey {
		return fmt.Errorf("%w: %.80q", ErrNoSuchKey, vkey)
	}
	if standing.Policy.Signatures && len(standing.Keys) == 1 {
		return ErrLastKey
	}
	ev, err := tutela.NewEvent(tutela.EventKeyWithdraw, time.Now(), l.actor, tutela.KeyWithdrawal{Reason: reason})
	if err != nil {
		return err
	}
	ev.Facts = keyFacts(key.Actor, vkey)
	_, err = l.Record(ctx, ev)
	return err
}

func keyFacts(person, vkey string) []tutela.Fact {
	return []tutela.Fact{{Name: tutela.FactActor, Value: []byte(person)}, {Name: tutela.FactActorKey, Value: []byte(vkey)}}
}

// PersonSeed is the seed of the key that the lab keeps for a person who has none;
// the error wraps fs.ErrNotExist if it keeps none.
func (l *Lab) PersonSeed(person string) (ledger.Seed, error) {
	return l.safe.LoadSeed(l.PersonSeedPath(person))
}

// AddPersonSeed makes one. That is no enrolment: see [Lab.EnrolKey].
func (l *Lab) AddPersonSeed(person string) (ledger.Seed, error) {
	seed, name := ledger.NewSeed(), l.PersonSeedPath(person)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return seed, err
	}
	return seed, l.safe.SaveSeed(name, seed)
}

// PersonSeedPath is where it lies, encrypted if the lab's keys are.
func (l *Lab) PersonSeedPath(person string) string {
	return filepath.Join(l.keysDir(), "actors", escape(person)+".seed")
}
