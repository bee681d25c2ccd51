package xfs

import (
	"encoding/binary"
	"sort"

	"tutela"
)

// The log is a ring of 512-byte blocks. Each carries the number of the cycle it
// was written in, in its first word, or in the second where the first is the
// mark of a record (XFSDS "Journaling Log"). A volume that was unmounted ends
// with a record that says so.

const (
	logBlock     = 512
	logMagic     = 0xfeedbabe
	logHeadBytes = 32 << 10 // of a record's content that one header covers
	logUnmount   = 0x20     // of an operation: the log is closed
	logBackward  = 4096     // blocks; a record has at most 256 KiB
)

// checkLog says where changes may lie in the log that are not on the volume.
func (fs *FileSystem) checkLog() {
	if fs.sb.logStart == 0 {
		fs.find(tutela.FindingUnsupported, "the log is on another device: not known whether it holds changes that are not here")
		return
	}
	at, err := fs.sb.place(fs.sb.logStart)
	blocks := int64(fs.sb.logBlocks) << fs.sb.blockLog / logBlock
	if err != nil || blocks == 0 || at+blocks*logBlock > fs.src.Size() {
		fs.find(tutela.FindingDamaged, "the log cannot be found: not known whether it holds changes that are not here")
		return
	}
	l := ring{fs, at, blocks}
	if !l.closed() {
		fs.find(tutela.FindingDamaged, "the log was not closed: what it holds of the last changes is not replayed, names and contents may be those before them")
	}
}

type ring struct {
	fs     *FileSystem
	at     int64 // bytes of the volume
	blocks int64
}

// words are the first of a log block; zeros where it cannot be read.
func (l *ring) words(block int64) (magic, cycle uint32) {
	var b [8]byte
	if l.fs.readFull(b[:], l.at+block%l.blocks*logBlock) != nil {
		return 0, 0
	}
	magic = binary.BigEndian.Uint32(b[:])
	if magic == logMagic {
		return magic, binary.BigEndian.Uint32(b[4:])
	}
	return magic, magic
}

// closed reports whether the last record in the log is the one that unmounting
// writes.
func (l *ring) closed() bool {
	_, newest := l.words(0)
	head := int64(sort.Search(int(l.blocks), func(i int) bool {
		_, cycle := l.words(int64(i))
		return cycle != newest
	}))
	for back := int64(1); back <= min(logBackward, l.blocks); back++ {
		record := (head - back + l.blocks) % l.blocks
		if magic, _ := l.words(record); magic == logMagic {
			return l.unmounts(record, back)
		}
	}
	return newest == 0 // never used
}

// unmounts reports whether the record says that the log is closed, and is as
// long as what is written behind it.
func (l *ring) unmounts(record, written int64) bool {
	b := make([]byte, logBlock)
	if l.fs.readFull(b, l.at+record*logBlock) != nil {
		return false
	}
	be := binary.BigEndian
	heads := int64(1)
	if size := be.Uint32(b[320:]); be.Uint32(b[8:])&2 != 0 && size > logHeadBytes {
		heads = int64(size+logHeadBytes-1) / logHeadBytes
	}
	length := heads + (int64(be.Uint32(b[12:]))+logBlock-1)/logBlock
	if be.Uint32(b[40:]) != 1 || length != written {
		return false
	}
	if l.fs.readFull(b, l.at+(record+heads)%l.blocks*logBlock) != nil {
		return false
	}
	return b[9]&logUnmount != 0
}
