package witness

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

// The folder of a witness:
//
//	witness.key    its name and the seeds of its two keys, mode 0600
//	logs           whose heads it cosigns: the log lines of C2SP tlog-policy
//	heads/ORIGIN   the newest head that it cosigned of each log, with its own lines;
//	               ORIGIN is the SHA-256 of the log's origin, in hexadecimal digits
//	forks/ORIGIN/SIZE-ROOT/
//	               a head that does not fit what was cosigned, see [Fork]
//	lock           held by the process that serves or changes it
const (
	keyName   = "witness.key"
	logsName  = "logs"
	headsName = "heads"
	forksName = "forks"
	lockName  = "lock"
)

const (
	keyHeading = "tutela-witness v1" // the first line of a key file; must never change
	maxKeyFile = 1024                // bytes
	seedSize   = 32
)

// identity is who a witness is.
type identity struct {
	name             string
	ed25519, mldsa44 [seedSize]byte // seeds
}

// Create makes the folder of a new witness under the given name, which goes before
// each of its signatures; C2SP tlog-cosignature recommends an address without a
// scheme, such as witness.example/w1. The folder must be empty or not be there yet.
func Create(dir, name string) error {
	id := identity{name: name}
	rand.Read(id.ed25519[:])
	rand.Read(id.mldsa44[:])
	if _, err := id.signers(time.Now()); err != nil {
		return fmt.Errorf("make a witness: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a witness: %w", err)
	}
	inside, err := os.ReadDir(dir)
	if err == nil && len(inside) > 0 {
		err = fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	}
	if err == nil {
		err = fill(dir, id)
	}
	if err != nil {
		return fmt.Errorf("make a witness: %w", err)
	}
	return nil
}

// fill writes the key last: without it the folder is no witness's.
func fill(dir string, id identity) error {
	for _, name := range []string{headsName, forksName} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(filepath.Join(dir, logsName), nil, 0o600); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, keyName), []byte(id.text()), 0o600)
}

func (id identity) text() string {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s\nname %s\ned25519 %s\nml-dsa-44 %s\n", keyHeading, id.name, encode(id.ed25519[:]), encode(id.mldsa44[:]))
}

// ErrNoWitness means that a folder is no witness's.
var ErrNoWitness = errors.New("no witness lives here")

func loadIdentity(dir string) (id identity, err error) {
	name := filepath.Join(dir, keyName)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return id, fmt.Errorf("%w: there is no %s", ErrNoWitness, name)
	}
	if err != nil {
		return id, err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return id, fmt.Errorf("%s has mode %#o: others may read it; take that from them with chmod 600", name, mode)
	}
	if info.Size() > maxKeyFile {
		return id, fmt.Errorf("%s has %d bytes: not the keys of a witness", name, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return id, err
	}
	if id, err = parseIdentity(string(text)); err != nil {
		return id, fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}

// parseIdentity reads what text writes and nothing else. An error holds nothing of
// the file, which may be a secret.
func parseIdentity(text string) (id identity, err error) {
	refused := errors.New("not the keys of a witness, or of another version")
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return identity{}, refused
	}
	id.name = strings.TrimPrefix(lines[1], "name ")
	for i, seed := range []*[seedSize]byte{&id.ed25519, &id.mldsa44} {
		_, value, _ := strings.Cut(lines[2+i], " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(raw) != seedSize {
			return identity{}, refused
		}
		*seed = [seedSize]byte(raw)
	}
	if id.text() != text {
		return identity{}, refused
	}
	return id, nil
}

// signers are the two keys, for signatures that state the time at.
func (id identity) signers(at time.Time) ([]note.Signer, error) {
	now := func() time.Time { return at }
	first, err := check.NewCosigner(id.name, id.ed25519[:], now)
	if err != nil {
		return nil, err
	}
	second, err := check.NewMLDSASigner(id.name, id.mldsa44[:], now)
	if err != nil {
		return nil, err
	}
	return []note.Signer{first, second}, nil
}

// vkeys are the public halves: Ed25519 (type 4), ML-DSA-44 (type 6).
func (id identity) vkeys() ([]string, error) {
	first, err := check.CosignerKey(id.name, id.ed25519[:])
	if err != nil {
		return nil, err
	}
	second, err := check.MLDSAVerifierKey(id.name, id.mldsa44[:])
	if err != nil {
		return nil, err
	}
	return []string{first, second}, nil
}

// PolicyLines are the lines of C2SP tlog-policy by which a lab names this witness:
// both keys, as two witnesses that are asked at one address, and a group of them.
// vkeys are those of a [View].
func PolicyLines(vkeys []string, address string) string {
	name, _, _ := strings.Cut(vkeys[0], "+")
	first, second := name+"-ed25519", name+"-mldsa44"
	return fmt.Sprintf("witness %s %s %s\nwitness %s %s %s\ngroup %s all %s %s\nquorum %s\n",
		first, vkeys[0], address, second, vkeys[1], address, name, first, second, name)
}
