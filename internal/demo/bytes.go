package demo

import (
	"encoding/binary"
	"unicode/utf16"
)

// All structures of GPT and NTFS are little-endian.
var le = binary.LittleEndian

// utf16le is s as the UTF-16 of GPT and NTFS, without an end mark.
func utf16le(s string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		out = le.AppendUint16(out, unit)
	}
	return out
}

// roundUp is n rounded up to a multiple of unit.
func roundUp[N int | int64](n, unit N) N { return (n + unit - 1) / unit * unit }

// padded is b with zeros up to a multiple of unit bytes.
func padded(b []byte, unit int) []byte {
	return append(b, make([]byte, roundUp(len(b), unit)-len(b))...)
}
