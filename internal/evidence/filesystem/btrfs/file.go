package btrfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

const (
	inodeBytes    = 160
	dirItemBytes  = 30
	extentInline  = 0
	extentPlain   = 1
	extentPlanned = 2 // allocated, not written
	inlineHead    = 21
	extentBytes   = 53

	compressNone = 0
	compressZlib = 1
	compressLZO  = 2
	compressZstd = 3

	maxPacked  = 128 << 10 // bytes of a compressed extent, packed or expanded
	maxExtents = 1 << 22   // of one file, held in memory
	maxInline  = 64 << 10
)

// inode is BTRFS "Inode item".
type inode struct {
	size   int64
	links  uint32
	mode   uint32
	device uint64
	times  tutela.Times
}

func parseInode(b []byte) (i inode, err error) {
	if len(b) < inodeBytes {
		return i, fmt.Errorf("an inode of %d bytes", len(b))
	}
	le := binary.LittleEndian
	i = inode{size: int64(le.Uint64(b[16:])), links: le.Uint32(b[40:]), mode: le.Uint32(b[52:]), device: le.Uint64(b[56:])}
	i.times = tutela.Times{Accessed: stamp(b[112:]), Changed: stamp(b[124:]), Modified: stamp(b[136:]), Born: stamp(b[148:])}
	if i.size < 0 {
		return i, fmt.Errorf("a size of %d bytes", i.size)
	}
	return i, nil
}

// stamp is seconds since 1970 and nanoseconds; the zero time beyond year 9999.
func stamp(b []byte) time.Time {
	seconds, nano := int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint32(b[8:])
	const year10000 = 253402300800
	if seconds == 0 && nano == 0 || seconds >= year10000 || seconds < -year10000 {
		return time.Time{}
	}
	return time.Unix(seconds, int64(nano)%1e9).UTC()
}

func (i *inode) kind() tutela.EntryKind {
	switch i.mode & 0xf000 {
	case 0x4000:
		return tutela.Directory
	case 0xa000:
		return tutela.Symlink
	case 0x2000, 0x6000:
		return tutela.Device
	case 0x1000:
		return tutela.Pipe
	case 0xc000:
		return tutela.Socket
	}
	return tutela.File
}

// piece is a stretch of a content: as it lies in the source, zeros, or bytes of
// something that must be expanded.
type piece struct {
	from, length int64 // in the content
	at           int64 // in the source, or evidence.Hole
	packed       int64 // bytes there; 0: not compressed
	expanded     int64 // bytes of all that comes out
	skip         int64 // of those, before the first that counts
	compression  byte
	inline       []byte // the bytes themselves, packed or not
}

// pieces are the parts of a content in their order, without gaps.
func (fs *FileSystem) pieces(root node, number uint64, size int64) (all []piece, err error) {
	var end int64
	hole := func(to int64) {
		if to > end {
			all = append(all, piece{from: end, length: to - end, at: evidence.Hole})
			end = to
		}
	}
	err = fs.scan(root, key{number, itemExtent, 0}, key{number, itemExtent, math.MaxUint64}, func(k key, b []byte) error {
		if int64(k.offset) < end && end < size || k.offset > math.MaxInt64 {
			return fmt.Errorf("extents lie over each other at byte %d", k.offset)
		}
		if len(all) >= maxExtents {
			return fmt.Errorf("more than %d extents: %w", maxExtents, errLimit)
		}
		p, err := fs.extent(int64(k.offset), b)
		if err != nil {
			return err
		}
		hole(min(p.from, size))
		for p.from < size && p.length > 0 {
			part, err := fs.place(&p)
			if err != nil {
				return err
			}
			part.length = min(part.length, size-part.from)
			all = append(all, part)
			end = part.from + part.length
		}
		return nil
	})
	if err == nil {
		hole(size)
	}
	return all, err
}

// extent is BTRFS "File extent item". The place is still a logical address.
func (fs *FileSystem) extent(from int64, b []byte) (p piece, err error) {
	le := binary.LittleEndian
	if len(b) < inlineHead {
		return p, fmt.Errorf("an extent of %d bytes", len(b))
	}
	p = piece{from: from, expanded: int64(le.Uint64(b[8:])), compression: b[16], at: evidence.Hole}
	if b[17] != 0 || b[18] != 0 || b[19] != 0 {
		return p, fmt.Errorf("encryption %d, encoding %d not read: %w", b[17], le.Uint16(b[18:]), evidence.ErrUnsupported)
	}
	if b[20] == extentInline {
		p.inline = bytes.Clone(b[inlineHead:])
		p.length = p.expanded
		if p.expanded < 0 || p.expanded > maxInline || p.compression == compressNone && p.expanded > int64(len(p.inline)) {
			return p, fmt.Errorf("%d bytes of content, %d in the tree", p.expanded, len(p.inline))
		}
		return p, nil
	}
	if len(b) < extentBytes {
		return p, fmt.Errorf("an extent of %d bytes", len(b))
	}
	address, packed := le.Uint64(b[21:]), int64(le.Uint64(b[29:]))
	p.skip, p.length = int64(le.Uint64(b[37:])), int64(le.Uint64(b[45:]))
	if p.skip < 0 || p.length <= 0 || packed < 0 || p.skip > 1<<62 || p.length > math.MaxInt64-from || b[20] > extentPlanned {
		return p, fmt.Errorf("extent of kind %d: bytes %d to %d of %d", b[20], p.skip, p.length, packed)
	}
	if address == 0 || b[20] == extentPlanned {
		p.compression = compressNone
		return p, nil
	}
	if p.compression != compressNone {
		p.packed = packed
		if packed == 0 || packed > maxPacked || p.expanded <= 0 || p.expanded > maxPacked || p.skip+p.length > p.expanded {
			return p, fmt.Errorf("a packed extent of %d bytes: %d to %d of %d", packed, p.skip, p.length, p.expanded)
		}
	} else if address += uint64(p.skip); p.skip+p.length > packed {
		return p, fmt.Errorf("bytes %d to %d of an extent of %d", p.skip, p.skip+p.length, packed)
	}
	if address > math.MaxInt64 {
		return p, fmt.Errorf("address %d", address)
	}
	p.at = int64(address)
	return p, nil
}

// place takes the first part of p that lies in one chunk, with its place in the
// source.
func (fs *FileSystem) place(p *piece) (part piece, err error) {
	part = *p
	if p.inline != nil || p.at == evidence.Hole {
		p.from, p.length = p.from+p.length, 0
		return part, nil
	}
	need := uint64(p.length)
	if p.packed > 0 {
		need = uint64(p.packed)
	}
	places, most, err := fs.places(uint64(p.at), need)
	if err != nil {
		return part, err
	}
	part.at = places[0]
	if p.packed > 0 {
		if most < need {
			return part, fmt.Errorf("a packed extent at address %d lies in two chunks", p.at)
		}
		p.from, p.length = p.from+p.length, 0
		return part, nil
	}
	part.length = int64(most)
	p.from, p.at, p.length = p.from+part.length, p.at+part.length, p.length-part.length
	return part, nil
}
