package hfsplus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// The volume header lies 1024 bytes into the volume, its copy in the last sector
// but one: TN1150 "Volume Header".
const (
	headerAt    = 1024 // bytes
	headerBytes = 512
	minBlock    = 512
	maxBlock    = 1 << 30

	sigPlus    = "H+"
	sigX       = "HX"
	sigClassic = "BD" // HFS, perhaps with an HFS+ volume inside

	attrUnmounted    = 1 << 8
	attrInconsistent = 1 << 11
	attrJournaled    = 1 << 13
)

// header is what the volume header says. Offsets are in bytes of the source.
type header struct {
	start       int64 // of the volume in the source; not 0 inside an HFS wrapper
	signature   string
	attributes  uint32
	journalInfo uint32 // block
	block       int64  // bytes
	blocks      int64
	nextCNID    uint32

	allocation, extents, catalog, attributesFile, startup fork
}

func (h *header) bytes() int64 { return h.blocks * h.block }

// candidate is a header and where it was found.
type candidate struct {
	header
	primary bool
}

// candidates are the headers that make sense, the primary one first.
func candidates(src evidence.Source) ([]candidate, error) {
	start, end, err := unwrap(src)
	if err != nil {
		return nil, err
	}
	var found []candidate
	h, primaryErr := headerAtOffset(src, start, start+headerAt)
	if primaryErr == nil {
		found = append(found, candidate{h, true})
	}
	places := []int64{end - headerAt}
	if primaryErr == nil {
		for over := int64(0); over < h.block; over += 512 {
			places = append(places, start+h.bytes()-headerAt+over)
		}
	}
	for _, at := range places {
		if h, ok := copyAt(src, start, at); ok {
			found = append(found, candidate{h, false})
			break
		}
	}
	claims := primaryErr == nil || h.signature != "" && !errors.Is(primaryErr, errNoHeader)
	switch {
	case !claims && len(found) == 0, primaryErr != nil && foreign(src):
		return nil, evidence.ErrNotThis
	case len(found) == 0:
		return nil, fmt.Errorf("volume header: %w, and no copy of it", primaryErr)
	}
	return found, nil
}

// copyAt is the copy of the header at a place that is the last sector but one of
// the volume it describes. A volume may be less than a block longer than its
// blocks.
func copyAt(src evidence.Source, start, at int64) (header, bool) {
	if at <= start+headerAt {
		return header{}, false
	}
	h, err := headerAtOffset(src, start, at)
	over := at + headerAt - start - h.bytes()
	return h, err == nil && over >= 0 && over < h.block
}

// unwrap finds the volume in an HFS wrapper (TN1150 "HFS Wrapper"); without one
// it is the whole source.
func unwrap(src evidence.Source) (start, end int64, err error) {
	var mdb [162]byte
	if readFull(src, mdb[:], headerAt) != nil || string(mdb[:2]) != sigClassic {
		return 0, src.Size(), nil
	}
	block := int64(binary.BigEndian.Uint32(mdb[20:]))
	if name := mdb[36]; block == 0 || block%512 != 0 || name == 0 || name > 27 {
		return 0, src.Size(), nil // not a master directory block either
	}
	if string(mdb[124:126]) != sigPlus {
		return 0, 0, fmt.Errorf("hfs: Mac OS Standard volume not read: %w", evidence.ErrUnsupported)
	}
	first := int64(binary.BigEndian.Uint16(mdb[28:])) * 512
	start = first + int64(binary.BigEndian.Uint16(mdb[126:]))*block
	end = start + int64(binary.BigEndian.Uint16(mdb[128:]))*block
	return start, min(end, src.Size()), nil
}

var errNoHeader = errors.New("no HFS+ signature")

func headerAtOffset(src evidence.Source, start, at int64) (header, error) {
	b := make([]byte, headerBytes)
	if err := readFull(src, b, at); err != nil {
		return header{}, err
	}
	return parseHeader(b, start)
}

func parseHeader(b []byte, start int64) (header, error) {
	h := header{
		start:          start,
		signature:      string(b[:2]),
		attributes:     binary.BigEndian.Uint32(b[4:]),
		journalInfo:    binary.BigEndian.Uint32(b[12:]),
		block:          int64(binary.BigEndian.Uint32(b[40:])),
		blocks:         int64(binary.BigEndian.Uint32(b[44:])),
		nextCNID:       binary.BigEndian.Uint32(b[64:]),
		allocation:     parseFork(b[112:]),
		extents:        parseFork(b[192:]),
		catalog:        parseFork(b[272:]),
		attributesFile: parseFork(b[352:]),
		startup:        parseFork(b[432:]),
	}
	version := binary.BigEndian.Uint16(b[2:])
	switch {
	case h.signature != sigPlus && h.signature != sigX, version < 4 || version > 5:
		return h, errNoHeader
	case h.block < minBlock || h.block > maxBlock || h.block&(h.block-1) != 0:
		return h, fmt.Errorf("blocks of %d bytes", h.block)
	case h.blocks == 0:
		return h, errors.New("no blocks")
	}
	return h, nil
}

// foreignMarks are what other formats leave where HFS+ leaves something else. A
// volume that was formatted anew may keep the old copy of the header at its end:
// it must not be taken for an HFS+ volume.
var foreignMarks = []struct {
	at   int64
	mark string
}{
	{3, "NTFS    "}, {3, "EXFAT   "}, {3, "-FVE-FS-"}, {54, "FAT1"}, {82, "FAT32"},
	{0, "XFSB"}, {0, "hsqs"}, {32, "NXSB"}, {88, "CS"},
	{1080, "\x53\xef"}, {32769, "CD001"}, {65600, "_BHRfS_M"}, {512, "EFI PART"},
}

func foreign(src evidence.Source) bool {
	for _, m := range foreignMarks {
		b := make([]byte, len(m.mark))
		if readFull(src, b, m.at) == nil && string(b) == m.mark {
			return true
		}
	}
	return false
}

func readFull(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
