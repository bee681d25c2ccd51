package archive

import (
	"bytes"
	"strconv"
	"strings"
)

// Format names an archive format. The empty Format is none.
type Format string

// The formats that Detect knows. The last three are recognised and not read.
const (
	Zip      Format = "zip"
	Tar      Format = "tar"
	Gzip     Format = "gzip"
	Bzip2    Format = "bzip2"
	XZ       Format = "xz"
	Zstd     Format = "zstd"
	SevenZip Format = "7z"
	RAR      Format = "rar"
	Cabinet  Format = "cab"
)

// HeadBytes is how many bytes Detect wants: the first block of a tar.
const HeadBytes = 512

var magics = []struct {
	magic  string
	format Format
}{
	{"PK\x03\x04", Zip},
	{"PK\x05\x06", Zip},           // empty
	{"PK\x07\x08PK\x03\x04", Zip}, // once meant to span disks (APPNOTE 8.5.3)
	{"PK00PK\x03\x04", Zip},       // the same, and did not (APPNOTE 8.5.4)
	{"\x1f\x8b\x08", Gzip},
	{"\xfd7zXZ\x00", XZ},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"7z\xbc\xaf\x27\x1c", SevenZip},
	{"Rar!\x1a\x07", RAR},
	{"MSCF\x00\x00\x00\x00", Cabinet},
}

// Detect says by content which archive begins with head, "" if none. It wants
// [HeadBytes] bytes, or all there are.
func Detect(head []byte) Format {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.format
		}
	}
	switch {
	case isBzip2(head):
		return Bzip2
	case isTarHeader(head):
		return Tar
	}
	return ""
}

// isBzip2 asks for the block magic too: "BZh9" alone is a word in a text.
func isBzip2(head []byte) bool {
	if len(head) < 10 || string(head[:3]) != "BZh" || head[3] < '1' || head[3] > '9' {
		return false
	}
	block := string(head[4:10])
	return block == "\x31\x41\x59\x26\x53\x59" || block == "\x17\x72\x45\x38\x50\x90"
}

// isTarHeader reports whether the block's checksum holds (POSIX.1-2017, pax,
// "ustar Interchange Format"). Archives from before POSIX have no magic, so the
// checksum is the only test that fits all.
func isTarHeader(head []byte) bool {
	if len(head) < HeadBytes || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseInt(strings.Trim(string(head[148:156]), " \x00"), 8, 64)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, b := range head[:HeadBytes] {
		if i >= 148 && i < 156 {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b))
	}
	return want == unsigned || want == signed
}
