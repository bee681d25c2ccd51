// Package pst reads the files Outlook keeps mail in: PST, and OST as it was
// until 2010. It finds the messages in them, with their text and attachments.
//
// Call [Open] and go through [File.Messages]. The document is [MS-PST], whose
// section numbers stand in the comments: pages and blocks are its node database
// layer (2.2), heaps and properties its lists, tables and properties layer
// (2.3). Messages are found in the tree of all nodes, and not by the tables of
// contents of their folders, so that one that no folder lists is there too.
// What is in "Deleted Items" is in a folder as any other.
//
// Promised: checksums of pages and blocks hold for everything that is given out;
// trees that loop end; memory stays small, whatever sizes the file claims. Not
// promised: the code page of text that is not Unicode, taken for Windows-1252.
// Not read: files of 4 KiB pages (OST since 2013), contacts' and calendars'
// own properties, and pages that no tree names any more.
package pst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"tutela/internal/evidence"
)

// Magic begins every file.
const Magic = "!BDN"

const (
	pageBytes  = 512
	maxBlock   = 8 << 10 // bytes, with its trailer (2.2.2.8)
	maxLevels  = 10      // of a tree
	cachePages = 256
)

// Types of pages (2.2.2.7.1).
const (
	blocksPage = 0x80
	nodesPage  = 0x81
)

// Options say how a file is read.
type Options struct {
	// Spend is told of every block that is read to find messages and what is
	// in them. An error from it ends the reading. It must not be nil.
	Spend func(n int64) error
}

// File is an opened file. It is not safe for concurrent use.
type File struct {
	content io.ReaderAt
	size    int64
	options Options
	wide    bool // "Unicode": numbers have 64 bits
	method  byte // of encoding

	nodes, blocks ref // roots of the trees
	pages         map[uint64][]byte
	folders       map[uint32]folder
	damaged       func(error)
}

// ref is a place in the file (BREF, 2.2.2.4).
type ref struct{ bid, at uint64 }

// Open reads the header (2.2.2.6). damaged is told of what does not hold
// together, wherever it is met.
func Open(content io.ReaderAt, size int64, o Options, damaged func(error)) (*File, error) {
	h := make([]byte, 564)
	n, err := content.ReadAt(h, 0)
	if n < len(h) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &File{content: content, size: size, options: o, damaged: damaged, pages: map[uint64][]byte{}, folders: map[uint32]folder{}}
	switch version := binary.LittleEndian.Uint16(h[10:]); {
	case version == 14 || version == 15:
		f.nodes, f.blocks = f.narrowRef(h[184:]), f.narrowRef(h[192:])
		f.method = h[461]
	case version == 36 || version == 37:
		return nil, fmt.Errorf("pages of 4 KiB (version %d) not read: %w", version, evidence.ErrUnsupported)
	case version >= 20 && version < 36:
		f.wide = true
		f.nodes, f.blocks = wideRef(h[216:]), wideRef(h[232:])
		f.method = h[513]
	default:
		return nil, fmt.Errorf("version %d: %w", version, evidence.ErrUnsupported)
	}
	if f.method > encodedCyclic {
		return nil, fmt.Errorf("encoding %d: %w", f.method, evidence.ErrUnsupported)
	}
	// The checksum is of what stands from the client's magic on (dwCRCPartial).
	if sum(h[8:8+471]) != binary.LittleEndian.Uint32(h[4:]) {
		damaged(errors.New("the checksum of the header does not hold"))
	}
	return f, nil
}

func wideRef(b []byte) ref {
	return ref{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func (f *File) narrowRef(b []byte) ref {
	return ref{uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))}
}

