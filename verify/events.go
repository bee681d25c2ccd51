package verify

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"tutela"
	"tutela/internal/ledger/check"
)

const (
	keyRotate     = tutela.EventKeyRotate
	retiredLogKey = tutela.FactRetiredLogKey
	saltSize      = 32 // bytes, in front of the body of every opened leaf
)

// event is an entry of the log that the bundle shows.
type event struct {
	*tutela.Event
	index   uint64
	message []byte // what its actor signs; of version 2
}

// texts are the values of all facts of a name.
func (e *event) texts(name string) (values []string) {
	for _, f := range e.Facts {
		if f.Name == name {
			values = append(values, string(f.Value))
		}
	}
	return values
}

// fact is the fact of a name that stands once at most.
func (e *event) fact(name string) (tutela.Fact, bool) {
	i := slices.IndexFunc(e.Facts, func(f tutela.Fact) bool { return f.Name == name })
	if i < 0 {
		return tutela.Fact{}, false
	}
	return e.Facts[i], true
}

// history is what the events say when they are read from the first to the last.
type history struct {
	all      []*event
	at       map[uint64]*event
	last     map[string]*event          // of each exhibit
	keys     map[string][]note.Verifier // of each person, in force
	vkeys    map[note.Verifier]string
	recovery note.Verifier // the key that may give the log new ones; nil if none is known
}

// readEvents makes sure that the events stand in the log, and reads them.
func (b *bundle) readEvents() error {
	h := &history{at: map[uint64]*event{}, last: map[string]*event{}, keys: map[string][]note.Verifier{}, vkeys: map[note.Verifier]string{}}
	var proof check.ManyProof[check.Hash]
	for _, p := range b.of(check.PathEvent) {
		data, err := b.read(p.path)
		if err != nil {
			return err
		}
		proof.Indices = append(proof.Indices, p.N)
		proof.Leaves = append(proof.Leaves, check.Leaf(check.Entry(check.Leaf(data))))
		e, err := readEvent(data, p.N)
		if err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		h.all, h.at[p.N] = append(h.all, e), e
	}
	var err error
	if proof.Hashes, err = hashes[check.Hash](b, "events/proof"); err != nil {
		return err
	}
	if err := check.VerifyMany(b.head.Root, b.head.Size, proof); err != nil {
		return fmt.Errorf("the events do not stand in the log: %w", err)
	}
	b.events = h
	return h.replay(b.list.Case)
}

func readEvent(opening []byte, index uint64) (*event, error) {
	if len(opening) < saltSize {
		return nil, errors.New("no salt")
	}
	e, signed, err := check.DecodeEvent(opening[saltSize:])
	if err != nil {
		return nil, err
	}
	e.Detail = nil // nobody here reads it
	out := &event{Event: e, index: index}
	if signed != nil {
		out.message = check.EventMessage(signed)
	}
	return out, nil
}

// replay takes the events in their order.
func (h *history) replay(caseNumber string) error {
	for _, e := range h.all {
		if err := h.take(e, caseNumber); err != nil {
			return fmt.Errorf("event %d: %w", e.index, err)
		}
	}
	for _, exhibit := range h.exhibits() {
		if h.last[exhibit].Kind != tutela.EventDisclose {
			return fmt.Errorf("the chain of %q does not end with a disclosure", exhibit)
		}
	}
	if len(h.last) == 0 {
		return errors.New("no event is about an exhibit")
	}
	return nil
}

func (h *history) exhibits() []string { return slices.Sorted(maps.Keys(h.last)) }

func (h *history) take(e *event, caseNumber string) error {
	if err := e.checkFacts(); err != nil {
		return err
	}
	if err := h.link(e, caseNumber); err != nil {
		return err
	}
	if e.Signer != "" || len(e.Signature) > 0 {
		if !h.signed(e) {
			return errors.New("its signature does not hold, or its signer's key was not in force")
		}
	}
	return h.learn(e)
}

