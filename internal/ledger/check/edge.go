package check

import (
	"errors"
	"math/bits"
)

// EdgeOf is the right edge of a growing tree: the roots of the perfect subtrees
// it is made of, largest first. The zero value is the empty tree.
type EdgeOf[H Digest[H]] struct {
	size  uint64
	nodes []H
}

// Edge is that of a tree under SHA-256, Edge512 that of one under SHA-512.
type (
	Edge    = EdgeOf[Hash]
	Edge512 = EdgeOf[Hash512]
)

// NewEdge is the edge of a tree with size leaves whose perfect subtrees have
// the given roots. There must be exactly one for each bit set in size.
func NewEdge(size uint64, nodes []Hash) (*Edge, error) {
	if len(nodes) != bits.OnesCount64(size) {
		return nil, errors.New("right edge does not fit the size of the tree")
	}
	return &Edge{size: size, nodes: append([]Hash(nil), nodes...)}, nil
}

// Append adds one leaf.
func (e *EdgeOf[H]) Append(leaf H) {
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.nodes) - 1
		leaf = e.nodes[last].node(leaf)
		e.nodes = e.nodes[:last]
	}
	e.nodes = append(e.nodes, leaf)
	e.size++
}

// Size is the number of leaves.
func (e *EdgeOf[H]) Size() uint64 { return e.size }

// Nodes are the roots of the perfect subtrees, largest first. The slice is the
// caller's.
func (e *EdgeOf[H]) Nodes() []H { return append([]H(nil), e.nodes...) }

// Reset makes it the empty tree again, and keeps its room.
func (e *EdgeOf[H]) Reset() { e.size, e.nodes = 0, e.nodes[:0] }

// Root is the root of the tree as it stands.
func (e *EdgeOf[H]) Root() H {
	if e.size == 0 {
		var none H
		return none.empty()
	}
	root := e.nodes[len(e.nodes)-1]
	for i := len(e.nodes) - 2; i >= 0; i-- {
		root = e.nodes[i].node(root)
	}
	return root
}
