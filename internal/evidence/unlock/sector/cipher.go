package sector

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"

	"tutela/internal/evidence"
)

// blockBytes is the length of a block of AES.
const blockBytes = 16

// Hash finds a hash function by the name that Linux gives it; nil if it is not
// one that is read.
func Hash(name string) func() hash.Hash {
	switch strings.ToLower(name) {
	case "sha1":
		return sha1.New
	case "sha224":
		return sha256.New224
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}

// Parse makes the cipher that Linux calls spec ("aes-xts-plain64",
// "aes-cbc-essiv:sha256"; see dm-crypt in the documentation of the kernel) with
// a key of the length that it wants. The error wraps evidence.ErrUnsupported
// for a cipher, a mode or a number that is not read.
func Parse(spec string, key []byte) (Cipher, error) {
	name, rest, _ := strings.Cut(spec, "-")
	mode, number, _ := strings.Cut(rest, "-")
	if name != "aes" || mode != "xts" && mode != "cbc" {
		return nil, unsupported(spec)
	}
	iv, err := numbering(number, key)
	if err != nil {
		return nil, fmt.Errorf("cipher %s: %w", spec, err)
	}
	if iv == nil {
		return nil, unsupported(spec)
	}
	if mode == "cbc" {
		return NewCBC(key, iv)
	}
	return NewXTS(key, iv)
}

func unsupported(spec string) error {
	return fmt.Errorf("cipher %q: %w", spec, evidence.ErrUnsupported)
}

// IV writes what a sector's number makes of the first block.
type IV func(iv *[blockBytes]byte, number uint64)

// Little is the number itself, little-endian ("plain64").
func Little(iv *[blockBytes]byte, number uint64) {
	*iv = [blockBytes]byte{}
	binary.LittleEndian.PutUint64(iv[:], number)
}

func short(iv *[blockBytes]byte, number uint64) { Little(iv, number&0xFFFFFFFF) }

func big(iv *[blockBytes]byte, number uint64) {
	*iv = [blockBytes]byte{}
	binary.BigEndian.PutUint64(iv[8:], number)
}

// EncryptedBy is the little-endian number, encrypted by a block cipher.
func EncryptedBy(block cipher.Block) IV {
	return func(iv *[blockBytes]byte, number uint64) {
		Little(iv, number)
		block.Encrypt(iv[:], iv[:])
	}
}

// numbering finds an IV by its name; nil if it is not one that is read.
func numbering(name string, key []byte) (IV, error) {
	switch name {
	case "plain":
		return short, nil
	case "plain64":
		return Little, nil
	case "plain64be":
		return big, nil
	}
	hashName, isESSIV := strings.CutPrefix(name, "essiv:")
	newHash := Hash(hashName)
	if !isESSIV || newHash == nil {
		return nil, nil
	}
	h := newHash()
	h.Write(key)
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("a hash of %d bits is no key of AES: %w", h.Size()*8, evidence.ErrUnsupported)
	}
	return EncryptedBy(block), nil
}

type cbc struct {
	block cipher.Block
	iv    IV
}

// NewCBC is AES in CBC mode, chained within each sector.
func NewCBC(key []byte, iv IV) (Cipher, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aes-cbc: a key of %d bits: %w", len(key)*8, evidence.ErrUnsupported)
	}
	return cbc{block, iv}, nil
}

func (c cbc) Decrypt(sector []byte, number uint64) {
	var iv [blockBytes]byte
	c.iv(&iv, number)
	cipher.NewCBCDecrypter(c.block, iv[:]).CryptBlocks(sector, sector)
}

type xts struct {
	data, tweak cipher.Block
	iv          IV
}

// NewXTS is AES in XTS mode (IEEE 1619-2007). The first half of the key is for
// the data, the second for the tweak.
func NewXTS(key []byte, iv IV) (Cipher, error) {
	half := len(key) / 2
	data, err := aes.NewCipher(key[:half])
	if err != nil || len(key)%2 != 0 {
		return nil, fmt.Errorf("aes-xts: a key of %d bits: %w", len(key)*8, evidence.ErrUnsupported)
	}
	tweak, err := aes.NewCipher(key[half:])
	if err != nil {
		return nil, err
	}
	return xts{data, tweak, iv}, nil
}

// Decrypt masks all of the sector before and after, in place of each block: a
// processor that has just written eight bytes twice is slow to read sixteen.
func (x xts) Decrypt(sector []byte, number uint64) {
	var room [MaxSize]byte
	masks := room[:len(sector)]
	x.masks(masks, number)
	subtle.XORBytes(sector, sector, masks)
	for at := 0; at+blockBytes <= len(sector); at += blockBytes {
		x.data.Decrypt(sector[at:at+blockBytes], sector[at:at+blockBytes])
	}
	subtle.XORBytes(sector, sector, masks)
}

// masks are those of the blocks of a sector: the encrypted number, multiplied by
// alpha in GF(2^128) from block to block (section 5.2).
func (x xts) masks(all []byte, number uint64) {
	var t [blockBytes]byte
	x.iv(&t, number)
	x.tweak.Encrypt(t[:], t[:])
	low, high := binary.LittleEndian.Uint64(t[:8]), binary.LittleEndian.Uint64(t[8:])
	for ; len(all) >= blockBytes; all = all[blockBytes:] {
		binary.LittleEndian.PutUint64(all, low)
		binary.LittleEndian.PutUint64(all[8:], high)
		carry := high >> 63
		high = high<<1 | low>>63
		low = low<<1 ^ carry*0x87
	}
}
