package ledger

import (
	"slices"

	"tutela/internal/digest"
	"tutela/internal/ledger/check"
)

// runLeaves is how many leaves an encloser takes at once: few enough that what it
// keeps of them stays in a processor's own cache.
const runLeaves = 1024

// encloser makes leaves of bodies and encrypts them, many of them side by
// side. It belongs to one goroutine at a time.
type encloser struct {
	batch *digest.Batch
	ctr   *counters
	seeds [2][runLeaves]Seed // a level of the seed tree, and the next one
	salts [runLeaves][32]byte
	keys  [runLeaves][32]byte
	sums  [runLeaves]check.Hash
}

func newEncloser() *encloser { return &encloser{batch: digest.NewBatch(), ctr: newCounters()} }

// enclose encrypts in place the bodies of at most runLeaves leaves from index on
// and returns their leaves, which are valid until the next call.
func (e *encloser) enclose(tree *Seed, index uint64, bodies [][]byte) []check.Hash {
	seeds := e.grow(tree, index, len(bodies))
	for i := range seeds {
		e.derive(&e.salts[i], seedSalt, &seeds[i])
		e.derive(&e.keys[i], seedKey, &seeds[i])
	}
	e.batch.Flush()
	for i, body := range bodies {
		e.hash(i, body)
	}
	e.batch.Flush()
	for i, body := range bodies {
		e.ctr.crypt(&e.keys[i], e.sums[i], body)
	}
	return e.sums[:len(bodies)]
}

// grow returns the seeds of n consecutive leaves. It goes down the seed tree level
// by level, through those nodes alone that lead to them: two hashes for each.
func (e *encloser) grow(tree *Seed, index uint64, n int) []Seed {
	level, next := &e.seeds[0], &e.seeds[1]
	level[0] = *tree
	for height := seedDepth - 1; height >= 0; height-- {
		first, last := index>>height, (index+uint64(n)-1)>>height
		for i := first; i <= last; i++ {
			e.derive((*[32]byte)(&next[i-first]), seedLeft+byte(i&1), &level[i/2-first/2])
		}
		e.batch.Flush()
		level, next = next, level
	}
	return level[:n]
}

// derive is [Seed.derive], done when the batch is flushed.
func (e *encloser) derive(out *[32]byte, what byte, seed *Seed) {
	message := e.batch.Message(out, 1+len(seed))
	message[0] = what
	copy(message[1:], seed[:])
}

// hash is [check.SaltedLeaf], done when the batch is flushed.
func (e *encloser) hash(i int, body []byte) {
	size := 1 + len(e.salts[i]) + len(body)
	if size > digest.MessageLimit {
		e.sums[i] = check.SaltedLeaf(e.salts[i], body)
		return
	}
	message := e.batch.Message((*[32]byte)(&e.sums[i]), size)
	message[0] = check.LeafPrefix
	copy(message[1:], e.salts[i][:])
	copy(message[1+len(e.salts[i]):], body)
}

// lengthen returns the right edge with leaves appended, as [check.Edge.Append]
// would, but level by level, many nodes side by side.
func lengthen(batch *digest.Batch, edge *check.Edge, leaves []check.Hash) *check.Edge {
	before := edge.Nodes() // largest subtree first
	row := append(make([]check.Hash, 1, 1+len(leaves)), leaves...)
	var after []check.Hash // smallest subtree first
	for first := edge.Size(); len(row) > 1; first /= 2 {
		from := row[1:]
		if first%2 == 1 { // the node on the left is there already
			row[0], from = before[len(before)-1], row
			before = before[:len(before)-1]
		}
		if len(from)%2 == 1 { // the node on the right is not there yet
			after = append(after, from[len(from)-1])
		}
		for i := range len(from) / 2 { // parents are written where children were read
			join(batch, &row[1+i], &from[2*i], &from[2*i+1])
		}
		batch.Flush()
		row = row[:1+len(from)/2]
	}
	slices.Reverse(after)
	longer, err := check.NewEdge(edge.Size()+uint64(len(leaves)), append(before, after...))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return longer
}

// join is [check.Node], done when the batch is flushed.
func join(batch *digest.Batch, parent, left, right *check.Hash) {
	message := batch.Message((*[32]byte)(parent), 1+len(left)+len(right))
	message[0] = check.NodePrefix
	copy(message[1:], left[:])
	copy(message[1+len(left):], right[:])
}
