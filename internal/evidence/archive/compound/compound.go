// Package compound reads OLE compound files, which Word, Excel, PowerPoint and
// Outlook wrote their documents in, and Windows its Thumbs.db: a file system of
// its own, with storages for folders and streams for files.
//
// Call [Open], look through [File.Entries], and read a stream with
// [File.Content]. The document is [MS-CFB], whose section numbers stand in the
// comments.
//
// Promised: chains of sectors that loop, cross or leave the file end, and say
// so; memory grows with the number of entries, and never by a number that a
// header claims; a stream that is listed under no storage is an entry all the
// same. Not promised: what the bytes of a stream mean, and that two streams do
// not share their sectors.
package compound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tutela/internal/evidence"
)

// Magic begins every compound file.
const Magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

const (
	headerBytes = 512
	entryBytes  = 128
	inHeader    = 109 // sectors of the FAT that the header names (2.2)

	// MaxEntries bounds the directory. More are left, and File.Cut says so.
	MaxEntries = 1 << 18
	// cutoff is the size below which a stream lies in the mini stream (2.2);
	// no other value is allowed.
	cutoff    = 4096
	miniBytes = 64
)

// Special sector numbers (2.1).
const (
	maxSector = 0xfffffffa // from here on: free, end of chain, tables
)

// Kind is what an entry is (2.6.1).
type Kind uint8

// The kinds of entries that are in use.
const (
	Storage Kind = 1
	Stream  Kind = 2
	Root    Kind = 5
)

// Entry is one entry of the directory.
type Entry struct {
	Name     []byte // UTF-16LE
	Kind     Kind
	Size     int64     // bytes
	Parent   int       // index of the storage it is in; -1 for the root and for Lost ones
	Lost     bool      // no storage lists it
	Modified time.Time // zero if not told
	Created  time.Time

	start              uint32
	left, right, child uint32
}

// File is an opened compound file. It is not safe for concurrent use; the
// contents it gives out are.
type File struct {
	// Entries is the directory in the order it is stored in.
	Entries []Entry
	// Cut says why the directory is not whole, nil if it is.
	Cut error

	source    evidence.Source
	shift     uint // of a sector's size
	sectors   uint32
	fat       []uint32 // sectors that hold the FAT
	miniFAT   []uint32 // sectors that hold the mini FAT
	mini      []uint32 // sectors of the mini stream
	wideSizes bool     // version 4: sizes have 64 bits

	table   []byte // the sector of a table that was looked at last
	tableAt uint32 // its number
}

var (
	// ErrNot means that the bytes do not begin a compound file.
	ErrNot = errors.New("not a compound file")

	errChain = errors.New("a chain of sectors does not hold together")
)

// Open reads header, allocation tables and directory. The error wraps ErrNot
// where there is no compound file; any other means that nothing can be listed.
func Open(content io.ReaderAt, size int64) (*File, error) {
	h := make([]byte, headerBytes)
	if n, err := content.ReadAt(h, 0); n < len(h) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("header: %w", err)
	}
	if string(h[:8]) != Magic {
		return nil, ErrNot
	}
	f := &File{source: source{content, size}, shift: uint(binary.LittleEndian.Uint16(h[30:])), wideSizes: binary.LittleEndian.Uint16(h[26:]) >= 4}
	if f.shift != 9 && f.shift != 12 {
		return nil, fmt.Errorf("header: sectors of 2^%d bytes", f.shift)
	}
	// The header takes a whole sector; the last may be cut short.
	f.sectors = uint32(min((size-1)>>f.shift, maxSector))
	if err := f.readFAT(h); err != nil {
		return nil, err
	}
	if err := f.readDirectory(binary.LittleEndian.Uint32(h[48:])); err != nil {
		return nil, err
	}
	f.readMini(binary.LittleEndian.Uint32(h[60:]))
	f.arrange()
	return f, nil
}

type source struct {
	io.ReaderAt
	size int64
}

func (s source) Size() int64 { return s.size }

