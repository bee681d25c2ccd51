package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Metadata items ([MS-VHDX] 2.6.2).
const (
	itemFile           = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
	itemSize           = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
	itemPage83         = "beca12ab-b2e6-4523-93ef-c309e000c746"
	itemLogicalSector  = "8141bf1d-a96f-4709-ba47-f233a8faab5f"
	itemPhysicalSector = "cda348c7-445d-4471-9cc9-e9885251c556"
	itemParent         = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
	locatorVHDX        = "b04aefb7-d19e-4a81-b789-25b8e9445913"
)

const (
	metadataTable  = 64 << 10
	maxItems       = 2047
	maxItem        = 1 << 20
	flagRequired   = 1 << 2
	maxDisk        = 64 << 40
	maxLocatorKeys = 64
)

// metadata is what the disk says of itself, in bytes.
type metadata struct {
	size, block, sector int64
	fixed, hasParent    bool
	locator             map[string]string // of the parent
}

func readMetadata(src evidence.Source, r region) (m metadata, err error) {
	b, err := virtual.Read(src, r.offset, metadataTable)
	if err != nil {
		return m, fmt.Errorf("vhdx: metadata: %w", err)
	}
	le := binary.LittleEndian
	count := int(le.Uint16(b[10:]))
	if string(b[:8]) != "metadata" || count > maxItems {
		return m, errors.New("vhdx: no metadata table")
	}
	for n := range count {
		e := b[32+32*n:][:32]
		length := int64(le.Uint32(e[20:]))
		if length > maxItem {
			return m, fmt.Errorf("vhdx: a metadata item of %d bytes", length)
		}
		item, err := virtual.Read(src, r.offset+int64(le.Uint32(e[16:])), int(length))
		if err == nil {
			err = m.take(guid(e[:16]).String(), item, le.Uint32(e[24:])&flagRequired != 0)
		}
		if err != nil {
			return m, fmt.Errorf("vhdx: metadata item %s: %w", guid(e[:16]), err)
		}
	}
	return m, m.check()
}

func (m *metadata) take(id string, b []byte, required bool) error {
	le := binary.LittleEndian
	short := map[string]int{itemFile: 8, itemSize: 8, itemLogicalSector: 4, itemParent: 20}
	if len(b) < short[id] {
		return fmt.Errorf("%d bytes", len(b))
	}
	switch id {
	case itemFile:
		m.block, m.fixed, m.hasParent = int64(le.Uint32(b)), b[4]&1 == 1, b[4]&2 == 2
	case itemSize:
		m.size = int64(le.Uint64(b))
	case itemLogicalSector:
		m.sector = int64(le.Uint32(b))
	case itemParent:
		return m.takeLocator(b)
	case itemPage83, itemPhysicalSector:
	default:
		if required {
			return fmt.Errorf("not read: %w", evidence.ErrUnsupported)
		}
	}
	return nil
}

// takeLocator reads the keys and values that say where the parent is.
func (m *metadata) takeLocator(b []byte) error {
	le := binary.LittleEndian
	if id := guid(b[:16]).String(); id != locatorVHDX {
		return fmt.Errorf("a parent locator of the type %s: %w", id, evidence.ErrUnsupported)
	}
	count := int(le.Uint16(b[18:]))
	if count > maxLocatorKeys || len(b) < 20+12*count {
		return fmt.Errorf("%d keys of the parent locator", count)
	}
	m.locator = map[string]string{}
	for n := range count {
		e := b[20+12*n:]
		key, ok1 := text(b, le.Uint32(e), le.Uint16(e[8:]))
		value, ok2 := text(b, le.Uint32(e[4:]), le.Uint16(e[10:]))
		if !ok1 || !ok2 {
			return errors.New("the parent locator points outside itself")
		}
		m.locator[key] = value
	}
	return nil
}

// text is UTF-16 in b.
func text(b []byte, at uint32, length uint16) (string, bool) {
	if int64(at)+int64(length) > int64(len(b)) {
		return "", false
	}
	units := make([]uint16, length/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[int(at)+2*i:])
	}
	return virtual.UTF16(units), true
}

func (m *metadata) check() error {
	switch {
	case m.block < 1<<20 || m.block > 256<<20 || m.block&(m.block-1) != 0:
		return fmt.Errorf("vhdx: blocks of %d bytes", m.block)
	case m.sector != 512 && m.sector != 4096:
		return fmt.Errorf("vhdx: sectors of %d bytes", m.sector)
	case m.size < 0 || m.size > maxDisk:
		return fmt.Errorf("vhdx: a disk of %d bytes", uint64(m.size))
	}
	return nil
}
