package evidencetest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// EncryptXTS encrypts a sector in its place with AES in XTS mode, as encrypted
// volumes are made for tests. The first half of the key is for the data.
func EncryptXTS(sector, key []byte, number uint64) {
	data, tweak := mustAES(key[:len(key)/2]), mustAES(key[len(key)/2:])
	var t [16]byte
	binary.LittleEndian.PutUint64(t[:], number)
	tweak.Encrypt(t[:], t[:])
	for ; len(sector) > 0; sector = sector[16:] {
		for i := range t {
			sector[i] ^= t[i]
		}
		data.Encrypt(sector[:16], sector[:16])
		carry := byte(0)
		for i := range t {
			sector[i] ^= t[i]
			t[i], carry = t[i]<<1|carry, t[i]>>7
		}
		t[0] ^= 0x87 * carry
	}
}

// EncryptCBC encrypts a sector in its place with AES in CBC mode.
func EncryptCBC(sector, key, iv []byte) {
	cipher.NewCBCEncrypter(mustAES(key), iv).CryptBlocks(sector, sector)
}

func mustAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return block
}
