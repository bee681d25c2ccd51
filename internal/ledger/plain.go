package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"tutela/internal/ledger/check"
)

// plainName is the folder of the head of a plain log. Where it is, the log is
// plain: it is made before anything else of it. It must never change.
const plainName = "plain"

// CreatePlainLog is [CreateLog] for a plain log on any platform.
func CreatePlainLog(ctx context.Context, dir string, keys *Keys) (*Log, error) {
	if err := createPlainLog(dir, keys); err != nil {
		return nil, fmt.Errorf("create plain agency log: %w", err)
	}
	return OpenLog(ctx, dir, keys)
}

func createPlainLog(dir string, keys *Keys) error {
	if isThere(filepath.Join(dir, bodiesName)) {
		return fs.ErrExist // also one of tiles, which must not become plain
	}
	if err := makeFolder(filepath.Join(dir, plainName)); err != nil {
		return err
	}
	if err := errors.Join(syncFolder(dir), syncFolder(filepath.Dir(dir))); err != nil {
		return err
	}
	return createLog(dir, keys)
}

// isPlain reports whether a log is plain.
func (r *LogReader) isPlain() bool { return isThere(filepath.Join(r.dir, plainName)) }

// plainHead is a log of which nothing is kept beside its bodies but the signed head,
// in the one file plain/checkpoint. Entries, their index and their hashes follow
// from the bodies, so that nothing has to be written to place one.
type plainHead struct {
	reader *LogReader
	guard  *rootGuard

	mu     sync.Mutex // guards all below, and who writes the head
	size   uint64     // entries that have their place
	signed uint64     // entries under the head in place
	fresh  bool       // there is no head yet
}

var _ sequencer = (*plainHead)(nil)

func newPlainHead(r *LogReader, guard *rootGuard, head Head) (sequencer, error) {
	return &plainHead{reader: r, guard: guard, size: head.Size, signed: head.Size, fresh: head.Signed == nil}, nil
}

func (p *plainHead) placed(context.Context) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, nil
}

func (p *plainHead) add(context.Context, check.Hash) func() (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	index := p.size
	p.size++
	return func() (uint64, error) { return index, nil }
}

// publish signs the head of all entries that have their place, by both keys, and
// puts it into the place of the one before: whoever reads sees one or the other,
// whole. Events that come at once share a head.
func (p *plainHead) publish(ctx context.Context, size uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !p.fresh && p.signed >= size {
		return nil
	}
	signed, err := p.sign(p.size)
	if err != nil {
		return err
	}
	if err := replaceCheckpoint(p.reader.dir, signed); err != nil {
		return fmt.Errorf("put the head in place: %w", err)
	}
	p.signed, p.fresh = p.size, false
	return nil
}

func (p *plainHead) sign(size uint64) ([]byte, error) {
	ed, ml, err := p.reader.keys.signers()
	if err != nil {
		return nil, err
	}
	root, err := p.guard.root(size)
	if err != nil {
		return nil, err
	}
	head := check.Checkpoint{Origin: p.reader.keys.origin, Size: size, Root: root}
	return note.Sign(&note.Note{Text: head.Text()}, p.guard.over(ed), p.guard.over(ml))
}

func (p *plainHead) close(ctx context.Context) error {
	p.mu.Lock()
	behind, size := p.signed < p.size, p.size
	p.mu.Unlock()
	if !behind {
		return nil
	}
	return p.publish(ctx, size)
}
