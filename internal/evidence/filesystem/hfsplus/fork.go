package hfsplus

import (
	"encoding/binary"

	"tutela"
	"tutela/internal/evidence"
)

const (
	forkBytes        = 80
	extentsPerRecord = 8
	extentsBytes     = extentsPerRecord * 8

	dataFork     = 0x00
	resourceFork = 0xff
)

// blocks is an extent in allocation blocks.
type blocks struct{ first, count uint32 }

// fork is a fork as its record describes it: TN1150 "Fork Data Structure".
type fork struct {
	size    uint64 // bytes
	total   uint32 // blocks
	extents [extentsPerRecord]blocks
}

// parseFork reads a fork from b, which must hold forkBytes.
func parseFork(b []byte) fork {
	return fork{
		size:    binary.BigEndian.Uint64(b),
		total:   binary.BigEndian.Uint32(b[12:]),
		extents: parseExtents(b[16:]),
	}
}

func parseExtents(b []byte) (x [extentsPerRecord]blocks) {
	for i := range x {
		x[i] = blocks{binary.BigEndian.Uint32(b[8*i:]), binary.BigEndian.Uint32(b[8*i+4:])}
	}
	return x
}

// count is how many blocks the extents have, up to the first empty one.
func count(extents []blocks) (n int64) {
	for _, x := range extents {
		if x.count == 0 {
			break
		}
		n += int64(x.count)
	}
	return n
}

// allocated is all that a fork was given, in its order.
type allocated struct {
	size    int64
	extents []evidence.Extent // bytes of the source
	problem string            // why it is not all there
}

// add appends blocks up to the first empty extent. It reports false where an
// extent lies outside the volume: what follows it is left out.
func (a *allocated) add(h *header, extents []blocks) bool {
	for _, x := range extents {
		if x.count == 0 {
			return true
		}
		if int64(x.first)+int64(x.count) > h.blocks {
			a.problem = "an extent lies outside the volume"
			return false
		}
		a.extents = append(a.extents, evidence.Extent{Offset: h.start + int64(x.first)*h.block, Length: int64(x.count) * h.block})
	}
	return true
}

// bytes is how much it was given.
func (a *allocated) bytes() (n int64) {
	for _, x := range a.extents {
		n += x.Length
	}
	return n
}

// content is what lies in the extents up to the size.
func (a *allocated) content(src evidence.Source) *evidence.Extents {
	return evidence.NewExtents(src, a.extents, a.size)
}

// slack is what the extents have beyond the size.
func (a *allocated) slack() []tutela.Run {
	skip := a.size
	var rest []evidence.Extent
	for _, x := range a.extents {
		n := min(skip, x.Length)
		skip -= n
		rest = append(rest, evidence.Extent{Offset: x.Offset + n, Length: x.Length - n})
	}
	return evidence.RunsOf(rest)
}

// missing is how much of the extents lies behind the end of the source, in bytes.
func (a *allocated) missing(src evidence.Source) (n int64) {
	for _, x := range a.extents {
		n += x.Length - max(0, min(x.Length, src.Size()-x.Offset))
	}
	return n
}
