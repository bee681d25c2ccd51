package actor

import (
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Public is the public half of a person's key.
type Public struct {
	VKey        string // C2SP signed-note, type 1, under the person's name as [KeyName] writes it
	Fingerprint string // as ssh-keygen -l shows it: SHA256:…
}

// ParsePublic reads the first key of a file as OpenSSH writes it to FILE.pub, for
// the person named actor. What is no such file is a [Refusal] that wraps
// [ErrKind].
func ParsePublic(line []byte, actor string) (Public, error) {
	if len(line) > maxKeyFile {
		return Public{}, refuse(publicHint, "read public key: %w: larger than %d bytes", ErrKind, maxKeyFile)
	}
	key, comment, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return Public{}, refuse(publicHint, "read public key: %w: %w", ErrKind, err)
	}
	raw, err := ed25519Of(&agent.Key{Format: key.Type(), Blob: key.Marshal(), Comment: comment})
	if err != nil {
		return Public{}, err
	}
	id, err := newIdentity(actor, raw)
	if err != nil {
		return Public{}, err
	}
	return Public{id.vkey, ssh.FingerprintSHA256(key)}, nil
}

const publicHint = "name the public half, which ends with .pub; ssh-keygen -y -f FILE prints it"
