package iso

import (
	"encoding/binary"
	"errors"
	"time"

	"tutela"
)

// Flags of a directory record (ECMA-119 9.1.6).
const (
	flagDirectory   = 1 << 1
	flagAssociated  = 1 << 2
	flagMultiExtent = 1 << 7
)

// recordHead is the length in bytes of a directory record before its
// identifier (ECMA-119 9.1).
const recordHead = 33

// record is one directory record.
type record struct {
	at          int64      // bytes from the beginning of the source
	extent      tutela.Run // as claimed: nothing says that it lies in the image
	date        time.Time
	flags       byte
	interleaved bool
	mismatch    bool   // the two byte orders do not agree
	name        []byte // identifier as written; 0x00 is ".", 0x01 is ".."
	systemUse   []byte
}

func (r *record) isDirectory() bool { return r.flags&flagDirectory != 0 }

// isSelfOrParent reports the two records every directory begins with.
func (r *record) isSelfOrParent() bool {
	return len(r.name) == 1 && r.name[0] <= 1
}

var errRecord = errors.New("directory record does not hold together")

// parseRecord reads the directory record b begins with. Its slices alias b.
func parseRecord(b []byte, blockSize int64) (r record, err error) {
	if len(b) < recordHead+1 || int(b[0]) < recordHead+1 || int(b[0]) > len(b) {
		return r, errRecord
	}
	b = b[:b[0]]
	nameEnd := recordHead + int(b[32])
	if nameEnd > len(b) {
		return r, errRecord
	}
	r.extent, r.mismatch = parseExtent(b, blockSize)
	r.date = recordTime(b[18:25])
	r.flags = b[25]
	r.interleaved = b[26] != 0 || b[27] != 0
	r.name = b[recordHead:nameEnd]
	if len(r.name)%2 == 0 {
		nameEnd++ // padding field, ECMA-119 9.1.12
	}
	r.systemUse = b[min(nameEnd, len(b)):]
	return r, nil
}

// parseExtent turns the location and length of a record into bytes. The
// extended attribute record lies before the data in the same extent
// (ECMA-119 6.5.1).
func parseExtent(b []byte, blockSize int64) (extent tutela.Run, mismatch bool) {
	location, length := binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint32(b[10:])
	mismatch = location != binary.BigEndian.Uint32(b[6:]) || length != binary.BigEndian.Uint32(b[14:])
	start := (int64(location) + int64(b[1])) * blockSize
	return tutela.Run{Offset: start, Length: int64(length)}, mismatch
}

// recordTime reads the seven bytes of ECMA-119 9.1.5; all zero means none.
func recordTime(b []byte) time.Time {
	if b[1] < 1 || b[1] > 12 || b[2] < 1 || b[2] > 31 {
		return time.Time{}
	}
	local := time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, time.UTC)
	return local.Add(-zone(b[6]))
}

// zone reads an offset from UTC in quarters of an hour.
func zone(b byte) time.Duration { return time.Duration(int8(b)) * 15 * time.Minute }

// longTime reads the seventeen bytes of ECMA-119 8.4.26.1, which Rock Ridge
// uses for time stamps in long form: decimal digits and a zone.
func longTime(b []byte) time.Time {
	t, err := time.Parse("20060102150405", string(b[:14]))
	if err != nil {
		return time.Time{}
	}
	if hundredths := int(b[14]-'0')*10 + int(b[15]-'0'); hundredths >= 0 && hundredths < 100 {
		t = t.Add(time.Duration(hundredths) * 10 * time.Millisecond)
	}
	return t.Add(-zone(b[16]))
}
