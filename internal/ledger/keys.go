package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"tutela/internal/ledger/check"
)

// Keys are the secrets of an agency log: an Ed25519 and an ML-DSA-44 key that
// sign its checkpoints together, and the seed of its bodies.
type Keys struct {
	origin  string
	ed25519 [32]byte // RFC 8032 seed
	mldsa44 [32]byte // FIPS 204 seed
	bodies  Seed
}

const keysName = "log.key"

// GenerateKeys makes the keys of a new log. origin is the log's name for ever,
// by custom a URL without its scheme, such as "lab.example/log": 1 to 255 bytes
// without space or plus.
func GenerateKeys(origin string) (*Keys, error) {
	k := successor(origin, NewSeed())
	if _, err := k.public(); err != nil {
		return nil, fmt.Errorf("generate keys: %w", err)
	}
	return k, nil
}

// successor has new signing keys for a log whose bodies keep their seed.
func successor(origin string, bodies Seed) *Keys {
	k := &Keys{origin: origin, bodies: bodies}
	rand.Read(k.ed25519[:]) // never fails: crypto/rand
	rand.Read(k.mldsa44[:])
	return k
}

// Origin is the name of the log.
func (k *Keys) Origin() string { return k.origin }

// VerifierKeys are the public halves in the text form of C2SP signed-note, for
// [check.ParseLogKeys]: first Ed25519, then ML-DSA-44.
func (k *Keys) VerifierKeys() []string {
	public := ed25519.NewKeyFromSeed(k.ed25519[:]).Public().(ed25519.PublicKey)
	ed, err := note.NewEd25519VerifierKey(k.origin, public)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	ml, err := check.MLDSAVerifierKey(k.origin, k.mldsa44[:])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return []string{ed, ml}
}

// Fingerprint is the SHA-256 of the verifier keys, one to a line, as 64
// hexadecimal digits: what people compare over another way.
func (k *Keys) Fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join(k.VerifierKeys(), "\n") + "\n"))
	return hex.EncodeToString(sum[:])
}

func (k *Keys) public() (*check.LogKeys, error) { return check.ParseLogKeys(k.VerifierKeys()...) }

// signers sign a checkpoint, Ed25519 first.
func (k *Keys) signers() (ed, ml note.Signer, err error) {
	vkey := k.VerifierKeys()[0]
	hash := strings.Split(vkey[len(k.origin):], "+")[1]
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, k.ed25519[:]...))
	if ed, err = note.NewSigner("PRIVATE+KEY+" + k.origin + "+" + hash + "+" + secret); err != nil {
		return nil, nil, err
	}
	ml, err = check.NewMLDSASigner(k.origin, k.mldsa44[:], time.Now)
	return ed, ml, err
}

// SaveKeys writes the keys to a new file in dir, which is made for its owner only,
// durably. It refuses to write over keys that are there (fs.ErrExist).
func (s Safe) SaveKeys(dir string, k *Keys) error {
	if err := s.write(filepath.Join(dir, keysName), k.text()); err != nil {
		return fmt.Errorf("save keys: %w", err)
	}
	return nil
}

func (k *Keys) text() string {
	return keyLines{
		{"tutela-log-key", keyVersion},
		{"protection", unprotected},
		{"origin", k.origin},
		{"ed25519", encodeSecret(k.ed25519)},
		{"ml-dsa-44", encodeSecret(k.mldsa44)},
		{"bodies", encodeSecret(k.bodies)},
		{"bodies-fingerprint", k.bodies.fingerprintText()},
		{"fingerprint", k.Fingerprint()},
	}.String()
}

// LoadKeys reads what [Safe.SaveKeys] wrote and nothing else.
func (s Safe) LoadKeys(dir string) (*Keys, error) {
	k, err := loadSecret(s, filepath.Join(dir, keysName), parseKeys)
	if err != nil {
		return nil, fmt.Errorf("load keys from %s: %w", dir, err)
	}
	return k, nil
}

func parseKeys(text string) (*Keys, error) {
	v, err := parseKeyLines(text, "tutela-log-key", "protection", "origin", "ed25519", "ml-dsa-44", "bodies", "bodies-fingerprint", "fingerprint")
	if err != nil {
		return nil, err
	}
	if err := checkVersion(v[0], v[1]); err != nil {
		return nil, err
	}
	k := &Keys{origin: v[2]}
	for i, secret := range []*[32]byte{&k.ed25519, &k.mldsa44, (*[32]byte)(&k.bodies)} {
		if *secret, err = parseSecret(v[3+i]); err != nil {
			return nil, err
		}
	}
	if _, err := k.public(); err != nil {
		return nil, err
	}
	if k.bodies.fingerprintText() != v[6] || k.Fingerprint() != v[7] {
		return nil, errors.New("the fingerprint is not that of the keys: the file has changed")
	}
	return k, nil
}
