package apfs

import (
	"bytes"
	"fmt"
	"math"

	"tutela"
)

// Types of records in a file-system tree (Reference "j_obj_types").
const (
	recordSnapshot  = 1
	recordInode     = 3
	recordAttribute = 4
	recordExtent    = 8
	recordEntry     = 9
)

// Identifiers that every volume has (Reference "Inode Numbers").
const (
	inodeRootParent = 1
	inodeRoot       = 2
	inodePrivate    = 3 // files that are unlinked and still open
)

// Fields behind an inode and flags of it (Reference "Extended-Field Types",
// "Inode Flags", chflags(2)); sizes of records.
const (
	fieldName   = 4
	fieldStream = 8
	fieldDevice = 14

	flagPrivate    = 0x01
	bsdCompressed  = 0x20
	bsdDataless    = 0x40000000
	streamSize     = 40 // bytes of a j_dstream_t
	inodeSize      = 92 // bytes before the extended fields
	entrySize      = 18
	attributeHead  = 4
	attributeStore = 0x01 // flag: kept in a stream of its own
	attributeHere  = 0x02 // flag: kept in the record
	extentLength   = 1<<56 - 1
)

// File modes.
const (
	modeMask      = 0o170000
	modePipe      = 0o010000
	modeCharacter = 0o020000
	modeDirectory = 0o040000
	modeBlock     = 0o060000
	modeFile      = 0o100000
	modeLink      = 0o120000
	modeSocket    = 0o140000
	modeWhiteout  = 0o160000
)

// inode is a file or a directory (Reference "j_inode_val_t").
type inode struct {
	oid, parent uint64
	stream      uint64 // under which its extents are kept
	times       tutela.Times
	private     bool // the file system's own; no directory lists it
	bsd         uint32
	mode        uint16
	name        []byte
	size        uint64
	hasStream   bool
	device      uint32
}

func parseInode(oid uint64, b []byte) (*inode, error) {
	if len(b) < inodeSize {
		return nil, damaged("inode %d is cut short", oid)
	}
	i := &inode{
		oid: oid, parent: little.Uint64(b), stream: little.Uint64(b[8:]),
		times: tutela.Times{
			Born: stamp(little.Uint64(b[16:])), Modified: stamp(little.Uint64(b[24:])),
			Changed: stamp(little.Uint64(b[32:])), Accessed: stamp(little.Uint64(b[40:])),
		},
		private: little.Uint64(b[48:])&flagPrivate != 0, bsd: little.Uint32(b[68:]), mode: little.Uint16(b[80:]),
	}
	return i, eachField(b[inodeSize:], i.field)
}

func (i *inode) field(kind byte, value []byte) {
	switch {
	case kind == fieldName:
		i.name, _, _ = bytes.Cut(value, []byte{0})
	case kind == fieldStream && len(value) >= streamSize:
		i.size, i.hasStream = little.Uint64(value), true
	case kind == fieldDevice && len(value) >= 4:
		i.device = little.Uint32(value)
	}
}

// eachField visits the extended fields of a record (Reference "xf_blob_t"): a
// table, then the values, each padded to eight bytes.
func eachField(b []byte, visit func(kind byte, value []byte)) error {
	if len(b) < 4 {
		return nil // a record without any
	}
	n := int(little.Uint16(b))
	if 4+4*n > len(b) {
		return damaged("extended fields are cut short")
	}
	table, values := b[4:4+4*n], b[4+4*n:]
	for ; len(table) > 0; table = table[4:] {
		size := int(little.Uint16(table[2:]))
		if size > len(values) {
			return damaged("extended fields are cut short")
		}
		visit(table[0], values[:size])
		values = values[min(len(values), (size+7)&^7):]
	}
	return nil
}

func (i *inode) isDirectory() bool { return i.mode&modeMask == modeDirectory }

func (i *inode) kind() tutela.EntryKind {
	switch i.mode & modeMask {
	case modePipe:
		return tutela.Pipe
	case modeCharacter, modeBlock, modeWhiteout:
		return tutela.Device
	case modeDirectory:
		return tutela.Directory
	case modeLink:
		return tutela.Symlink
	case modeSocket:
		return tutela.Socket
	}
	return tutela.File
}

// special says what an inode is that holds no bytes.
func (i *inode) special() string {
	switch i.mode & modeMask {
	case modeCharacter, modeBlock:
		return fmt.Sprintf("device %d, %d", i.device>>24, i.device&0xffffff)
	case modeWhiteout:
		return "whiteout"
	}
	return i.kind().String()
}

// entry is a name in a directory (Reference "j_drec_val_t").
type entry struct {
	parent, oid uint64
	name        []byte // in the node's bytes
	directory   bool
}

// parseEntry reads a directory record. The key has a hash of the name where the
// volume compares names without case or normalization; a key that fits the
// other form only is taken for that.
func parseEntry(key, value []byte, hashed bool) (entry, error) {
	parent := identifier(key)[0]
	if len(value) < entrySize {
		return entry{}, damaged("a record of directory %d is cut short", parent)
	}
	name, ok := entryName(key, hashed)
	if !ok {
		if name, ok = entryName(key, !hashed); !ok {
			return entry{}, damaged("a name in directory %d does not fit its record", parent)
		}
	}
	return entry{
		parent: parent, oid: little.Uint64(value), name: name,
		directory: value[16]&0x0f == modeDirectory>>12,
	}, nil
}

