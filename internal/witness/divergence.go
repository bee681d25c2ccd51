package witness

import (
	"context"
	"errors"
	"fmt"
)

// What a witness may know that we do not.
var (
	ErrRolledBack = errors.New("the log was rolled back")
	ErrForked     = errors.New("the log has two histories")
)

// Divergence means that a witness knows another history of the log than ours, or
// says so. It wraps [ErrRolledBack] or [ErrForked].
type Divergence struct {
	Witness      string // its names in the policy, and its address
	Kind         error  // one of the two
	Ours, Theirs uint64
	// Shown is the head that the witness showed, signed by all keys of the log; nil if
	// it showed none, and what it says is a claim that nothing supports.
	Shown []byte
}

func (d *Divergence) Error() string {
	what := "claims"
	if d.Shown != nil {
		what = "shows"
	}
	if d.Kind == ErrForked {
		return fmt.Sprintf("%v: witness %s %s that our %d entries do not continue its %d", d.Kind, d.Witness, what, d.Ours, d.Theirs)
	}
	return fmt.Sprintf("%v: witness %s %s a head of %d entries, ours has %d", d.Kind, d.Witness, what, d.Theirs, d.Ours)
}

func (d *Divergence) Unwrap() error { return d.Kind }

// Diverged is what a witness knows of another history; nil if none says so. One that
// is shown goes before one that is claimed.
func (g *Gathered) Diverged() (found *Divergence) {
	for _, o := range g.Outcomes {
		if d, ok := errors.AsType[*Divergence](o.Err); ok && (found == nil || found.Shown == nil) {
			found = d
		}
	}
	return found
}

// judge finds out what lies behind the complaint of a witness: it asks for the head
// that the witness has, which the keys of our log must have signed. It returns a
// Divergence unless the head contradicts the witness itself.
func (g *gathering) judge(ctx context.Context, c *client, claim *Divergence) error {
	shown, err := c.latest(ctx, g.head.Origin)
	if err != nil {
		return claim
	}
	theirs, _, err := ownHead(g.policy, shown)
	if err != nil {
		return claim
	}
	root, err := g.log.Root(ctx, theirs.Size)
	switch {
	case err != nil && theirs.Size <= g.head.Size:
		return err
	case err != nil: // we do not have so many
		return &Divergence{claim.Witness, ErrRolledBack, g.head.Size, theirs.Size, shown}
	case root != theirs.Root:
		return &Divergence{claim.Witness, ErrForked, g.head.Size, theirs.Size, shown}
	case theirs.Size > g.head.Size:
		return fmt.Errorf("%w: it has cosigned a later head of ours meanwhile", ErrUnanswered)
	}
	return fmt.Errorf("%w: it complains, and the head that it shows is one of ours", ErrAnswer)
}

var _ error = (*Divergence)(nil)
