package ewf

import (
	"encoding/binary"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// largestChunk bounds the chunks that are read, in bytes. EnCase offers 32768
// sectors of 512 bytes, which are 16 MiB.
const largestChunk = 64 << 20

// Lengths of what a volume section holds, in bytes ("Volume section").
const (
	volumeSize    = 1052 // EnCase, FTK, linen
	volumeSizeOld = 94   // the original format, SMART
)

// logical is the media type of a logical evidence file, which has no disk.
const logical = 0x0e

// geometry is what a volume, disk or data section says of the medium.
type geometry struct {
	media           byte
	chunks          int64
	sectorsPerChunk int64
	bytesPerSector  int64
	sectors         int64
	set             [16]byte // identifies the segments of one image; zeros before EnCase 5
	sound           bool     // its checksum is right, or was never made
}

func (s *segment) geometry(src evidence.Source, d descriptor, body tutela.Run) *geometry {
	b := s.read(src, d.kind, body, volumeSizeOld, volumeSize)
	if b == nil {
		return nil
	}
	g := parseGeometry(b)
	if !g.sound {
		s.note(tutela.FindingDamaged, "the checksum of the %s section at %d is wrong", d.kind, d.at)
	}
	return &g
}

// parseGeometry takes either form of the section.
func parseGeometry(b []byte) geometry {
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	g := geometry{chunks: u32(4), sectorsPerChunk: u32(8), bytesPerSector: u32(12), sectors: u32(16)}
	if len(b) < volumeSize {
		g.sound = checked(b[:volumeSizeOld])
		return g
	}
	g.media = b[0]
	g.sectors = int64(binary.LittleEndian.Uint64(b[16:]))
	copy(g.set[:], b[64:])
	// Logicube wrote no checksum into data sections.
	g.sound = checked(b) || u32(volumeSize-4) == 0
	return g
}

// chunk is the length of all chunks but the last, in bytes; an error where it
// cannot be.
func (g *geometry) chunk() (int64, error) {
	if g.media == logical {
		return 0, fmt.Errorf("ewf: logical evidence file not read: %w", evidence.ErrUnsupported)
	}
	if g.sectorsPerChunk == 0 || g.bytesPerSector == 0 {
		return 0, fmt.Errorf("chunks of %d sectors of %d bytes", g.sectorsPerChunk, g.bytesPerSector)
	}
	size := g.sectorsPerChunk * g.bytesPerSector // both below 1<<32
	if size/g.sectorsPerChunk != g.bytesPerSector || size > largestChunk {
		return 0, fmt.Errorf("ewf: chunks of %d sectors of %d bytes not read: %w", g.sectorsPerChunk, g.bytesPerSector, evidence.ErrUnsupported)
	}
	return size, nil
}

// size is the length of the medium in bytes.
func (g *geometry) size() (int64, error) {
	if g.sectors < 0 || g.sectors > (1<<62)/g.bytesPerSector {
		return 0, fmt.Errorf("a medium of %d sectors of %d bytes", uint64(g.sectors), g.bytesPerSector)
	}
	return g.sectors * g.bytesPerSector, nil
}

// foreign says why a segment with this data section is not one of g's image; ""
// if nothing speaks against it.
func (g *geometry) foreign(data *geometry) string {
	none := [16]byte{}
	switch {
	case data == nil || !data.sound || !g.sound:
		return ""
	case g.set != none && data.set != none && g.set != data.set:
		return fmt.Sprintf("its set identifier is %x and that of the first segment is %x", data.set, g.set)
	case g.sectorsPerChunk != data.sectorsPerChunk || g.bytesPerSector != data.bytesPerSector:
		return "its chunks have another length"
	case g.sectors != data.sectors && g.sectors != 0 && data.sectors != 0:
		return fmt.Sprintf("it is of a medium of %d sectors, and the first segment is of one of %d", data.sectors, g.sectors)
	}
	return ""
}
