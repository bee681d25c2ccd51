package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"tutela"
	"tutela/internal/ledger"
)

// Renewed is a sealed tree that was given a second root.
type Renewed struct {
	tutela.Renew
	Root512  ledger.Hash512
	LogIndex uint64
}

// Renew gives a root under SHA-512 to every sealed tree of the named exhibits, or
// of all, that has none: it reads all bodies, holds each against its leaf and the
// leaves against the sealed root, and records what they lead to under SHA-512 in
// an event of its own for each tree, which is handed to done. What was renewed
// stays so if it is interrupted; calling it again does the rest.
//
// A tree that is not what was sealed is not renewed: that is an error that wraps
// ErrIntegrity, after all others have been renewed. Of an erased leaf nobody can
// make a hash any more; what counts is the hash that was noted when it was erased,
// and the event says how many such leaves there are.
func (l *Lab) Renew(ctx context.Context, exhibits []string, done func(Renewed) error) error {
	told, problem, err := l.toldBeside(ctx)
	if err := cmp.Or(err, problem); err != nil {
		return err
	}
	claims, err := told.claims(exhibits)
	if err != nil {
		return err
	}
	var refused error
	for _, c := range claims {
		if !c.sealed || slices.ContainsFunc(c.facts, func(f tutela.Fact) bool { return isSecond(f.Name) }) {
			continue
		}
		renewed, err := l.renew(ctx, c, told.cases[c.tree.Exhibit])
		if errors.Is(err, ErrIntegrity) {
			refused = errors.Join(refused, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := done(renewed); err != nil {
			return err
		}
	}
	return refused
}

// toldBeside is what the agency log says of the ledgers beside it. problem says
// what does not hold in the log itself, if anything; it wraps ErrIntegrity.
func (l *Lab) toldBeside(ctx context.Context) (t told, problem, err error) {
	log, err := l.ReadLog()
	if err != nil {
		return t, nil, err
	}
	var v Verdict
	t, err = l.told(ctx, log, &v)
	if len(v.Problems) > 0 {
		problem = fmt.Errorf("%w: %s", ErrIntegrity, v.Problems[0])
	}
	return t, problem, err
}

func (l *Lab) renew(ctx context.Context, c claim, ofCase string) (Renewed, error) {
	tree, err := l.readTree(c.tree)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ledger.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if err != nil {
		return Renewed{}, fmt.Errorf("renew %s: %w", c.tree, err)
	}
	defer tree.Close()
	r := Renewed{Renew: tutela.Renew{
		Exhibit: c.tree.Exhibit, Number: c.tree.Number, Run: c.tree.run,
		Root: c.root, Leaves: c.size, Erased: uint64(len(tree.Erased())),
	}}
	if r.Root512, err = c.secondRoot(ctx, tree); err != nil {
		return r, fmt.Errorf("renew %s: %w", c.tree, err)
	}
	r.LogIndex, err = l.recordRenewal(ctx, r, c.tree, ofCase)
	return r, err
}

// secondRoot reads a whole tree that must be the claimed one.
func (c claim) secondRoot(ctx context.Context, tree *ledger.Reader) (ledger.Hash512, error) {
	if tree.Size() != c.size || tutela.SHA256(tree.Root()) != c.root {
		return ledger.Hash512{}, fmt.Errorf("%w: %d leaves and root %s, the seal says %d and %s", ErrIntegrity, tree.Size(), tree.Root(), c.size, c.root)
	}
	second, err := tree.SecondRoot(ctx)
	if errors.Is(err, ledger.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return second, err
}

func (l *Lab) recordRenewal(ctx context.Context, r Renewed, tree treeID, ofCase string) (uint64, error) {
	detail, err := tutela.EncodeDetail(r.Renew)
	if err != nil {
		return 0, err
	}
	return l.Record(ctx, tutela.Event{
		Kind: tutela.EventRenew, Case: ofCase, Exhibit: tree.Exhibit, Detail: detail,
		Key: fmt.Sprintf("renew/%s/%d/%d", tree.Exhibit, tree.Number, tree.run),
		Facts: []tutela.Fact{
			{Name: tree.fact(), Number: r.Leaves, Value: r.Root[:]},
			{Name: secondName(tree.fact()), Number: r.Leaves, Value: r.Root512[:]},
		},
	})
}
