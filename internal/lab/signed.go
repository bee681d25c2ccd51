package lab

import (
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// signings holds the signatures of events against the keys that the events before
// brought in. It starts with nothing and is shown every event in order.
type signings struct {
	standing Standing
	recovery string // vkey of the recovery key that stands
}

func newSignings() *signings { return &signings{standing: *newStanding()} }

// take judges an event, then has it count for those to come. What it says is a
// problem of the log; the event counts all the same.
func (s *signings) take(index uint64, ev *tutela.Event) error {
	err := s.judge(ev)
	if ev.Kind == tutela.EventRecoveryKey {
		s.recovery = ev.Text(tutela.FactRecoveryKey)
	}
	return errors.Join(err, s.standing.take(index, *ev))
}

func (s *signings) judge(ev *tutela.Event) error {
	if ev.Signer == "" && len(ev.Signature) == 0 {
		if s.standing.Policy.Signatures {
			return fmt.Errorf("the %s event is not signed, and the policy demanded that", ev.Kind)
		}
		return nil
	}
	vkey, err := s.keyOf(ev)
	if err != nil {
		return err
	}
	v, err := check.ParseVerifierKey(vkey)
	if err != nil {
		return fmt.Errorf("the key of %s: %w", ev.Actor, err)
	}
	if !v.Verify(ledger.EventMessage(ev), ev.Signature) {
		return fmt.Errorf("the signature of the %s event does not hold: it is not what %s signed", ev.Kind, ev.Actor)
	}
	return nil
}

// keyOf is the key by which an event must be signed: one that stood for its actor,
// or for a change of the log's keys the recovery key.
func (s *signings) keyOf(ev *tutela.Event) (string, error) {
	rescues := ev.Kind == tutela.EventKeyRotate || ev.Kind == tutela.EventRecoveryKey
	if rescues && s.recovery != "" && ev.Signer == tutela.KeyID(s.recovery) {
		return s.recovery, nil
	}
	key, ok := s.standing.Keys[ev.Signer]
	if !ok || key.Actor != ev.Actor {
		return "", fmt.Errorf("the %s event was signed by key %.20q, which was none of %s's then", ev.Kind, ev.Signer, ev.Actor)
	}
	return key.VKey, nil
}