// readFAT finds the sectors of the FAT: 109 in the header, more in a chain
// (2.5).
func (f *File) readFAT(h []byte) error {
	f.addFAT(h[76:headerBytes])
	next := binary.LittleEndian.Uint32(h[68:])
	buf := make([]byte, 1<<f.shift)
	for range f.sectors { // each sector once at most
		if next >= maxSector {
			return nil
		}
		if err := f.sector(next, buf); err != nil {
			return fmt.Errorf("sector %d of the table of tables: %w", next, err)
		}
		last := len(buf) - 4
		f.addFAT(buf[:last])
		next = binary.LittleEndian.Uint32(buf[last:])
	}
	return nil
}

func (f *File) addFAT(b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		if s := binary.LittleEndian.Uint32(b); s < f.sectors && uint32(len(f.fat)) < f.sectors {
			f.fat = append(f.fat, s)
		}
	}
}

// sector reads one; what lies behind the end of the file is zeros, if the sector
// begins inside.
func (f *File) sector(n uint32, buf []byte) error {
	if n >= f.sectors {
		return errChain
	}
	got, err := f.source.ReadAt(buf, f.offset(n))
	clear(buf[got:])
	if got == 0 && err != nil {
		return err
	}
	return nil
}

func (f *File) offset(sector uint32) int64 { return (int64(sector) + 1) << f.shift }

// next looks up the FAT.
func (f *File) next(n uint32) (uint32, error) { return f.lookUp(f.fat, n) }

func (f *File) lookUp(table []uint32, n uint32) (uint32, error) {
	perSector := uint32(1) << (f.shift - 2)
	if n/perSector >= uint32(len(table)) {
		return 0, errChain
	}
	if want := table[n/perSector]; f.table == nil || f.tableAt != want {
		if f.table == nil {
			f.table = make([]byte, 1<<f.shift)
		}
		if err := f.sector(want, f.table); err != nil {
			f.table = nil
			return 0, err
		}
		f.tableAt = want
	}
	return binary.LittleEndian.Uint32(f.table[n%perSector*4:]), nil
}

// chain follows a chain of at most so many sectors. What it followed until an
// error stands.
func (f *File) chain(first uint32, most int64) (sectors []uint32, err error) {
	for n := first; n < maxSector; {
		if int64(len(sectors)) >= most {
			return sectors, nil
		}
		if n >= f.sectors || uint32(len(sectors)) >= f.sectors {
			return sectors, errChain
		}
		sectors = append(sectors, n)
		if n, err = f.next(n); err != nil {
			return sectors, err
		}
	}
	return sectors, nil
}

func (f *File) readDirectory(first uint32) error {
	perSector := int64(1) << f.shift / entryBytes
	sectors, err := f.chain(first, MaxEntries/perSector)
	f.Cut = err
	buf := make([]byte, 1<<f.shift)
	for _, s := range sectors {
		if err := f.sector(s, buf); err != nil {
			f.Cut = err
			break
		}
		for b := buf; len(b) >= entryBytes; b = b[entryBytes:] {
			f.Entries = append(f.Entries, f.entry(b[:entryBytes]))
		}
	}
	if len(f.Entries) == 0 || f.Entries[0].Kind != Root {
		return fmt.Errorf("the directory does not begin with a root: %w", errors.Join(f.Cut, errChain))
	}
	if int64(len(f.Entries)) >= MaxEntries {
		f.Cut = fmt.Errorf("more than %d entries", MaxEntries)
	}
	return nil
}

func (f *File) entry(b []byte) Entry {
	e := Entry{
		Kind: Kind(b[66]), Parent: -1,
		left: binary.LittleEndian.Uint32(b[68:]), right: binary.LittleEndian.Uint32(b[72:]), child: binary.LittleEndian.Uint32(b[76:]),
		Created: fileTime(b[100:]), Modified: fileTime(b[108:]),
		start: binary.LittleEndian.Uint32(b[116:]), Size: int64(binary.LittleEndian.Uint32(b[120:])),
	}
	if f.wideSizes {
		e.Size = int64(binary.LittleEndian.Uint64(b[120:]) & (1<<62 - 1))
	}
	if n := int(binary.LittleEndian.Uint16(b[64:])); n >= 2 && n <= 64 {
		e.Name = append(e.Name, b[:n-2]...)
	}
	return e
}

