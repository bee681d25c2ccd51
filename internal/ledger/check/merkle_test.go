package check

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

// Leaves and roots that implementations of RFC 6962 have shared since
// Certificate Transparency's first.
var (
	sharedLeaves = []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	sharedRoots  = []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
)

func TestEdgeLeadsToSharedRoots(t *testing.T) {
	var e Edge
	if got := e.Root().String(); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("root of nothing is %s", got)
	}
	for i, leaf := range sharedLeaves {
		data, err := hex.DecodeString(leaf)
		if err != nil {
			t.Fatal(err)
		}
		e.Append(Leaf(data))
		if got := e.Root().String(); got != sharedRoots[i] {
			t.Errorf("root of %d leaves is %s, want %s", i+1, got, sharedRoots[i])
		}
		again, err := NewEdge(e.Size(), e.Nodes())
		if err != nil || again.Root() != e.Root() {
			t.Errorf("edge of %d leaves does not come back: %v", i+1, err)
		}
		if _, err := NewEdge(e.Size()+1, append(e.Nodes(), Hash{}, Hash{})); err == nil {
			t.Errorf("edge of %d leaves taken with too many nodes", i+2)
		}
	}
}

func TestSaltedLeafIsLeafOfSaltAndBody(t *testing.T) {
	salt := Hash{1, 2, 3}
	for _, n := range []int{0, 1, 250, 5000} {
		body := make([]byte, n)
		if SaltedLeaf(salt, body) != Leaf(append(salt[:len(salt):len(salt)], body...)) {
			t.Errorf("body of %d bytes", n)
		}
	}
}

// grown is a tree by another hand.
func grown(n uint64) *testonly.Tree {
	tree := testonly.New(rfc6962.DefaultHasher)
	for i := range n {
		tree.AppendData(fmt.Appendf(nil, "leaf %d", i))
	}
	return tree
}

func hashes(raw [][]byte) (out []Hash) {
	for _, b := range raw {
		out = append(out, Hash(b))
	}
	return out
}

func rawHashes(path []Hash) (out [][]byte) {
	for _, h := range path {
		out = append(out, h[:])
	}
	return out
}

// spoiled are paths that are wrong: one hash changed, taken away or added.
func spoiled(path []Hash) (out [][]Hash) {
	for i := range path {
		bad := append([]Hash(nil), path...)
		bad[i][3] ^= 8
		out = append(out, bad, append(append([]Hash(nil), path[:i]...), path[i+1:]...))
	}
	return append(out, append([]Hash{{9}}, path...), append(append([]Hash(nil), path...), Hash{}))
}

// TestInclusionAgainstOracle asks transparency-dev/merkle about every leaf of
// every small tree, and both about spoiled proofs and other places.
func TestInclusionAgainstOracle(t *testing.T) {
	const most = 40
	tree := grown(most)
	for size := uint64(1); size <= most; size++ {
		root := Hash(tree.HashAt(size))
		for index := range size {
			raw, err := tree.InclusionProof(index, size)
			if err != nil {
				t.Fatal(err)
			}
			leaf, path := Hash(tree.LeafHash(index)), hashes(raw)
			if err := VerifyInclusion(root, size, index, leaf, path); err != nil {
				t.Errorf("leaf %d of %d: %v", index, size, err)
			}
			for other := range size + 2 {
				sameVerdict(t, root, size, other, leaf, path)
				sameVerdict(t, root, other, index, leaf, path)
			}
			for _, bad := range spoiled(path) {
				if err := VerifyInclusion(root, size, index, leaf, bad); !errors.Is(err, ErrProof) {
					t.Errorf("leaf %d of %d: spoiled path taken: %v", index, size, err)
				}
			}
		}
	}
}

func sameVerdict(t *testing.T, root Hash, size, index uint64, leaf Hash, path []Hash) {
	t.Helper()
	ours := VerifyInclusion(root, size, index, leaf, path)
	theirs := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], rawHashes(path), root[:])
	if (ours == nil) != (theirs == nil) {
		t.Errorf("leaf %d of %d: %v, the oracle says %v", index, size, ours, theirs)
	}
}

func TestConsistencyAgainstOracle(t *testing.T) {
	const most = 40
	tree := grown(most)
	for size2 := range uint64(most + 1) {
		root2 := Hash(tree.HashAt(size2))
		for size1 := range size2 + 1 {
			raw, err := tree.ConsistencyProof(size1, size2)
			if err != nil {
				t.Fatal(err)
			}
			root1, path := Hash(tree.HashAt(size1)), hashes(raw)
			if err := VerifyConsistency(root1, size1, root2, size2, path); err != nil {
				t.Errorf("%d to %d: %v", size1, size2, err)
			}
			for _, bad := range spoiled(path) {
				if err := VerifyConsistency(root1, size1, root2, size2, bad); !errors.Is(err, ErrProof) {
					t.Errorf("%d to %d: spoiled path taken: %v", size1, size2, err)
				}
			}
			for _, wrong := range []struct{ a, b Hash }{{Hash{1}, root2}, {root1, Hash{1}}} {
				if err := VerifyConsistency(wrong.a, size1, wrong.b, size2, path); size1 > 0 && !errors.Is(err, ErrProof) {
					t.Errorf("%d to %d: wrong root taken: %v", size1, size2, err)
				}
			}
			if size1 < size2 {
				if err := VerifyConsistency(root2, size2, root1, size1, path); !errors.Is(err, ErrProof) {
					t.Errorf("%d to %d: %v", size2, size1, err)
				}
			}
		}
	}
}

func FuzzVerifyInclusion(f *testing.F) {
	tree := grown(11)
	raw, err := tree.InclusionProof(5, 11)
	if err != nil {
		f.Fatal(err)
	}
	var flat []byte
	for _, b := range raw {
		flat = append(flat, b...)
	}
	f.Add(uint64(11), uint64(5), flat)
	f.Add(^uint64(0), ^uint64(0)-1, flat)
	f.Fuzz(func(t *testing.T, size, index uint64, flat []byte) {
		var path []Hash
		for ; len(flat) >= 32; flat = flat[32:] {
			path = append(path, Hash(flat))
		}
		leaf := Hash(tree.LeafHash(5))
		sameVerdict(t, Hash(tree.Hash()), size, index, leaf, path)
		VerifyConsistency(leaf, index, Hash(tree.Hash()), size, path)
	})
}
