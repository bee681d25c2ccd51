package check

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of C2SP signed-note.
const (
	algEd25519 = 0x01 // over the text of the note
	algMLDSA44 = 0x06 // a timestamped statement about a checkpoint, tlog-cosignature
)

// mldsaLabel begins the message an ML-DSA-44 cosignature signs: tlog-cosignature,
// "ML-DSA-44 signed message".
const mldsaLabel = "subtree/v1\n\x00"

const stampSize = 8

type mldsaVerifier struct {
	name string
	hash uint32
	key  *mldsa.PublicKey
}

var _ note.Verifier = (*mldsaVerifier)(nil)

func (v *mldsaVerifier) Name() string    { return v.name }
func (v *mldsaVerifier) KeyHash() uint32 { return v.hash }

// Verify reports whether sig is a timestamped signature of the checkpoint msg.
// A checkpoint with extension lines is refused, since they would not be signed.
func (v *mldsaVerifier) Verify(msg, sig []byte) bool {
	c, err := ParseCheckpoint(msg)
	if err != nil || len(sig) != stampSize+mldsa.MLDSA44SignatureSize {
		return false
	}
	stamp := binary.BigEndian.Uint64(sig)
	if stamp > 1<<63-1 {
		return false
	}
	signed, err := cosignedMessage(v.name, stamp, c)
	return err == nil && mldsa.Verify(v.key, signed, sig[stampSize:], nil) == nil
}

// cosignedMessage is the structure of that name in tlog-cosignature, in TLS
// presentation encoding, for a whole checkpoint.
func cosignedMessage(name string, stamp uint64, c Checkpoint) ([]byte, error) {
	if len(name) > 255 || len(c.Origin) > 255 {
		return nil, errors.New("name longer than 255 bytes")
	}
	m := append([]byte(mldsaLabel), byte(len(name)))
	m = append(m, name...)
	m = binary.BigEndian.AppendUint64(m, stamp)
	m = append(m, byte(len(c.Origin)))
	m = append(m, c.Origin...)
	m = binary.BigEndian.AppendUint64(m, 0)
	m = binary.BigEndian.AppendUint64(m, c.Size)
	return append(m, c.Root[:]...), nil
}

type mldsaSigner struct {
	mldsaVerifier
	secret *mldsa.PrivateKey
	now    func() time.Time
}

var _ note.Signer = (*mldsaSigner)(nil)

// NewMLDSASigner makes a signer of checkpoints under the given name from a
// 32-byte seed (FIPS 204, ML-DSA-44). now is asked for the time that each
// signature states; the zero time states none.
func NewMLDSASigner(name string, seed []byte, now func() time.Time) (note.Signer, error) {
	secret, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		return nil, fmt.Errorf("read ML-DSA-44 seed: %w", err)
	}
	if !validName(name) {
		return nil, fmt.Errorf("key name %q: empty, too long, or with a space or plus in it", name)
	}
	key := secret.PublicKey()
	return &mldsaSigner{mldsaVerifier{name, keyHash(name, algMLDSA44, key.Bytes()), key}, secret, now}, nil
}

func (s *mldsaSigner) Sign(msg []byte) ([]byte, error) {
	c, err := ParseCheckpoint(msg)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	var stamp uint64
	if now := s.now(); !now.IsZero() {
		stamp = uint64(max(now.Unix(), 0))
	}
	signed, err := cosignedMessage(s.name, stamp, c)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	sig, err := s.secret.Sign(nil, signed, nil)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return append(binary.BigEndian.AppendUint64(nil, stamp), sig...), nil
}

// MLDSAVerifierKey is the text form (vkey) of the public half of an ML-DSA-44
// seed.
func MLDSAVerifierKey(name string, seed []byte) (string, error) {
	secret, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		return "", fmt.Errorf("read ML-DSA-44 seed: %w", err)
	}
	return verifierKey(name, algMLDSA44, secret.PublicKey().Bytes()), nil
}

func verifierKey(name string, alg byte, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, alg, key),
		base64.StdEncoding.EncodeToString(append([]byte{alg}, key...)))
}

// ParseVerifierKey reads a vkey of type Ed25519 (0x01) or ML-DSA-44 (0x06),
// C2SP signed-note, "Verifier keys". Only the canonical text is accepted.
func ParseVerifierKey(vkey string) (note.Verifier, error) {
	name, alg, key, err := splitKey(vkey)
	if err != nil {
		return nil, err
	}
	switch alg {
	case algEd25519:
		return note.NewVerifier(vkey)
	case algMLDSA44:
		public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key)
		if err != nil {
			return nil, fmt.Errorf("verifier key of %s: %w", name, err)
		}
		return &mldsaVerifier{name, keyHash(name, alg, key), public}, nil
	}
	return nil, fmt.Errorf("verifier key of %s: signature type 0x%02x is not known", name, alg)
}

// ParseSignerKey reads the vkey of a person or of a recovery key: Ed25519 (0x01).
// Only the canonical text is accepted.
func ParseSignerKey(vkey string) (note.Verifier, error) {
	name, alg, _, err := splitKey(vkey)
	if err != nil {
		return nil, err
	}
	if alg != algEd25519 {
		return nil, fmt.Errorf("verifier key of %s: signature type 0x%02x where Ed25519 is demanded", name, alg)
	}
	return note.NewVerifier(vkey)
}

// keyHash is the key ID that signed-note recommends and tlog-cosignature
// demands: the first four bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key).
func keyHash(name string, alg byte, key []byte) uint32 {
	sum := sha256.Sum256(append(append([]byte(name+"\n"), alg), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func validName(name string) bool {
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && !strings.Contains(name, "+") &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
