package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"tutela"
	"tutela/internal/ledger/check"
)

// The folder of an agency log:
//
//	tlog/    C2SP tlog-tiles, by Tessera: commitments only, fit to be mirrored
//	plain/   in its place in a plain log: the signed head and nothing else
//	bodies/  a tree (see [Tree]) whose body i is the event of entry i, and whose
//	         leaf i is what entry i commits to; cursor: see edgeCursor
//
// An entry is [check.Entry] of that leaf: 48 bytes.
const (
	tilesName  = "tlog"
	bodiesName = "bodies"
)

// LogReader reads an agency log as its last checkpoint left it, also while
// somebody else goes on writing. Each call looks at the log anew. It is safe
// for concurrent use and never writes.
type LogReader struct {
	dir    string
	keys   *Keys
	public *check.LogKeys
}

// Head is where a log stands.
type Head struct {
	check.Checkpoint
	Signed []byte // the checkpoint with its signatures, verbatim
}

// Entry is one event in the log.
type Entry struct {
	Index uint64
	Event tutela.Event
	Leaf  check.Hash // of the log's Merkle tree
}

// Proof is what shows a third person, who has the log's verifier keys, that an
// event stands in the log: see [check.LogProof.VerifyEvent].
type Proof struct {
	check.LogProof
	Opening check.Opening // of the event's body, see [DecodeEvent]
}

// ReadLog opens a log for reading. It returns an error that wraps fs.ErrNotExist
// if there is none, and [ErrWrongKey] if it is another lab's.
func ReadLog(dir string, keys *Keys) (*LogReader, error) {
	r, err := newLogReader(dir, keys)
	if err != nil {
		return nil, fmt.Errorf("read agency log: %w", err)
	}
	if _, err := r.head(); err != nil {
		return nil, fmt.Errorf("read agency log in %s: %w", dir, err)
	}
	return r, nil
}

func newLogReader(dir string, keys *Keys) (*LogReader, error) {
	public, err := keys.public()
	if err != nil {
		return nil, err
	}
	return &LogReader{dir: dir, keys: keys, public: public}, nil
}

// Head is the last checkpoint, with every signature verified. Errors wrap
// [ErrWrongKey] if it is another log's, [check.ErrCheckpoint] if it does not
// hold.
func (r *LogReader) Head(ctx context.Context) (Head, error) {
	if err := ctx.Err(); err != nil {
		return Head{}, err
	}
	h, err := r.head()
	if err != nil {
		return Head{}, fmt.Errorf("head of agency log: %w", err)
	}
	return h, nil
}

func (r *LogReader) head() (Head, error) {
	signed, err := os.ReadFile(r.checkpointPath())
	if err != nil {
		return Head{}, err
	}
	c, err := r.public.Open(signed)
	if err != nil {
		return Head{}, r.explain(signed, err)
	}
	return Head{c, signed}, nil
}

// explain tells a checkpoint of another lab, or by other keys, from one that
// does not hold.
func (r *LogReader) explain(signed []byte, refusal error) error {
	origin, _, _ := bytes.Cut(signed, []byte("\n"))
	if string(origin) != r.keys.origin {
		return fmt.Errorf("%w: the log is of %.80q, the keys are of %q", ErrWrongKey, origin, r.keys.origin)
	}
	for _, vkey := range r.keys.VerifierKeys() {
		one, err := check.ParseLogKeys(vkey)
		if err != nil {
			return err
		}
		if _, err := one.Open(signed); err == nil {
			return refusal // one of our keys has signed: ours, and damaged
		}
	}
	return fmt.Errorf("%w: %w; no key with fingerprint %s has signed", ErrWrongKey, refusal, r.keys.Fingerprint())
}

func (r *LogReader) checkpointPath() string {
	if r.isPlain() {
		return filepath.Join(r.dir, plainName, layout.CheckpointPath)
	}
	return r.tile(layout.CheckpointPath)
}

func (r *LogReader) tile(name string) string {
	return filepath.Join(r.dir, tilesName, filepath.FromSlash(name))
}

// snapshot is the head and a reader of the bodies, which are never fewer.
func (r *LogReader) snapshot() (Head, *Reader, error) {
	h, err := r.head()
	if err != nil {
		return Head{}, nil, err
	}
	bodies, err := ReadTree(filepath.Join(r.dir, bodiesName), r.keys.bodies)
	if err != nil {
		return Head{}, nil, missingIsDamage(err)
	}
	if bodies.Size() < h.Size {
		bodies.Close()
		return Head{}, nil, fmt.Errorf("%w: %d entries and %d bodies", ErrDamaged, h.Size, bodies.Size())
	}
	return h, bodies, nil
}

