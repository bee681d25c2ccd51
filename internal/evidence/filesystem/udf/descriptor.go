package udf

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"

	"tutela/internal/evidence"
)

// Every structure begins with a tag of 16 bytes: what it is, a checksum of the
// tag, a CRC of what follows, and the block that it lies in (ECMA 3/7.2).

// What a tag says its descriptor is.
const (
	tagAnchor         = 2
	tagPointer        = 3
	tagPartition      = 5
	tagLogicalVolume  = 6
	tagTerminator     = 8
	tagIntegrity      = 9
	tagFileSet        = 256
	tagName           = 257
	tagMoreExtents    = 258
	tagIndirect       = 259
	tagFile           = 261
	tagUnallocated    = 263
	tagBitmap         = 264
	tagExtendedFile   = 266
	tagBytes          = 16
	minDescriptor     = 512
	unspecifiedOffset = -2047
)

var errNoTag = errors.New("no descriptor is there")

type tag struct {
	id       uint16
	crc      uint16
	length   uint16 // bytes behind the tag that the CRC covers
	location uint32
}

// readTag takes the tag at the beginning of b, if its checksum is right.
func readTag(b []byte) (t tag, err error) {
	if len(b) < tagBytes {
		return t, errNoTag
	}
	var sum byte
	for i, c := range b[:tagBytes] {
		if i != 4 {
			sum += c
		}
	}
	le := binary.LittleEndian
	t = tag{le.Uint16(b), le.Uint16(b[8:]), le.Uint16(b[10:]), le.Uint32(b[12:])}
	if sum != b[4] || t.id == 0 && t.length == 0 && sum == 0 {
		return t, errNoTag
	}
	return t, nil
}

// covers reports whether the CRC is that of what follows the tag in b.
func (t tag) covers(b []byte) bool {
	end := tagBytes + int(t.length)
	return end <= len(b) && crc16(b[tagBytes:end]) == t.crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		c := uint16(i) << 8
		for range 8 {
			c = c<<1 ^ -(c>>15)&0x1021
		}
		table[i] = c
	}
	return table
}()

// crc16 is the CRC of ITU-T V.41 (ECMA 3/7.2.6).
func crc16(b []byte) (c uint16) {
	for _, x := range b {
		c = c<<8 ^ crcTable[byte(c>>8)^x]
	}
	return c
}

// extentAD is sectors of the disc (ECMA 3/7.1).
type extentAD struct {
	length uint32 // bytes
	sector uint32
}

func parseExtentAD(b []byte) extentAD {
	return extentAD{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
}

// longAD is blocks of a partition (ECMA 4/14.14.2). The upper two bits of the
// length say whether they are recorded.
type longAD struct {
	length    uint32
	block     uint32
	partition uint16
	unique    uint32 // what a name knows the file by (UDF 2.3.4.3); 0: nothing
}

// Kinds of extent, in the upper two bits of a length (ECMA 4/14.14.1.1).
const (
	extentRecorded = iota
	extentAllocated
	extentNothing
	extentContinues // more descriptors lie there
)

func parseLongAD(b []byte) longAD {
	le := binary.LittleEndian
	return longAD{le.Uint32(b), le.Uint32(b[4:]), le.Uint16(b[8:]), le.Uint32(b[12:])}
}

func (a longAD) bytes() uint32 { return a.length & (1<<30 - 1) }
func (a longAD) kind() int     { return int(a.length >> 30) }

// stamp is a time with its zone (ECMA 1/7.3); the zero time where it is none.
func stamp(b []byte) time.Time {
	le := binary.LittleEndian
	year := int(int16(le.Uint16(b[2:])))
	if year < 1 || year > 9999 || b[4] < 1 || b[4] > 12 || b[5] < 1 || b[5] > 31 || b[6] > 23 || b[7] > 59 || b[8] > 60 {
		return time.Time{}
	}
	nano := int(b[9])*10e6 + int(b[10])*100e3 + int(b[11])*1e3
	t := time.Date(year, time.Month(b[4]), int(b[5]), int(b[6]), int(b[7]), int(b[8]), nano, time.UTC)
	offset := int(int16(le.Uint16(b)<<4)) >> 4 // minutes, 12 bits with a sign
	if offset == unspecifiedOffset || offset < -1440 || offset > 1440 {
		return t
	}
	return t.Add(-time.Duration(offset) * time.Minute)
}

// text is a name in OSTA Compressed Unicode (UDF 2.1.1) as WTF-8: one byte or two
// for each code unit, after a byte that says which.
func text(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case 8, 254:
		out := make([]byte, 0, len(b)+8)
		for _, c := range b[1:] {
			out = utf8.AppendRune(out, rune(c))
		}
		return out
	case 16, 255:
		return evidence.WTF8(b[1:], binary.BigEndian)
	}
	return b // not of this character set: as it is
}
