package actor

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// ErrNotFor means that what was wrapped was not wrapped for this key.
var ErrNotFor = errors.New("not encrypted to this key")

// What a passphrase must have and what opening by one may cost: scrypt with
// 2^workFactor, r=8, p=1 takes 128 KiB·2^(workFactor-7), about a second at 18.
const (
	minPassphrase = 12 // bytes
	workFactor    = 18
	maxWorkFactor = 20
	maxWrapped    = 64 << 10 // bytes of what is unwrapped
)

// WrapFor encrypts a secret, in the format age-encryption.org/v1, to people's keys:
// each line is one of authorized_keys, Ed25519. Any of the private halves opens it,
// see [Unwrap].
func WrapFor(secret []byte, lines ...[]byte) ([]byte, error) {
	var to []age.Recipient
	for _, line := range lines {
		if _, err := ParsePublic(line, "anybody"); err != nil {
			return nil, err
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, err
		}
		one, err := agessh.NewEd25519Recipient(key)
		if err != nil {
			return nil, refuse(kindHint, "encrypt to a key: %w: %w", ErrKind, err)
		}
		to = append(to, one)
	}
	return wrap(secret, to...)
}

// WrapUnder encrypts a secret under a passphrase of at least 12 bytes.
func WrapUnder(secret, passphrase []byte) ([]byte, error) {
	return wrapUnder(secret, passphrase, workFactor)
}

func wrapUnder(secret, passphrase []byte, work int) ([]byte, error) {
	if len(passphrase) < minPassphrase {
		return nil, refuse("five or more words drawn by dice are easy to keep in mind", "a passphrase of %d bytes: at least %d", len(passphrase), minPassphrase)
	}
	under, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	under.SetWorkFactor(work)
	return wrap(secret, under)
}

func wrap(secret []byte, to ...age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return b.Bytes(), nil
}

// UnderPassphrase reports whether a passphrase opens what was wrapped.
func UnderPassphrase(wrapped []byte) bool {
	return bytes.HasPrefix(wrapped, []byte("age-encryption.org/v1\n-> scrypt "))
}

// Unwrap opens what [WrapUnder] encrypted, by a passphrase that is asked for once
// (nil stands for nobody there to ask), or what [WrapFor] did, by a key of
// [LoadKey]. Errors are a [Refusal] that wraps [ErrPassphrase] or [ErrNotFor].
func Unwrap(wrapped []byte, s Signer, passphrase func() ([]byte, error)) ([]byte, error) {
	if len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("decrypt: %d bytes, at most %d", len(wrapped), maxWrapped)
	}
	if UnderPassphrase(wrapped) {
		return unwrapUnder(wrapped, passphrase)
	}
	file, ok := s.(*fileSigner)
	if !ok {
		return nil, refuse("name the file of your private key, --key FILE: an ssh-agent can sign, and cannot decrypt", "decrypt: %w", ErrNotFor)
	}
	identity, err := agessh.NewEd25519Identity(file.secret)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return unwrap(wrapped, identity, refuse("name the key of somebody for whom it was encrypted", "decrypt: %w", ErrNotFor))
}

func unwrapUnder(wrapped []byte, passphrase func() ([]byte, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, refuse("run this at a terminal, or name a file that holds it in TUTELA_PASSPHRASE_FILE", "decrypt: %w: none given", ErrPassphrase)
	}
	said, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	defer clear(said)
	identity, err := age.NewScryptIdentity(string(said))
	if err != nil {
		return nil, refuse("try again", "decrypt: %w: it is empty", ErrPassphrase)
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	return unwrap(wrapped, identity, refuse("try again", "decrypt: %w", ErrPassphrase))
}

// unwrap says mismatch where the identity is not one that opens it.
func unwrap(wrapped []byte, identity age.Identity, mismatch error) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(wrapped), identity)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, mismatch
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	secret, err := io.ReadAll(io.LimitReader(r, maxWrapped))
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return secret, nil
}
