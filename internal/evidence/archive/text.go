package archive

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// wtf8 turns UTF-16LE into UTF-8. A surrogate without its partner becomes the
// three bytes UTF-8 would give it, so that no two names fall together.
func wtf8(b []byte) []byte {
	out := make([]byte, 0, len(b)/2+8)
	for ; len(b) >= 2; b = b[2:] {
		r := rune(binary.LittleEndian.Uint16(b))
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b[2:]))); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				b = b[2:]
				continue
			}
		}
		if utf16.IsSurrogate(r) {
			out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
