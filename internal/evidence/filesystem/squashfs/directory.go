package squashfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A directory is a run of headers, each with up to 256 records behind it whose
// inodes lie in the same metadata block (SQUASHFS 3.5).

const (
	dirHeadBytes   = 12
	dirRecordBytes = 8
	maxRecords     = 256
	maxName        = 256
)

// name is one record of a directory.
type name struct {
	name []byte
	kind uint16
	ref  inodeRef
}

// names gives out the records of a directory in their order. Each is valid
// until give returns.
func (fs *FileSystem) names(dir *inode, give func(name) error) error {
	c := dir.listing
	for left := dir.listed; left > 0; {
		head := make([]byte, dirHeadBytes)
		if _, err := io.ReadFull(&c, head); err != nil {
			return &listingError{err}
		}
		count := int64(binary.LittleEndian.Uint32(head)) + 1
		if count > maxRecords {
			return &listingError{fmt.Errorf("%d records behind one header", count)}
		}
		inodes := binary.LittleEndian.Uint32(head[4:])
		left -= dirHeadBytes
		for ; count > 0; count-- {
			n, length, err := fs.record(&c, inodes)
			if err != nil {
				return &listingError{err}
			}
			if left -= length; left < 0 {
				return &listingError{fmt.Errorf("a record lies behind the end of the directory")}
			}
			if err := give(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// listingError says why the rest of a directory cannot be listed.
type listingError struct{ err error }

func (e *listingError) Error() string { return e.err.Error() }
func (e *listingError) Unwrap() error { return e.err }

func (fs *FileSystem) record(c *cursor, inodes uint32) (n name, length int64, err error) {
	head := make([]byte, dirRecordBytes)
	if _, err := io.ReadFull(c, head); err != nil {
		return n, 0, err
	}
	le := binary.LittleEndian
	n.ref = refOf(inodes, le.Uint16(head))
	n.kind = le.Uint16(head[4:])
	n.name = make([]byte, int(le.Uint16(head[6:]))+1)
	if len(n.name) > maxName {
		return n, 0, fmt.Errorf("a name of %d bytes", len(n.name))
	}
	if _, err := io.ReadFull(c, n.name); err != nil {
		return n, 0, err
	}
	return n, dirRecordBytes + int64(len(n.name)), nil
}

// misleads reports whether a name is one that no directory may list.
func misleads(name []byte) bool {
	return string(name) == "." || string(name) == ".." || bytes.IndexByte(name, '/') >= 0
}
