package udif

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// A block of the type LZMA is an .xz file of one block (The .xz File Format
// 1.1.0). It is taken apart here because its headers may ask for a dictionary of
// 4 GB.

const (
	xzStreamHeader = 12
	filterLZMA2    = 0x21
	maxDictionary  = 32 << 20
)

var errXZ = errors.New("the headers do not hold together")

// unXZ decompresses the first block of an .xz file and holds its check. It gives
// at most one byte more than length.
func unXZ(raw []byte, length int64) ([]byte, error) {
	if len(raw) < xzStreamHeader+8 || string(raw[:6]) != "\xfd7zXZ\x00" || crc32.ChecksumIEEE(raw[6:8]) != binary.LittleEndian.Uint32(raw[8:]) {
		return nil, errXZ
	}
	header := raw[xzStreamHeader:]
	n := (int(header[0]) + 1) * 4
	if header[0] == 0 || len(header) < n || crc32.ChecksumIEEE(header[:n-4]) != binary.LittleEndian.Uint32(header[n-4:]) {
		return nil, errXZ
	}
	dictionary, err := xzDictionary(header[1 : n-4])
	if err != nil {
		return nil, err
	}
	in := bytes.NewReader(header[n:])
	z, err := lzma.Reader2Config{DictCap: int(max(min(dictionary, length), lzma.MinDictCap))}.NewReader2(in)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, length+1))
	if err != nil || int64(len(out)) > length {
		return out, err
	}
	end := len(raw) - in.Len()
	end += -(end - xzStreamHeader) & 3
	return out, holdsCheck(out, raw[7], raw[min(end, len(raw)):])
}

// xzDictionary takes apart a block header without size and checksum (section
// 3.1): flags, the optional sizes, and one filter.
func xzDictionary(b []byte) (int64, error) {
	flags := b[0]
	b = b[1:]
	if flags&0x3f != 0 { // more than one filter, or something that is reserved
		return 0, errXZ
	}
	for _, flag := range []byte{0x40, 0x80} {
		if flags&flag != 0 {
			_, n := binary.Uvarint(b)
			if n <= 0 {
				return 0, errXZ
			}
			b = b[n:]
		}
	}
	if len(b) < 3 || b[0] != filterLZMA2 || b[1] != 1 || b[2] > 40 {
		return 0, errXZ
	}
	size := int64(2|b[2]&1) << (b[2]/2 + 11)
	if b[2] == 40 {
		size = 1<<32 - 1
	}
	return min(size, maxDictionary), nil
}

// holdsCheck compares the check of a block (section 3.4).
func holdsCheck(out []byte, kind byte, stored []byte) error {
	var h hash.Hash
	switch kind {
	case 0:
		return nil
	case 1:
		h = crc32.NewIEEE()
	case 4:
		h = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		h = sha256.New()
	default:
		return errXZ
	}
	h.Write(out)
	sum := h.Sum(nil)
	if kind != 10 { // little-endian
		for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
			sum[i], sum[j] = sum[j], sum[i]
		}
	}
	if !bytes.HasPrefix(stored, sum) {
		return errors.New("the check does not match")
	}
	return nil
}
