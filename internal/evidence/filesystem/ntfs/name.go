package ntfs

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

const namespaceDOS = 2

// fileName is a $FILE_NAME attribute: FSNTFS "The file name attribute".
type fileName struct {
	parent reference
	space  byte
	name   []byte // WTF-8
}

func parseFileName(v []byte) (fileName, error) {
	if len(v) < 66 {
		return fileName{}, fmt.Errorf("file name attribute of %d bytes", len(v))
	}
	raw, err := window(v, 66, 2*int(v[64]))
	if err != nil {
		return fileName{}, fmt.Errorf("file name: %w", err)
	}
	return fileName{reference(binary.LittleEndian.Uint64(v)), v[65], wtf8(raw)}, nil
}

// wtf8 turns UTF-16LE into UTF-8. A surrogate without its partner, which NTFS
// allows in names, becomes the three bytes UTF-8 would give it, so that no two
// names fall together.
func wtf8(b []byte) []byte {
	out := make([]byte, 0, len(b)/2+8)
	for len(b) >= 2 {
		r := rune(binary.LittleEndian.Uint16(b))
		b = b[2:]
		if !utf16.IsSurrogate(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		if len(b) >= 2 {
			if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b))); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				b = b[2:]
				continue
			}
		}
		out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
	}
	return out
}

// filetime is 100 ns since 1601, UTC. The zero value, and what lies beyond the
// year 9999 (which no time format of the lab can write), is the zero time.
func filetime(b []byte) (t time.Time, sane bool) {
	const toUnix = 11644473600 // seconds from 1601 to 1970
	v := binary.LittleEndian.Uint64(b)
	if v == 0 {
		return time.Time{}, true
	}
	t = time.Unix(int64(v/1e7)-toUnix, int64(v%1e7)*100).UTC()
	if t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}
