// Package check is the checking half of the ledger: it decides whether a leaf
// belongs to a root, a root to an earlier root, and a checkpoint to the keys it
// claims. It is what a verifier outside the agency has to read and believe.
//
// Start with [ParseLogKeys] and [LogKeys.Open], which turn the bytes of a
// checkpoint into a [Checkpoint] that all keys of the log have signed, and
// [VerifyInclusion], which binds a leaf to its root. [ParseLogProof] reads the
// two together.
//
// Promised: no input or output, no clock in any decision, and one accepted
// encoding of everything, so that a changed byte is either refused or lies in a
// signature of somebody who was not asked about. Not promised: that what a leaf
// says is true.
//
// The Merkle tree is that of RFC 6962 and RFC 9162 with SHA-256; notes,
// checkpoints and proofs are those of C2SP signed-note, tlog-checkpoint,
// tlog-cosignature and tlog-proof.
package check

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Hash is a SHA-256 hash in a Merkle tree.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ErrProof is wrapped by every refusal of a Merkle proof.
var ErrProof = errors.New("proof does not hold")

// Prefixes that keep leaves and interior nodes apart, RFC 6962 section 2.1.
// They must never change.
const (
	LeafPrefix = 0x00
	NodePrefix = 0x01
)

// Leaf is the hash of a leaf, RFC 6962 section 2.1.
func Leaf(data []byte) Hash {
	var room [256]byte
	return sha256.Sum256(append(append(room[:0], LeafPrefix), data...))
}

// SaltedLeaf is the hash of the leaf salt‖body: a commitment that says nothing
// about the body to those who do not know the salt.
func SaltedLeaf(salt Hash, body []byte) Hash {
	var room [1024]byte
	buf := append(append(room[:0], LeafPrefix), salt[:]...)
	return sha256.Sum256(append(buf, body...))
}

// Node is the hash of an interior node, RFC 6962 section 2.1.
func Node(left, right Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = NodePrefix
	copy(buf[1:], left[:])
	copy(buf[1+len(left):], right[:])
	return sha256.Sum256(buf[:])
}

// EmptyRoot is the root of a tree without leaves, RFC 6962 section 2.1.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// An Opening is what turns a leaf back into a statement.
type Opening struct {
	Salt Hash
	Body []byte
}

// Leaf is the hash the opening must be found under.
func (o Opening) Leaf() Hash { return SaltedLeaf(o.Salt, o.Body) }
