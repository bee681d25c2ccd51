package ledger

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"

	"tutela/internal/ledger/check"
)

// pieceSize is 16 blocks of AES, in bytes.
const pieceSize = 16 * 16

// counters encrypts bodies as [crypt] does. The standard library wants a new
// cipher for each key, and every leaf has its own: making and collecting those
// took half of what a leaf costs. So where the processor can, a leaf's key is
// expanded in registers and 16 blocks are encrypted at once. It belongs to one
// goroutine at a time.
type counters struct {
	wide bool
	room [4 * pieceSize]byte
}

func newCounters() *counters { return &counters{wide: canEncryptPieces()} }

// crypt encrypts a body in place under a leaf's key.
func (c *counters) crypt(key *[32]byte, leaf check.Hash, body []byte) {
	if !c.wide {
		cryptWith(key, leaf, body)
		return
	}
	high, low := binary.BigEndian.Uint64(leaf[:]), binary.BigEndian.Uint64(leaf[8:])
	for len(body) > 0 {
		n := min(len(body), len(c.room))
		pieces := (n + pieceSize - 1) / pieceSize
		high, low = c.count(high, low, pieces*pieceSize)
		encryptPieces(key, &c.room[0], pieces)
		subtle.XORBytes(body, body[:n], c.room[:n])
		body = body[n:]
	}
}

// count fills the first n bytes of the room with counter blocks and returns the
// counter after them. It counts in 128 bits, big-endian (NIST SP 800-38A, B.1).
func (c *counters) count(high, low uint64, n int) (nextHigh, nextLow uint64) {
	for block := c.room[:n]; len(block) >= 16; block = block[16:] {
		binary.BigEndian.PutUint64(block, high)
		binary.BigEndian.PutUint64(block[8:], low)
		var carry uint64
		low, carry = bits.Add64(low, 1, 0)
		high += carry
	}
	return high, low
}
