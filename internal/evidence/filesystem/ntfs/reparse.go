package ntfs

import (
	"encoding/binary"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// Reparse points: FSNTFS "The reparse point", [MS-FSCC] 2.1.2.1.
const (
	tagMountPoint = 0xa0000003
	tagSymlink    = 0xa000000c
	tagLxSymlink  = 0xa000001d
	tagDedup      = 0x80000013
	tagWOF        = 0x80000017
	tagAFUnix     = 0x80000023
	tagLxFIFO     = 0x80000024
	tagLxChar     = 0x80000025
	tagLxBlock    = 0x80000026
)

type reparsePoint struct {
	tag  uint32
	data []byte
}

// kind is what the point makes of its file; File where it leaves it one.
func (p reparsePoint) kind() tutela.EntryKind {
	switch p.tag {
	case tagMountPoint, tagSymlink, tagLxSymlink:
		return tutela.Symlink
	case tagAFUnix:
		return tutela.Socket
	case tagLxFIFO:
		return tutela.Pipe
	case tagLxChar, tagLxBlock:
		return tutela.Device
	}
	return tutela.File
}

// elsewhere names the mechanism that keeps the content in another place than
// $DATA; empty where it does not, or not always.
func (p reparsePoint) elsewhere() string {
	switch p.tag {
	case tagDedup:
		return "deduplicated content is not read"
	case tagWOF:
		return "WOF-compressed content is not read"
	}
	return ""
}

// describe says in words what the point is, with the target of a link.
func (p reparsePoint) describe() string {
	switch p.tag {
	case tagMountPoint:
		return "mount point to " + p.target(8)
	case tagSymlink:
		return "symbolic link to " + p.target(12)
	case tagLxSymlink:
		return "symbolic link to " + tutela.DisplayPath(p.data[min(4, len(p.data)):])
	}
	if kind := p.kind(); kind != tutela.File {
		return "a " + kind.String() + " of the Linux subsystem"
	}
	return fmt.Sprintf("reparse point %#08x", p.tag)
}

// target is the substitute name, which is what the system follows; names begin
// at byte start of the data.
func (p reparsePoint) target(start int) string {
	if len(p.data) < start {
		return "an unknown place"
	}
	offset := int(binary.LittleEndian.Uint16(p.data))
	length := int(binary.LittleEndian.Uint16(p.data[2:]))
	name, err := window(p.data, start+offset, length)
	if err != nil {
		return "an unknown place"
	}
	return tutela.DisplayPath(evidence.WTF8(name, binary.LittleEndian))
}
