package udf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// An anchor leads to two sequences of volume descriptors, of which the second is
// a copy of the first (ECMA 3/8.4).

const maxSequence = 1024 // sectors, over all extents

var sectorSizes = []int64{2048, 512, 4096, 1024, 8192, 16384, 32768}

// anchor is an anchor volume descriptor pointer.
type anchor struct {
	sector    int64 // bytes
	sequences []extentAD
}

// anchors looks where they may lie, for each size that a sector may have (UDF
// 2.2.3). Only where nothing could be read is it an error.
func anchors(src evidence.Source) (found []anchor, err error) {
	var unread error
	for _, sector := range sectorSizes {
		last := src.Size()/sector - 1
		for _, at := range []int64{256, last - 256, last, 512} {
			if at < 0 || at > last {
				continue
			}
			b := make([]byte, minDescriptor)
			if err := readFull(src, b, at*sector); err != nil {
				unread = err
				continue
			}
			t, err := readTag(b)
			if err != nil || t.id != tagAnchor || int64(t.location) != at || !t.covers(b) {
				continue
			}
			found = append(found, anchor{sector, []extentAD{parseExtentAD(b[16:]), parseExtentAD(b[24:])}})
		}
	}
	if len(found) == 0 {
		return nil, unread
	}
	return found, nil
}

// volume is what a sequence of descriptors says.
type volume struct {
	blockBytes int64
	revision   uint16
	fileSet    longAD
	maps       [][]byte // partition maps
	parts      map[uint16]physical
	findings   []tutela.Finding

	logical   uint32 // sequence numbers of the descriptors in force, plus one
	integrity extentAD
}

// readSequence reads the descriptors of one sequence. Of those of a kind the one
// with the highest number is in force.
func readSequence(src evidence.Source, sector int64, sequence extentAD) (*volume, error) {
	v := &volume{parts: map[uint16]physical{}}
	left := maxSequence
	for next := &sequence; next != nil; {
		at := *next
		next = nil
		for n := int64(0); n < int64(at.length)/sector && left > 0; n++ {
			left--
			b := make([]byte, sector)
			if err := readFull(src, b, (int64(at.sector)+n)*sector); err != nil {
				return nil, fmt.Errorf("volume descriptors: %w", err)
			}
			t, err := readTag(b)
			if err != nil {
				continue // not recorded yet
			}
			if !t.covers(b) {
				return nil, fmt.Errorf("volume descriptor at byte %d: the checksum is wrong", (int64(at.sector)+n)*sector)
			}
			if t.id == tagTerminator {
				break
			}
			if t.id == tagPointer && left > 0 {
				more := parseExtentAD(b[20:])
				next = &more
				break
			}
			v.take(t, b)
		}
	}
	switch {
	case v.logical == 0:
		return nil, errors.New("no logical volume descriptor")
	case v.blockBytes != sector:
		return nil, fmt.Errorf("blocks of %d bytes in sectors of %d not read: %w", v.blockBytes, sector, evidence.ErrUnsupported)
	}
	return v, nil
}

func (v *volume) find(code, detail string) {
	v.findings = append(v.findings, tutela.Finding{Code: code, Detail: detail})
}

func (v *volume) take(t tag, b []byte) {
	le := binary.LittleEndian
	number := le.Uint32(b[16:])
	switch t.id {
	case tagPartition:
		p := physical{
			number: number + 1, start: int64(le.Uint32(b[188:])), blocks: int64(le.Uint32(b[192:])),
			unallocatedTable: parseExtentAD(b[56:]), unallocated: parseExtentAD(b[64:]),
			freedTable: parseExtentAD(b[80:]), freed: parseExtentAD(b[88:]),
		}
		if id := le.Uint16(b[22:]); p.number > v.parts[id].number {
			v.parts[id] = p
		}
	case tagLogicalVolume:
		if number+1 > v.logical {
			v.logical = number + 1
			v.logicalVolume(b)
		}
	}
}

// logicalVolume is ECMA 3/10.6.
func (v *volume) logicalVolume(b []byte) {
	le := binary.LittleEndian
	v.blockBytes = int64(le.Uint32(b[212:]))
	v.revision = le.Uint16(b[216+24:])
	v.fileSet = parseLongAD(b[248:])
	v.integrity = parseExtentAD(b[432:])
	v.maps = nil
	table := b[440:]
	table = table[:min(int(le.Uint32(b[264:])), len(table))]
	for len(table) >= 6 {
		length := int(table[1])
		if length < 6 || length > len(table) {
			break
		}
		v.maps = append(v.maps, table[:length])
		table = table[length:]
	}
}

// checkIntegrity says where a volume was not closed after writing (ECMA
// 3/10.10).
func (v *volume) checkIntegrity(src evidence.Source, sector int64) {
	b := make([]byte, sector)
	if v.integrity.length == 0 || readFull(src, b, int64(v.integrity.sector)*sector) != nil {
		return
	}
	const closed = 1
	if t, err := readTag(b); err == nil && t.id == tagIntegrity && binary.LittleEndian.Uint32(b[28:]) != closed && binary.LittleEndian.Uint32(b[32:]) == 0 {
		v.find(tutela.FindingDamaged, "the volume was not closed after writing: names, contents and the map of free blocks may be older than they should be")
	}
}
