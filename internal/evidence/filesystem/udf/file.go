package udf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// A file entry says what a file is and where it lies (ECMA 4/14.9, and 4/14.17
// for the extended one).

// Kinds of file (ECMA 4/14.6.6).
const (
	typeDirectory = 4
	typeBlock     = 6
	typeChar      = 7
	typePipe      = 9
	typeSocket    = 10
	typeLink      = 12
	typeStreamDir = 13
)

// How the descriptors in a file entry are written (ECMA 4/14.6.8).
const (
	shortExtents = iota
	longExtents
	extendedExtents
	embedded // the content itself
)

const (
	strategyChain = 4096 // a new entry is written behind the old one
	maxChain      = 1 << 12
	maxExtents    = 1 << 22 // of one file, held in memory
	headBytes     = 176     // of a file entry
	headBytes2    = 216     // of an extended one
	deviceEA      = 12      // ECMA 4/14.10.7
)

// file is a file entry.
type file struct {
	tag        tag
	at         longAD // where it lies
	kind       byte
	size       int64
	times      tutela.Times
	how        byte   // its descriptors are written
	rest       []byte // descriptors, or content
	attributes []byte
	streams    longAD
	unique     uint64
	badSum     bool
}

func (f *file) isDirectory() bool { return f.kind == typeDirectory || f.kind == typeStreamDir }

// file reads the file entry at a place. Where entries follow each other, it is
// the last that counts (ECMA 4/14.6.2).
func (fs *FileSystem) file(at longAD) (*file, error) {
	var found *file
	for range maxChain {
		b, err := fs.block(at.partition, at.block)
		if err != nil {
			if found != nil {
				return found, nil
			}
			return nil, fmt.Errorf("file entry in block %d: %w", at.block, err)
		}
		f, err := fs.parseFile(b, at)
		if err != nil {
			if found != nil {
				return found, nil // the next was not written yet
			}
			return nil, fmt.Errorf("file entry in block %d: %w", at.block, err)
		}
		found = f
		next, ok := fs.nextEntry(b, at)
		if !ok {
			return found, nil
		}
		at = next
	}
	return nil, fmt.Errorf("file entry in block %d: more than %d follow each other", at.block, maxChain)
}

// nextEntry is where the entry that took the place of the one in b lies: the
// block behind leads there.
func (fs *FileSystem) nextEntry(b []byte, at longAD) (next longAD, ok bool) {
	if binary.LittleEndian.Uint16(b[20:]) != strategyChain {
		return at, false
	}
	b, err := fs.block(at.partition, at.block+1)
	if err != nil {
		return at, false
	}
	t, err := readTag(b)
	if err != nil || t.id != tagIndirect || !t.covers(b) {
		return at, false
	}
	next = parseLongAD(b[36:])
	return next, next.bytes() > 0
}

func (fs *FileSystem) parseFile(b []byte, at longAD) (*file, error) {
	t, err := readTag(b)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	f := &file{tag: t, at: at, kind: b[27], how: byte(le.Uint16(b[34:]) & 7), size: int64(le.Uint64(b[56:])), badSum: !t.covers(b)}
	head := headBytes
	switch t.id {
	case tagFile:
		f.times = tutela.Times{Accessed: stamp(b[72:]), Modified: stamp(b[84:]), Changed: stamp(b[96:])}
		f.unique = le.Uint64(b[160:])
	case tagExtendedFile:
		head = headBytes2
		f.times = tutela.Times{Accessed: stamp(b[80:]), Modified: stamp(b[92:]), Born: stamp(b[104:]), Changed: stamp(b[116:])}
		f.streams = parseLongAD(b[152:])
		f.unique = le.Uint64(b[200:])
	default:
		return nil, fmt.Errorf("a descriptor of kind %d", t.id)
	}
	attributes, rest := int64(le.Uint32(b[head-8:])), int64(le.Uint32(b[head-4:]))
	if int64(head)+attributes+rest > int64(len(b)) || f.size < 0 || f.how > embedded {
		return nil, fmt.Errorf("%d bytes of attributes, %d of descriptors, a size of %d", attributes, rest, f.size)
	}
	f.attributes = b[head : int64(head)+attributes]
	f.rest = b[int64(head)+attributes : int64(head)+attributes+rest]
	if f.how == embedded && f.size > int64(len(f.rest)) {
		return nil, fmt.Errorf("%d bytes of content in a file entry with room for %d", f.size, len(f.rest))
	}
	return f, nil
}

