// Package luks opens volumes of Linux Unified Key Setup, versions 1 and 2, with
// a passphrase.
//
// Start with [Open]. It was written from the LUKS1 On-Disk Format Specification
// 1.2.3, the LUKS2 On-Disk Format Specification 1.1 (sections named below), the
// documentation of dm-crypt and that of libluksde.
//
// Read are AES in XTS and CBC mode with the numberings plain, plain64, plain64be
// and essiv, key slots with PBKDF2 (SHA-1, SHA-2, RIPEMD-160) and Argon2i or
// Argon2id, and encryption sectors of 512 to 4096 bytes. Where the header of
// LUKS2 is bad its copy is used.
//
// Promised: a volume is opened only by a key that fits the digest in the header,
// so that a wrong passphrase never gives bytes. What a hostile header can make
// the derivation of a key cost is bounded; what asks for more is refused by name.
//
// Not promised, each refused by name: other ciphers, integrity (dm-integrity),
// a re-encryption that has not ended, keys of tokens and hardware, headers that
// lie apart from their volume.
package luks

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

// Opened is a volume that a key has opened.
type Opened struct {
	Source evidence.Source // what lies behind the encryption
	Format string          // "luks1" or "luks2"
	How    string          // which passphrase opened which key slot, never the passphrase
	Notes  []string        // what must be said about the header
}

const magic = "LUKS\xba\xbe"

// Open tries the passphrases on the volume. The error wraps evidence.ErrNotThis
// where it is none of LUKS, is an *evidence.LockedError where no passphrase opens
// it, and wraps evidence.ErrUnsupported where something in it is not read.
func Open(src evidence.Source, keys evidence.Keys) (*Opened, error) {
	return open(src, keys, usual)
}

func open(src evidence.Source, keys evidence.Keys, most cost) (*Opened, error) {
	var head [8]byte
	if _, err := src.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("luks: %w", err)
	}
	var v volume
	var err error
	switch string(head[:]) {
	case magic + "\x00\x01":
		v, err = readVersion1(src)
	case magic + "\x00\x02":
		v, err = readVersion2(src)
	default:
		return nil, fmt.Errorf("luks: %w", evidence.ErrNotThis)
	}
	v.format = fmt.Sprintf("luks%d", head[7])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.format, err)
	}
	return v.open(src, keys, most)
}

// OpenCopy is Open for a volume of version 2 whose header has gone, magic and all,
// and whose copy of it has not. A copy outlives a new file system too: ask only
// where nothing else is recognised.
func OpenCopy(src evidence.Source, keys evidence.Keys) (*Opened, error) {
	v, err := readCopy(src)
	if err != nil {
		return nil, fmt.Errorf("luks2: %w", err)
	}
	return v.open(src, keys, usual)
}

// volume is what both versions of the header say.
type volume struct {
	format string
	slots  []slot
	notes  []string
	layout sector.Layout // without the cipher
	cipher string        // of the data
}

// slot is one way to the volume key.
type slot struct {
	number  int
	refused error // why it cannot be read; nil if it can
	kdf     kdf
	keySize int // of the volume key, in bytes

	area       evidence.Extent // where the split key lies, in bytes of the source
	areaCipher string
	areaKey    int // its length in bytes
	stripes    int
	hash       string // of the splitter

	digest digest
}

// digest proves a volume key.
type digest struct {
	kdf  kdf
	want []byte
}

