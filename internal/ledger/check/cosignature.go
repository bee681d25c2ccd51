package check

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the type of a timestamped Ed25519 signature of a
// checkpoint, C2SP tlog-cosignature.
const algCosignature = 0x04

type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var _ note.Verifier = (*cosignatureVerifier)(nil)

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.hash }

// Verify reports whether sig is a timestamped signature of the checkpoint msg.
// The signature does not commit to the name of the witness: whoever accepts
// several witnesses must not accept one key under two names.
func (v *cosignatureVerifier) Verify(msg, sig []byte) bool {
	if _, err := ParseCheckpoint(msg); err != nil || len(sig) != stampSize+ed25519.SignatureSize {
		return false
	}
	stamp := binary.BigEndian.Uint64(sig)
	return stamp <= 1<<63-1 && ed25519.Verify(v.key, timedMessage(stamp, msg), sig[stampSize:])
}

// timedMessage is the "Ed25519 signed message" of tlog-cosignature.
func timedMessage(stamp uint64, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", stamp), text...)
}

type cosignatureSigner struct {
	cosignatureVerifier
	secret ed25519.PrivateKey
	now    func() time.Time
}

var _ note.Signer = (*cosignatureSigner)(nil)

// NewCosigner makes a witness's signer of checkpoints under the given name from
// a 32-byte Ed25519 seed. now is asked for the time that each signature states.
// [NewMLDSASigner] makes the other kind.
func NewCosigner(name string, seed []byte, now func() time.Time) (note.Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read Ed25519 seed: %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	if !validName(name) {
		return nil, fmt.Errorf("key name %q: empty, too long, or with a space or plus in it", name)
	}
	secret := ed25519.NewKeyFromSeed(seed)
	key := secret.Public().(ed25519.PublicKey)
	return &cosignatureSigner{cosignatureVerifier{name, keyHash(name, algCosignature, key), key}, secret, now}, nil
}

func (s *cosignatureSigner) Sign(msg []byte) ([]byte, error) {
	if _, err := ParseCheckpoint(msg); err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	stamp := uint64(max(s.now().Unix(), 0))
	return append(binary.BigEndian.AppendUint64(nil, stamp), ed25519.Sign(s.secret, timedMessage(stamp, msg))...), nil
}

// CosignerKey is the text form (vkey, type 4) of the public half of a witness's
// 32-byte Ed25519 seed.
func CosignerKey(name string, seed []byte) (string, error) {
	s, err := NewCosigner(name, seed, time.Now)
	if err != nil {
		return "", err
	}
	return verifierKey(name, algCosignature, s.(*cosignatureSigner).key), nil
}

// ParseWitnessKey reads the vkey of a witness: Ed25519 (type 4, or type 1, which
// is read as 4) or ML-DSA-44 (type 6). Only the canonical text is accepted.
func ParseWitnessKey(vkey string) (note.Verifier, error) {
	name, alg, key, err := splitKey(vkey)
	if err != nil {
		return nil, err
	}
	if alg != algEd25519 && alg != algCosignature {
		return ParseVerifierKey(vkey)
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("verifier key of %s: %d bytes, not %d", name, len(key), ed25519.PublicKeySize)
	}
	return &cosignatureVerifier{name, keyHash(name, algCosignature, key), key}, nil
}

// splitKey takes a vkey apart and demands its one form.
func splitKey(vkey string) (name string, alg byte, key []byte, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, text, _ := strings.Cut(rest, "+")
	material, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(material) == 0 || !validName(name) || verifierKey(name, material[0], material[1:]) != vkey {
		return "", 0, nil, fmt.Errorf("malformed verifier key %.40q", vkey)
	}
	return name, material[0], material[1:], nil
}

// OpenCosignature demands that line is the one signature line of a note, by this
// witness, over a checkpoint's text, and returns when it says it signed. Errors wrap
// [ErrSignature]; a line that tells no time is refused (C2SP tlog-witness).
func OpenCosignature(text, line []byte, witness note.Verifier) (time.Time, error) {
	signature, err := openSignature(text, line, []note.Verifier{witness})
	if err != nil {
		return time.Time{}, err
	}
	at, err := cosignedAt(signature)
	if err == nil && at.IsZero() {
		err = errors.New("it tells no time")
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %v", ErrSignature, err)
	}
	return at, nil
}

// cosignedAt is the time that a verified cosignature states; zero if it states
// none.
func cosignedAt(s note.Signature) (time.Time, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
	if err != nil || len(raw) < 4+stampSize || len(raw) > 4+stampSize+mldsa.MLDSA44SignatureSize {
		return time.Time{}, errors.New("malformed cosignature of " + s.Name)
	}
	stamp := binary.BigEndian.Uint64(raw[4:])
	if stamp == 0 {
		return time.Time{}, nil
	}
	return time.Unix(int64(stamp), 0).UTC(), nil
}
