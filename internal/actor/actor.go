// Package actor is the keys of people: with them an officer signs an event of
// the log, and the list of a bundle that leaves the house, and opens what was
// encrypted to them.
//
// Start with [LoadKey], which reads a private key file of OpenSSH, or
// [FromAgent], which asks an ssh-agent and never sees the key. Both return a
// [Signer], with which a lab signs what its person does; [NoteLine] signs a text.
// [WrapFor] and [WrapUnder] encrypt a small secret, [Unwrap] opens it.
//
// Promised: only Ed25519, whose signatures C2SP signed-note and the log's events
// know; every signature is checked against the public key before it is handed
// on; an agent that answers nonsense or not at all ends in an error. Not
// promised: that the person at the keyboard is the one the key was enrolled for.
package actor

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"tutela"
)

// Signer signs as one person.
type Signer interface {
	// Name is the name of the key: the person's, as [KeyName] writes it.
	Name() string
	// VerifierKey is the vkey of C2SP signed-note, type 1.
	VerifierKey() string
	// KeyID is the middle part of the vkey: 8 lower-case hexadecimal digits.
	KeyID() string
	// Sign returns the 64 bytes of an Ed25519 signature, RFC 8032, of msg itself.
	Sign(msg []byte) ([]byte, error)
}

// Errors that callers tell apart. They are wrapped by a [Refusal].
var (
	ErrKind       = errors.New("not an Ed25519 key")
	ErrExposed    = errors.New("key file can be read by others")
	ErrPassphrase = errors.New("wrong passphrase")
	ErrNoKey      = errors.New("the agent does not hold the key")
	ErrAgent      = errors.New("the agent does not answer as it must")
)

// Refusal is an error for the person whose key it is: why, and what to do now.
type Refusal struct {
	Err  error
	Hint string
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(hint, format string, args ...any) error {
	return &Refusal{fmt.Errorf(format, args...), hint}
}

// identity is the public half that every signer has.
type identity struct {
	name   string
	vkey   string
	public ed25519.PublicKey
}

func newIdentity(actor string, public ed25519.PublicKey) (identity, error) {
	name := KeyName(actor)
	if name == "" {
		return identity{}, fmt.Errorf("name of a person %q: no letter or digit of a–z, 0–9", actor)
	}
	vkey, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return identity{}, fmt.Errorf("verifier key of %s: %w", name, err)
	}
	return identity{name, vkey, public}, nil
}

func (i identity) Name() string        { return i.name }
func (i identity) VerifierKey() string { return i.vkey }
func (i identity) KeyID() string       { return tutela.KeyID(i.vkey) }

// KeyName is a person's name as the name of a key: a–z and 0–9 in lower case,
// anything else one dash, none at the ends, at most 100 bytes. It is "" if
// nothing is left.
func KeyName(actor string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(actor) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String()[:min(b.Len(), 100)], "-")
}

// NoteLine is a signature line of C2SP signed-note under text, which ends with a
// line feed: the whole of BUNDLE.sig if text is BUNDLE.
func NoteLine(s Signer, text []byte) ([]byte, error) {
	id, err := hex.DecodeString(s.KeyID())
	if err != nil || len(id) != 4 {
		return nil, fmt.Errorf("sign note: key ID %q", s.KeyID())
	}
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, errors.New("sign note: its text does not end with a line feed")
	}
	sig, err := s.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("sign note: %w", err)
	}
	return fmt.Appendf(nil, "— %s %s\n", s.Name(), base64.StdEncoding.EncodeToString(append(id, sig...))), nil
}
