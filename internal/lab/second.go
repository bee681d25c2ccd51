package lab

import (
	"context"

	"tutela"
	"tutela/internal/ledger"
)

// RootFacts are the facts by which an event names a finished tree: name, which is
// tutela.FactRecords or tutela.FactMatches, with its leaves and root, and where
// the policy asks for a second root the same under SHA-512. The second root is
// made by reading the tree once more from the medium, so that every body has been
// held against its leaf before anybody signs for it. It is the same however often
// the scan was interrupted.
func (l *Lab) RootFacts(ctx context.Context, name string, tree *ledger.Reader) ([]tutela.Fact, error) {
	facts := []tutela.Fact{rootFact(name, tree)}
	standing, err := l.Standing(ctx)
	if err != nil || !standing.Policy.SecondRoot {
		return facts, err
	}
	second, err := tree.SecondRoot(ctx)
	if err != nil {
		return nil, err
	}
	return append(facts, tutela.Fact{Name: secondName(name), Number: tree.Size(), Value: second[:]}), nil
}

func rootFact(name string, tree *ledger.Reader) tutela.Fact {
	root := tree.Root()
	return tutela.Fact{Name: name, Number: tree.Size(), Value: root[:]}
}

// secondName is the fact of the root under SHA-512 that belongs to a fact of one
// under SHA-256.
func secondName(name string) string {
	if name == tutela.FactMatches {
		return tutela.FactMatches512
	}
	return tutela.FactRecords512
}

func isSecond(name string) bool {
	return name == tutela.FactRecords512 || name == tutela.FactMatches512
}
