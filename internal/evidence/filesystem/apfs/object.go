package apfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
	"tutela/internal/evidence"
)

// Object types and storage classes (Reference "Object Types", "Object Type
// Flags").
const (
	typeSuperblock    = 0x01
	typeRoot          = 0x02
	typeNode          = 0x03
	typeSpaceManager  = 0x05
	typeChunkAddress  = 0x06
	typeChunkInfo     = 0x07
	typeFreeQueue     = 0x09
	typeObjectMap     = 0x0b
	typeCheckpointMap = 0x0c
	typeVolume        = 0x0d
	typeFileTree      = 0x0e
	typeSnapshots     = 0x10
	typeIntegrity     = 0x1e
	typeExtents       = 0x1f
	anyType           = 0

	storageVirtual   = 0
	storagePhysical  = 0x40000000
	storageEphemeral = 0x80000000
	storageMask      = 0xc0000000
	typeMask         = 0xffff

	objectHeader = 32
)

var little = binary.LittleEndian

// flaw is an error that knows which finding it is.
type flaw struct{ code, detail string }

func (f *flaw) Error() string { return f.detail }

func damaged(format string, args ...any) error {
	return &flaw{tutela.FindingDamaged, fmt.Sprintf(format, args...)}
}

// finding is what err is called in a record.
func finding(err error) tutela.Finding {
	var f *flaw
	if errors.As(err, &f) {
		return tutela.Finding{Code: f.code, Detail: err.Error()}
	}
	return tutela.Finding{Code: tutela.FindingReadError, Detail: err.Error()}
}

// container is where blocks come from.
type container struct {
	src       evidence.Source
	blockSize int64
	blocks    uint64 // that the superblock speaks of; the source may hold fewer
}

// held is how many bytes of the container the source can give.
func (c *container) held() int64 { return min(c.src.Size(), c.bytes()) }

// bytes is the size of the container, or the largest number there is.
func (c *container) bytes() int64 {
	if c.blocks > math.MaxInt64/uint64(c.blockSize) {
		return math.MaxInt64
	}
	return int64(c.blocks) * c.blockSize
}

// contains reports whether n blocks from first on are blocks of the container.
func (c *container) contains(first, n uint64) bool {
	return first < c.blocks && n <= c.blocks-first && first <= math.MaxInt64/uint64(c.blockSize)-n
}

// read reads size bytes from a block on.
func (c *container) read(block uint64, size int64) ([]byte, error) {
	n := (uint64(size) + uint64(c.blockSize) - 1) / uint64(c.blockSize)
	if !c.contains(block, n) {
		return nil, damaged("block %d lies outside the container", block)
	}
	at := int64(block) * c.blockSize
	if size > c.src.Size()-at {
		return nil, &flaw{tutela.FindingTruncated, fmt.Sprintf("block %d lies behind the end of the image", block)}
	}
	b := make([]byte, size)
	if got, err := c.src.ReadAt(b, at); got < len(b) {
		if err == io.EOF || err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("block %d: %w", block, err)
	}
	return b, nil
}

// object is one or several blocks with a header whose checksum is right.
type object struct {
	block         uint64
	oid, xid      uint64
	kind, subtype uint32
	raw           []byte
}

// object reads size bytes from a block on as an object.
func (c *container) object(block uint64, size int64) (*object, error) {
	raw, err := c.read(block, size)
	if err != nil {
		return nil, err
	}
	if !sealed(raw) {
		return nil, damaged("block %d: its checksum is wrong", block)
	}
	return &object{
		block: block, raw: raw,
		oid: little.Uint64(raw[8:]), xid: little.Uint64(raw[16:]),
		kind: little.Uint32(raw[24:]), subtype: little.Uint32(raw[28:]),
	}, nil
}

// is reports whether o is of a type and a storage class.
func (o *object) is(kind, storage uint32) bool {
	return o.kind&typeMask == kind && o.kind&storageMask == storage
}

// physical reads an object whose identifier is the block it lies in. One that
// is younger than xid took the place of the one that was meant.
func (c *container) physical(block, xid uint64, kind uint32, what string) (*object, error) {
	o, err := c.object(block, c.blockSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if !o.is(kind, storagePhysical) || o.oid != block || o.xid > xid {
		return nil, damaged("%s: block %d holds something else", what, block)
	}
	return o, nil
}

// sealed reports whether the checksum of an object is right (Reference "obj_phys_t":
// Fletcher 64 over all that follows the checksum, in words of 32 bits).
func sealed(raw []byte) bool {
	return len(raw) >= objectHeader && little.Uint64(raw) == checksum(raw[8:])
}

const (
	fletcherModulus = math.MaxUint32
	fletcherStretch = 64 << 10 // bytes that the sums hold without overflow
)

func checksum(b []byte) uint64 {
	var low, high uint64
	for len(b) >= 4 {
		stretch := b[:min(len(b)&^3, fletcherStretch)]
		b = b[len(stretch):]
		for ; len(stretch) >= 4; stretch = stretch[4:] {
			low += uint64(little.Uint32(stretch))
			high += low
		}
		low %= fletcherModulus
		high %= fletcherModulus
	}
	first := fletcherModulus - (low+high)%fletcherModulus
	second := fletcherModulus - (low+first)%fletcherModulus
	return second<<32 | first
}
