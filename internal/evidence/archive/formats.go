package archive

import (
	"bytes"
	"strconv"
	"strings"

	"tutela/internal/evidence/archive/compound"
	"tutela/internal/evidence/archive/plist"
	"tutela/internal/evidence/archive/pst"
	"tutela/internal/evidence/archive/sqlite"
)

// Format names an archive format, as chains of locators write it. The empty
// Format is none.
type Format string

// format is a row of the table: what [Detect] knows of a format, and who lists
// what is in it.
type format struct {
	name Format
	// magics are the beginnings of files; is, where it is not nil, decides what
	// a beginning alone cannot.
	magics []string
	is     func(head []byte) bool
	// list visits the members. For each one it must call next before any work
	// is done for it, and then member, or nothing for a directory. What is
	// wrong with the archive as a whole it tells by find or stop, and returns
	// only errors that next and member returned.
	list func(l *listing, head []byte) error
}

// formats is every format there is, the most telling beginnings first. To add
// one, write its lister in a file (or, if it is a world of its own, a package
// below this one that knows nothing of archives, and a file that makes members
// of what it finds) and add its row.
var formats = []format{
	{"zip", []string{"PK\x03\x04", "PK\x05\x06", "PK\x07\x08PK\x03\x04", "PK00PK\x03\x04"}, nil, (*listing).zip},
	{"gzip", []string{"\x1f\x8b\x08"}, nil, (*listing).gzip},
	{"xz", []string{"\xfd7zXZ\x00"}, nil, (*listing).xz},
	{"zstd", []string{"\x28\xb5\x2f\xfd"}, nil, (*listing).zstd},
	{"bzip2", []string{"BZh"}, isBzip2, (*listing).bzip2},
	{"7z", []string{"7z\xbc\xaf\x27\x1c"}, nil, (*listing).sevenZip},
	{"rar", []string{"Rar!\x1a\x07\x00", "Rar!\x1a\x07\x01\x00"}, nil, (*listing).rar},
	{"ole", []string{compound.Magic}, nil, (*listing).compoundFile},
	{"thumbcache", []string{cmmm}, isThumbcache, (*listing).thumbcache},
	{"cab", []string{"MSCF\x00\x00\x00\x00"}, nil, (*listing).cabinet},
	{"cpio", []string{"070701", "070702", "070707"}, nil, (*listing).cpio},
	{"cpio", []string{"\xc7\x71", "\x71\xc7"}, isBinaryCpio, (*listing).cpio},
	{"ar", []string{arMagic}, nil, (*listing).ar},
	{"lz4", []string{"\x04\x22\x4d\x18", "\x02\x21\x4c\x18"}, nil, (*listing).lz4},
	{"compress", []string{"\x1f\x9d"}, isCompress, (*listing).compress},
	{"lzma", []string{"\x5d\x00\x00"}, isLZMA, (*listing).lzma},
	{"ab", []string{abMagic}, nil, (*listing).androidBackup},
	{"jpeg", []string{"\xff\xd8\xff"}, hasThumbnail, (*listing).jpegFile},
	{"tiff", []string{"II*\x00", "MM\x00*", "IIU\x00"}, nil, (*listing).tiffFile},
	{"psd", []string{"8BPS\x00\x01"}, nil, (*listing).photoshopFile},
	{"pst", []string{pst.Magic}, nil, (*listing).outlook},
	{"tnef", []string{tnefMagic}, nil, (*listing).tnef},
	{"mbox", []string{mboxFrom}, isMbox, (*listing).mbox},
	{"mail", nil, isMail, (*listing).message},
	{"pdf", nil, isPDF, (*listing).pdfFile},
	{"sqlite", []string{sqlite.Magic}, nil, (*listing).database},
	{"mbdb", []string{mbdbMagic}, nil, (*listing).manifestMBDB},
	{"plist", []string{plist.Magic, "<?xml"}, isBackupPlist, (*listing).backupPlist},
	{"tar", nil, isTarHeader, (*listing).tar}, // no magic in all of them: the last
}

// HeadBytes is how many bytes Detect wants: the first block of a tar.
const HeadBytes = 512

// Detect says by content which archive begins with head, "" if none. It wants
// [HeadBytes] bytes, or all there are.
func Detect(head []byte) Format { return detect(formats, head).name }

// detect finds the row of the format that begins with head, an empty one if
// there is none. The table is handed in because the listers in it come back
// here.
func detect(table []format, head []byte) format {
	for _, f := range table {
		if f.begins(head) {
			return f
		}
	}
	return format{}
}

func (f format) begins(head []byte) bool {
	if len(f.magics) > 0 && !hasPrefix(head, f.magics) {
		return false
	}
	return f.is == nil || f.is(head)
}

func hasPrefix(head []byte, magics []string) bool {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m)) {
			return true
		}
	}
	return false
}

// isBzip2 asks for the block magic too: "BZh9" alone is a word in a text.
func isBzip2(head []byte) bool {
	if len(head) < 10 || head[3] < '1' || head[3] > '9' {
		return false
	}
	block := string(head[4:10])
	return block == "\x31\x41\x59\x26\x53\x59" || block == "\x17\x72\x45\x38\x50\x90"
}

// isCompress asks for a width of codes too, for the magic has two bytes only.
func isCompress(head []byte) bool {
	return len(head) >= 5 && head[2]&0x60 == 0 && head[2]&31 >= 9 && head[2]&31 <= 16
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
