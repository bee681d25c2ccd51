package actor

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"tutela/internal/durable"
)

// MakeKey makes a key for the person named actor in a new file as OpenSSH writes
// it, without a passphrase and for its owner only, durably. It refuses to write
// over a file that is there (fs.ErrExist).
func MakeKey(path, actor string) (Signer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("make key %s: %w", path, fs.ErrExist)
	}
	public, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	id, err := newIdentity(actor, public)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(secret, id.name)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := durable.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return &fileSigner{id, secret}, nil
}
