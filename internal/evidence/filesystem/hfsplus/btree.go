package hfsplus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// TN1150 "B-Trees".
const (
	descriptorBytes = 14
	headerRecord    = 106 // bytes
	minNode         = 512
	maxNode         = 32 << 10
	maxNodes        = 1 << 26 // what the map of a tree may need 8 MiB for

	kindLeaf   = -1
	kindHeader = 1
	kindMap    = 2
)

// tree is one of the volume's B-trees. It is immutable.
type tree struct {
	name  string
	file  *evidence.Extents
	asIs  *evidence.Extents // without what waits in the journal
	size  int               // of a node, bytes
	nodes uint32
	first uint32 // leaf
	leafs uint32 // records in all leaves
	used  []byte // a bit for each node, high bit first; short where it cannot be read
}

// node is one node of a tree. Its records are those that can be told apart.
type node struct {
	number  uint32
	next    uint32
	kind    int8
	raw     []byte
	bounds  []int // of the records, and where the free space begins
	problem string
}

func (n *node) records() int { return max(0, len(n.bounds)-1) }

func (n *node) record(i int) []byte { return n.raw[n.bounds[i]:n.bounds[i+1]] }

// slack is where the free space begins and ends: between the records and their
// offsets.
func (n *node) slack() (from, to int) {
	from = descriptorBytes
	if len(n.bounds) > 0 {
		from = n.bounds[len(n.bounds)-1]
	}
	return from, len(n.raw) - 2*len(n.bounds)
}

func openTree(name string, file, asIs *evidence.Extents) (*tree, error) {
	b := make([]byte, descriptorBytes+headerRecord)
	if err := readFull(file, b, 0); err != nil {
		return nil, fmt.Errorf("%s: header node: %w", name, err)
	}
	r := b[descriptorBytes:]
	t := &tree{
		name:  name,
		file:  file,
		asIs:  asIs,
		leafs: binary.BigEndian.Uint32(r[6:]),
		first: binary.BigEndian.Uint32(r[10:]),
		size:  int(binary.BigEndian.Uint16(r[18:])),
	}
	if int8(b[8]) != kindHeader || t.size < minNode || t.size > maxNode || t.size&(t.size-1) != 0 {
		return nil, fmt.Errorf("%s: no header node", name)
	}
	t.nodes = uint32(min(file.Size()/int64(t.size), int64(binary.BigEndian.Uint32(r[22:])), maxNodes))
	t.readMap()
	return t, nil
}

// readMap learns which nodes are in use: the third record of the header node,
// then the map nodes that it leads to, of which each has a bit for more nodes
// than four times its bytes.
func (t *tree) readMap() {
	n, err := t.read(0)
	if err != nil || n.records() < 3 {
		return
	}
	t.used = append(t.used, n.record(2)...)
	for left := t.nodes/uint32(4*t.size) + 1; n.next != 0 && left > 0; left-- {
		if n, err = t.read(n.next); err != nil || n.kind != kindMap || n.records() < 1 {
			return
		}
		t.used = append(t.used, n.record(0)...)
	}
}

// inUse is what the map says of a node; what it does not cover is in use.
func (t *tree) inUse(n uint32) bool {
	at := int(n / 8)
	return at >= len(t.used) || t.used[at]&(0x80>>(n%8)) != 0
}

var errNode = errors.New("it is not in the tree")

// read reads a node. A node whose records do not hold together has those before
// the first bad one, and says so in problem.
func (t *tree) read(number uint32) (*node, error) {
	if number >= t.nodes {
		return nil, fmt.Errorf("%s node %d: %w", t.name, number, errNode)
	}
	raw := make([]byte, t.size)
	if err := readFull(t.file, raw, int64(number)*int64(t.size)); err != nil {
		return nil, fmt.Errorf("%s node %d: %w", t.name, number, err)
	}
	n := &node{number: number, next: binary.BigEndian.Uint32(raw), kind: int8(raw[8]), raw: raw}
	n.findRecords(int(binary.BigEndian.Uint16(raw[10:])))
	return n, nil
}

// findRecords reads the offsets, which grow from the end of the node downwards.
func (n *node) findRecords(records int) {
	at := descriptorBytes
	for i := range records + 1 {
		place := len(n.raw) - 2*(i+1)
		if place < at {
			n.problem = "more records than fit"
			return
		}
		offset := int(binary.BigEndian.Uint16(n.raw[place:]))
		if offset < at || offset > place || i == 0 && offset != descriptorBytes || i > 0 && offset == at {
			n.problem = fmt.Sprintf("record %d at byte %d", i, offset)
			return
		}
		n.bounds = append(n.bounds, offset)
		at = offset
	}
}