// device is the number in the attribute that holds it (ECMA 4/14.10.7).
func (f *file) device() (major, minor uint32) {
	le := binary.LittleEndian
	b := f.attributes
	for b = b[min(24, len(b)):]; len(b) >= 24; {
		length := int(le.Uint32(b[8:]))
		if le.Uint32(b) == deviceEA {
			return le.Uint32(b[16:]), le.Uint32(b[20:])
		}
		if length < 12 || length > len(b) {
			break
		}
		b = b[length:]
	}
	return 0, 0
}

// mapping is where a content lies.
type mapping struct {
	extents []evidence.Extent // holes among them
	ends    []int64           // of each, from the beginning of the content
	spare   int64             // bytes of the last block behind the end of the last extent
}

func (m *mapping) length() int64 {
	if len(m.ends) == 0 {
		return 0
	}
	return m.ends[len(m.ends)-1]
}

func (m *mapping) add(at, length int64) error {
	last := len(m.extents) - 1
	if last >= 0 && (at == evidence.Hole && m.extents[last].Offset == evidence.Hole ||
		at != evidence.Hole && m.extents[last].Offset != evidence.Hole && m.extents[last].Offset+m.extents[last].Length == at) {
		m.extents[last].Length += length
		m.ends[last] += length
		return nil
	}
	if len(m.extents) == maxExtents {
		return fmt.Errorf("more than %d extents: %w", maxExtents, errLimit)
	}
	m.extents = append(m.extents, evidence.Extent{Offset: at, Length: length})
	m.ends = append(m.ends, m.length()+length)
	return nil
}

// place is where byte off of the content lies, and how many bytes from it on lie
// behind it; 0 if it has no such byte.
func (m *mapping) place(off int64) (at, length int64) {
	i := sort.Search(len(m.ends), func(i int) bool { return off < m.ends[i] })
	if off < 0 || i == len(m.ends) {
		return 0, 0
	}
	length = m.ends[i] - off
	if m.extents[i].Offset == evidence.Hole {
		return evidence.Hole, length
	}
	return m.extents[i].Offset + m.extents[i].Length - length, length
}

// mapOf goes through the descriptors of a file.
func (fs *FileSystem) mapOf(f *file) (*mapping, error) { return fs.mapOn(f, nil) }

