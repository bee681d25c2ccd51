package luks

import (
	"crypto/aes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"testing"

	"tutela/internal/evidence/unlock/sector"
	"tutela/internal/evidencetest"
)

// sealed is a volume to be made: with the passphrase "opensesame" in slot 2, few
// stripes and few iterations, so that thousands of damaged copies can be tried.
type sealed struct {
	spec       string // of the cipher
	key        int    // bytes
	hash       string
	sectorSize int
	tweak      uint64
	plain      []byte
	change     func(metadata map[string]any)
}

const (
	passphrase = "opensesame"
	someSlot   = 2
	stripes    = 3
	iterations = 5
	payloadAt  = 64 << 10
	areaAt     = 32 << 10
)

func bytesOf(n int, what string) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func derived(h func() hash.Hash, secret []byte, salt []byte, n int) []byte {
	key, err := pbkdf2.Key(h, string(secret), salt, iterations, n)
	if err != nil {
		panic(err)
	}
	return key
}

// encrypt encrypts sectors in their place, numbered in units of 512 bytes.
func encrypt(b []byte, spec string, key []byte, size int, number uint64) {
	for ; len(b) > 0; b = b[size:] {
		iv := make([]byte, 16)
		binary.LittleEndian.PutUint64(iv, number)
		switch {
		case strings.HasPrefix(spec, "aes-xts"):
			evidencetest.EncryptXTS(b[:size], key, number)
		case strings.Contains(spec, "essiv"):
			sum := sha256.Sum256(key)
			block, _ := aes.NewCipher(sum[:])
			block.Encrypt(iv, iv)
			evidencetest.EncryptCBC(b[:size], key, iv)
		case strings.HasSuffix(spec, "plain64be"):
			clear(iv)
			binary.BigEndian.PutUint64(iv[8:], number)
			evidencetest.EncryptCBC(b[:size], key, iv)
		default:
			evidencetest.EncryptCBC(b[:size], key, iv)
		}
		number += uint64(size) / 512
	}
}

// split is the anti-forensic splitter (LUKS1 specification, section 2.4).
func split(key []byte, h hash.Hash) []byte {
	d := make([]byte, len(key))
	var out []byte
	for i := range stripes - 1 {
		stripe := bytesOf(len(key), fmt.Sprint("stripe ", i))
		out = append(out, stripe...)
		for j := range d {
			d[j] ^= stripe[j]
		}
		diffuse(d, h)
	}
	for j := range d {
		d[j] ^= key[j]
	}
	return append(out, d...)
}

// material is the split key in whole sectors, encrypted.
func (s sealed) material(salt []byte) []byte {
	h := hashOf(s.hash)
	b := split(bytesOf(s.key, "volume key"), h())
	b = append(b, make([]byte, -len(b)&511)...)
	encrypt(b, s.spec, derived(h, []byte(passphrase), salt, s.key), 512, 0)
	return b
}

func (s sealed) volume(header func(volume []byte)) []byte {
	volume := make([]byte, payloadAt+len(s.plain))
	header(volume)
	payload := volume[payloadAt:]
	copy(payload, s.plain)
	encrypt(payload, s.spec, bytesOf(s.key, "volume key"), s.sectorSize, s.tweak)
	return volume
}

func (s sealed) version1() []byte {
	salt, digestSalt := bytesOf(32, "salt"), bytesOf(32, "digest salt")
	name, mode, _ := strings.Cut(s.spec, "-")
	return s.volume(func(b []byte) {
		copy(b, magic+"\x00\x01")
		copy(b[8:], name)
		copy(b[40:], mode)
		copy(b[72:], s.hash)
		binary.BigEndian.PutUint32(b[104:], payloadAt/512)
		binary.BigEndian.PutUint32(b[108:], uint32(s.key))
		copy(b[112:], derived(hashOf(s.hash), bytesOf(s.key, "volume key"), digestSalt, digest1Bytes))
		copy(b[132:], digestSalt)
		binary.BigEndian.PutUint32(b[164:], iterations)
		slot := b[208+someSlot*slot1Bytes:]
		binary.BigEndian.PutUint32(slot, slot1Active)
		binary.BigEndian.PutUint32(slot[4:], iterations)
		copy(slot[8:], salt)
		binary.BigEndian.PutUint32(slot[40:], areaAt/512)
		binary.BigEndian.PutUint32(slot[44:], stripes)
		copy(b[areaAt:], s.material(salt))
	})
}

// version2 has both headers, of 16 KiB each.
func (s sealed) version2(t testing.TB) []byte {
	salt, digestSalt := bytesOf(32, "salt"), bytesOf(32, "digest salt")
	proof := derived(hashOf(s.hash), bytesOf(s.key, "volume key"), digestSalt, sector.Hash("sha256")().Size())
	base := base64.StdEncoding.EncodeToString
	type m = map[string]any
	meta := m{
		"keyslots": m{fmt.Sprint(someSlot): m{
			"type": "luks2", "key_size": s.key,
			"area": m{"type": "raw", "offset": fmt.Sprint(areaAt), "size": "4096", "encryption": s.spec, "key_size": s.key},
			"kdf":  m{"type": "pbkdf2", "hash": s.hash, "iterations": iterations, "salt": base(salt)},
			"af":   m{"type": "luks1", "stripes": stripes, "hash": s.hash},
		}},
		"tokens": m{},
		"segments": m{"0": m{
			"type": "crypt", "offset": fmt.Sprint(payloadAt), "size": "dynamic", "iv_tweak": fmt.Sprint(s.tweak), "encryption": s.spec, "sector_size": s.sectorSize,
		}},
		"digests": m{"0": m{
			"type": "pbkdf2", "keyslots": []string{fmt.Sprint(someSlot)}, "segments": []string{"0"},
			"hash": s.hash, "iterations": iterations, "salt": base(digestSalt), "digest": base(proof),
		}},
		"config": m{"json_size": "12288", "keyslots_size": "32768"},
	}
	if s.change != nil {
		s.change(meta)
	}
	text, err := json.Marshal(meta)
	if err != nil {
		t.Fatal(err)
	}
	return s.volume(func(b []byte) {
		header2At(b, 0, magic, text, 3)
		header2At(b, 16<<10, magic2Copy, text, 3)
		copy(b[areaAt:], s.material(salt))
	})
}

// header2At writes a header of 16 KiB with its checksum.
func header2At(b []byte, at int, magic string, text []byte, sequence uint64) {
	h := b[at : at+16<<10]
	clear(h)
	copy(h, magic+"\x00\x02")
	binary.BigEndian.PutUint64(h[8:], 16<<10)
	binary.BigEndian.PutUint64(h[16:], sequence)
	copy(h[72:], "sha256")
	binary.BigEndian.PutUint64(h[256:], uint64(at))
	copy(h[header2Bytes:], text)
	resum(b, at)
}

// resum makes the checksum of a header right.
func resum(b []byte, at int) {
	h := b[at : at+16<<10]
	clear(h[448:512])
	sum := sha256.Sum256(h)
	copy(h[448:], sum[:])
}
