package xfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A directory lies in its inode while it is short. Longer ones are blocks of
// records in the first 32 GiB of the directory's own address space; what lies
// behind, hashes of the names and the like, is not needed (XFSDS
// "Directories").

const (
	dirBlock4, dirBlock5 = 0x58443242, 0x58444233 // XD2B, XDB3: the only block
	dirData4, dirData5   = 0x58443244, 0x58444433 // XD2D, XDD3: one of several
	dirHeader4           = 16
	dirHeader5           = 64
	dirDataEnd           = 1 << 35 // bytes: records lie below
	freeTag              = 0xffff
	maxName              = 255
)

// record is one name in a directory. It is valid until the visit of it returns.
type record struct {
	name  []byte
	inode uint64
}

// listing is a directory being read.
type listing struct {
	fs     *FileSystem
	dir    *inode
	give   func(record) error
	freed  func(record) error // names in freed records; inode has 32 bits. nil: not wanted
	budget *int64             // bytes of directory blocks that may still be read

	badSums int
	problem error // why it is not whole; the rest was listed
}

// read lists the directory. An error is that of give or freed.
func (l *listing) read() error {
	if l.dir.format == formatLocal {
		return l.short()
	}
	size := l.fs.sb.blockBytes() << l.fs.sb.dirLog
	blocks := dirBlocks{fs: l.fs, size: size}
	sums, err := l.fs.eachExtent(l.dir, func(e extent) error {
		if e.from >= dirDataEnd>>l.fs.sb.blockLog {
			return nil
		}
		return blocks.add(e, func(at []int64) error {
			if *l.budget -= size; *l.budget < 0 {
				return &treeError{fmt.Errorf("directories have more blocks than the volume: %w", errLimit)}
			}
			return l.block(at)
		})
	})
	l.badSums += sums
	if broken, ok := errors.AsType[*treeError](err); ok {
		l.note(broken)
		return nil
	}
	if err == nil && len(blocks.at) > 0 {
		l.note(errors.New("its last block is not whole"))
	}
	return err
}

func (l *listing) note(err error) {
	if l.problem == nil {
		l.problem = err
	}
}

// dirBlocks collects blocks of the volume until they make a directory block.
type dirBlocks struct {
	fs   *FileSystem
	size int64
	at   []int64 // of the directory block that is being put together
	next uint64  // block of the directory that must follow
}