func entryName(key []byte, hashed bool) ([]byte, bool) {
	at, length := 10, 0
	if hashed {
		at = 12
	}
	if len(key) < at {
		return nil, false
	}
	if hashed {
		length = int(little.Uint32(key[8:]) & 0x3ff)
	} else {
		length = int(little.Uint16(key[8:]))
	}
	if length < 2 || at+length != len(key) || key[len(key)-1] != 0 {
		return nil, false
	}
	return key[at : len(key)-1], true
}

// attribute is an extended attribute (Reference "j_xattr_val_t").
type attribute struct {
	name   []byte
	stored bool   // in a stream of its own
	value  []byte // where it is not stored
	stream uint64
	size   uint64 // bytes of the stream
}

func (a *attribute) empty() bool { return !a.stored && len(a.value) == 0 || a.stored && a.size == 0 }

func parseAttribute(key, value []byte) (attribute, error) {
	oid := identifier(key)[0]
	name, ok := entryName(key, false)
	if !ok || len(value) < attributeHead {
		return attribute{}, damaged("an extended attribute of inode %d does not fit its record", oid)
	}
	a := attribute{name: bytes.Clone(name)}
	flags, length := little.Uint16(value), int(little.Uint16(value[2:]))
	data := value[attributeHead:]
	switch {
	case length > len(data), flags&(attributeStore|attributeHere) == 0:
		return a, damaged("the extended attribute %s of inode %d does not fit its record", tutela.DisplayPath(name), oid)
	case flags&attributeStore == 0:
		a.value = bytes.Clone(data[:length])
	case length < 8+streamSize:
		return a, damaged("the extended attribute %s of inode %d is cut short", tutela.DisplayPath(name), oid)
	default:
		a.stored, a.stream, a.size = true, little.Uint64(data), little.Uint64(data[8:])
	}
	return a, nil
}

// extent is a stretch of a stream (Reference "j_file_extent_val_t").
type extent struct {
	logical uint64 // bytes from the beginning of the stream
	length  uint64 // bytes
	block   uint64 // 0: a hole
}

func parseExtent(key, value []byte) (extent, error) {
	if len(key) < 16 || len(value) < 16 {
		return extent{}, damaged("an extent of stream %d is cut short", identifier(key)[0])
	}
	return extent{little.Uint64(key[8:]), little.Uint64(value) & extentLength, little.Uint64(value[8:])}, nil
}

// file is all that a tree says of one inode.
type file struct {
	*inode
	attributes []attribute
	extents    []extent // those kept under its own identifier
	problems   []error
}

// load reads the records of an inode. The inode itself is nil where there is
// none; an error is one after which records are missing.
func (t *tree) load(oid uint64) (*file, error) {
	f := &file{}
	err := t.from(order{oid, 0}, func(key, value []byte) bool {
		at := identifier(key)
		if at[0] != oid || at[1] > recordExtent {
			return false
		}
		if problem := f.add(at, key, value); problem != nil {
			f.problems = append(f.problems, problem)
		}
		return true
	})
	return f, err
}

func (f *file) add(at order, key, value []byte) (err error) {
	switch at[1] {
	case recordInode:
		f.inode, err = parseInode(at[0], value)
	case recordAttribute:
		var a attribute
		if a, err = parseAttribute(key, value); err == nil {
			f.attributes = append(f.attributes, a)
		}
	case recordExtent:
		var e extent
		if e, err = parseExtent(key, value); err == nil {
			f.extents = append(f.extents, e)
		}
	}
	return err
}

// extentsOf reads the extents that are kept under an identifier.
func (t *tree) extentsOf(stream uint64) (all []extent, problem error) {
	if t.extents != nil {
		return t.extents.sealedExtents(stream)
	}
	err := t.from(order{stream, recordExtent}, func(key, value []byte) bool {
		if identifier(key) != (order{stream, recordExtent}) {
			return false
		}
		e, err := parseExtent(key, value)
		if err != nil {
			problem = err
			return false
		}
		all = append(all, e)
		return true
	})
	if err != nil {
		problem = err
	}
	return all, problem
}

// sealedExtents reads them from a tree that holds nothing else (Reference
// "fext_tree_key_t").
func (t *tree) sealedExtents(stream uint64) (all []extent, err error) {
	err = t.from(order{stream, 0}, func(key, value []byte) bool {
		if numbers(key)[0] != stream {
			return false
		}
		all = append(all, extent{little.Uint64(key[8:]), little.Uint64(value) & extentLength, little.Uint64(value[8:])})
		return true
	})
	return all, err
}

// find is the attribute of a name.
func (f *file) find(name string) *attribute {
	for i := range f.attributes {
		if string(f.attributes[i].name) == name {
			return &f.attributes[i]
		}
	}
	return nil
}

// length is a size as the rest of the house counts, -1 where it is none.
func length(size uint64) int64 {
	if size > math.MaxInt64 {
		return -1
	}
	return int64(size)
}
