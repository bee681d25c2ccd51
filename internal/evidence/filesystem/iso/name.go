package iso

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// plainName is an ISO 9660 identifier without version 1 and without the dot
// that stands for an empty extension (ECMA-119 7.5.1). Other versions are kept:
// a directory may hold several of one file.
func plainName(identifier []byte) []byte {
	name, versioned := bytes.CutSuffix(identifier, []byte(";1"))
	if versioned {
		name = bytes.TrimSuffix(name, []byte("."))
	}
	return name
}

// jolietName is a UCS-2 identifier, big-endian, as UTF-8. Lone surrogates keep
// their three-byte form, so that two different names never become one.
func jolietName(identifier []byte) []byte {
	var name []byte
	for len(identifier) >= 2 {
		r, size := decodeUTF16(identifier)
		name = appendRune(name, r)
		identifier = identifier[size:]
	}
	name = append(name, identifier...) // an odd byte: damage, kept
	name, _ = bytes.CutSuffix(name, []byte(";1"))
	return name
}

func decodeUTF16(b []byte) (r rune, size int) {
	first := rune(binary.BigEndian.Uint16(b))
	if len(b) < 4 {
		return first, 2
	}
	pair := utf16.DecodeRune(first, rune(binary.BigEndian.Uint16(b[2:])))
	if pair == utf8.RuneError {
		return first, 2
	}
	return pair, 4
}

func appendRune(b []byte, r rune) []byte {
	if r >= 0xd800 && r <= 0xdfff {
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(b, r)
}
