package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Places that the format fixes, in bytes ([MS-VHDX] 2.2).
const (
	fileIdentifier = "vhdxfile"
	headerBytes    = 4 << 10
	regionBytes    = 64 << 10
	alignment      = 1 << 20 // of logs, regions and blocks
)

var (
	headerPlaces = []int64{64 << 10, 128 << 10}
	regionPlaces = []int64{192 << 10, 256 << 10}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

// sealed reports whether the four bytes at 4 are the checksum of all bytes with
// zeros in their place.
func sealed(b []byte) bool { return checksum(b) == binary.LittleEndian.Uint32(b[4:]) }

func checksum(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:4])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[8:])
}

type guid [16]byte

// String writes it as Windows does, in lower case, without braces.
func (g guid) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

func sameGUID(id, text string) bool { return strings.EqualFold(id, strings.Trim(text, "{}\x00 ")) }

// header is one of the two headers ([MS-VHDX] 2.2.2).
type header struct {
	sequence             uint64
	dataWrite, log       guid
	logOffset, logLength int64
}

// findHeader takes the header with the higher sequence number of those that
// hold together.
func findHeader(src evidence.Source, files *virtual.Files) (header, error) {
	var found []header
	var failures []error
	for _, at := range headerPlaces {
		h, err := readHeader(src, at)
		if err != nil {
			failures = append(failures, fmt.Errorf("header at %d: %w", at, err))
			continue
		}
		found = append(found, h)
	}
	switch {
	case len(found) == 0:
		return header{}, fmt.Errorf("vhdx: %w", errors.Join(failures...))
	case len(found) == 1:
		// A file that was being written has one bad header by design.
		files.Note(tutela.FindingBackupTable, "vhdx: %v: the other was used", failures[0])
	case found[1].sequence > found[0].sequence:
		return found[1], nil
	}
	return found[0], nil
}

func readHeader(src evidence.Source, at int64) (header, error) {
	b, err := virtual.Read(src, at, headerBytes)
	if err != nil {
		return header{}, err
	}
	le := binary.LittleEndian
	switch {
	case string(b[:4]) != "head":
		return header{}, errors.New("no header")
	case !sealed(b):
		return header{}, errors.New("the checksum does not match")
	case le.Uint16(b[66:]) != 1:
		return header{}, fmt.Errorf("version %d not read: %w", le.Uint16(b[66:]), evidence.ErrUnsupported)
	}
	return header{
		sequence: le.Uint64(b[8:]), dataWrite: guid(b[32:48]), log: guid(b[48:64]),
		logLength: int64(le.Uint32(b[68:])), logOffset: int64(le.Uint64(b[72:])),
	}, nil
}

// region is a stretch of the file.
type region struct{ offset, length int64 }

// regions are those that this reader knows ([MS-VHDX] 2.2.3).
type regions struct{ bat, metadata region }

const (
	regionBAT      = "2dc27766-f623-4200-9d64-115e9bfd4a08"
	regionMetadata = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
	maxRegions     = 2047
)

func findRegions(src evidence.Source, files *virtual.Files) (regions, error) {
	var failures []error
	for _, at := range regionPlaces {
		r, err := readRegions(src, at)
		if err == nil {
			if len(failures) > 0 {
				files.Note(tutela.FindingBackupTable, "vhdx: %v: the other was used", failures[0])
			}
			return r, nil
		}
		failures = append(failures, fmt.Errorf("region table at %d: %w", at, err))
	}
	return regions{}, fmt.Errorf("vhdx: %w", errors.Join(failures...))
}

func readRegions(src evidence.Source, at int64) (r regions, err error) {
	b, err := virtual.Read(src, at, regionBytes)
	if err != nil {
		return r, err
	}
	le := binary.LittleEndian
	count := le.Uint32(b[8:])
	switch {
	case string(b[:4]) != "regi":
		return r, errors.New("no region table")
	case !sealed(b):
		return r, errors.New("the checksum does not match")
	case count > maxRegions:
		return r, fmt.Errorf("%d entries", count)
	}
	for n := range count {
		e := b[16+32*n:][:32]
		place := region{int64(le.Uint64(e[16:])), int64(le.Uint32(e[24:]))}
		switch id := guid(e[:16]).String(); {
		case id == regionBAT:
			r.bat = place
		case id == regionMetadata:
			r.metadata = place
		case le.Uint32(e[28:])&1 == 1:
			return r, fmt.Errorf("the region %s not read: %w", id, evidence.ErrUnsupported)
		}
	}
	if r.bat.offset < alignment || r.metadata.offset < alignment {
		return r, errors.New("no block allocation table or no metadata")
	}
	return r, nil
}