// fileTime is 100 ns from 1601.
func fileTime(b []byte) time.Time {
	const toUnix = 11644473600 // seconds
	v := binary.LittleEndian.Uint64(b)
	if v == 0 {
		return time.Time{}
	}
	if t := time.Unix(int64(v/1e7)-toUnix, int64(v%1e7)*100).UTC(); t.Year() <= 9999 {
		return t
	}
	return time.Time{}
}

// readMini finds the mini stream, where small streams lie: the root's content.
func (f *File) readMini(first uint32) {
	root := &f.Entries[0]
	f.mini, _ = f.chain(root.start, (root.Size+1<<f.shift-1)>>f.shift)
	// A number of the mini FAT has four bytes and stands for 64 of the stream.
	f.miniFAT, _ = f.chain(first, int64(len(f.mini))/16+1)
}

// arrange gives each entry its storage: the children of a storage are a tree
// (2.6.4).
func (f *File) arrange() {
	seen := make([]bool, len(f.Entries))
	seen[0] = true
	type step struct {
		entry  uint32
		parent int
	}
	stack := []step{{f.Entries[0].child, 0}}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if s.entry >= uint32(len(f.Entries)) || seen[s.entry] {
			continue
		}
		seen[s.entry] = true
		e := &f.Entries[s.entry]
		e.Parent = s.parent
		stack = append(stack, step{e.right, s.parent}, step{e.left, s.parent})
		if e.Kind == Storage {
			stack = append(stack, step{e.child, int(s.entry)})
		}
	}
	for i := range f.Entries {
		f.Entries[i].Lost = !seen[i]
	}
}

// Content is where a stream's bytes lie in the file. An error says that not all
// are found; what is found then stands, and reading on behind it fails.
func (f *File) Content(index int) (*evidence.Extents, error) {
	e := &f.Entries[index]
	if e.Size < cutoff {
		return f.small(e)
	}
	sectors, err := f.chain(e.start, (e.Size+1<<f.shift-1)>>f.shift)
	extents := make([]evidence.Extent, 0, 8)
	for _, s := range sectors {
		extents = join(extents, f.offset(s), 1<<f.shift)
	}
	return evidence.NewExtents(f.source, extents, e.Size), f.whole(err, int64(len(sectors))<<f.shift, e.Size)
}

func (f *File) whole(err error, found, size int64) error {
	if err == nil && found < size {
		err = fmt.Errorf("its chain ends after %d of %d bytes: %w", found, size, io.ErrUnexpectedEOF)
	}
	return err
}

// join appends a stretch to the last extent where it touches it.
func join(extents []evidence.Extent, offset, length int64) []evidence.Extent {
	if last := len(extents) - 1; last >= 0 && extents[last].Offset+extents[last].Length == offset {
		extents[last].Length += length
		return extents
	}
	return append(extents, evidence.Extent{Offset: offset, Length: length})
}

// small is a stream in the mini stream (2.4): sectors of 64 bytes.
func (f *File) small(e *Entry) (*evidence.Extents, error) {
	var extents []evidence.Extent
	var found int64
	var err error
	perSector := uint32(1) << (f.shift - 6)
	for n := e.start; found < e.Size && n < maxSector; {
		if n/perSector >= uint32(len(f.mini)) {
			err = errChain
			break
		}
		extents = join(extents, f.offset(f.mini[n/perSector])+int64(n%perSector)*miniBytes, miniBytes)
		found += miniBytes
		if n, err = f.lookUp(f.miniFAT, n); err != nil {
			break
		}
	}
	if found >= e.Size {
		err = nil
	}
	return evidence.NewExtents(f.source, extents, e.Size), f.whole(err, found, e.Size)
}
