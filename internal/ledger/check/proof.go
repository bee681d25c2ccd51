package check

import (
	"fmt"
	"math/bits"
)

// VerifyInclusion reports whether leaf is number index in the tree of the given
// size and root. The algorithm is that of RFC 9162 section 2.1.3.2; a path of
// any other length than the tree demands is refused. Errors wrap [ErrProof].
func VerifyInclusion[H Digest[H]](root H, size, index uint64, leaf H, path []H) error {
	if index >= size {
		return fmt.Errorf("%w: leaf %d of a tree of %d", ErrProof, index, size)
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return fmt.Errorf("%w: path too long", ErrProof)
		}
		if fn&1 == 1 || fn == sn {
			r = p.node(r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = r.node(p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("%w: path too short", ErrProof)
	}
	if r != root {
		return fmt.Errorf("%w: leaf %d leads to root %v, not %v", ErrProof, index, r, root)
	}
	return nil
}

// VerifyConsistency reports whether the tree of size2 and root2 begins with the
// tree of size1 and root1. The algorithm is that of RFC 9162 section 2.1.4.2;
// every tree begins with the empty tree, proven by an empty path. Errors wrap
// [ErrProof].
func VerifyConsistency(root1 Hash, size1 uint64, root2 Hash, size2 uint64, path []Hash) error {
	switch {
	case size1 > size2:
		return fmt.Errorf("%w: a tree of %d leaves cannot have become one of %d", ErrProof, size1, size2)
	case size1 == size2 || size1 == 0:
		return verifyTrivial(root1, size1, root2, size2, path)
	case len(path) == 0:
		return fmt.Errorf("%w: path too short", ErrProof)
	}
	fn, sn := size1-1, size2-1
	shift := bits.TrailingZeros64(^fn)
	fn, sn = fn>>shift, sn>>shift
	fr, sr := root1, root1
	if bits.OnesCount64(size1) != 1 {
		fr, sr, path = path[0], path[0], path[1:]
	}
	for _, c := range path {
		if sn == 0 {
			return fmt.Errorf("%w: path too long", ErrProof)
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = Node(c, fr), Node(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = Node(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("%w: path too short", ErrProof)
	}
	if fr != root1 || sr != root2 {
		return fmt.Errorf("%w: root %s of %d leaves does not lead to root %s of %d", ErrProof, root1, size1, root2, size2)
	}
	return nil
}

func verifyTrivial(root1 Hash, size1 uint64, root2 Hash, size2 uint64, path []Hash) error {
	switch {
	case len(path) != 0:
		return fmt.Errorf("%w: path too long", ErrProof)
	case size1 == 0 && root1 != EmptyRoot(), size2 == 0 && root2 != EmptyRoot():
		return fmt.Errorf("%w: not the root of an empty tree", ErrProof)
	case size1 == size2 && root1 != root2:
		return fmt.Errorf("%w: two roots of %d leaves", ErrProof, size1)
	}
	return nil
}
