package demo

import (
	"fmt"
	"slices"
	"time"
)

// ntfsNode is one file or directory and becomes one MFT record.
type ntfsNode struct {
	number     uint64
	sequence   uint16
	name       string
	parent     *ntfsNode
	attributes []attribute // $STANDARD_INFORMATION and $FILE_NAME come by themselves
	dir        bool
	system     bool // hidden, and part of the file system
	view       bool // has indexes that are not of names
	deleted    bool
	nameless   bool // a reserved record
	unused     bool // a reserved record without anything
}

func (v *ntfsVolume) newNode(name string, parent *ntfsNode) *ntfsNode {
	n := &ntfsNode{number: uint64(len(v.nodes)), sequence: 1, name: name, parent: parent}
	if n.number > 0 && n.number < firstFile {
		n.sequence = uint16(n.number)
	}
	v.nodes = append(v.nodes, n)
	return n
}

// reference is how others name the node: record number and sequence number.
func (n *ntfsNode) reference() uint64 { return n.number | uint64(n.sequence)<<48 }

// Flags of an MFT record.
const (
	recordInUse     = 1
	recordDirectory = 2
	recordViewIndex = 8
)

func (n *ntfsNode) flags() (flags uint16) {
	if !n.deleted && !n.unused {
		flags |= recordInUse
	}
	if n.dir {
		flags |= recordDirectory
	}
	if n.view {
		flags |= recordViewIndex
	}
	return flags
}

// fileFlags are the attributes that Windows shows, and two of its own.
func (n *ntfsNode) fileFlags() (flags uint32) {
	const hidden, system, archive, directory, viewIndex = 0x2, 0x4, 0x20, 0x1000_0000, 0x2000_0000
	if n.system {
		flags |= hidden | system
	} else if !n.dir {
		flags |= archive
	}
	if n.dir {
		flags |= directory
	}
	if n.view {
		flags |= viewIndex
	}
	return flags
}

// encode writes the record: header, attributes in the order of their codes and
// names, end mark, and the update sequence over all.
func (n *ntfsNode) encode() ([]byte, error) {
	const firstAttribute = 0x38
	b := make([]byte, firstAttribute)
	copy(b, "FILE")
	le.PutUint16(b[4:], 0x30)
	le.PutUint16(b[6:], 1+recordSize/sectorSize)
	le.PutUint16(b[16:], n.recordSequence())
	le.PutUint16(b[20:], firstAttribute)
	le.PutUint16(b[22:], n.flags())
	le.PutUint32(b[28:], recordSize)
	le.PutUint32(b[44:], uint32(n.number))
	if !n.nameless && !n.unused {
		le.PutUint16(b[18:], 1) // one name
	}
	attributes := n.allAttributes()
	le.PutUint16(b[40:], uint16(len(attributes)))
	for id := range attributes {
		b = append(b, attributes[id].encode(uint16(id))...)
	}
	b = le.AppendUint64(b, 0xffff_ffff)
	if len(b) > recordSize {
		return nil, fmt.Errorf("%s: record %d needs %d bytes", n.name, n.number, len(b))
	}
	le.PutUint32(b[24:], uint32(len(b)))
	b = padded(b, recordSize)
	protect(b)
	return b, nil
}

// recordSequence is one more than the references say once a file is deleted, so
// that they no longer lead there.
func (n *ntfsNode) recordSequence() uint16 {
	if n.deleted {
		return n.sequence + 1
	}
	return n.sequence
}

func (n *ntfsNode) allAttributes() []attribute {
	if n.unused {
		return nil
	}
	all := []attribute{resident(attrStandardInformation, "", n.standardInformation())}
	if !n.nameless {
		all = append(all, resident(attrFileName, "", n.fileName()))
	}
	all = append(all, n.attributes...)
	slices.SortStableFunc(all, func(a, b attribute) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return collate(a.name, b.name)
	})
	return all
}

func resident(kind attributeKind, name string, value []byte) attribute {
	return attribute{kind: kind, name: name, value: value, size: int64(len(value))}
}

func (n *ntfsNode) standardInformation() []byte {
	b := make([]byte, 72)
	putTimes(b)
	le.PutUint32(b[32:], n.fileFlags()&0xffff)
	return b
}

// fileName is the value of $FILE_NAME, which is the key of an index of names as
// well. Sizes are those of the content.
func (n *ntfsNode) fileName() []byte {
	const windows, windowsAndDOS = 1, 3
	b := make([]byte, 66)
	le.PutUint64(b, n.parent.reference())
	putTimes(b[8:])
	for _, a := range n.attributes {
		if a.kind == attrData && a.name == "" {
			le.PutUint64(b[40:], uint64(a.allocated()))
			le.PutUint64(b[48:], uint64(a.size))
		}
	}
	le.PutUint32(b[56:], n.fileFlags())
	name := utf16le(n.name)
	b[64], b[65] = byte(len(name)/2), windows
	if n.system {
		b[65] = windowsAndDOS
	}
	return append(b, name...)
}

// putTimes writes the four times: 100 ns steps since 1601.
func putTimes(b []byte) {
	epoch := time.Date(1601, time.January, 1, 0, 0, 0, 0, time.UTC)
	steps := uint64(drawnAt().Unix()-epoch.Unix()) * 10_000_000
	for i := range 4 {
		le.PutUint64(b[8*i:], steps)
	}
}

// protect puts the update sequence over a record or an index block: the last
// two bytes of each sector move into the array and the number stands in their
// place ("Fixup").
func protect(b []byte) {
	const number = 1
	array := b[le.Uint16(b[4:]):]
	le.PutUint16(array, number)
	for i := range len(b) / sectorSize {
		end := b[(i+1)*sectorSize-2:]
		copy(array[2+2*i:4+2*i], end[:2])
		le.PutUint16(end, number)
	}
}
