package sqlite

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// text is a text of the database in UTF-8. A surrogate without its partner
// becomes the three bytes UTF-8 would give it, so that no two fall together.
func (d *Database) text(b []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	switch d.encoding {
	case utf16be:
		order = binary.BigEndian
	case utf16le:
	default:
		return b
	}
	out := make([]byte, 0, len(b)/2+8)
	for ; len(b) >= 2; b = b[2:] {
		r := rune(order.Uint16(b))
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(b[2:]))); pair != utf8.RuneError {
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
