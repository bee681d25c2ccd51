package ledger

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"tutela/internal/ledger/check"
)

// rootGuard stands between what keeps the entries and the keys: only a root that the bodies
// lead to is signed, whatever tiles and tree state say.
type rootGuard struct {
	mu      sync.Mutex // guards all below
	roots   map[uint64]check.Hash
	refused error // the last refusal
}

// rootsKept is how many sizes a checkpoint may lag behind the last body.
const rootsKept = 1 << 16

// admit allows a checkpoint of that size and root, and forgets one long past.
func (g *rootGuard) admit(size uint64, root check.Hash) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.roots[size] = root
	delete(g.roots, size-rootsKept)
}

// check returns an error that wraps [ErrDamaged] unless c was admitted.
func (g *rootGuard) check(c check.Checkpoint) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	want, ok := g.roots[c.Size]
	if !ok || want != c.Root {
		g.refused = fmt.Errorf("%w: a checkpoint of %d entries and root %s does not follow from the bodies", ErrDamaged, c.Size, c.Root)
		return g.refused
	}
	return nil
}

// root is the one that was admitted for a size.
func (g *rootGuard) root(size uint64) (check.Hash, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	root, ok := g.roots[size]
	if !ok {
		return root, fmt.Errorf("%w: no root of %d entries is known", ErrDamaged, size)
	}
	return root, nil
}

func (g *rootGuard) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// over is the signer behind the guard.
func (g *rootGuard) over(s note.Signer) note.Signer { return guardedSigner{s, g} }

type guardedSigner struct {
	note.Signer
	guard *rootGuard
}

func (s guardedSigner) Sign(text []byte) ([]byte, error) {
	c, err := check.ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	if c.Origin != s.Name() {
		return nil, errors.New("refuse to sign the checkpoint of another log")
	}
	if err := s.guard.check(c); err != nil {
		return nil, err
	}
	return s.Signer.Sign(text)
}
