package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrSealed means that a secret's file is encrypted and no key to it was given.
var ErrSealed = errors.New("the secret is encrypted")

// Safe is how secrets lie on disk: encrypted under one key, or with the zero Safe
// as they are. What lies there as it is, any Safe reads.
type Safe struct{ aead cipher.AEAD }

// NewSafe encrypts what it writes with AES-256-GCM under key.
func NewSafe(key [32]byte) Safe {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return Safe{aead}
}

// An encrypted file is this line, which is authenticated with the rest; a nonce of
// 12 random bytes; and what the file would be as it is, encrypted, with its tag of
// 16 bytes. The line must never change.
const sealedHead = "tutela-sealed v1\n"

// maxSealing is how much longer a file is when it is encrypted.
const maxSealing = len(sealedHead) + 12 + 16

// seal is what is written for a secret.
func (s Safe) seal(text string) []byte {
	if s.aead == nil {
		return []byte(text)
	}
	b := append([]byte(sealedHead), make([]byte, s.aead.NonceSize())...)
	nonce := b[len(sealedHead):]
	rand.Read(nonce) // never fails: crypto/rand
	return s.aead.Seal(b, nonce, []byte(text), []byte(sealedHead))
}

// unseal is the secret of what was read.
func (s Safe) unseal(read string) (string, error) {
	rest, sealed := strings.CutPrefix(read, sealedHead)
	if !sealed {
		return read, nil
	}
	if s.aead == nil {
		return "", ErrSealed
	}
	n := s.aead.NonceSize()
	if len(rest) < n {
		return "", fmt.Errorf("%w: an encrypted file is cut short", ErrWrongKey)
	}
	text, err := s.aead.Open(nil, []byte(rest[:n]), []byte(rest[n:]), []byte(sealedHead))
	if err != nil {
		return "", fmt.Errorf("%w: the file was encrypted under another key, or has changed", ErrWrongKey)
	}
	return string(text), nil
}

// read reads a secret of at most limit bytes from a file that nobody else may read.
func (s Safe) read(name string, limit int64) (string, error) {
	text, err := readPrivate(name, limit+int64(maxSealing))
	if err != nil {
		return "", err
	}
	if text, err = s.unseal(text); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// Reseal makes files of secrets lie as the Safe says, each durably and whole at
// every moment, and destroys what they were before. former is the Safe they were
// written by; those that lie right already stay. It may be repeated after a crash.
func (s Safe) Reseal(former Safe, names ...string) error {
	for _, name := range names {
		if err := s.reseal(former, name); err != nil {
			return fmt.Errorf("encrypt or decrypt the secret %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

func (s Safe) reseal(former Safe, name string) error {
	if err := finishReplacing(name); err != nil {
		return err
	}
	lies, err := liesSealed(name)
	if err != nil || lies == (s.aead != nil) {
		return err
	}
	text, err := former.read(name, maxSecretFile)
	if err != nil {
		return err
	}
	return replaceSecret(name, s.seal(text), func(string) error { return nil })
}

// liesSealed reports whether a file is encrypted.
func liesSealed(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(sealedHead))
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == sealedHead, nil
}
