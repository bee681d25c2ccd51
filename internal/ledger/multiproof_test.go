package ledger

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"tutela/internal/ledger/check"
)

// plainTree is a tree of hashes kept whole in memory: the long way to whatever
// the ledger says of one.
type plainTree struct {
	leaves [][]byte
	node   func(left, right []byte) []byte
}

func plainNode256(left, right []byte) []byte {
	sum := sha256.Sum256(slices.Concat([]byte{1}, left, right))
	return sum[:]
}

func plainNode512(left, right []byte) []byte {
	sum := sha512.Sum512(slices.Concat([]byte{1}, left, right))
	return sum[:]
}

// root is MTH of RFC 6962, from its text: k is the largest power of two below n.
func (t plainTree) root(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return t.node(t.root(leaves[:k]), t.root(leaves[k:]))
}

// fold makes the root from some leaves and a proof, as the text of the bundle
// format says, and returns what is left of the proof.
func (t plainTree) fold(from, to uint64, opened map[uint64][]byte, proof [][]byte) (root []byte, rest [][]byte) {
	holds := false
	for i := range opened {
		holds = holds || from <= i && i < to
	}
	if !holds {
		return proof[0], proof[1:]
	}
	if to-from == 1 {
		return opened[from], proof
	}
	k := uint64(1)
	for k*2 < to-from {
		k *= 2
	}
	left, proof := t.fold(from, from+k, opened, proof)
	right, proof := t.fold(from+k, to, opened, proof)
	return t.node(left, right), proof
}

func (t plainTree) want(tb testing.TB, size uint64, wanted []uint64, root []byte, proof [][]byte) {
	tb.Helper()
	opened := map[uint64][]byte{}
	for _, i := range wanted {
		opened[i] = t.leaves[i]
	}
	got, rest := t.fold(0, size, opened, proof)
	if string(got) != string(root) || len(rest) > 0 {
		tb.Fatalf("leaves %v of %d lead to root %x with %d hashes left over, want %x", wanted, size, got, len(rest), root)
	}
}

func plainLeaves(n uint64) plainTree {
	t := plainTree{node: plainNode256}
	for i := range n {
		sum := sha256.Sum256([]byte{0, byte(i), byte(i >> 8)})
		t.leaves = append(t.leaves, sum[:])
	}
	return t
}

func (t plainTree) subtree(from, to uint64) (check.Hash, error) {
	return check.Hash(t.root(t.leaves[from:to])), nil
}

func asBytes[H any](hashes []H) (out [][]byte) {
	for _, h := range hashes {
		b, err := binary.Append(nil, binary.BigEndian, h)
		if err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}

// TestProveManyOfEverySubset proves every choice of leaves of every small tree.
func TestProveManyOfEverySubset(t *testing.T) {
	for size := uint64(1); size <= 11; size++ {
		tree := plainLeaves(size)
		for chosen := uint64(1); chosen < 1<<size; chosen++ {
			var wanted []uint64
			for i := range size {
				if chosen>>i&1 == 1 {
					wanted = append(wanted, i)
				}
			}
			proof, err := proveMany(size, wanted, tree.subtree)
			if err != nil {
				t.Fatal(err)
			}
			tree.want(t, size, wanted, tree.root(tree.leaves), asBytes(proof))
		}
	}
}

func TestProveManyRefuses(t *testing.T) {
	tree := plainLeaves(5)
	for _, wanted := range [][]uint64{nil, {5}, {1, 1}, {2, 1}, {0, 1 << 63}} {
		if proof, err := proveMany(5, wanted, tree.subtree); err == nil {
			t.Errorf("leaves %v of 5 were proven with %d hashes", wanted, len(proof))
		}
	}
}

// TestReaderProvesMany proves leaves of a tree on disk. The proof of one alone
// has the hashes of its inclusion proof of RFC 6962, from left to right.
func TestReaderProvesMany(t *testing.T) {
	const n = 3*tileLeaves + 57
	r := openReader(t, growTree(t, n))
	tree := plainTree{node: plainNode256}
	for i := range uint64(n) {
		leaf, err := r.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		tree.leaves = append(tree.leaves, leaf[:])
	}
	root := r.Root()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, many := range []int{1, 2, 3, 10, 100, n} {
		var wanted []uint64
		for _, i := range rng.Perm(n)[:many] {
			wanted = append(wanted, uint64(i))
		}
		slices.Sort(wanted)
		proof, err := r.ProveMany(wanted)
		if err != nil {
			t.Fatal(err)
		}
		tree.want(t, n, wanted, root[:], asBytes(proof))
	}
	for _, i := range []uint64{0, 255, 256, n - 1} {
		path, err := r.Prove(i)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := r.ProveMany([]uint64{i})
		if err != nil {
			t.Fatal(err)
		}
		tree.want(t, n, []uint64{i}, root[:], asBytes(proof))
		byBytes := func(a, b check.Hash) int { return bytes.Compare(a[:], b[:]) }
		slices.SortFunc(path, byBytes)
		slices.SortFunc(proof, byBytes)
		if !slices.Equal(proof, path) {
			t.Errorf("the proof of leaf %d alone has other hashes than its inclusion proof", i)
		}
	}
}

func TestReaderProvesNothingOfDamagedLeaves(t *testing.T) {
	dir := growTree(t, 300)
	flip(t, filepath.Join(dir, leavesName), 77*leafSize)
	if _, err := openReader(t, dir).ProveMany([]uint64{3, 290}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}