// place is where byte at of a node lies in the source.
func (t *tree) place(number uint32, at int) int64 {
	off := int64(number)*int64(t.size) + int64(at)
	for _, r := range t.file.Runs() {
		if off < r.Length {
			return r.Offset + off
		}
		off -= r.Length
	}
	return -1
}

// order is the leaves of a tree as they are to be read.
type order struct {
	leaves   []uint32
	others   []uint32 // all other nodes that are not empty
	problems []problem
}

// problem is what a finding says.
type problem struct{ code, detail string }

// walkLeaves follows the chain of leaves and gives out each. Where the chain
// breaks, or has fewer records than the tree should have, the leaves that the
// map calls used are taken too, in the order of their numbers. An error is one
// of visit or of ctx.
func (t *tree) walkLeaves(ctx context.Context, visit func(*node) error) (order, error) {
	w := leafWalk{tree: t, visit: visit, seen: make([]byte, t.nodes/8+1)}
	if err := w.chain(ctx); err != nil {
		return w.order, err
	}
	err := w.rest(ctx)
	return w.order, err
}

type leafWalk struct {
	*tree
	order
	visit   func(*node) error
	seen    []byte
	records uint32
	broken  bool
}

// maxProblems is how many findings about one tree are spelt out.
const maxProblems = 16

func (w *leafWalk) tell(code, format string, a ...any) {
	if len(w.problems) == maxProblems {
		w.problems = append(w.problems, problem{tutela.FindingDamaged, w.name + ": more of it is damaged"})
	}
	if len(w.problems) > maxProblems {
		return
	}
	w.problems = append(w.problems, problem{code, w.name + ": " + fmt.Sprintf(format, a...)})
}

// mark reports false if a node was seen before.
func (w *leafWalk) mark(n uint32) bool {
	if w.seen[n/8]&(1<<(n%8)) != 0 {
		return false
	}
	w.seen[n/8] |= 1 << (n % 8)
	return true
}

func (w *leafWalk) give(n *node) error {
	w.leaves = append(w.leaves, n.number)
	w.records += uint32(n.records())
	if n.problem != "" {
		w.tell(tutela.FindingDamaged, "node %d: %s: the rest of it is not listed", n.number, n.problem)
	}
	return w.visit(n)
}

func (w *leafWalk) chain(ctx context.Context) error {
	for number := w.first; number != 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if number < w.nodes && !w.mark(number) {
			w.broken = true
			w.tell(tutela.FindingLoop, "the chain of leaves returns to node %d", number)
			return nil
		}
		n, err := w.read(number)
		if err != nil || n.kind != kindLeaf {
			w.broken = true
			w.tellUnread(number, err)
			return nil
		}
		if err := w.give(n); err != nil {
			return err
		}
		number = n.next
	}
	return nil
}

func (w *leafWalk) tellUnread(number uint32, err error) {
	var bad *evidence.ReadError
	switch {
	case err == nil:
		w.tell(tutela.FindingDamaged, "the chain of leaves leads to node %d, which is none", number)
	case errors.As(err, &bad):
		w.tell(tutela.FindingReadError, "bytes %d to %d: the chain of leaves ends there: %v", bad.Run.Offset, bad.Run.Offset+bad.Run.Length-1, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		w.tell(tutela.FindingTruncated, "the chain of leaves leads to node %d, behind the end of the image", number)
	default:
		w.tell(tutela.FindingDamaged, "the chain of leaves: %v", err)
	}
}

// rest looks at all nodes that the chain did not reach.
func (w *leafWalk) rest(ctx context.Context) error {
	whole := !w.broken && w.records == w.leafs
	var found int
	var told bool
	for number := uint32(1); number < w.nodes; number++ {
		if number%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w.seen[number/8]&(1<<(number%8)) != 0 {
			continue
		}
		n, err := w.read(number)
		switch {
		case err != nil:
			if !whole && !told && w.inUse(number) {
				w.tellUnread(number, err)
				told = true // one such line is enough
			}
			continue
		case n.kind != kindLeaf || whole || !w.inUse(number):
			if !allZero(n.raw) {
				w.others = append(w.others, number)
			}
			continue
		}
		found++
		if err := w.give(n); err != nil {
			return err
		}
	}
	if found > 0 {
		w.tell(tutela.FindingDamaged, "%d leaves are in use and not in the chain: they are listed all the same", found)
	}
	if w.records != w.leafs {
		w.tell(tutela.FindingDamaged, "%d records found, %d expected", w.records, w.leafs)
	}
	return nil
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// readAll reads the leaves of an order again. What could not be read the first
// time is not in it; what has become unreadable since is an error.
func (t *tree) readAll(ctx context.Context, leaves []uint32, visit func(*node) error) error {
	for _, number := range leaves {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := t.read(number)
		if err != nil {
			return err
		}
		if err := visit(n); err != nil {
			return err
		}
	}
	return nil
}
