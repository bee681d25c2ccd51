package check

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// entryHeader begins every entry of an agency log. It must never change: a new
// form of entry gets a new line.
const entryHeader = "tutela-entry@v1\n"

// Entry is the bytes of an agency log's entry for a commitment. It names
// nobody: the commitment is a [SaltedLeaf] of the event, which lies elsewhere.
func Entry(commitment Hash) []byte { return append([]byte(entryHeader), commitment[:]...) }

// ParseEntry is the inverse of [Entry].
func ParseEntry(entry []byte) (commitment Hash, err error) {
	rest, ok := strings.CutPrefix(string(entry), entryHeader)
	if !ok || len(rest) != len(commitment) {
		return commitment, errors.New("not an entry of an agency log, version 1")
	}
	return Hash([]byte(rest)), nil
}

// LogProof says that an entry stands in a log: C2SP tlog-proof without the
// extra line.
type LogProof struct {
	Index      uint64 // of the entry, from 0
	Path       []Hash // from the leaf's sibling to the root's child
	Checkpoint []byte // signed, verbatim
}

const (
	logProofHeader = "c2sp.org/tlog-proof@v1\n"
	maxPath        = 64 // no tree of 64-bit size needs more
)

// Text is the proof in the text form of C2SP tlog-proof.
func (p LogProof) Text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%sindex %d\n", logProofHeader, p.Index)
	for _, h := range p.Path {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return []byte(b.String())
}

// ParseLogProof reads what [LogProof.Text] writes and nothing else. Errors wrap
// [ErrProof]. The checkpoint inside is judged by [LogProof.Verify] only.
func ParseLogProof(text []byte) (LogProof, error) {
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	rest, version := strings.CutPrefix(head+"\n", logProofHeader)
	if !ok || !version {
		return LogProof{}, fmt.Errorf("%w: not a tlog-proof, version 1", ErrProof)
	}
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	number, ok := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || len(lines)-1 > maxPath {
		return LogProof{}, fmt.Errorf("%w: malformed index or path", ErrProof)
	}
	p := LogProof{Index: index, Checkpoint: []byte(checkpoint)}
	for _, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return LogProof{}, fmt.Errorf("%w: path: %v", ErrProof, err)
		}
		p.Path = append(p.Path, h)
	}
	if string(p.Text()) != string(text) {
		return LogProof{}, fmt.Errorf("%w: not in its one form", ErrProof)
	}
	return p, nil
}

// Verify reports whether the entry stands in the log that owns the keys, and
// returns the checkpoint it stands under. Errors wrap [ErrCheckpoint] or
// [ErrProof].
func (p LogProof) Verify(entry []byte, keys *LogKeys) (Checkpoint, error) {
	c, err := keys.Open(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, VerifyInclusion(c.Root, c.Size, p.Index, Leaf(entry), p.Path)
}

// VerifyEvent is [LogProof.Verify] for the entry that commits to an event's
// body, which o opens.
func (p LogProof) VerifyEvent(o Opening, keys *LogKeys) (Checkpoint, error) {
	return p.Verify(Entry(o.Leaf()), keys)
}
