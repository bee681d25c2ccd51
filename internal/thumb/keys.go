package thumb

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"

	"tutela"
)

// From the lab's secret, HKDF-SHA256 (RFC 5869) makes a key for the names of
// contents, one that tells whether a pack is of this secret, and for every pack
// one that encrypts its thumbnails, salted by 16 random bytes in its head.
//
// A thumbnail is encrypted with AES-256-GCM under a random nonce of 96 bits.
// (NIST SP 800-38D allows 2³² of those for a key; a pack has some thousands.) The
// nonce is random and not counted, so that a place that is written again after a
// crash never meets the same nonce. Its head is authenticated with it, so that
// no thumbnail can stand in for another.
const (
	namesInfo = "tutela thumbnails 1: names"
	checkInfo = "tutela thumbnails 1: check"
	packInfo  = "tutela thumbnails 1: pack"
)

// id names a content in the packs: the first half of an HMAC-SHA256 of its digest.
type id [16]byte

type keys struct{ secret, names, check []byte }

func keysOf(secret [32]byte) keys {
	return keys{secret[:], derive(secret[:], nil, namesInfo), derive(secret[:], nil, checkInfo)}
}

func derive(secret, salt []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, salt, info, 32)
	if err != nil {
		panic("internal error: " + err.Error()) // only of a length that is too great
	}
	return key
}

func (k keys) name(sum tutela.SHA256) (n id) {
	mac := hmac.New(sha256.New, k.names)
	mac.Write(sum[:])
	copy(n[:], mac.Sum(nil))
	return n
}

// checks is the value by which a pack's head shows of which secret it is.
func (k keys) checks(head []byte) []byte {
	mac := hmac.New(sha256.New, k.check)
	mac.Write(head)
	return mac.Sum(nil)[:16]
}

// pack makes the cipher of the pack with this salt.
func (k keys) pack(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(derive(k.secret, salt, packInfo))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return sealer
}