// open finds the passphrase that opens a key slot.
func (v *volume) open(src evidence.Source, keys evidence.Keys, most cost) (*Opened, error) {
	usable := slices.ContainsFunc(v.slots, func(s slot) bool { return s.refused == nil })
	if !usable && len(v.slots) > 0 {
		return nil, fmt.Errorf("%s: %w", v.format, v.slots[0].refused)
	}
	if usable { // so that it is known before a key is derived
		if _, err := v.with(src, make([]byte, v.keyLength()), ""); err != nil {
			return nil, err
		}
	}
	var failed error
	for n, passphrase := range keys.Passphrases {
		for _, s := range v.slots {
			key, err := s.open(src, passphrase, most)
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: key slot %d: %w", v.format, s.number, err)
			}
			if key != nil {
				return v.with(src, key, fmt.Sprintf("passphrase %d opened key slot %d", n+1, s.number))
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, &evidence.LockedError{Format: v.format, Protectors: v.protectors(), Tried: len(keys.Passphrases)}
}

func (v *volume) keyLength() int {
	for _, s := range v.slots {
		if s.refused == nil {
			return s.keySize
		}
	}
	return 0
}

func (v *volume) protectors() []string {
	switch len(v.slots) {
	case 0:
		return []string{"no key slot in use"}
	case 1:
		return []string{"1 key slot"}
	}
	return []string{fmt.Sprintf("%d key slots", len(v.slots))}
}

// with is the volume behind a key that is proven.
func (v *volume) with(src evidence.Source, key []byte, how string) (*Opened, error) {
	c, err := sector.Parse(v.cipher, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.format, err)
	}
	v.layout.Cipher = c
	view, err := sector.NewView(src, v.layout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.format, err)
	}
	return &Opened{Source: view, Format: v.format, How: how, Notes: v.notes}, nil
}

// open is the volume key if the passphrase fits, nil if it does not. The error
// says that the slot could not be tried.
func (s *slot) open(src evidence.Source, passphrase string, most cost) ([]byte, error) {
	if s.refused != nil {
		return nil, s.refused
	}
	key, err := s.kdf.derive([]byte(passphrase), s.areaKey, most)
	if err != nil {
		return nil, err
	}
	split, err := s.material(src, key)
	if err != nil {
		return nil, err
	}
	candidate := merge(split, s.keySize, s.stripes, s.hash)
	got, err := s.digest.kdf.derive(candidate, len(s.digest.want), most)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(got, s.digest.want) {
		return nil, nil
	}
	return candidate, nil
}

// material is the split key, decrypted: an area of sectors of 512 bytes, the
// first of them number 0.
func (s *slot) material(src evidence.Source, key []byte) ([]byte, error) {
	c, err := sector.Parse(s.areaCipher, key)
	if err != nil {
		return nil, err
	}
	view, err := sector.NewView(src, sector.Layout{Size: 512, Step: 1, Cipher: c, Pieces: []sector.Piece{
		{Length: s.area.Length, From: s.area.Offset},
	}})
	if err != nil {
		return nil, err
	}
	split := make([]byte, s.keySize*s.stripes)
	if _, err := view.ReadAt(split, 0); err != nil {
		return nil, err
	}
	return split, nil
}

// Limits of what is read of a slot. Keys of AES in XTS mode have 64 bytes at
// most; everybody writes 4000 stripes.
const (
	maxKey     = 64
	maxStripes = 16384
)

// check refuses what no header that is meant to be opened says.
func (s *slot) check(src evidence.Source) error {
	switch need := (int64(s.keySize)*int64(s.stripes) + 511) &^ 511; {
	case s.keySize <= 0 || s.keySize > maxKey || s.areaKey <= 0 || s.areaKey > maxKey:
		return fmt.Errorf("a key of %d bytes: %w", s.keySize, evidence.ErrUnsupported)
	case s.stripes <= 0 || s.stripes > maxStripes:
		return fmt.Errorf("%d stripes: %w", s.stripes, evidence.ErrUnsupported)
	case s.area.Offset <= 0 || s.area.Offset > src.Size()-need:
		return fmt.Errorf("key material at %d lies outside the volume", s.area.Offset)
	case s.area.Length < need:
		return fmt.Errorf("key material of %d bytes, %d are needed", s.area.Length, need)
	case sector.Hash(s.hash) == nil && s.hash != ripemd:
		return fmt.Errorf("hash %q: %w", s.hash, evidence.ErrUnsupported)
	}
	if _, err := sector.Parse(s.areaCipher, make([]byte, s.areaKey)); err != nil {
		return err
	}
	return nil
}
