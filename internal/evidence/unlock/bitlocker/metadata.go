package bitlocker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tutela/internal/evidence"
)

// Sizes of the metadata (BDE "FVE metadata block"), in bytes.
const (
	blockHeaderBytes = 64
	dataHeaderBytes  = 48
)

// stateSwitching is the state of a volume that is being encrypted or decrypted.
const stateSwitching = 2

// metadata is a copy of the metadata whose checksum holds.
type metadata struct {
	version     uint16
	state       uint16
	encrypted   int64    // bytes of the volume that are encrypted, from its beginning
	converting  int64    // bytes behind those that are worked on
	headerCount int64    // sectors at the beginning that lie elsewhere
	headerAt    int64    // where they lie; on Vista the cluster of the mirror of the MFT
	blocks      [3]int64 // where the copies lie
	method      uint16
	entries     []entry
	notes       []string
}

// entry is BDE "FVE metadata entry".
type entry struct {
	kind, value uint16
	data        []byte
}

// Types of entries and of their values.
const (
	kindVMK         = 0x0002
	kindFVEK        = 0x0003
	valueKey        = 0x0001
	valueStretch    = 0x0003
	valueCCM        = 0x0005
	valueVMK        = 0x0008
	valueHeaderArea = 0x000f
)

// readMetadata takes the first copy whose checksum holds.
func readMetadata(src evidence.Source, h header) (*metadata, error) {
	var failures []error
	offsets := h.blocks[:]
	for i := 0; i < len(offsets); i++ {
		m, err := readBlock(src, offsets[i])
		if m != nil && h.vista && i == 0 {
			offsets = m.blocks[:] // Vista's header knows the first only
		}
		if err == nil {
			m.note(failures)
			return m, nil
		}
		failures = append(failures, fmt.Errorf("copy %d at %d: %w", i+1, offsets[i], err))
		if errors.Is(err, evidence.ErrUnsupported) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no copy of the metadata holds together: %w", errors.Join(failures...))
}

func (m *metadata) note(failures []error) {
	for _, f := range failures {
		m.notes = append(m.notes, "metadata: "+f.Error()+": another copy was used")
	}
}

// readBlock reads one copy. Behind it is a CRC-32 of all of it. With an error
// the places it tells may still be right.
func readBlock(src evidence.Source, at int64) (*metadata, error) {
	if at <= 0 || at > src.Size()-blockHeaderBytes-dataHeaderBytes {
		return nil, errors.New("outside the volume")
	}
	head := make([]byte, blockHeaderBytes)
	if _, err := src.ReadAt(head, at); err != nil {
		return nil, err
	}
	if string(head[:8]) != "-FVE-FS-" {
		return nil, errors.New("no signature")
	}
	m := readBlockHeader(head)
	size := int64(binary.LittleEndian.Uint16(head[8:]))
	switch m.version {
	case 1:
	case 2:
		size *= 16
	default:
		return nil, fmt.Errorf("metadata of version %d: %w", m.version, evidence.ErrUnsupported)
	}
	if size < blockHeaderBytes+dataHeaderBytes || at > src.Size()-size-8 {
		return m, fmt.Errorf("%d bytes of metadata", size)
	}
	b := make([]byte, size+8)
	if _, err := src.ReadAt(b, at); err != nil {
		return m, err
	}
	if crc32.ChecksumIEEE(b[:size]) != binary.LittleEndian.Uint32(b[size+4:]) {
		return m, errors.New("the checksum is wrong")
	}
	return m, m.readData(b[blockHeaderBytes:size])
}

// readBlockHeader reads BDE "FVE metadata block header".
func readBlockHeader(b []byte) *metadata {
	u64 := func(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
	m := &metadata{
		version:     binary.LittleEndian.Uint16(b[10:]),
		state:       binary.LittleEndian.Uint16(b[12:]),
		encrypted:   u64(16),
		converting:  int64(binary.LittleEndian.Uint32(b[24:])),
		headerCount: int64(binary.LittleEndian.Uint32(b[28:])),
		headerAt:    u64(56),
	}
	for i := range m.blocks {
		m.blocks[i] = u64(32 + 8*i)
	}
	return m
}

// readData reads BDE "FVE metadata header" and the entries behind it.
func (m *metadata) readData(b []byte) error {
	size, head := int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[8:]))
	if head < dataHeaderBytes || size < head || size > int64(len(b)) {
		return fmt.Errorf("%d bytes of entries behind a header of %d", size, head)
	}
	m.method = binary.LittleEndian.Uint16(b[36:])
	m.entries = readEntries(b[head:size])
	return nil
}

// readEntries reads entries that lie one behind the other, as far as they hold
// together.
func readEntries(b []byte) (all []entry) {
	for len(b) >= 8 {
		size := int(binary.LittleEndian.Uint16(b))
		if size < 8 || size > len(b) {
			break
		}
		all = append(all, entry{binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[4:]), b[8:size]})
		b = b[size:]
	}
	return all
}

// first finds an entry by the type of its value.
func first(entries []entry, value uint16) []byte {
	for _, e := range entries {
		if e.value == value {
			return e.data
		}
	}
	return nil
}