// number reads a number that has the width of the file.
func (f *File) number(b []byte) uint64 {
	if f.wide {
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

// width is that of a number, in bytes.
func (f *File) width() int {
	if f.wide {
		return 8
	}
	return 4
}

// sum is the checksum of 5.3: CRC-32 that begins with zeros and is not turned.
func sum(b []byte) uint32 { return ^crc32.Update(^uint32(0), crc32.IEEETable, b) }

// signature is that of 5.5.
func signature(at, bid uint64) uint16 {
	v := uint32(at) ^ uint32(bid)
	return uint16(v>>16) ^ uint16(v)
}

// page is a page of a tree (BTPAGE, 2.2.2.7.7.1), its checksum verified.
type page struct {
	entries []byte
	each    int // bytes of an entry
	level   int
}

func (p page) entry(i int) []byte { return p.entries[i*p.each:][:p.each] }
func (p page) count() int         { return len(p.entries) / p.each }

func (f *File) page(r ref, kind byte) (p page, err error) {
	b, known := f.pages[r.at]
	if !known {
		if b, err = f.readPage(r, kind); err != nil {
			return p, fmt.Errorf("page at byte %d: %w", r.at, err)
		}
		if len(f.pages) >= cachePages {
			clear(f.pages)
		}
		f.pages[r.at] = b
	}
	tail := b[496:] // 2.2.2.7.7.1: counts stand behind the entries
	if f.wide {
		tail = b[488:]
	}
	count, each, level := int(tail[0]), int(tail[2]), int(tail[3])
	least := 3 * f.width()
	if level == 0 && kind == nodesPage {
		least = 4 * f.width()
	}
	room := len(b) - len(tail)
	if each < least || count*each > room || level >= maxLevels {
		return p, fmt.Errorf("page at byte %d: %d entries of %d bytes", r.at, count, each)
	}
	return page{b[:count*each], each, level}, nil
}

func (f *File) readPage(r ref, kind byte) ([]byte, error) {
	b := make([]byte, pageBytes)
	if r.at > uint64(f.size) {
		return nil, io.ErrUnexpectedEOF
	}
	if n, err := f.content.ReadAt(b, int64(r.at)); n < len(b) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	trailer, stored, bid := b[500:], uint32(0), uint64(0)
	if f.wide {
		trailer = b[496:]
		stored, bid = binary.LittleEndian.Uint32(trailer[4:]), binary.LittleEndian.Uint64(trailer[8:])
	} else {
		bid, stored = uint64(binary.LittleEndian.Uint32(trailer[4:])), binary.LittleEndian.Uint32(trailer[8:])
	}
	switch {
	case trailer[0] != kind || trailer[1] != kind:
		return nil, fmt.Errorf("it is of type %#x, not %#x", trailer[0], kind)
	case sum(b[:len(b)-len(trailer)]) != stored:
		return nil, errors.New("its checksum does not hold")
	case bid != r.bid:
		return nil, errors.New("it is another page than the tree names")
	}
	return b, nil
}

// child is the reference in an entry of a page that is no leaf (BTENTRY).
func (f *File) child(entry []byte) ref {
	w := f.width()
	return ref{f.number(entry[w:]), f.number(entry[2*w:])}
}

// find looks for the entry of a key.
func (f *File) find(root ref, kind byte, key uint64) ([]byte, error) {
	for range maxLevels {
		p, err := f.page(root, kind)
		if err != nil {
			return nil, err
		}
		i := 0
		for i < p.count() && f.key(p, i, kind) <= key {
			i++
		}
		if i--; i < 0 {
			return nil, nil
		}
		if p.level == 0 {
			if f.key(p, i, kind) != key {
				return nil, nil
			}
			return p.entry(i), nil
		}
		root = f.child(p.entry(i))
	}
	return nil, errors.New("a tree that is too high")
}

// key is an entry's. The first bit of a block's number does not count (2.2.2.2).
func (f *File) key(p page, i int, kind byte) uint64 {
	k := f.number(p.entry(i))
	if kind == nodesPage {
		return k & 0xffffffff
	}
	return k &^ 1
}

// node is an entry of the tree of nodes (NBTENTRY, 2.2.2.7.7.4), or of a tree of
// nodes below one.
type node struct {
	id, parent uint32
	data, sub  uint64 // blocks
}

func (f *File) node(entry []byte) node {
	w := f.width()
	return node{uint32(f.number(entry)), binary.LittleEndian.Uint32(entry[3*w:]), f.number(entry[w:]), f.number(entry[2*w:])}
}

// lookUp finds a node; ok is false if there is none.
func (f *File) lookUp(id uint32) (n node, ok bool, err error) {
	entry, err := f.find(f.nodes, nodesPage, uint64(id))
	if entry == nil || err != nil {
		return n, false, err
	}
	return f.node(entry), true, nil
}

// eachNode visits all nodes in their order. A page that cannot be read is told
// as damage.
func (f *File) eachNode(r ref, left *int64, visit func(node) error) error {
	if *left--; *left < 0 {
		return errors.New("the tree of nodes has more pages than the file")
	}
	p, err := f.page(r, nodesPage)
	if err != nil {
		f.damaged(fmt.Errorf("nodes are lost: %w", err))
		return nil
	}
	for i := range p.count() {
		if p.level == 0 {
			err = visit(f.node(p.entry(i)))
		} else {
			err = f.descend(p, i, left, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// descend goes one level down, and never up: so no tree loops.
func (f *File) descend(p page, i int, left *int64, visit func(node) error) error {
	r := f.child(p.entry(i))
	if below, err := f.page(r, nodesPage); err == nil && below.level >= p.level {
		f.damaged(errors.New("nodes are lost: a tree that leads to itself"))
		return nil
	}
	return f.eachNode(r, left, visit)
}
