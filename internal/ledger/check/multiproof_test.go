package check

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// plainTree is a tree as the text of RFC 6962 section 2.1 has it, and the proof
// of some of its leaves as docs/reference/bundle-format.md has it, in bytes.
type plainTree struct {
	sum    func([]byte) []byte
	leaves [][]byte
}

func plain256(leaves [][]byte) plainTree {
	return plainTree{func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }, leaves}
}

func plain512(leaves [][]byte) plainTree {
	return plainTree{func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }, leaves}
}

func (p plainTree) root(from, to int) []byte {
	if to-from == 1 {
		return p.sum(append([]byte{0}, p.leaves[from]...))
	}
	k := 1
	for k*2 < to-from {
		k *= 2
	}
	return p.sum(slices.Concat([]byte{1}, p.root(from, from+k), p.root(from+k, to)))
}

func (p plainTree) proof(from, to int, wanted []uint64) []byte {
	if !slices.ContainsFunc(wanted, func(i uint64) bool { return uint64(from) <= i && i < uint64(to) }) {
		return p.root(from, to)
	}
	if to-from == 1 {
		return nil
	}
	k := 1
	for k*2 < to-from {
		k *= 2
	}
	return slices.Concat(p.proof(from, from+k, wanted), p.proof(from+k, to, wanted))
}

// some picks about half of the leaves from 0 to n-1, at least one.
func some(n int, r *rand.Rand) (wanted []uint64) {
	for i := range n {
		if r.IntN(2) == 0 || i == n-1 && wanted == nil {
			wanted = append(wanted, uint64(i))
		}
	}
	return wanted
}

func checkMany[H Digest[H]](t *testing.T, tree plainTree, wanted []uint64, leaf func([]byte) H) {
	t.Helper()
	var one H
	size := uint64(len(tree.leaves))
	root, raw := one.read(tree.root(0, int(size))), tree.proof(0, int(size), wanted)
	hashes, err := ParseHashes[H](raw)
	if err != nil {
		t.Fatal(err)
	}
	p := ManyProof[H]{Indices: wanted, Hashes: hashes}
	for _, i := range wanted {
		p.Leaves = append(p.Leaves, leaf(tree.leaves[i]))
	}
	if err := VerifyMany(root, size, p); err != nil {
		t.Fatalf("%d leaves of %d: %v", len(wanted), size, err)
	}
	refused := func(what string, root H, size uint64, p ManyProof[H]) {
		if err := VerifyMany(root, size, p); !errors.Is(err, ErrProof) {
			t.Fatalf("%d leaves of %d, %s: %v", len(wanted), size, what, err)
		}
	}
	more, bad := p, p
	more.Hashes = append(slices.Clone(p.Hashes), one)
	refused("a hash more", root, size, more)
	bad.Leaves = slices.Clone(p.Leaves)
	bad.Leaves[0] = one
	refused("another leaf", root, size, bad)
	refused("another root", one, size, p)
	refused("as many leaves as the last", root, wanted[len(wanted)-1], p)
	if len(hashes) > 0 {
		less := p
		less.Hashes = hashes[1:]
		refused("a hash less", root, size, less)
		less.Hashes = hashes[:len(hashes)-1]
		refused("without the last hash", root, size, less)
	}
}

// TestVerifyMany: all choices of leaves in trees of up to six, and some in larger
// ones, under both hashes.
func TestVerifyMany(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	try := func(n int, wanted []uint64) {
		leaves := make([][]byte, n)
		for i := range leaves {
			leaves[i] = bytes.Repeat([]byte{byte(i)}, i)
		}
		checkMany(t, plain256(leaves), wanted, Leaf)
		checkMany(t, plain512(leaves), wanted, Leaf512)
	}
	for n := 1; n <= 6; n++ {
		for set := 1; set < 1<<n; set++ {
			var wanted []uint64
			for i := range n {
				if set>>i&1 == 1 {
					wanted = append(wanted, uint64(i))
				}
			}
			try(n, wanted)
		}
	}
	for range 100 {
		n := 1 + r.IntN(70)
		try(n, some(n, r))
	}
}

func TestVerifyManyRefusesNonsense(t *testing.T) {
	leaf := Leaf(nil)
	for name, p := range map[string]ManyProof[Hash]{
		"of nothing":      {},
		"without a leaf":  {Indices: []uint64{0}},
		"leaf twice":      {Indices: []uint64{0, 0}, Leaves: []Hash{leaf, leaf}},
		"backwards":       {Indices: []uint64{1, 0}, Leaves: []Hash{leaf, leaf}},
		"beyond the tree": {Indices: []uint64{0, 2}, Leaves: []Hash{leaf, leaf}},
		"too few hashes":  {Indices: []uint64{0}, Leaves: []Hash{leaf}},
		"a leaf too many": {Indices: []uint64{0}, Leaves: []Hash{leaf, leaf}, Hashes: []Hash{leaf}},
	} {
		if err := VerifyMany(Node(leaf, leaf), 2, p); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := VerifyMany(leaf, 1<<64-1, ManyProof[Hash]{Indices: []uint64{1<<64 - 2}, Leaves: []Hash{leaf}}); !errors.Is(err, ErrProof) {
		t.Errorf("the largest tree: %v", err)
	}
	if _, err := ParseHashes[Hash512](make([]byte, 96)); !errors.Is(err, ErrProof) {
		t.Errorf("half a hash: %v", err)
	}
}

// FuzzVerifyMany: no proof makes it loop, panic or read past its end.
func FuzzVerifyMany(f *testing.F) {
	f.Add(uint64(7), uint64(1), uint64(4), make([]byte, 96))
	f.Fuzz(func(t *testing.T, size, first, second uint64, proof []byte) {
		hashes, err := ParseHashes[Hash](proof)
		if err != nil {
			return
		}
		p := ManyProof[Hash]{Indices: []uint64{first, second}, Leaves: []Hash{{1}, {2}}, Hashes: hashes}
		if VerifyMany(Hash{}, size, p) == nil {
			t.Error("a proof of nothing holds")
		}
	})
}

// FuzzReadRecordSum: whatever it takes begins as a record does.
func FuzzReadRecordSum(f *testing.F) {
	f.Add([]byte("R\x01\x01\x01\x01\x00\x00\x01a\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadRecordSum(b)
		if err == nil && (!bytes.HasPrefix(b, []byte(RecordTag)) || s.Digests != (b[2]&RecordDigests != 0)) {
			t.Errorf("%q: %+v", b, s)
		}
		if err != nil && !errors.Is(err, ErrEncoding) {
			t.Error(err)
		}
	})
}

// FuzzDecodeEvent: what is signed is the beginning of version 2.
func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte("E\x02\x05seize\x00\x00\x00\x00\x037-B\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, signed, err := DecodeEvent(b)
		if err != nil {
			return
		}
		if Linked(e) != bytes.HasPrefix(b, []byte(LinkedEventTag)) || !bytes.HasPrefix(b, signed) || (signed != nil) != Linked(e) {
			t.Errorf("%q: %+v, %q", b, e, signed)
		}
	})
}
