package bitlocker

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/bits"

	"tutela/internal/evidence/unlock/sector"
)

// cipher is what decrypts the sectors (BDE "Encryption methods").
func (m *metadata) cipher(key []byte, size int64) (sector.Cipher, error) {
	lengths := map[uint16]int{0x8000: 64, 0x8001: 64, 0x8002: 16, 0x8003: 32, 0x8004: 32, 0x8005: 64}
	if want := lengths[m.method]; len(key) < want || want == 0 {
		return nil, fmt.Errorf("a key of %d bytes for method %#04x", len(key), m.method)
	} else {
		key = key[:want]
	}
	switch m.method {
	case 0x8000:
		return newElephant(key[:16], key[32:48])
	case 0x8001:
		return newElephant(key[:32], key[32:64])
	case 0x8002, 0x8003:
		return newCBC(key)
	}
	return sector.NewXTS(key, sector.Little)
}

// newCBC numbers sectors by their place in bytes, encrypted with the key of the
// data.
func newCBC(key []byte) (sector.Cipher, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return sector.NewCBC(key, sector.EncryptedBy(block))
}

// elephant is CBC with Niels Ferguson's diffuser: section 4 of his paper.
type elephant struct {
	cbc   sector.Cipher
	tweak cipher.Block
}

func newElephant(key, tweak []byte) (sector.Cipher, error) {
	cbc, err := newCBC(key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(tweak)
	if err != nil {
		return nil, err
	}
	return elephant{cbc, block}, nil
}

func (e elephant) Decrypt(b []byte, number uint64) {
	e.cbc.Decrypt(b, number)
	var words [sector.MaxSize / 4]uint32
	d := words[:len(b)/4]
	for i := range d {
		d[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	diffuseB(d)
	diffuseA(d)
	key := e.sectorKey(number)
	for i, w := range d {
		binary.LittleEndian.PutUint32(b[4*i:], w^key[i%len(key)])
	}
}

// sectorKey is what every 32 bytes of a sector are masked with.
func (e elephant) sectorKey(number uint64) (key [8]uint32) {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[:], number)
	binary.LittleEndian.PutUint64(b[16:], number)
	b[31] = 0x80
	e.tweak.Encrypt(b[:16], b[:16])
	e.tweak.Encrypt(b[16:], b[16:])
	for i := range key {
		key[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return key
}

// diffuseA and diffuseB undo the two diffusers. Indexes run around the sector,
// whose length in words is a power of two.
func diffuseA(d []uint32) {
	mask := len(d) - 1
	for range 5 {
		for i := 0; i < len(d); i += 4 {
			d[i] += d[(i-2)&mask] ^ bits.RotateLeft32(d[(i-5)&mask], 9)
			d[i+1] += d[(i-1)&mask] ^ d[(i-4)&mask]
			d[i+2] += d[i] ^ bits.RotateLeft32(d[(i-3)&mask], 13)
			d[i+3] += d[i+1] ^ d[(i-2)&mask]
		}
	}
}

func diffuseB(d []uint32) {
	mask := len(d) - 1
	for range 3 {
		for i := 0; i < len(d); i += 4 {
			d[i] += d[i+2] ^ d[(i+5)&mask]
			d[i+1] += d[i+3] ^ bits.RotateLeft32(d[(i+6)&mask], 10)
			d[i+2] += d[(i+4)&mask] ^ d[(i+7)&mask]
			d[i+3] += d[(i+5)&mask] ^ bits.RotateLeft32(d[(i+8)&mask], 25)
		}
	}
}
