package vhdx

import (
	"fmt"

	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// States of a block ([MS-VHDX] 2.5.1).
const (
	notPresent       = 0
	undefined        = 1
	zero             = 2
	unmapped         = 3
	unmapped095      = 5 // of the draft 0.95, which some files follow
	fullyPresent     = 6
	partiallyPresent = 7
	bitmapPresent    = 6
)

// bitmapSectors is how many sectors a bitmap block of 1 MB describes.
const bitmapSectors = 1 << 23

// blocks is the map of a disk.
type blocks struct {
	metadata
	src    evidence.Source
	table  *virtual.Table
	bat    region
	parent evidence.Source // nil if there is none
}

// ratio is how many blocks share a sector bitmap, whose entry follows theirs.
func (b *blocks) ratio() int64 { return bitmapSectors * b.sector / b.block }

// entries is how many the table must have for the disk.
func (b *blocks) entries() int64 {
	n := (b.size + b.block - 1) / b.block
	if b.hasParent {
		return (n + b.ratio() - 1) / b.ratio() * (b.ratio() + 1)
	}
	return n + max(n-1, 0)/b.ratio()
}

func (b *blocks) Piece(off int64) (virtual.Piece, error) {
	n, within := off/b.block, off%b.block
	rest := virtual.Piece{Length: b.block - within}
	state, at, err := b.entry(n + n/b.ratio())
	if err != nil {
		return rest, err
	}
	switch state {
	case notPresent:
		return virtual.Under(b.parent, off, rest.Length), nil
	case undefined, zero, unmapped, unmapped095:
		return rest, nil
	case fullyPresent:
		return b.at(at, within, rest.Length)
	case partiallyPresent:
		if b.parent != nil {
			return b.mixed(off, at)
		}
	}
	return rest, fmt.Errorf("block %d has the state %d", n, state)
}

// at is a stretch of a block that lies at at in the file. No block lies in the
// first megabyte.
func (b *blocks) at(at, within, length int64) (virtual.Piece, error) {
	if at < alignment {
		return virtual.Piece{Length: length}, fmt.Errorf("a block at %d, among the headers", at)
	}
	return virtual.Piece{Length: length, Source: b.src, Offset: at + within}, nil
}

// entry is the state and the place of an entry of the table.
func (b *blocks) entry(n int64) (state, at int64, err error) {
	if n >= b.bat.length/8 {
		return 0, 0, fmt.Errorf("the block allocation table has no entry %d", n)
	}
	e, err := b.table.Uint64LE(b.bat.offset + 8*n)
	if err != nil {
		return 0, 0, fmt.Errorf("block allocation table: %w", err)
	}
	return int64(e & 7), int64(e>>20) << 20, nil
}

// maxSectors is how far a piece of a block that is partly the parent's goes.
const maxSectors = 128

// mixed is a stretch of a block of which some sectors are the parent's: as many
// as agree with the first.
func (b *blocks) mixed(off, at int64) (virtual.Piece, error) {
	chunk := off / b.block / b.ratio()
	within, rest := off%b.block, b.block-off%b.block
	state, bitmap, err := b.entry(chunk*(b.ratio()+1) + b.ratio())
	if err == nil && (state != bitmapPresent || bitmap < alignment) {
		err = fmt.Errorf("sector bitmap %d has the state %d, and blocks that need it", chunk, state)
	}
	if err != nil {
		return virtual.Piece{Length: rest}, err
	}
	first := off / b.sector
	here, err := b.present(bitmap, first)
	if err != nil {
		return virtual.Piece{Length: b.sector - off%b.sector}, err
	}
	end := first + 1
	for ; end < min(first+maxSectors, (off+rest)/b.sector); end++ {
		if also, err := b.present(bitmap, end); err != nil || also != here {
			break
		}
	}
	length := end*b.sector - off
	if !here {
		return virtual.Under(b.parent, off, length), nil
	}
	return b.at(at, within, length)
}

// present reports whether a sector of the disk lies in this file. Unlike in VHD,
// the bits of a byte go from the lowest up.
func (b *blocks) present(bitmap, sector int64) (bool, error) {
	n := sector % bitmapSectors
	one, err := b.table.Bytes(bitmap+n/8, 1)
	if err != nil {
		return false, fmt.Errorf("sector bitmap: %w", err)
	}
	return one[0]>>(n%8)&1 == 1, nil
}
