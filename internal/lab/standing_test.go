package lab

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"tutela"
	"tutela/internal/ledger"
)

// personKey is an Ed25519 key under the name of a person.
type personKey struct {
	secret ed25519.PrivateKey
	vkey   string
}

func newPersonKey(t *testing.T, name string, seed byte) personKey {
	t.Helper()
	secret := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed))
	vkey, err := note.NewEd25519VerifierKey(name, secret.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return personKey{secret, vkey}
}

func (k personKey) KeyID() string                       { return tutela.KeyID(k.vkey) }
func (k personKey) VerifierKey() string                 { return k.vkey }
func (k personKey) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.secret, message), nil }

func (k personKey) event(kind tutela.EventKind, actor string) tutela.Event {
	return tutela.Event{Kind: kind, Facts: []tutela.Fact{
		{Name: tutela.FactActor, Value: []byte(actor)}, {Name: tutela.FactActorKey, Value: []byte(k.vkey)},
	}}
}

func mustRecord(t *testing.T, l *Lab, ev tutela.Event) uint64 {
	t.Helper()
	index, err := l.Record(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// TestPeopleSign enrols a key, has events signed by it, demands signatures by
// policy and withdraws the key, and reads all that back from the log.
func TestPeopleSign(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir, Write, "erika")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	erika, other := newPersonKey(t, "erika", 1), newPersonKey(t, "other", 2)
	if err := l.SignWith(t.Context(), erika); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("a key that nobody enrolled: %v", err)
	}
	mustRecord(t, l, erika.event(tutela.EventKeyEnrol, "erika"))
	mustRecord(t, l, other.event(tutela.EventKeyEnrol, "somebody else"))
	if err := l.SignWith(t.Context(), other); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("the key of another person: %v", err)
	}
	demand, err := tutela.EncodeDetail(Policy{Signatures: true})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, tutela.Event{Kind: tutela.EventPolicyChange, Detail: demand})
	if _, err := l.Record(t.Context(), tutela.Event{Kind: tutela.EventClockCheck}); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned under a policy that demands signatures: %v", err)
	}
	if err := l.SignWith(t.Context(), erika); err != nil {
		t.Fatal(err)
	}
	signed := mustRecord(t, l, tutela.Event{Kind: tutela.EventClockCheck})
	wantSigned(t, l, signed, erika)

	mustRecord(t, l, erika.event(tutela.EventKeyWithdraw, "erika"))
	l.standing = nil // read again what stands
	if err := l.SignWith(t.Context(), erika); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("a key that was withdrawn: %v", err)
	}
}

func wantSigned(t *testing.T, l *Lab, index uint64, by personKey) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	for entry, err := range log.Events(t.Context(), index) {
		if err != nil {
			t.Fatal(err)
		}
		ev := entry.Event
		if ev.Signer != by.KeyID() || !ed25519.Verify(by.secret.Public().(ed25519.PublicKey), ledger.EventMessage(&ev), ev.Signature) {
			t.Errorf("event %d is not signed by %s", entry.Index, by.KeyID())
		}
		return
	}
	t.Errorf("there is no event %d", index)
}

// A scan and the ticker beside it record at once: the catalogue follows in the order
// of the log, and what stands can be read meanwhile.
func TestRecordFromManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				before, err := l.Standing(t.Context())
				if err != nil {
					t.Error(err)
				}
				index, err := l.Record(t.Context(), tutela.Event{Kind: tutela.EventDisclose})
				if err != nil {
					t.Error(err)
				}
				if after, err := l.Standing(t.Context()); err != nil || after.Weighty <= index || after.Weighty < before.Weighty {
					t.Errorf("%+v after entry %d, %v", after, index, err)
				}
			}
		})
	}
	all.Wait()
	if n, err := l.Catalog.Applied(t.Context()); err != nil || n != 13 {
		t.Errorf("%d events in the catalogue, %v", n, err)
	}
	if same, err := l.CompareCatalog(t.Context()); err != nil || !same {
		t.Errorf("%v, %v", same, err)
	}
}
