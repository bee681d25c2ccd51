package lab

import (
	"context"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// verifyReads recomputes every access ledger and holds it against each root that the
// agency log has of it.
func (l *Lab) verifyReads(ctx context.Context, v *Verdict) error {
	told := map[int][]tutela.AccessRoot{}
	err := l.accessRoots(ctx, func(index uint64, root tutela.AccessRoot) error {
		told[root.Period] = append(told[root.Period], root)
		return nil
	})
	if err != nil {
		v.problem("access ledger: %v", err)
		return nil
	}
	newest, err := l.readsNumber()
	if err != nil {
		return err
	}
	for number := range told {
		newest = max(newest, number)
	}
	for number := 1; number <= newest; number++ {
		if err := l.verifyReadsTree(ctx, number, told[number], v); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) verifyReadsTree(ctx context.Context, number int, told []tutela.AccessRoot, v *Verdict) error {
	name := fmt.Sprintf("access ledger %d", number)
	tree, err := l.openReadsReader(number)
	if err != nil {
		v.problem("%s: %v", name, err)
		return nil
	}
	defer tree.Close()
	problems, err := tree.Verify(ctx, nil)
	if err != nil {
		return err
	}
	for _, p := range problems {
		v.problem("%s: %s", name, p)
	}
	v.Reads += tree.Size()
	slices.SortStableFunc(told, func(a, b tutela.AccessRoot) int { return int(a.Leaves) - int(b.Leaves) })
	if n := len(told); n > 0 && told[n-1].Leaves > tree.Size() {
		v.problem("%s: %d leaves, the agency log has a root over %d", name, tree.Size(), told[n-1].Leaves)
	}
	return holdRoots(tree, told, func(root tutela.AccessRoot, is check.Hash) {
		v.problem("%s: the root over its first %d leaves is %s, the agency log says %s", name, root.Leaves, is, root.Root)
	})
}

// holdRoots tells every root that is not the tree's. told is ascending.
func holdRoots(tree *ledger.Reader, told []tutela.AccessRoot, differs func(tutela.AccessRoot, check.Hash)) error {
	var edge check.Edge
	for leaf := range tree.Size() {
		h, err := tree.Leaf(leaf)
		if err != nil {
			return err
		}
		edge.Append(h)
		for len(told) > 0 && told[0].Leaves == edge.Size() {
			if is := edge.Root(); tutela.SHA256(is) != told[0].Root {
				differs(told[0], is)
			}
			told = told[1:]
		}
	}
	return nil
}
