package check

import (
	"crypto/sha512"
	"encoding/hex"
)

// Hash512 is a SHA-512 hash in the second tree of the same leaves: leaves, nodes
// and the empty root are made as in the first, with SHA-512 for SHA-256.
type Hash512 [sha512.Size]byte

func (h Hash512) String() string { return hex.EncodeToString(h[:]) }

// Digest is a hash that trees are made of: [Hash] or [Hash512].
type Digest[H any] interface {
	comparable
	Hash | Hash512
	node(right H) H
	empty() H
	read(b []byte) H
}

var (
	_ interface{ empty() Hash }    = Hash{}
	_ interface{ empty() Hash512 } = Hash512{}
)

func (h Hash) node(right Hash) Hash { return Node(h, right) }
func (Hash) empty() Hash            { return EmptyRoot() }
func (Hash) read(b []byte) Hash     { return Hash(b) }

func (h Hash512) node(right Hash512) Hash512 {
	var room [1 + 2*sha512.Size]byte
	return sha512.Sum512(append(append(append(room[:0], NodePrefix), h[:]...), right[:]...))
}
func (Hash512) empty() Hash512        { return sha512.Sum512(nil) }
func (Hash512) read(b []byte) Hash512 { return Hash512(b) }

// Leaf512 is [Leaf] in the second tree.
func Leaf512(data []byte) Hash512 {
	var room [1024]byte
	return sha512.Sum512(append(append(room[:0], LeafPrefix), data...))
}

// SaltedLeaf512 is [SaltedLeaf] in the second tree.
func SaltedLeaf512(salt Hash, body []byte) Hash512 {
	var room [1024]byte
	return sha512.Sum512(append(append(append(room[:0], LeafPrefix), salt[:]...), body...))
}
