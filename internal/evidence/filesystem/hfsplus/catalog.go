package hfsplus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// TN1150 "Catalog File".
const (
	recordFolder       = 1
	recordFile         = 2
	recordFolderThread = 3
	recordFileThread   = 4

	folderBytes = 88
	fileBytes   = 248
	maxNameLen  = 255 // UTF-16 units

	flagLinkChain = 0x20
	ownerPacked   = 0x20 // UF_COMPRESSED

	modeType    = 0xf000
	modePipe    = 0x1000
	modeChar    = 0x2000
	modeFolder  = 0x4000
	modeBlock   = 0x6000
	modeRegular = 0x8000
	modeSymlink = 0xa000
	modeSocket  = 0xc000
)

// catalogKey is the key of a catalog record.
type catalogKey struct {
	parent uint32
	name   []byte // UTF-16, high byte first
}

// parseKey splits a catalog record into its key and its data.
func parseKey(r []byte) (k catalogKey, data []byte, ok bool) {
	if len(r) < 8 {
		return k, nil, false
	}
	length := int(binary.BigEndian.Uint16(r))
	name := 2 * int(binary.BigEndian.Uint16(r[6:]))
	begin := 2 + length + length&1
	if name > 2*maxNameLen || length < 6+name || begin+2 > len(r) {
		return k, nil, false
	}
	return catalogKey{binary.BigEndian.Uint32(r[2:]), r[8 : 8+name]}, r[begin:], true
}

// common is what file and folder records share.
type common struct {
	cnid  uint32
	flags uint16
	times tutela.Times
	owner uint8 // flags
	mode  uint16
}

// file is a file record.
type file struct {
	common
	special  uint32 // link or device number
	kind     string // four letters, as the Finder has them
	creator  string
	data     fork
	resource fork
}

var errRecord = errors.New("a record is cut off")

func parseCommon(b []byte) common {
	return common{
		cnid:  binary.BigEndian.Uint32(b[8:]),
		flags: binary.BigEndian.Uint16(b[2:]),
		times: tutela.Times{Born: stamp(b[12:]), Modified: stamp(b[16:]), Changed: stamp(b[20:]), Accessed: stamp(b[24:])},
		owner: b[41],
		mode:  binary.BigEndian.Uint16(b[42:]),
	}
}

func parseFile(b []byte) (file, error) {
	if len(b) < fileBytes {
		return file{}, errRecord
	}
	return file{
		common:   parseCommon(b),
		special:  binary.BigEndian.Uint32(b[44:]),
		kind:     string(b[48:52]),
		creator:  string(b[52:56]),
		data:     parseFork(b[88:]),
		resource: parseFork(b[168:]),
	}, nil
}

// entryKind is what the mode says; a file that no Unix has seen has none.
func (f *file) entryKind() tutela.EntryKind {
	switch f.mode & modeType {
	case modeSymlink:
		return tutela.Symlink
	case modeChar, modeBlock:
		return tutela.Device
	case modeSocket:
		return tutela.Socket
	case modePipe:
		return tutela.Pipe
	}
	return tutela.File
}

// TN1150 "Hard Links"; directories have them since Mac OS X 10.5.
func (f *file) isLink() bool { return f.kind == "hlnk" && f.creator == "hfs+" }
func (f *file) isFolderLink() bool {
	return f.kind == "fdrp" && f.creator == "MACS" && f.flags&flagLinkChain != 0
}

// stamp is seconds since 1904, UTC; 0 is none.
func stamp(b []byte) time.Time {
	const toUnix = 2082844800 // seconds from 1904 to 1970
	v := binary.BigEndian.Uint32(b)
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(int64(v)-toUnix, 0).UTC()
}

// pathName is a name on disk as a path holds it.
func pathName(utf16be []byte) []byte {
	return bytes.ReplaceAll(evidence.WTF8(utf16be, binary.BigEndian), []byte("/"), []byte(":"))
}
