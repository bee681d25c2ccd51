package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tutela"
	"tutela/internal/ledger"
)

// Errors about who signs what.
var (
	ErrUnsigned    = errors.New("the lab's policy demands that whoever acts signs, and no key was given")
	ErrNotEnrolled = errors.New("the key is not enrolled")
)

// Policy is what a lab demands of itself. It is the detail of a policy-change
// event; the newest one stands. The zero value demands nothing.
type Policy struct {
	Signatures      bool     `json:"signatures"`                 // nothing is recorded that its actor has not signed
	SecondRoot      bool     `json:"second_root,omitempty"`      // every seal carries a root under SHA-512 too
	Validated       bool     `json:"validated,omitempty"`        // nothing is scanned by a build that has not been validated here
	Witnesses       string   `json:"witnesses,omitempty"`        // witness, group and quorum lines of C2SP tlog-policy, with addresses
	TimeAuthorities []string `json:"time_authorities,omitempty"` // addresses, RFC 3161
	TimeRoots       string   `json:"time_roots,omitempty"`       // certificates that time-stamps must lead to, PEM
}

// Enrolled is a person's key that the log vouches for.
type Enrolled struct {
	Actor string
	VKey  string // C2SP signed-note
	Index uint64 // of the event that enrolled it
}

// Standing is what the events so far lay down for those to come: the policy and
// the keys of people.
type Standing struct {
	Policy Policy
	Keys   map[string]Enrolled // by key ID

	Validations map[tutela.SHA256]Validation // the newest of each executable

	// Weighty is how many entries the log had after the last event that a time-stamp
	// is to follow at once: one that names a root, a disclosure, an erasure; 0 if
	// there was none. Moved is the same for any event but checks of the clock.
	Weighty, Moved uint64
	// Asked and AskedAt tell which head time-stamping authorities were last asked to
	// stamp, and when, by the lab's clock.
	Asked   uint64
	AskedAt time.Time
}

// Signer is the key of the person who acts.
type Signer interface {
	KeyID() string       // 8 hexadecimal digits, C2SP signed-note
	VerifierKey() string // C2SP signed-note, Ed25519
	Sign(message []byte) (signature []byte, err error)
}

// SignWith has every event that the lab's actor causes signed from now on. The
// key must be enrolled for that actor; it returns ErrNotEnrolled if it is not.
func (l *Lab) SignWith(ctx context.Context, s Signer) error {
	standing, err := l.Standing(ctx)
	if err != nil {
		return err
	}
	if !standing.stands(s, l.actor) {
		return fmt.Errorf("%w: %s for %s", ErrNotEnrolled, s.KeyID(), l.actor)
	}
	l.signer = s
	return nil
}

// Standing reads what stands from the agency log. It is kept, and follows what
// this process records; what was returned once does not change. It is safe for
// concurrent use.
func (l *Lab) Standing(ctx context.Context) (*Standing, error) {
	l.standingLock.Lock()
	defer l.standingLock.Unlock()
	if l.standing != nil {
		return l.standing, nil
	}
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	s := newStanding()
	for entry, err := range log.Events(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read the agency log: %w", err)
		}
		if err := s.take(entry.Index, entry.Event); err != nil {
			return nil, fmt.Errorf("event %d of the agency log: %w", entry.Index, err)
		}
	}
	l.standing = s
	return s, nil
}

func newStanding() *Standing {
	return &Standing{Keys: map[string]Enrolled{}, Validations: map[tutela.SHA256]Validation{}}
}

func (s *Standing) take(index uint64, ev tutela.Event) error {
	if ev.Kind != tutela.EventClockCheck {
		s.Moved = index + 1
	}
	switch ev.Kind {
	case tutela.EventPolicyChange:
		s.Policy = Policy{}
		return tutela.DecodeDetail(ev.Detail, &s.Policy)
	case tutela.EventKeyEnrol:
		vkey := ev.Text(tutela.FactActorKey)
		s.Keys[tutela.KeyID(vkey)] = Enrolled{Actor: ev.Text(tutela.FactActor), VKey: vkey, Index: index}
	case tutela.EventKeyWithdraw:
		delete(s.Keys, tutela.KeyID(ev.Text(tutela.FactActorKey)))
	case tutela.EventToolValidate:
		return s.takeValidation(index, ev)
	case tutela.EventSeal, tutela.EventMatchRun, tutela.EventRenew, tutela.EventAdmit, tutela.EventDisclose, tutela.EventErase:
		s.Weighty = index + 1
	case tutela.EventClockCheck:
		return s.takeClockCheck(ev)
	}
	return nil
}

// stands reports whether a key is enrolled for a person.
func (s *Standing) stands(signer Signer, actor string) bool {
	key, ok := s.Keys[signer.KeyID()]
	return ok && key.VKey == signer.VerifierKey() && key.Actor == actor
}

// takeClockCheck notes when authorities were asked. A detail of a newer version
// only costs asking again.
func (s *Standing) takeClockCheck(ev tutela.Event) error {
	var c tutela.ClockCheck
	if err := tutela.DecodeDetail(ev.Detail, &c); err == nil && c.Head > 0 {
		s.Asked, s.AskedAt = c.Head, ev.Time
	}
	return nil
}

// follow takes events that this process recorded into what stands, which others
// may be reading: they keep what they were given.
func (l *Lab) follow(index uint64, ev tutela.Event) error {
	l.standingLock.Lock()
	defer l.standingLock.Unlock()
	if l.standing == nil {
		return nil
	}
	next := *l.standing
	next.Keys, next.Validations = maps.Clone(next.Keys), maps.Clone(next.Validations)
	if err := next.take(index, ev); err != nil {
		return err
	}
	l.standing = &next
	return nil
}

// sign puts the actor's signature on an event that the actor caused.
func (l *Lab) sign(ctx context.Context, ev *tutela.Event) error {
	if ev.Signer != "" {
		return nil // by another key than the actor's, as recovery is
	}
	standing, err := l.Standing(ctx)
	if err != nil {
		return err
	}
	if l.signer != nil && ev.Actor == l.actor {
		if !standing.stands(l.signer, l.actor) { // it may have been withdrawn meanwhile
			return fmt.Errorf("%s event: %w: %s for %s", ev.Kind, ErrNotEnrolled, l.signer.KeyID(), l.actor)
		}
		signature, err := l.signer.Sign(ledger.EventMessage(ev))
		if err != nil {
			return fmt.Errorf("sign the %s event: %w", ev.Kind, err)
		}
		ev.Signer, ev.Signature = l.signer.KeyID(), signature
		return nil
	}
	if standing.Policy.Signatures {
		return fmt.Errorf("%s event: %w", ev.Kind, ErrUnsigned)
	}
	return nil
}
