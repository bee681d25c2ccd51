// Package decmpfs expands files that macOS has compressed behind the back of
// whoever reads them: the com.apple.decmpfs attribute of HFS+ and APFS.
//
// Start with [Parse], which reads the head of the attribute and so tells how
// long the file is, then [New] for its content. The file itself has an empty
// data fork; its bytes lie in the attribute ("inline") or in the resource fork,
// there in chunks of 64 KiB. Sources: bsd/sys/decmpfs.h of Apple's published
// kernel for the head and the numbers of the methods, the libfshfs and libfsapfs
// documentation for the layout of the forks, Apple's published lzfse reference
// for [LZVN] and [LZFSE].
//
// # Promised
//
// A content gives exactly the length its head states or an error: a chunk that
// expands to more or less than its share is an error, and so are chunks out of
// order. Nothing is read before it is asked for, and no more than one chunk and
// what it expands to is kept in memory.
//
// # Not promised
//
// Methods 5 (content shared between generations), 13 and 14 (LZBITMAP) and all
// unknown ones are refused by name, as are the blocks of LZFSE whose tables are
// not packed ("bvx1"), which no released program writes.
package decmpfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela/internal/evidence"
)

// Attribute is the name of the extended attribute.
const Attribute = "com.apple.decmpfs"

const (
	headBytes  = 16
	chunkBytes = 64 << 10
	// maxInline is what an attribute may expand to, in bytes. macOS holds no
	// more than one chunk in it; zlib makes up to a thousand bytes of one.
	maxInline = 16 << 20
	// maxPacked is what one chunk may take in the resource fork, in bytes.
	maxPacked = 2 * chunkBytes
)

var errDamaged = errors.New("compressed content does not hold together")

// Header is the head of the attribute.
type Header struct {
	Method uint32 // see the names below
	Size   int64  // of the expanded content, in bytes
}

// Parse reads the head of the attribute's value.
func Parse(attribute []byte) (Header, error) {
	if len(attribute) < headBytes {
		return Header{}, fmt.Errorf("%s attribute of %d bytes", Attribute, len(attribute))
	}
	if string(attribute[:4]) != "fpmc" {
		return Header{}, fmt.Errorf("%s attribute begins with %q", Attribute, attribute[:4])
	}
	size := binary.LittleEndian.Uint64(attribute[8:])
	if size > math.MaxInt64 {
		return Header{}, fmt.Errorf("%s attribute states %d bytes", Attribute, size)
	}
	return Header{binary.LittleEndian.Uint32(attribute[4:]), int64(size)}, nil
}

// method is how the bytes are packed.
type method struct {
	name   string
	inFork bool
	// expand fills dst, from what is packed in src.
	expand func(dst, src []byte) error
	// table says where chunks lie in a resource fork.
	table func(fork io.ReaderAt) (table, error)
}

var methods = map[uint32]method{
	1:  {name: "uncompressed", expand: expandPlain},
	3:  {name: "zlib", expand: expandZlib},
	4:  {name: "zlib, resource fork", inFork: true, expand: expandZlib, table: zlibTable},
	5:  {name: "content shared between generations"},
	7:  {name: "LZVN", expand: expandLZVN},
	8:  {name: "LZVN, resource fork", inFork: true, expand: expandLZVN, table: offsetTable},
	9:  {name: "uncompressed", expand: expandMarked},
	10: {name: "uncompressed, resource fork", inFork: true, expand: expandMarked, table: offsetTable},
	11: {name: "LZFSE", expand: expandLZFSE},
	12: {name: "LZFSE, resource fork", inFork: true, expand: expandLZFSE, table: offsetTable},
	13: {name: "LZBITMAP"},
	14: {name: "LZBITMAP, resource fork", inFork: true},
}

// String names the method for people: "decmpfs 8 (LZVN, resource fork)".
func (h Header) String() string {
	if m, ok := methods[h.Method]; ok {
		return fmt.Sprintf("decmpfs %d (%s)", h.Method, m.name)
	}
	return fmt.Sprintf("decmpfs %d", h.Method)
}

// InFork reports whether the packed bytes lie in the resource fork.
func (h Header) InFork() bool { return methods[h.Method].inFork }

// Supported is nil where New can read the method; otherwise it names what is
// not read and wraps [evidence.ErrUnsupported].
func (h Header) Supported() error {
	if methods[h.Method].expand == nil {
		return fmt.Errorf("%s not read: %w", h, evidence.ErrUnsupported)
	}
	return nil
}

// New is the content of a compressed file. attribute is the whole value of the
// attribute, which must not change afterwards; resourceFork, of forkSize bytes,
// is read only where InFork says so, and may be nil otherwise. The content is
// for one reader; several may share the fork.
func New(header Header, attribute []byte, resourceFork io.ReaderAt, forkSize int64) (evidence.Content, error) {
	if err := header.Supported(); err != nil {
		return nil, err
	}
	m := methods[header.Method]
	if m.inFork {
		return newChunked(header, m, resourceFork, forkSize)
	}
	if len(attribute) < headBytes {
		return nil, fmt.Errorf("%s: attribute of %d bytes", header, len(attribute))
	}
	if header.Size > maxInline {
		return nil, fmt.Errorf("%s: %w: %d bytes out of an attribute", header, errDamaged, header.Size)
	}
	out := make([]byte, header.Size)
	if len(out) > 0 {
		if err := m.expand(out, attribute[headBytes:]); err != nil {
			return nil, fmt.Errorf("%s: %w", header, err)
		}
	}
	return evidence.Bytes(out), nil
}
