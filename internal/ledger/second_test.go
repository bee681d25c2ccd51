package ledger

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
)

// plainPath is PATH of RFC 6962 section 2.1.1, from its text.
func (t plainTree) plainPath(i int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	if i < k {
		return append(t.plainPath(i, leaves[:k]), t.root(leaves[k:]))
	}
	return append(t.plainPath(i-k, leaves[k:]), t.root(leaves[:k]))
}

// TestProve512OfEveryLeaf proves every leaf of small trees under the second root,
// holds the path against one made the long way, and bends it.
func TestProve512OfEveryLeaf(t *testing.T) {
	for n := uint64(1); n <= 20; n++ {
		tree := plainSecond(n)
		want := tree.root(tree.leaves)
		r := openReader(t, growTree(t, n))
		for i := range n {
			path, root, err := r.Prove512(t.Context(), i)
			if err != nil || !bytes.Equal(root[:], want) {
				t.Fatalf("leaf %d of %d: root %x, %v", i, n, root, err)
			}
			if got := asBytes(path); !slices.EqualFunc(got, tree.plainPath(int(i), tree.leaves), bytes.Equal) {
				t.Fatalf("leaf %d of %d: path %x", i, n, got)
			}
			wantProven512(t, r, i, path, root)
		}
	}
}

func wantProven512(t *testing.T, r *Reader, i uint64, path []Hash512, root Hash512) {
	t.Helper()
	o, err := r.Opening(i)
	if err != nil {
		t.Fatal(err)
	}
	n := r.Size()
	if err := VerifyInclusion512(root, n, i, o, path); err != nil {
		t.Fatalf("leaf %d of %d: %v", i, n, err)
	}
	for at := range path {
		bent := slices.Clone(path)
		bent[at][63] ^= 1
		if VerifyInclusion512(root, n, i, o, bent) == nil {
			t.Errorf("leaf %d of %d: accepted with hash %d changed", i, n, at)
		}
		if VerifyInclusion512(root, n, i, o, path[:at]) == nil {
			t.Errorf("leaf %d of %d: accepted with %d hashes", i, n, at)
		}
	}
	if VerifyInclusion512(root, n, i, o, append(slices.Clone(path), Hash512{})) == nil {
		t.Errorf("leaf %d of %d: accepted with a hash too many", i, n)
	}
	if VerifyInclusion512(root, n, n, o, path) == nil {
		t.Errorf("accepted leaf %d of %d", n, n)
	}
	o.Body = append(slices.Clone(o.Body), 0)
	if VerifyInclusion512(root, n, i, o, path) == nil {
		t.Errorf("leaf %d of %d: accepted with another body", i, n)
	}
}

// TestVerifyBoth makes both roots in one read, also of a tree with erased leaves, and
// finds what Verify finds.
func TestVerifyBoth(t *testing.T) {
	const n = 300
	plain := plainSecond(n)
	want := plain.root(plain.leaves)
	dir := growTree(t, n)
	if found, root, err := openReader(t, dir).VerifyBoth(t.Context(), nil); err != nil || len(found) > 0 || !bytes.Equal(root[:], want) {
		t.Errorf("%v, root %s, %v", found, root, err)
	}
	left := eraseLeaves(t, folder(dir), testSeed, n, 3, 200)
	r, err := ReadTree(dir, left)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if found, root, err := r.VerifyBoth(t.Context(), nil); err != nil || len(found) > 0 || !bytes.Equal(root[:], want) {
		t.Errorf("with erased leaves: %v, root %s, %v", found, root, err)
	}
	flip(t, filepath.Join(dir, recordsName), 4000)
	flip(t, filepath.Join(dir, erasedName), 60)
	found, _, err := r.VerifyBoth(t.Context(), nil)
	if err != nil || len(found) != 4 { // a record, the file, and each of its leaves
		t.Errorf("damaged: %v, %v", found, err)
	}
}
