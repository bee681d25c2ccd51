package check

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// ErrCheckpoint is wrapped by every refusal of a checkpoint.
var ErrCheckpoint = errors.New("checkpoint does not hold")

// Checkpoint is what a log says about itself: C2SP tlog-checkpoint without
// extension lines, which an ML-DSA-44 signature would not cover.
type Checkpoint struct {
	Origin string
	Size   uint64 // leaves
	Root   Hash
}

// Text is the note text: three lines.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ParseCheckpoint reads the text of a checkpoint, without its signatures. It
// accepts only what [Checkpoint.Text] writes. Errors wrap [ErrCheckpoint].
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 4 {
		return Checkpoint{}, fmt.Errorf("%w: %d lines of text, not 3", ErrCheckpoint, len(lines)-1)
	}
	c := Checkpoint{Origin: strings.TrimSuffix(lines[0], "\n")}
	size, err := strconv.ParseUint(strings.TrimSuffix(lines[1], "\n"), 10, 64)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: size: %v", ErrCheckpoint, err)
	}
	root, err := parseHash(strings.TrimSuffix(lines[2], "\n"))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: root: %v", ErrCheckpoint, err)
	}
	c.Size, c.Root = size, root
	if !validName(c.Origin) || c.Text() != string(text) {
		return Checkpoint{}, fmt.Errorf("%w: not in its one form", ErrCheckpoint)
	}
	return c, nil
}

func parseHash(s string) (h Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return h, err
	}
	if len(raw) != len(h) {
		return h, fmt.Errorf("%d bytes, not %d", len(raw), len(h))
	}
	return Hash(raw), nil
}

// LogKeys are the keys of one log. All of them must have signed a checkpoint.
type LogKeys struct {
	origin string
	keys   []note.Verifier
}

// ParseLogKeys reads the vkeys of one log. There must be at least one, no two
// the same, and all must bear the same name, which is the log's origin.
func ParseLogKeys(vkeys ...string) (*LogKeys, error) {
	k := new(LogKeys)
	for i, vkey := range vkeys {
		v, err := ParseVerifierKey(vkey)
		if err != nil {
			return nil, err
		}
		if i > 0 && v.Name() != k.origin {
			return nil, fmt.Errorf("keys of two logs: %s and %s", k.origin, v.Name())
		}
		if k.byHash(v.KeyHash()) != nil {
			return nil, fmt.Errorf("key %08x of %s given twice", v.KeyHash(), v.Name())
		}
		k.origin, k.keys = v.Name(), append(k.keys, v)
	}
	if len(k.keys) == 0 {
		return nil, errors.New("no verifier key given")
	}
	return k, nil
}

// Origin is the name of the log.
func (k *LogKeys) Origin() string { return k.origin }

func (k *LogKeys) byHash(hash uint32) note.Verifier {
	for _, v := range k.keys {
		if v.KeyHash() == hash {
			return v
		}
	}
	return nil
}

// Verifier makes LogKeys a note.Verifiers.
func (k *LogKeys) Verifier(name string, hash uint32) (note.Verifier, error) {
	if v := k.byHash(hash); v != nil && name == k.origin {
		return v, nil
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

var _ note.Verifiers = (*LogKeys)(nil)

// Open reads a signed checkpoint and demands a valid signature of every key.
// Signatures by others (witnesses) may follow; they are not judged, but every
// line must be in its one form and none may be repeated. Errors wrap
// [ErrCheckpoint].
func (k *LogKeys) Open(signed []byte) (Checkpoint, error) {
	n, err := note.Open(signed, k)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	if len(n.Sigs) != len(k.keys) {
		return Checkpoint{}, fmt.Errorf("%w: %d of the %d keys of %s have signed", ErrCheckpoint, len(n.Sigs), len(k.keys), k.origin)
	}
	if err := canonicalSignatures(n, signed); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != k.origin {
		return Checkpoint{}, fmt.Errorf("%w: of %s, not of %s", ErrCheckpoint, c.Origin, k.origin)
	}
	return c, nil
}

// canonicalSignatures refuses what note.Open lets pass: stray bits at the end
// of base64, control characters in names, and a second signature by the same key,
// which it does not look at.
func canonicalSignatures(n *note.Note, signed []byte) error {
	all := append(append([]note.Signature(nil), n.Sigs...), n.UnverifiedSigs...)
	if lines := bytes.Count(signed, []byte("\n")) - strings.Count(n.Text, "\n") - 1; lines != len(all) {
		return fmt.Errorf("%d signature lines by %d keys", lines, len(all))
	}
	for _, s := range all {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return fmt.Errorf("signature of %s: %v", s.Name, err)
		}
		if !validName(s.Name) {
			return fmt.Errorf("a signature line that names nobody: %.40q", s.Name)
		}
	}
	return nil
}

// OpenSignature demands that one of the keys has signed text, and that signature
// is its one line and nothing else: C2SP signed-note. No two of the keys may have
// one name and one ID. Errors wrap [ErrSignature].
func OpenSignature(text, signature []byte, keys []note.Verifier) error {
	_, err := openSignature(text, signature, keys)
	return err
}

func openSignature(text, signature []byte, keys []note.Verifier) (note.Signature, error) {
	known := map[string]bool{}
	for _, k := range keys {
		id := fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash())
		if known[id] {
			return note.Signature{}, fmt.Errorf("%w: two keys %s", ErrSignature, id)
		}
		known[id] = true
	}
	signed := slices.Concat(text, []byte("\n"), signature)
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		return note.Signature{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if n.Text != string(text) || len(n.Sigs) != 1 || len(n.UnverifiedSigs) > 0 {
		return note.Signature{}, fmt.Errorf("%w: not one line", ErrSignature)
	}
	if err := canonicalSignatures(n, signed); err != nil {
		return note.Signature{}, fmt.Errorf("%w: %v", ErrSignature, err)
	}
	return n.Sigs[0], nil
}

// ErrSignature is wrapped by every refusal of [OpenSignature].
var ErrSignature = errors.New("signature does not hold")
