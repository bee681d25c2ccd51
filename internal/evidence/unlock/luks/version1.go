package luks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

// The header of version 1 (LUKS1 specification, figures 2 and 3): numbers are
// big-endian, places are in sectors of 512 bytes.
const (
	header1Bytes = 592
	slots1       = 8
	slot1Bytes   = 48
	slot1Active  = 0x00AC71F3
	digest1Bytes = 20
)

func readVersion1(src evidence.Source) (v volume, err error) {
	h := make([]byte, header1Bytes)
	if n, err := src.ReadAt(h, 0); n < len(h) {
		return v, fmt.Errorf("header: %w", err)
	}
	hash := text(h[72:104])
	keySize := int(binary.BigEndian.Uint32(h[108:]))
	payload := int64(binary.BigEndian.Uint32(h[104:])) * 512
	v.cipher = text(h[8:40]) + "-" + text(h[40:72])
	if payload == 0 {
		return v, fmt.Errorf("the header lies apart from the volume: %w", evidence.ErrUnsupported)
	}
	if payload >= src.Size() {
		return v, errors.New("the data begin behind the end of the volume")
	}
	proof := digest{
		kdf:  kdf{kind: "pbkdf2", salt: h[132:164], hash: hash, iterations: int64(binary.BigEndian.Uint32(h[164:]))},
		want: h[112 : 112+digest1Bytes],
	}
	for i := range slots1 {
		raw := h[208+i*slot1Bytes:][:slot1Bytes]
		if binary.BigEndian.Uint32(raw) != slot1Active {
			continue
		}
		s := slot1(i, raw, v.cipher, hash, keySize)
		s.digest = proof
		s.refused = s.check(src)
		v.slots = append(v.slots, s)
	}
	v.layout = sector.Layout{Size: 512, Step: 1, Pieces: []sector.Piece{{From: payload, Length: src.Size() - payload}}}
	return v, nil
}

func slot1(number int, raw []byte, cipher, hash string, keySize int) slot {
	stripes := binary.BigEndian.Uint32(raw[44:])
	return slot{
		number:  number,
		kdf:     kdf{kind: "pbkdf2", salt: raw[8:40], hash: hash, iterations: int64(binary.BigEndian.Uint32(raw[4:]))},
		keySize: keySize, areaKey: keySize,
		area:       evidence.Extent{Offset: int64(binary.BigEndian.Uint32(raw[40:])) * 512, Length: (int64(keySize)*int64(stripes) + 511) &^ 511},
		areaCipher: cipher,
		stripes:    int(stripes),
		hash:       hash,
	}
}

// text is a string that ends with a zero byte, or with its field.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
