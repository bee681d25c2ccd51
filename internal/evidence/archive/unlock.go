package archive

import (
	"errors"
	"fmt"
	"io"

	"tutela"
)

// unlock finds the passphrase that opens something: prove tries one, and
// returns nil only if it fits. The one that fitted last is tried first. found is
// its number, counted from 0, and -1 where none fits.
func (r *root) unlock(prove func(passphrase string) error) (passphrase string, found int) {
	all := r.keys.Passphrases
	for i := range all {
		n := (i + r.proven) % len(all)
		if r.ctx.Err() != nil {
			break
		}
		if prove(all[n]) == nil {
			r.proven = n
			return all[n], n
		}
	}
	return "", -1
}

// unlocked says with which key the member was opened, and never the key.
func (m *member) unlocked(number int) {
	m.find(tutela.FindingUnlocked, "opened with the examiner's passphrase number %d", number+1)
}

// locked is why something stays closed.
func (r *root) locked(format Format) *Error {
	if len(r.keys.Passphrases) > 0 {
		return &Error{tutela.FindingEncrypted, fmt.Errorf("%s: encrypted, and no passphrase given opens it", format)}
	}
	return &Error{tutela.FindingEncrypted, fmt.Errorf("%s: encrypted", format)}
}

// provenBytes is how much of a content is decoded to know whether a passphrase
// fits, in bytes. A wrong one fails much earlier but where nothing is
// compressed; there the checksum at the end tells.
const provenBytes = 64 << 20

// fits reads a content to its end, where its checksum is, or as far as it takes
// to know. What comes out counts as expanded.
func (r *root) fits(content io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := io.CopyN(io.Discard, content, provenBytes)
	r.expanded += n
	if over := r.checkExpanded(); over != nil {
		return over
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
