package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tutela"
	"tutela/internal/durable"
	"tutela/internal/ledger"
)

// Errors about the keys of the log.
var (
	// ErrInside means that a recovery key would lie in the lab, where whoever takes
	// the lab's keys would take it too.
	ErrInside = errors.New("a recovery key must lie outside the lab")
	ErrNoKeys = errors.New("the keys of the lab's log are not there")
)

func (l *Lab) keysDir() string { return filepath.Join(l.Dir, "keys") }

// RotateKeys gives the log new signing keys. The event is the last that the old
// ones sign. A crash before it undoes the change, one behind it is carried on by
// the next opening; after an error the lab must be opened anew.
func (l *Lab) RotateKeys(ctx context.Context, reason string) error {
	r, err := l.safe.BeginRotation(l.agencyDir(), l.keysDir())
	if err != nil {
		return err
	}
	ev, err := tutela.NewEvent(tutela.EventKeyRotate, time.Now(), l.actor, tutela.KeyRotation{Reason: reason})
	if err != nil {
		return err
	}
	if _, err := l.Record(ctx, r.Event(ev)); err != nil {
		return err
	}
	if err := l.log.Close(); err != nil {
		return err
	}
	l.log = nil
	if l.keys, err = r.Finish(ctx); err != nil {
		return err
	}
	return l.openLog(ctx)
}

// KeyFingerprint is what people compare over another way: see
// [ledger.Keys.Fingerprint].
func (l *Lab) KeyFingerprint() string { return l.keys.Fingerprint() }

// NewRecoveryKey makes a recovery key in a new file outside the lab and registers
// it; one that was registered before is none any more. It returns the key's ID, and
// ErrInside for a file in the lab.
func (l *Lab) NewRecoveryKey(ctx context.Context, file string) (string, error) {
	if err := l.refuseInside(file); err != nil {
		return "", err
	}
	r := ledger.NewRecovery(l.keys)
	if err := r.Save(file); err != nil {
		return "", err
	}
	// Registered once it is safe: a key that is registered and lost helps nobody.
	if _, err := l.Record(ctx, r.Register(tutela.Event{})); err != nil {
		return "", errors.Join(err, os.Remove(file))
	}
	return r.KeyID(), nil
}

// refuseInside follows links: the folder in which the file will lie is there.
func (l *Lab) refuseInside(file string) error {
	lab, err := realPath(l.Dir)
	if err != nil {
		return err
	}
	folder, err := realPath(filepath.Dir(file))
	if err != nil {
		return err
	}
	way, err := filepath.Rel(lab, folder)
	if err == nil && way != ".." && !strings.HasPrefix(way, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%w: %s", ErrInside, file)
	}
	return nil // on another volume there is no way
}

func realPath(name string) (string, error) {
	whole, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(whole)
}

// RecoverKeys gives the log of the lab in dir new keys by its recovery key, though
// its own are lost or stolen. The lab must be closed; after a crash it is called
// again. Errors are those of [ledger.Recover].
//
// key is that of [OpenSealed].
func RecoverKeys(ctx context.Context, dir, actor, recoveryFile, reason string, key *[32]byte) (err error) {
	l := &Lab{Dir: dir, actor: actor, key: key}
	if err := l.readConfig(); err != nil {
		return err
	}
	recovery, err := ledger.LoadRecovery(recoveryFile)
	if err != nil {
		return err
	}
	if err := l.takeLock(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.lock.Unlock()) }()
	if err := l.openSafe(); err != nil {
		return err
	}
	ev, err := tutela.NewEvent(tutela.EventKeyRotate, time.Now(), actor, tutela.KeyRotation{Reason: reason})
	if err != nil {
		return err
	}
	_, err = l.safe.Recover(ctx, l.agencyDir(), l.keysDir(), recovery, ev)
	return err
}

func (l *Lab) takeLock() (err error) {
	if l.lock, err = durable.Lock(filepath.Join(l.Dir, "lock"), holder(l.actor)); err != nil {
		return fmt.Errorf("the lab %s is %w", l.Dir, err)
	}
	return nil
}

// loadKeys loads the keys of the log. Whoever may write brings a change of them to
// its end first; whoever only looks copes with one that goes on.
func (l *Lab) loadKeys(ctx context.Context, mode Mode) (err error) {
	if err := l.openSafe(); err != nil {
		return err
	}
	if mode == Read {
		l.keys, err = l.safe.FindKeys(l.agencyDir(), l.keysDir())
	} else if err = l.safe.ResumeRotation(ctx, l.agencyDir(), l.keysDir()); err == nil {
		if err = l.settleSafe(); err == nil {
			l.keys, err = l.safe.LoadKeys(l.keysDir())
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	if err != nil {
		return fmt.Errorf("load the lab's keys: %w", err)
	}
	return nil
}
