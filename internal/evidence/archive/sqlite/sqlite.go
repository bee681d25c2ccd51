// Package sqlite reads SQLite databases, in which telephones and browsers keep
// messages, and pictures among them. It knows the file format only, and runs no
// SQL.
//
// Call [OpenLog] on the write-ahead log, if there is one, then [Open]; go
// through [Database.Tables], and with [Database.Rows] through the rows of each,
// then through what is left of others with [Database.Deleted]. A [Value] can be read while its row is visited. The document is "Database File
// Format" (https://sqlite.org/fileformat2.html), whose section numbers stand in
// the comments.
//
// Promised: each page is read as one thing only, so that trees and chains of
// overflow pages that loop, cross or lie on the freelist end, and say so: of two
// rows that claim a page the first gets it, the second fails, and it is told; a
// value is given whole or ends with an error; the time a walk takes grows with the
// file, and its memory by one bit for each page, and some pages; only what the
// log's salts and checksums prove to be committed is taken from it. What is wrong
// with a part of the database is told, and the rest is read.
//
// Not promised: that pages are what was written, for the format has no checksums
// outside the log; and that names are right where CREATE TABLE cannot be
// understood, for then columns are numbered. Not read: what was deleted and lies
// in free blocks of pages that are in use, or on free pages in pieces; pages that
// the log replaces, earlier frames of the log, rollback journals, and indexes.
package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic begins every database that is not encrypted (1.3.1).
const Magic = "SQLite format 3\x00"

const (
	headerBytes = 100
	minUsable   = 480 // bytes of a page (1.3.4)
	maxDepth    = 24  // pages from the root to a leaf; 2^32 pages fit in 20
)

// Encodings of text (1.3.13).
const (
	utf16le = 2
	utf16be = 3
)

// Database is an opened database. It is not safe for concurrent use.
type Database struct {
	// LogMode says that the database is written by way of a log (1.3.3).
	LogMode bool

	file     io.ReaderAt
	size     int64 // bytes
	log      *Log  // nil if there is none
	page     int   // bytes
	usable   int   // bytes of a page that are used; the rest is reserved
	pages    uint32
	encoding uint32
	used     pageSet // by the freelist, the trees and the chains met so far
	free     pageSet // the leaves of the freelist: its trunks are written over
	// recovered are those of them that chains of deleted rows have.
	recovered pageSet
	tell      func(error)
}

// PageSize is the size of a database's pages by its first bytes, 0 if that
// cannot be (1.3.2).
func PageSize(head []byte) int {
	if len(head) < headerBytes {
		return 0
	}
	size := int(binary.BigEndian.Uint16(head[16:]))
	if size == 1 {
		size = 1 << 16
	}
	if size < 512 || size&(size-1) != 0 {
		return 0
	}
	return size
}

// Open begins to read a database of size bytes. log may be nil. tell is called
// with what cannot be read, then and later.
func Open(file io.ReaderAt, size int64, log *Log, tell func(error)) (*Database, error) {
	head := make([]byte, headerBytes)
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return nil, whole(err)
	}
	d := &Database{file: file, size: size, log: log, tell: tell, page: PageSize(head)}
	if d.page == 0 {
		return nil, errors.New("no such size of a page")
	}
	d.pages = uint32(min(size/int64(d.page), 1<<32-2))
	if log != nil {
		d.pages = max(d.pages, log.pages)
		if err := d.read(head, 1, 0); err != nil {
			return nil, err
		}
	}
	return d, d.header(head)
}

// header takes what else the first page says (1.3).
func (d *Database) header(head []byte) error {
	if string(head[:len(Magic)]) != Magic || PageSize(head) != d.page {
		return errors.New("the log replaces the first page by another")
	}
	d.LogMode = head[18] == 2 || head[19] == 2
	d.usable = d.page - int(head[20])
	if d.usable < minUsable {
		return fmt.Errorf("%d of %d bytes of a page are usable", d.usable, d.page)
	}
	d.encoding = binary.BigEndian.Uint32(head[56:])
	d.freelist(binary.BigEndian.Uint32(head[32:]))
	if d.log != nil {
		return nil
	}
	claimed := binary.BigEndian.Uint32(head[28:])
	current := string(head[24:28]) == string(head[92:96]) // (1.3.7)
	if current && claimed > d.pages {
		d.tell(fmt.Errorf("%d of %d pages are there: %w", d.pages, claimed, io.ErrUnexpectedEOF))
	}
	return nil
}

// freelist marks the pages that are in no use (1.5).
func (d *Database) freelist(trunk uint32) {
	b := make([]byte, d.usable)
	for trunk != 0 {
		if err := d.take(trunk); err != nil {
			d.tell(fmt.Errorf("the freelist: %w", err))
			return
		}
		if err := d.read(b, trunk, 0); err != nil {
			d.tell(fmt.Errorf("the freelist: %w", err))
			return
		}
		leaves := binary.BigEndian.Uint32(b[4:])
		if leaves > uint32(d.usable/4-2) {
			d.tell(fmt.Errorf("the freelist: page %d lists %d pages", trunk, leaves))
			return
		}
		for i := range leaves {
			leaf := binary.BigEndian.Uint32(b[8+4*i:])
			if err := d.take(leaf); err != nil {
				d.tell(fmt.Errorf("the freelist: %w", err))
				continue
			}
			d.free.add(leaf)
		}
		trunk = binary.BigEndian.Uint32(b)
	}
}

// take says that a page is used, which it can be once.
func (d *Database) take(page uint32) error {
	if page == 0 || page > d.pages {
		return fmt.Errorf("page %d of %d: %w", page, d.pages, errNoPage)
	}
	if !d.used.add(page) {
		return fmt.Errorf("page %d is used twice", page)
	}
	return nil
}

var errNoPage = errors.New("no such page")

// place is where the bytes of a page lie: in the database, or in the log.
func (d *Database) place(page uint32) (r io.ReaderAt, at int64, inLog bool) {
	if d.log != nil {
		if at, replaced := d.log.places[page]; replaced {
			return d.log.file, at, true
		}
	}
	return d.file, int64(page-1) * int64(d.page), false
}

// read reads the bytes of a page from at on.
func (d *Database) read(p []byte, page uint32, at int) error {
	r, start, inLog := d.place(page)
	if !inLog && start+int64(at+len(p)) > d.size {
		return fmt.Errorf("page %d: %w", page, io.ErrUnexpectedEOF)
	}
	if n, err := r.ReadAt(p, start+int64(at)); n < len(p) {
		return fmt.Errorf("page %d: %w", page, whole(err))
	}
	return nil
}

// whole is the error of a read that gave less than it had to.
func whole(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// pageSet is a set of pages. It takes a bit for each page near one it holds.
type pageSet map[uint32]*[1 << 10]uint64

// add reports whether the page was not in the set.
func (s *pageSet) add(page uint32) bool {
	if *s == nil {
		*s = pageSet{}
	}
	part := (*s)[page>>16]
	if part == nil {
		part = new([1 << 10]uint64)
		(*s)[page>>16] = part
	}
	word, bit := &part[page&0xffff>>6], uint64(1)<<(page&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
