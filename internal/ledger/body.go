package ledger

import (
	"crypto/aes"
	"crypto/cipher"

	"tutela/internal/ledger/check"
)

// maxBody is the largest body a tree takes, in bytes.
const maxBody = 16 << 20

// crypt encrypts or decrypts a body in place: AES-256 in counter mode under the
// leaf's own key, from a counter that the leaf's hash chooses. So a place in the
// tree may hold different bodies at different times, as when a scan is repeated
// under the exhibit's seed or a crash took back what was never committed,
// without two of them being encrypted alike.
func crypt(seed *Seed, leaf check.Hash, body []byte) {
	key := seed.key()
	cryptWith(&key, leaf, body)
}

func cryptWith(key *[32]byte, leaf check.Hash, body []byte) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: AES-256 takes 32 bytes: " + err.Error())
	}
	cipher.NewCTR(block, leaf[:aes.BlockSize]).XORKeyStream(body, body)
}

// openBody decrypts a body in place and reports whether it is the leaf's.
func openBody(seed *Seed, body []byte, leaf check.Hash) bool {
	crypt(seed, leaf, body)
	return check.SaltedLeaf(seed.salt(), body) == leaf
}
