package evidence

import (
	"errors"
	"fmt"
	"strings"
)

// Keys are what the examiner has to open what is encrypted. A key is tried only
// where the format can tell whether it is right; what a key opened says so as
// a finding. The zero value opens nothing.
type Keys struct {
	// Passphrases are tried, in their order, as UTF-8 without a line end: for
	// LUKS, BitLocker, archives and documents. Each costs a key derivation,
	// which formats make slow: this is for keys that are known, not for lists
	// to guess from.
	Passphrases []string
	// RecoveryKeys are BitLocker recovery passwords: eight groups of six
	// digits.
	RecoveryKeys []string
}

// ErrNoKey is wrapped by the error for what is encrypted and that no key opens.
var ErrNoKey = errors.New("no key opens it")

// LockedError is the error for a volume that is encrypted in a way that can be
// read, and that none of the keys opens. It wraps [ErrNoKey].
type LockedError struct {
	Format     string   // "luks2", "bitlocker"
	Protectors []string // what would open it: "2 passphrases", "tpm" …; may be empty
	Tried      int      // keys that were tried
}

func (e *LockedError) Error() string {
	s := e.Format
	if len(e.Protectors) > 0 {
		s += ": " + strings.Join(e.Protectors, ", ")
	}
	switch {
	case e.Tried == 1:
		s += "; the key that was tried does not open it"
	case e.Tried > 1:
		s += fmt.Sprintf("; none of the %d keys that were tried opens it", e.Tried)
	}
	return s
}

func (e *LockedError) Unwrap() error { return ErrNoKey }
