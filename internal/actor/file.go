package actor

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile is the largest key file that is read, in bytes; one of an Ed25519
// key has some 400.
const maxKeyFile = 64 << 10

// fileSigner holds the private key in memory.
type fileSigner struct {
	identity
	secret ed25519.PrivateKey
}

var _ Signer = (*fileSigner)(nil)

func (s *fileSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.secret, msg), nil }

// LoadKey reads an Ed25519 private key of OpenSSH (PROTOCOL.key) for the person
// named actor. passphrase is asked at most once, and only if the file is
// encrypted; nil stands for nobody there to ask. What is wrong with the file is a
// [Refusal]; it wraps [ErrKind], [ErrExposed] or [ErrPassphrase].
func LoadKey(path, actor string, passphrase func() ([]byte, error)) (Signer, error) {
	pem, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParseRawPrivateKey(pem)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		key, err = decrypt(path, pem, passphrase)
	}
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return nil, err
	case err != nil:
		return nil, refuse(kindHint, "read key %s: %w: %w", path, ErrKind, err)
	}
	secret, ok := key.(*ed25519.PrivateKey)
	if !ok {
		return nil, refuse(kindHint, "read key %s: %w but %T", path, ErrKind, key)
	}
	id, err := newIdentity(actor, secret.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &fileSigner{id, *secret}, nil
}

const kindHint = "make one with: ssh-keygen -t ed25519 (keys of RSA, ECDSA and security tokens make other signatures)"

func decrypt(path string, pem []byte, passphrase func() ([]byte, error)) (any, error) {
	if passphrase == nil {
		return nil, refuse("add it to an ssh-agent, or run this at a terminal", "read key %s: %w: none given", path, ErrPassphrase)
	}
	secret, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase of %s: %w", path, err)
	}
	defer clear(secret)
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(pem, secret)
	if err != nil {
		return nil, refuse("try again; ssh-keygen -y -f "+path+" asks for the same passphrase", "read key %s: %w", path, ErrPassphrase)
	}
	return key, nil
}

// readKeyFile reads the file that path names now, if nobody else may.
func readKeyFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, refuse("name the file of the private key", "read key %s: not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	// Windows keeps its rights elsewhere, and the mode says nothing there.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, refuse("chmod 600 "+path, "read key %s: %w, its mode is %04o", path, ErrExposed, info.Mode().Perm())
	}
	pem, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if len(pem) > maxKeyFile {
		return nil, refuse(kindHint, "read key %s: %w: larger than %d bytes", path, ErrKind, maxKeyFile)
	}
	return pem, nil
}
