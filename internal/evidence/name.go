package evidence

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// WTF8 turns a name in UTF-16 into UTF-8. A surrogate without its partner, which
// file systems allow in names, becomes the three bytes UTF-8 would give it, so
// that no two names fall together. An odd last byte is left out.
func WTF8(b []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(b)/2+8)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if !utf16.IsSurrogate(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		if len(b) >= 2 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(b))); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				b = b[2:]
				continue
			}
		}
		out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
	}
	return out
}
