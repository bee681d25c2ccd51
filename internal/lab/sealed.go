package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tutela/internal/durable"
	"tutela/internal/ledger"
)

// The keys of a lab lie as they are, or encrypted under one key, which lies
// encrypted itself in keys/lab.age, for a passphrase or for the keys of people. How
// they come to be so, and what a crash leaves:
//
//  1. lab.age is written: the commit point. From then on whoever opens the lab must
//     have the key
//  2. each file is replaced by its encrypted form, and what it was is written over.
//     A file that still lies open is read too; the next opening to write goes on
//
// The way back: lab.age becomes lab.age.leaving, the files are replaced, and
// lab.age.leaving is destroyed.
const (
	wrappedName = "lab.age"
	leavingName = wrappedName + ".leaving"
)

// maxWrapped is the most that is read of lab.age, in bytes.
const maxWrapped = 64 << 10

// Errors about keys that are encrypted.
var (
	ErrSealed    = errors.New("the lab's keys are encrypted")
	ErrNotSealed = errors.New("the lab's keys are not encrypted")
)

// Wrapped is the encrypted key under which the keys of the lab in dir are
// encrypted, for whoever opens it to decrypt; nil if they lie as they are.
func Wrapped(dir string) ([]byte, error) {
	wrapped, _, err := readWrapped(filepath.Join(dir, "keys"))
	if err != nil {
		return nil, fmt.Errorf("look how the lab's keys are encrypted: %w", err)
	}
	return wrapped, nil
}

// readWrapped reads lab.age, or lab.age.leaving.
func readWrapped(keysDir string) (wrapped []byte, leaving bool, err error) {
	for _, name := range []string{wrappedName, leavingName} {
		info, err := os.Stat(filepath.Join(keysDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if info.Size() > maxWrapped {
			return nil, false, fmt.Errorf("%s has %d bytes", name, info.Size())
		}
		wrapped, err := os.ReadFile(filepath.Join(keysDir, name))
		return wrapped, name == leavingName, err
	}
	return nil, false, nil
}

// OpenSealed opens the lab in dir by the key that was encrypted in what [Wrapped]
// returns; nil stands for none, and where one is needed for ErrSealed.
func OpenSealed(ctx context.Context, dir string, mode Mode, actor string, key *[32]byte) (*Lab, error) {
	l := &Lab{Dir: dir, actor: actor, key: key}
	if err := l.open(ctx, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openSafe makes ready to read the lab's keys.
func (l *Lab) openSafe() error {
	wrapped, _, err := readWrapped(l.keysDir())
	switch {
	case err != nil:
		return err
	case wrapped == nil:
		l.key = nil // another process decrypted them meanwhile
	case l.key == nil:
		return ErrSealed
	default:
		l.safe = ledger.NewSafe(*l.key)
	}
	return nil
}

// EncryptKeys encrypts the keys of the lab under a new key, which wrap encrypts. If
// they are encrypted already, the key that there is is wrapped anew: who may open
// the lab changes, and a copy of lab.age that was kept opens it still.
func (l *Lab) EncryptKeys(wrap func(key []byte) ([]byte, error)) error {
	key := l.key
	if key == nil {
		drawn := [32]byte(ledger.NewSeed())
		key = &drawn
	}
	wrapped, err := wrap(key[:])
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(l.keysDir(), wrappedName), wrapped, 0o600); err != nil {
		return fmt.Errorf("encrypt the lab's keys: %w", err)
	}
	l.key, l.safe = key, ledger.NewSafe(*key)
	return l.settleSafe()
}

// DecryptKeys has the keys lie as they are. It returns ErrNotSealed if they do.
func (l *Lab) DecryptKeys() error {
	if l.key == nil {
		return ErrNotSealed
	}
	if err := os.Rename(filepath.Join(l.keysDir(), wrappedName), filepath.Join(l.keysDir(), leavingName)); err != nil {
		return fmt.Errorf("decrypt the lab's keys: %w", err)
	}
	if err := durable.SyncDir(l.keysDir()); err != nil {
		return err
	}
	return l.settleSafe()
}

// settleSafe has every file of the keys lie as it should: it brings to its end what
// a crash left of [Lab.EncryptKeys] and [Lab.DecryptKeys]. The lab must be locked.
func (l *Lab) settleSafe() error {
	if l.key == nil {
		return nil
	}
	names, err := l.secretFiles()
	if err != nil {
		return err
	}
	wrapped, leaving, err := readWrapped(l.keysDir())
	if err != nil || wrapped == nil {
		return errors.Join(err, errors.New("lab.age is not there any more"))
	}
	if !leaving {
		return l.safe.Reseal(l.safe, names...)
	}
	if err := (ledger.Safe{}).Reseal(l.safe, names...); err != nil {
		return err
	}
	l.key, l.safe = nil, ledger.Safe{}
	if err := os.Remove(filepath.Join(l.keysDir(), leavingName)); err != nil {
		return err
	}
	return durable.SyncDir(l.keysDir())
}

// secretFiles are the files of secrets under keys/.
func (l *Lab) secretFiles() (names []string, err error) {
	err = filepath.WalkDir(l.keysDir(), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() && isSecret(entry.Name()) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// isSecret leaves out what is on its way to a name or from it.
func isSecret(name string) bool {
	return name == "log.key" || strings.HasPrefix(name, "log.key.") && filepath.Ext(name) != ".new" && filepath.Ext(name) != ".old" || filepath.Ext(name) == ".seed"
}
