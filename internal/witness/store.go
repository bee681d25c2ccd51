package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

const (
	// maxForks is how many heads that do not fit are kept of one log: whoever has
	// its keys can make any number.
	maxForks = 100
	// cosignedName and submittedName are what a witness had cosigned, and what does
	// not fit it.
	cosignedName  = "cosigned.checkpoint"
	submittedName = "submitted.checkpoint"
)

// cosigned is a head of a log with the signatures of the log's keys and of the
// witness's.
type cosigned struct {
	check.Checkpoint
	signed []byte
	at     time.Time // what the witness's signatures state
}

// ErrDamaged means that what a witness remembers is not as it wrote it.
var ErrDamaged = errors.New("what the witness remembers is damaged")

// parseCosigned reads a head that this witness signed by both its keys.
func parseCosigned(signed []byte, id identity) (*cosigned, error) {
	own, err := id.signers(time.Time{})
	if err != nil {
		return nil, err
	}
	n, err := note.Open(signed, note.VerifierList(own[0].(note.Verifier), own[1].(note.Verifier)))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	c, err := check.ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if len(n.Sigs) != len(own) {
		return nil, fmt.Errorf("%w: %d of %d keys have signed", ErrDamaged, len(n.Sigs), len(own))
	}
	line := fmt.Appendf(nil, "— %s %s\n", n.Sigs[0].Name, n.Sigs[0].Base64)
	at, err := check.OpenCosignature([]byte(n.Text), line, verifierOf(own, n.Sigs[0]))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return &cosigned{c, signed, at}, nil
}

func verifierOf(own []note.Signer, s note.Signature) note.Verifier {
	for _, o := range own {
		if o.KeyHash() == s.Hash {
			return o.(note.Verifier)
		}
	}
	return nil
}

// loadHead reads the newest head that was cosigned of a log; nil if there is none.
func loadHead(dir, origin string, id identity) (*cosigned, error) {
	name := headPath(dir, origin)
	signed, err := readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := parseCosigned(signed, id)
	if err == nil && c.Origin != origin {
		err = fmt.Errorf("%w: a head of %s", ErrDamaged, c.Origin)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func headPath(dir, origin string) string { return filepath.Join(dir, headsName, originID(origin)) }

// saveHead is the commit point of a cosignature: before it the witness remembers the
// head before, after it this one, whatever becomes of the answer.
func saveHead(dir string, c *cosigned) error {
	return durable.WriteFile(headPath(dir, c.Origin), c.signed, 0o600)
}

func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxBody {
		return nil, fmt.Errorf("%s: %w: %d bytes", name, ErrDamaged, info.Size())
	}
	return os.ReadFile(name)
}

// Fork is a head, signed by all keys of a log, that does not fit what the witness
// had cosigned. Both lie in Folder, as cosigned.checkpoint and
// submitted.checkpoint.
type Fork struct {
	Origin    string
	Folder    string
	Cosigned  check.Checkpoint
	Submitted check.Checkpoint
}

// Proven reports whether the two heads by themselves show that the log told two
// stories: they are of one size. Else somebody handed in a later head with a proof
// that does not lead from the earlier one; anybody could, for heads are public. Then
// it is for the log to show one that does.
func (f Fork) Proven() bool { return f.Cosigned.Size == f.Submitted.Size }

// keepFork keeps both heads. fresh is false if they were kept before, or if there
// are too many already.
func keepFork(dir string, before *cosigned, c check.Checkpoint, signed []byte) (f Fork, fresh bool, err error) {
	all := filepath.Join(dir, forksName, originID(c.Origin))
	f = Fork{c.Origin, filepath.Join(all, fmt.Sprintf("%d-%s", c.Size, c.Root)), before.Checkpoint, c}
	if _, err := os.Stat(filepath.Join(f.Folder, submittedName)); err == nil {
		return f, false, nil
	}
	kept, err := os.ReadDir(all)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	if len(kept) >= maxForks {
		return f, false, nil
	}
	if err := os.MkdirAll(f.Folder, 0o700); err != nil {
		return f, false, err
	}
	for _, file := range []struct {
		name   string
		signed []byte
	}{{cosignedName, before.signed}, {submittedName, signed}} {
		if err := durable.WriteFile(filepath.Join(f.Folder, file.name), file.signed, 0o600); err != nil {
			return f, false, err
		}
	}
	return f, true, errors.Join(durable.SyncDir(all), durable.SyncDir(filepath.Dir(all)))
}

// loadForks lists what was kept of a log, in the order of the folder's names.
func loadForks(dir, origin string) (forks []Fork, err error) {
	all := filepath.Join(dir, forksName, originID(origin))
	kept, err := os.ReadDir(all)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range kept {
		f := Fork{Origin: origin, Folder: filepath.Join(all, entry.Name())}
		if f.Submitted, err = readText(filepath.Join(f.Folder, submittedName)); errors.Is(err, fs.ErrNotExist) {
			continue // a crash came between: it is kept when it is handed in again
		}
		if err == nil {
			f.Cosigned, err = readText(filepath.Join(f.Folder, cosignedName))
		}
		if err != nil {
			return nil, err
		}
		forks = append(forks, f)
	}
	return forks, nil
}

// readText reads what a signed checkpoint says, without its signatures.
func readText(name string) (c check.Checkpoint, err error) {
	signed, err := readSmall(name)
	if err != nil {
		return c, err
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	if c, err = check.ParseCheckpoint([]byte(text + "\n")); err != nil {
		return c, fmt.Errorf("%s: %w: %v", name, ErrDamaged, err)
	}
	return c, nil
}

// View is what a witness remembers.
type View struct {
	Name  string
	VKeys []string // Ed25519, ML-DSA-44
	Logs  []LogView
}

// LogView is what it remembers of one log.
type LogView struct {
	Origin string
	VKeys  []string          // all of which must sign
	Newest *check.Checkpoint // that it cosigned; nil if none
	Time   time.Time         // when, by its own clock; zero if never
	Forks  []Fork
}

// Look reads what a witness remembers, also while it serves. Errors wrap
// [ErrNoWitness], [ErrDamaged], [ErrLogs].
func Look(dir string) (v View, err error) {
	id, err := loadIdentity(dir)
	if err != nil {
		return v, err
	}
	v.Name = id.name
	if v.VKeys, err = id.vkeys(); err != nil {
		return v, err
	}
	logs, err := loadLogs(dir)
	if err != nil {
		return v, err
	}
	for _, l := range logs {
		seen, err := lookAtLog(dir, l, id)
		if err != nil {
			return v, err
		}
		v.Logs = append(v.Logs, seen)
	}
	return v, nil
}

func lookAtLog(dir string, l logKeys, id identity) (LogView, error) {
	v := LogView{Origin: l.origin, VKeys: l.vkeys}
	newest, err := loadHead(dir, l.origin, id)
	if err != nil {
		return v, err
	}
	if newest != nil {
		v.Newest, v.Time = &newest.Checkpoint, newest.at
	}
	v.Forks, err = loadForks(dir, l.origin)
	return v, err
}
