package ntfs

import (
	"encoding/binary"
	"fmt"
	"time"

	"tutela/internal/evidence"
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
	return fileName{reference(binary.LittleEndian.Uint64(v)), v[65], evidence.WTF8(raw, binary.LittleEndian)}, nil
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