// Events yields the entries from index from to the last that a checkpoint
// covers, each held against its commitment. After an error it ends.
func (r *LogReader) Events(ctx context.Context, from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		h, bodies, err := r.snapshot()
		if err != nil {
			yield(Entry{}, fmt.Errorf("read events: %w", err))
			return
		}
		defer bodies.Close()
		for body, err := range bodies.Bodies(from) {
			if from >= h.Size {
				return
			}
			var e Entry
			if err == nil {
				e, err = readEntry(bodies, from, body)
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(Entry{}, fmt.Errorf("read event %d: %w", from, err))
				return
			}
			if !yield(e, nil) {
				return
			}
			from++
		}
	}
}

// Openings opens the first n entries, at most as many as the last checkpoint
// covers, in their order. After an error it ends.
func (r *LogReader) Openings(ctx context.Context, n uint64) iter.Seq2[check.Opening, error] {
	return func(yield func(check.Opening, error) bool) {
		h, bodies, err := r.snapshot()
		if err != nil {
			yield(check.Opening{}, fmt.Errorf("open entries: %w", err))
			return
		}
		defer bodies.Close()
		for i := range min(n, h.Size) {
			opening, err := bodies.Opening(i)
			if err = errors.Join(err, ctx.Err()); err != nil {
				err = fmt.Errorf("open entry %d: %w", i, err)
			}
			if !yield(opening, err) || err != nil {
				return
			}
		}
	}
}

func readEntry(bodies *Reader, index uint64, body []byte) (Entry, error) {
	event, err := DecodeEvent(body)
	if err != nil {
		return Entry{}, err
	}
	commitment, err := bodies.Leaf(index)
	return Entry{index, *event, check.Leaf(check.Entry(commitment))}, err
}

// Prove makes the proof of entry index under the last checkpoint, and checks it.
func (r *LogReader) Prove(ctx context.Context, index uint64) (Proof, error) {
	p, err := r.prove(ctx, index)
	if err != nil {
		return Proof{}, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return p, nil
}

func (r *LogReader) prove(ctx context.Context, index uint64) (Proof, error) {
	h, bodies, err := r.snapshot()
	if err != nil {
		return Proof{}, err
	}
	defer bodies.Close()
	if index >= h.Size {
		return Proof{}, fmt.Errorf("the log has %d entries", h.Size)
	}
	opening, err := bodies.Opening(index)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{check.LogProof{Index: index, Checkpoint: h.Signed}, opening}
	if p.Path, err = r.inclusion(ctx, index, h.Size); err != nil {
		return Proof{}, err
	}
	if _, err := p.VerifyEvent(opening, r.public); err != nil {
		return Proof{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return p, nil
}

// inclusion is the path of an entry under the head of size entries: from a few
// tiles, or in a plain log from all leaves of the bodies.
func (r *LogReader) inclusion(ctx context.Context, index, size uint64) (path []check.Hash, err error) {
	if r.isPlain() {
		tree, err := r.merkle(ctx, size)
		if err != nil {
			return nil, err
		}
		return tree.inclusion(index, 0, size), nil
	}
	builder, err := client.NewProofBuilder(ctx, size, r.readTile)
	if err != nil {
		return nil, err
	}
	raw, err := builder.InclusionProof(ctx, index)
	for _, b := range raw {
		path = append(path, check.Hash(b))
	}
	return path, err
}

// readTile reads a tile of hashes; a partial one may have been collected once
// the full one was there (tlog-tiles, "Partial Tiles").
func (r *LogReader) readTile(_ context.Context, level, index uint64, partial uint8) ([]byte, error) {
	b, err := os.ReadFile(r.tile(layout.TilePath(level, index, partial)))
	if partial > 0 && errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(r.tile(layout.TilePath(level, index, 0)))
	}
	return b, err
}

// readEntries reads count entries of a bundle: for each, its length as 16 bits
// and its bytes (tlog-tiles, "Log Entries").
func (r *LogReader) readEntries(index uint64, count int) ([][]byte, error) {
	b, err := os.ReadFile(r.tile(layout.EntriesPath(index, uint8(count))))
	if count < layout.EntryBundleWidth && errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(r.tile(layout.EntriesPath(index, 0)))
	}
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, count)
	for range count {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("bundle ends too early")
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		entries, b = append(entries, b[2:n]), b[n:]
	}
	return entries, nil
}
