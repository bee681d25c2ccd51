package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tutela/internal/ledger/check"
)

// The file of a punctured seed begins like that of a seed and goes on in bytes:
//
//	    "tutela-seed v2\nprotection none\n"
//	16  fingerprint of the seed that was
//	    leaves of the largest tree
//	    how many were erased; the first of them, then how many stand between each
//	    and the next
//	32× seeds of the largest subtrees without an erased leaf, from left to right
//	32  SHA-256 of everything before
//
// Numbers are unsigned varints in their shortest form. Where the subtrees lie
// follows from what was erased.
const remnantsHead = "tutela-seed v2\nprotection none\n"

// maxSecretFile bounds what is read of a secret's file, in bytes: room for about
// a million leaves erased of 10⁹.
const maxSecretFile = 1 << 30

// Cost is what the file of a punctured seed takes, in bytes.
func (p *Punctured) Cost() int { return len(p.encode()) }

func (p *Punctured) encode() []byte {
	b := make([]byte, 0, len(remnantsHead)+64+10*len(p.gone)+32*len(p.left))
	b = append(append(b, remnantsHead...), p.mark[:]...)
	b = binary.AppendUvarint(b, p.leaves)
	b = binary.AppendUvarint(b, uint64(len(p.gone)))
	next := uint64(0)
	for _, index := range p.gone {
		b = binary.AppendUvarint(b, index-next)
		next = index + 1
	}
	for i := range p.left {
		b = append(b, p.left[i].seed[:]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseRemnants is the inverse of encode. Errors wrap [ErrEncoding].
func parseRemnants(text string) (*Punctured, error) {
	if len(text) < sha256.Size || sha256.Sum256([]byte(text[:len(text)-sha256.Size])) != [sha256.Size]byte([]byte(text[len(text)-sha256.Size:])) {
		return nil, fmt.Errorf("%w: the checksum is another: the file has changed", ErrEncoding)
	}
	d := check.ReadBody([]byte(text[:len(text)-sha256.Size]), remnantsHead)
	p := new(Punctured)
	d.Fixed(p.mark[:])
	p.leaves = d.Uint()
	p.gone = decodeGone(d, p.leaves)
	p.decodeSeeds(d)
	return p, d.End()
}

func decodeGone(d *check.BodyReader, leaves uint64) []uint64 {
	n := d.Count(1)
	if !d.Failed() && (n == 0 || leaves > maxLeaves) {
		d.Fail("%d leaves erased of %d", n, leaves)
	}
	gone := make([]uint64, 0, n)
	for next := uint64(0); len(gone) < n && !d.Failed(); {
		between := d.Uint()
		if next >= leaves || between >= leaves-next {
			d.Fail("a leaf was erased behind the last")
			return nil
		}
		gone = append(gone, next+between)
		next += between + 1
	}
	return gone
}

// decodeSeeds gives each subtree without an erased leaf its seed.
func (p *Punctured) decodeSeeds(d *check.BodyReader) {
	p.left = make([]remnant, 0, d.Left()/len(Seed{}))
	p.shape(d, remnant{height: seedDepth}, p.gone)
}

// shape goes the way of [Punctured.keep] without the seeds that it had.
func (p *Punctured) shape(d *check.BodyReader, r remnant, gone []uint64) {
	switch {
	case d.Failed() || r.from >= p.leaves:
		return
	case len(gone) == 0:
		d.Fixed(r.seed[:])
		p.left = append(p.left, r)
		return
	case r.height == 0:
		return
	}
	left := remnant{from: r.from, height: r.height - 1}
	right := remnant{from: left.end(), height: r.height - 1}
	p.shape(d, left, within(gone, left.from, left.end()))
	p.shape(d, right, within(gone, right.from, right.end()))
}

// LoadSecret reads what [Safe.SaveSeed], [Safe.SaveSecret] or [Safe.ReplaceSecret]
// wrote.
func (s Safe) LoadSecret(name string) (Secret, error) {
	secret, err := s.loadEither(name)
	if err != nil {
		return nil, fmt.Errorf("load seed %s: %w", name, err)
	}
	return secret, nil
}

func (s Safe) loadEither(name string) (Secret, error) {
	text, err := s.read(name, maxSecretFile)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, remnantsHead) {
		return parseRemnants(text)
	}
	return parseSeed(text)
}

// SaveSecret writes a secret to a new file, durably.
func (s Safe) SaveSecret(name string, secret Secret) error {
	switch secret := secret.(type) {
	case Seed:
		return s.SaveSeed(name, secret)
	case *Punctured:
		if err := s.write(name, string(secret.encode())); err != nil {
			return fmt.Errorf("save seed: %w", err)
		}
		return nil
	}
	panic("internal error: a secret of another kind")
}

// ReplaceSecret puts what is left of a seed in the place of the file that holds
// the seed, durably, and writes zeros over the old file before it goes. At every
// moment the name is that of the old file or of the new, whole. After a crash
// [FinishReplacing] does what is left to do.
//
// Not promised: that the medium itself forgets. Flash memory and file systems that
// copy on write keep old blocks for a while, and so do backups; only a medium that
// is encrypted as a whole under a key that is destroyed forgets for certain.
func (s Safe) ReplaceSecret(name string, left *Punctured) error {
	err := replaceSecret(name, s.seal(string(left.encode())), func(string) error { return nil })
	if err != nil {
		return fmt.Errorf("replace seed: %w", err)
	}
	return nil
}

// replaceSecret calls reached after each step; a test crashes there.
func replaceSecret(name string, content []byte, reached func(step string) error) error {
	if err := finishReplacing(name); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"written", func() error { return writeDurably(name+".new", content, 0o600) }},
		{"held", func() error { return os.Link(name, name+".old") }},
		{"replaced", func() error { return os.Rename(name+".new", name) }},
		{"gone", func() error { return finishReplacing(name) }},
	} {
		if err := step.do(); err != nil {
			return err
		}
		if err := reached(step.what); err != nil {
			return err
		}
	}
	return nil
}

// FinishReplacing destroys what a crash of [Safe.ReplaceSecret] or [Safe.Reseal] left of the old file.
func FinishReplacing(name string) error {
	if err := finishReplacing(name); err != nil {
		return fmt.Errorf("destroy the seed that was replaced: %w", err)
	}
	return nil
}

func finishReplacing(name string) error {
	old, err := os.Stat(name + ".old")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(name)); err != nil { // so that no power cut brings the old name back
		return err
	}
	if !os.SameFile(old, now) { // else it was not replaced yet, and both are one
		if err := overwrite(name+".old", old.Size()); err != nil {
			return err
		}
	}
	if err := os.Remove(name + ".old"); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// destroySecret writes zeros over a file and removes it; none is fine.
func destroySecret(name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := overwrite(name, info.Size()); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

func overwrite(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}