func (d *dirBlocks) add(e extent, give func(at []int64) error) error {
	for n := range e.count {
		if len(d.at) > 0 && e.from+n != d.next {
			return &treeError{fmt.Errorf("block %d of the directory is missing", d.next)}
		}
		at, err := d.fs.sb.place(e.number + n)
		if err != nil {
			return &treeError{err}
		}
		d.at, d.next = append(d.at, at), e.from+n+1
		if int64(len(d.at))<<d.fs.sb.blockLog < d.size {
			continue
		}
		err = give(d.at)
		d.at = d.at[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// block lists one directory block; what is wrong with it does not end the
// listing.
func (l *listing) block(at []int64) error {
	b := make([]byte, 0, int64(len(at))<<l.fs.sb.blockLog)
	for _, one := range at {
		part := b[len(b) : len(b)+int(l.fs.sb.blockBytes())]
		if err := l.fs.readFull(part, one); err != nil {
			l.note(err)
			return nil
		}
		b = b[:len(b)+len(part)]
	}
	from, to, err := l.area(b)
	if err != nil {
		l.note(fmt.Errorf("directory block at byte %d: %w", at[0], err))
		return nil
	}
	err = l.records(b, from, to)
	if broken, ok := errors.AsType[*treeError](err); ok {
		l.note(fmt.Errorf("directory block at byte %d: %w", at[0], broken))
		return nil
	}
	return err
}

// area is where the records of a directory block lie.
func (l *listing) area(b []byte) (from, to int, err error) {
	from, to = dirHeader4, len(b)
	single := false
	be := binary.BigEndian
	switch magic := be.Uint32(b); magic {
	case dirBlock4, dirBlock5:
		single = true
	case dirData4, dirData5:
	default:
		return 0, 0, fmt.Errorf("number %#x", magic)
	}
	if l.fs.sb.version == 5 {
		from = dirHeader5
		if !goodSum(b, 4) {
			l.badSums++
		}
		if owner := be.Uint64(b[40:]); owner != l.dir.number {
			return 0, 0, fmt.Errorf("it belongs to inode %d", owner)
		}
	}
	if single {
		leaves := int64(be.Uint32(b[len(b)-8:]))
		if leaves > int64(len(b)-from-8)/8 {
			return 0, 0, fmt.Errorf("%d hashes", leaves)
		}
		to = len(b) - 8 - int(leaves)*8
	}
	return from, to, nil
}

// recordBytes is how long the record of a name is: inode, length, name, kind and
// the record's own place, filled up to eight.
func (l *listing) recordBytes(name int) int {
	n := 8 + 1 + name + 2
	if l.fs.sb.hasType {
		n++
	}
	return (n + 7) &^ 7
}

func (l *listing) records(b []byte, from, to int) error {
	be := binary.BigEndian
	for at := from; at+8 <= to; {
		if be.Uint16(b[at:]) == freeTag {
			length := int(be.Uint16(b[at+2:]))
			if length == 0 || length%8 != 0 || at+length > to {
				return &treeError{fmt.Errorf("%d free bytes at %d", length, at)}
			}
			if err := l.free(b[:at+length], at); err != nil {
				return err
			}
			at += length
			continue
		}
		length := l.recordBytes(int(b[at+8]))
		if b[at+8] == 0 || at+length > to || int(be.Uint16(b[at+length-2:])) != at {
			return &treeError{fmt.Errorf("no record at %d", at)}
		}
		if err := l.record(b[at+9:at+9+int(b[at+8])], be.Uint64(b[at:])); err != nil {
			return err
		}
		at += length
	}
	return nil
}

func (l *listing) record(name []byte, inode uint64) error {
	if string(name) == "." || string(name) == ".." {
		return nil
	}
	return l.give(record{name, inode})
}

// free looks for records in a freed stretch, which begins at from and ends with
// b. Freeing puts four bytes over the first half of the inode's number, unless
// what lies before is free too, and the place of the stretch as it was then over
// that of its last record.
func (l *listing) free(b []byte, from int) error {
	if l.freed == nil {
		return nil
	}
	be := binary.BigEndian
	for at := from; at+16 <= len(b); {
		length := l.recordBytes(int(b[at+8]))
		end := at + length
		if b[at+8] == 0 || end > len(b) || !plausible(b[at+9:at+9+int(b[at+8])]) {
			at += 8
			continue
		}
		if tag := int(be.Uint16(b[end-2:])); tag%8 != 0 || tag > at || tag < dirHeader4 {
			at += 8
			continue
		}
		if err := l.freed(record{b[at+9 : at+9+int(b[at+8])], uint64(be.Uint32(b[at+4:]))}); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// plausible reports whether a name can be one that a directory held.
func plausible(name []byte) bool {
	return len(name) > 0 && string(name) != "." && string(name) != ".." && bytes.IndexByte(name, 0) < 0 && bytes.IndexByte(name, '/') < 0
}

// short lists a directory that lies in its inode (XFSDS "Short Form
// Directories").
func (l *listing) short() error {
	b := l.dir.fork
	if l.dir.size > int64(len(b)) || l.dir.size < 6 {
		l.note(fmt.Errorf("a short directory of %d bytes", l.dir.size))
		return nil
	}
	b = b[:l.dir.size]
	count, width := int(b[0]), 4
	if b[1] > 0 {
		width, count = 8, max(count, int(b[1]))
	}
	tail := width
	if l.fs.sb.hasType {
		tail++
	}
	at := 2 + width
	for ; count > 0; count-- {
		if at+3 > len(b) || at+3+int(b[at])+tail > len(b) || b[at] == 0 {
			l.note(fmt.Errorf("a short directory ends before its last %d names", count))
			return nil
		}
		end := at + 3 + int(b[at])
		var number uint64
		for _, c := range b[end+tail-width : end+tail] {
			number = number<<8 | uint64(c)
		}
		if err := l.record(b[at+3:end], number); err != nil {
			return err
		}
		at = end + tail
	}
	return nil
}