// office are the kinds of events about no exhibit: what others rest on.
var office = []tutela.EventKind{
	tutela.EventKeyEnrol, tutela.EventKeyWithdraw, tutela.EventKeyRotate, tutela.EventRecoveryKey,
	tutela.EventPolicyChange, tutela.EventToolValidate, tutela.EventClockCheck,
}

// link puts an event behind the one before about the same exhibit.
func (h *history) link(e *event, caseNumber string) error {
	// What another program found on an exhibit is a tool-validate event about it.
	if slices.Contains(office, e.Kind) != (e.Exhibit == "") && e.Kind != tutela.EventToolValidate {
		return fmt.Errorf("an event %q has no place here", e.Kind)
	}
	if e.Exhibit == "" {
		if e.Previous != 0 {
			return errors.New("it names an event before, and no exhibit")
		}
		return nil
	}
	var before uint64
	if last := h.last[e.Exhibit]; last != nil {
		before = last.index + 1
	}
	switch {
	case e.Case != caseNumber:
		return errors.New("it is of another case")
	case e.Previous != before:
		return fmt.Errorf("a gap in the chain of %q", e.Exhibit)
	case (e.Kind == tutela.EventSeize) != (before == 0):
		return fmt.Errorf("the chain of %q has no seizure, or two", e.Exhibit)
	}
	h.last[e.Exhibit] = e
	return nil
}

// signed reports whether a key that was its actor's then signed an event. The
// keys of the log, and the recovery key, may be changed by the recovery key too. An ID that two keys
// have names nobody: whoever makes many keys finds two such.
func (h *history) signed(e *event) bool {
	keys := h.keys[e.Actor]
	mayRecover := (e.Kind == keyRotate || e.Kind == tutela.EventRecoveryKey) && h.recovery != nil
	if mayRecover && !h.among(keys, h.vkeys[h.recovery]) {
		keys = slices.Concat(keys, []note.Verifier{h.recovery})
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(k note.Verifier) bool { return fmt.Sprintf("%08x", k.KeyHash()) != e.Signer })
	return len(keys) == 1 && keys[0].Verify(e.message, e.Signature)
}

// learn takes in what an event says about keys.
func (h *history) learn(e *event) error {
	switch e.Kind {
	case tutela.EventKeyEnrol:
		key, vkey, err := personKey(e, tutela.FactActorKey)
		if err != nil {
			return err
		}
		h.enrol(e.Text(tutela.FactActor), key, vkey)
	case tutela.EventKeyWithdraw:
		gone := e.Text(tutela.FactActorKey)
		for actor, keys := range h.keys {
			h.keys[actor] = slices.DeleteFunc(keys, func(k note.Verifier) bool { return h.vkeys[k] == gone })
		}
	case tutela.EventRecoveryKey:
		key, vkey, err := personKey(e, tutela.FactRecoveryKey)
		if err != nil {
			return err
		}
		h.recovery, h.vkeys[key] = key, vkey
	}
	return nil
}

// enrol puts a key in force, once.
func (h *history) enrol(actor string, key note.Verifier, vkey string) {
	if !h.among(h.keys[actor], vkey) {
		h.keys[actor], h.vkeys[key] = append(h.keys[actor], key), vkey
	}
}

func (h *history) among(keys []note.Verifier, vkey string) bool {
	return slices.ContainsFunc(keys, func(k note.Verifier) bool { return h.vkeys[k] == vkey })
}

func personKey(e *event, fact string) (note.Verifier, string, error) {
	vkey := e.Text(fact)
	key, err := check.ParseSignerKey(vkey)
	return key, vkey, err
}

// checkOfficer makes sure that the officer signed the list, with a key that is in
// force behind the last event.
func (b *bundle) checkOfficer() error {
	sig, err := b.required("BUNDLE.sig", b.src.sizes())
	if err != nil {
		return err
	}
	if err := check.OpenSignature(b.text, sig, b.events.keys[b.list.Officer]); err != nil {
		return fmt.Errorf("the officer has not signed BUNDLE: %w", err)
	}
	return nil
}
