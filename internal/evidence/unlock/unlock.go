// Package unlock opens encrypted volumes with the keys that the examiner has.
//
// Call [Volume] with the bytes of a volume. What it returns is the volume behind
// the encryption, for the readers of file systems. The formats lie in the folders
// below: LUKS and BitLocker.
//
// Promised: a key is used only once the format itself has proven it, so that a
// wrong one never gives bytes; no key is told, neither in a result nor in an
// error. Not promised: that guessing is fast. Every key costs what the format
// makes it cost.
package unlock

import (
	"errors"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/bitlocker"
	"tutela/internal/evidence/unlock/luks"
)

// Unlocked is an encrypted volume that a key has opened.
type Unlocked struct {
	Source evidence.Source // the volume behind the encryption; safe for concurrent use
	Format string          // "luks1", "luks2" or "bitlocker"
	How    string          // "passphrase 1 opened key slot 0": counted from 1 in Keys, never the key
	Notes  []string        // what must be said about the volume, for people; often empty
}

// Volume opens src with the first key that fits. The error wraps
// evidence.ErrNotThis where it is not encrypted in a way that is known, is an
// *evidence.LockedError (which wraps evidence.ErrNoKey) where no key opens it, and
// wraps evidence.ErrUnsupported where it is encrypted in a way that is not
// read. Any other error means that its header is broken or could not be read.
func Volume(src evidence.Source, keys evidence.Keys) (*Unlocked, error) {
	l, err := luks.Open(src, keys)
	if err == nil {
		return ofLUKS(l), nil
	}
	if !errors.Is(err, evidence.ErrNotThis) {
		return nil, err
	}
	b, err := bitlocker.Open(src, keys)
	if err != nil {
		return nil, err
	}
	return &Unlocked{b.Source, "bitlocker", b.How, b.Notes}, nil
}

// Remains is Volume for what has lost its header and keeps a copy of it: a volume
// of LUKS2 whose beginning was wiped. The copy outlives a new file system, so ask
// only where nothing else is recognised.
func Remains(src evidence.Source, keys evidence.Keys) (*Unlocked, error) {
	l, err := luks.OpenCopy(src, keys)
	if err != nil {
		return nil, err
	}
	return ofLUKS(l), nil
}

func ofLUKS(l *luks.Opened) *Unlocked { return &Unlocked{l.Source, l.Format, l.How, l.Notes} }
