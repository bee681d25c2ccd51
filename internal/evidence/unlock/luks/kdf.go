package luks

import (
	"crypto/pbkdf2"
	"encoding/binary"
	"fmt"
	"hash"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/ripemd160" //lint:ignore SA1019 old volumes are sealed with it, and are to be read

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

const ripemd = "ripemd160"

// hashOf finds a hash function of the headers; nil if it is not read.
func hashOf(name string) func() hash.Hash {
	if name == ripemd {
		return ripemd160.New
	}
	return sector.Hash(name)
}

// cost bounds what one derivation of a key may take.
type cost struct {
	iterations int64 // of PBKDF2
	memory     int64 // of Argon2, in KiB
	passes     int64 // of Argon2 over all of the largest memory
}

// usual is a multiple of what cryptsetup asks for: some seconds of a processor
// of today (a few million iterations), and at most 1 GiB, which is what it takes
// by itself. More has to be asked for by whoever made the volume.
var usual = cost{iterations: 1 << 26, memory: 1 << 20, passes: 64}

// kdf makes a key out of a passphrase.
type kdf struct {
	kind       string // "pbkdf2", "argon2i" or "argon2id"
	salt       []byte
	hash       string // of PBKDF2
	iterations int64  // of PBKDF2
	time       int64  // of Argon2: passes
	memory     int64  // of Argon2: KiB
	threads    int64  // of Argon2
}

func (k *kdf) derive(secret []byte, length int, most cost) ([]byte, error) {
	switch k.kind {
	case "pbkdf2":
		return k.pbkdf2(secret, length, most)
	case "argon2i", "argon2id":
		return k.argon2(secret, length, most)
	}
	return nil, fmt.Errorf("key derivation %q: %w", k.kind, evidence.ErrUnsupported)
}

func (k *kdf) pbkdf2(secret []byte, length int, most cost) ([]byte, error) {
	h := hashOf(k.hash)
	switch {
	case h == nil:
		return nil, fmt.Errorf("hash %q: %w", k.hash, evidence.ErrUnsupported)
	case k.iterations < 1 || k.iterations > most.iterations:
		return nil, fmt.Errorf("%d iterations of PBKDF2, at most %d are made: %w", k.iterations, most.iterations, evidence.ErrUnsupported)
	}
	return pbkdf2.Key(h, string(secret), k.salt, int(k.iterations), length)
}

func (k *kdf) argon2(secret []byte, length int, most cost) ([]byte, error) {
	switch {
	case k.memory < 8 || k.memory > most.memory:
		return nil, fmt.Errorf("%d KiB of memory for Argon2, at most %d are taken: %w", k.memory, most.memory, evidence.ErrUnsupported)
	case k.time < 1 || k.time > most.passes*most.memory/k.memory:
		return nil, fmt.Errorf("%d passes of Argon2 over %d KiB: %w", k.time, k.memory, evidence.ErrUnsupported)
	case k.threads < 1 || k.threads > 64:
		return nil, fmt.Errorf("%d threads of Argon2: %w", k.threads, evidence.ErrUnsupported)
	}
	if k.kind == "argon2i" {
		return argon2.Key(secret, k.salt, uint32(k.time), uint32(k.memory), uint8(k.threads), uint32(length)), nil
	}
	return argon2.IDKey(secret, k.salt, uint32(k.time), uint32(k.memory), uint8(k.threads), uint32(length)), nil
}

// merge undoes the anti-forensic splitter (LUKS1 specification, section 2.4).
func merge(split []byte, size, stripes int, hashName string) []byte {
	h := hashOf(hashName)()
	d := make([]byte, size)
	for i := range stripes {
		for j, b := range split[i*size : (i+1)*size] {
			d[j] ^= b
		}
		if i < stripes-1 {
			diffuse(d, h)
		}
	}
	return d
}

// diffuse hashes each piece as long as a digest with its number before it; of
// the last, shorter one as much of the digest is taken as there is room for.
func diffuse(d []byte, h hash.Hash) {
	var number [4]byte
	for i := 0; i*h.Size() < len(d); i++ {
		piece := d[i*h.Size() : min((i+1)*h.Size(), len(d))]
		binary.BigEndian.PutUint32(number[:], uint32(i))
		h.Reset()
		h.Write(number[:])
		h.Write(piece)
		copy(piece, h.Sum(nil))
	}
}
