package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
)

// algorithm is what the digests differ in. They are alike in all else: blocks
// of 64 bytes, a state of 32-bit words that becomes the digest, and padding but
// for the order of its last bytes.
type algorithm struct {
	initial []uint32
	order   binary.ByteOrder // of the digest's words and of the padding's length
	plain   func() stateful
	magic   string // begins the saved state of plain, whose form its compatibility promise freezes
}

var (
	algorithmMD5 = algorithm{ // RFC 1321, 3.3
		initial: []uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476},
		order:   binary.LittleEndian,
		plain:   func() stateful { return md5.New().(stateful) },
		magic:   "md5\x01",
	}
	algorithmSHA1 = algorithm{ // FIPS 180-4, 5.3.1
		initial: []uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0},
		order:   binary.BigEndian,
		plain:   func() stateful { return sha1.New().(stateful) },
		magic:   "sha\x01",
	}
	algorithmSHA256 = algorithm{ // FIPS 180-4, 5.3.3
		initial: []uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
		order:   binary.BigEndian,
		plain:   func() stateful { return sha256.New().(stateful) },
		magic:   "sha\x03",
	}
)

// blankState has the length of plain's saved state: magic, words (big-endian
// whatever the digest), 64 bytes of partial block, length.
func (a *algorithm) blankState() []byte { return make([]byte, len(a.magic)+4*len(a.initial)+64+8) }

// pad appends padding to arena[begin:end], whose beginning is that of a block,
// up to where the length belongs (RFC 1321, 3.1; FIPS 180-4, 5.1.1), and
// returns the end of the last block, 8 bytes on.
func pad(arena []byte, begin, end int) int {
	length := (end - begin + 1 + 8 + 63) / 64 * 64
	clear(arena[end : begin+length])
	arena[end] = 0x80
	return begin + length
}

// putLength completes the last block's padding for a content of size bytes; the
// digests count in bits.
func (a *algorithm) putLength(block []byte, size int64) {
	a.order.PutUint64(block[56:64], uint64(size)<<3)
}