// mapOn is mapOf with all extents in one partition, where one is given.
func (fs *FileSystem) mapOn(f *file, on partition) (*mapping, error) {
	m := &mapping{}
	seen := map[int64]bool{}
	for list := f.rest; list != nil; {
		more, err := fs.extents(f, on, list, m)
		if err != nil || more == nil {
			return m, err
		}
		at, _, err := fs.placeOn(on, more.partition, more.block)
		if err != nil {
			return m, fmt.Errorf("list of extents: %w", err)
		}
		if seen[at] {
			return m, errors.New("the list of extents leads in a circle")
		}
		seen[at] = true
		if list, err = fs.moreExtents(at); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (fs *FileSystem) placeOn(on partition, number uint16, block uint32) (int64, int64, error) {
	if on != nil {
		return on.place(block)
	}
	if int(number) >= len(fs.partitions) || fs.partitions[number] == nil {
		return 0, 0, fmt.Errorf("no partition map %d", number)
	}
	return fs.partitions[number].place(block)
}

// moreExtents is ECMA 4/14.5.
func (fs *FileSystem) moreExtents(at int64) ([]byte, error) {
	b := make([]byte, fs.blockBytes)
	if err := readFull(fs.src, b, at); err != nil {
		return nil, fmt.Errorf("list of extents: %w", err)
	}
	t, err := readTag(b)
	if err != nil || t.id != tagMoreExtents {
		return nil, fmt.Errorf("no list of extents at byte %d", at)
	}
	length := binary.LittleEndian.Uint32(b[20:])
	if int64(length) > int64(len(b)-24) {
		return nil, fmt.Errorf("a list of extents of %d bytes at byte %d", length, at)
	}
	return b[24 : 24+length], nil
}

// extents adds the extents of one list; more is where the list goes on.
func (fs *FileSystem) extents(f *file, on partition, list []byte, m *mapping) (more *longAD, err error) {
	width := map[byte]int{shortExtents: 8, longExtents: 16, extendedExtents: 20}[f.how]
	if width == 0 {
		return nil, fmt.Errorf("descriptors of kind %d", f.how)
	}
	for ; len(list) >= width; list = list[width:] {
		a := f.descriptor(list)
		if a.bytes() == 0 {
			return nil, nil
		}
		if a.kind() == extentContinues {
			return &a, nil
		}
		if err := fs.extent(on, a, m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (f *file) descriptor(b []byte) longAD {
	le := binary.LittleEndian
	switch f.how {
	case shortExtents:
		return longAD{length: le.Uint32(b), block: le.Uint32(b[4:]), partition: f.at.partition}
	case extendedExtents:
		return longAD{length: le.Uint32(b), block: le.Uint32(b[12:]), partition: le.Uint16(b[16:])}
	}
	return parseLongAD(b)
}

func (fs *FileSystem) extent(on partition, a longAD, m *mapping) error {
	left := int64(a.bytes())
	m.spare = 0
	if a.kind() != extentRecorded {
		return m.add(evidence.Hole, left)
	}
	for block := int64(a.block); left > 0; {
		at, blocks, err := fs.placeOn(on, a.partition, uint32(block))
		if err != nil {
			return err
		}
		if blocks < 1 || block+blocks > 1<<32 {
			return fmt.Errorf("block %d has no end", block)
		}
		length := min(left, blocks*fs.blockBytes)
		if err := m.add(at, length); err != nil {
			return err
		}
		block += blocks
		left -= length
	}
	m.spare = (fs.blockBytes - int64(a.bytes())%fs.blockBytes) % fs.blockBytes
	return nil
}

// contentOf opens the content of a file.
func (fs *FileSystem) contentOf(f *file) (content, error) { return fs.contentOn(f, nil) }

// content is what can be read anywhere.
type content interface {
	evidence.Content
	ReadAt(p []byte, off int64) (int, error)
}

func (fs *FileSystem) contentOn(f *file, on partition) (content, error) {
	if f.how == embedded {
		return evidence.Bytes(bytes.Clone(f.rest[:f.size])).(content), nil
	}
	m, err := fs.mapOn(f, on)
	if err != nil {
		return nil, err
	}
	return evidence.NewExtents(fs.src, m.extents, f.size), nil
}

// held is the whole content of a file that is needed in memory, of at most most
// bytes.
func (fs *FileSystem) held(f *file, most int64) ([]byte, error) {
	if f.size > most {
		return nil, fmt.Errorf("%d bytes, more than %d: %w", f.size, most, errLimit)
	}
	c, err := fs.contentOf(f)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.size)
	n, err := c.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// target is what a symbolic link leads to (ECMA 4/14.16).
func (fs *FileSystem) target(f *file) ([]byte, error) {
	b, err := fs.held(f, 64<<10)
	if err != nil {
		return nil, err
	}
	var out []byte
	for len(b) >= 4 {
		length := int(b[1])
		if 4+length > len(b) {
			return out, errors.New("the link's target is cut off")
		}
		if len(out) > 0 && out[len(out)-1] != '/' {
			out = append(out, '/')
		}
		switch b[0] {
		case 1, 2:
			out = append(out[:0], '/')
		case 3:
			out = append(out, ".."...)
		case 4:
			out = append(out, '.')
		case 5:
			out = append(out, text(b[4:4+length])...)
		}
		b = b[4+length:]
	}
	return out, nil
}
