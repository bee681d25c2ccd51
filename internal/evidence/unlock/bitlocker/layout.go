package bitlocker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

// Stretches that Windows sets aside (BDE "Metadata files"), in bytes.
const (
	areaVista    = 16 << 10
	areaLater    = 64 << 10
	headersVista = 16 // sectors at the beginning that Vista does not encrypt
)

// patch is a stretch of the decrypted volume that is not what lies at its place.
type patch struct {
	at    int64
	piece sector.Piece
}

// layout puts the decrypted volume together. Sectors are numbered by where they
// lie: in bytes in CBC mode, else by their count.
func (m *metadata) layout(src evidence.Source, h header) (l sector.Layout, err error) {
	l = sector.Layout{Size: h.sector, Step: m.step(h.sector)}
	if h.onUse { // a map that nobody has documented says what is still as it was
		return l, fmt.Errorf("encryption on write that has not ended: %w", evidence.ErrUnsupported)
	}
	if m.method < 0x8000 || m.method > 0x8005 {
		return l, fmt.Errorf("encryption method %#04x: %w", m.method, evidence.ErrUnsupported)
	}
	if m.version != 1 && m.encrypted <= 0 {
		return l, fmt.Errorf("it says that %d bytes of it are encrypted: %w", m.encrypted, evidence.ErrUnsupported)
	}
	patches, err := m.patches(h, src.Size())
	if err != nil {
		return l, err
	}
	l.Pieces, err = m.pieces(patches, src.Size()&^(h.sector-1), h.sector)
	return l, err
}

func (m *metadata) step(size int64) uint64 {
	if m.isXTS() {
		return 1
	}
	return uint64(size)
}

func (m *metadata) isXTS() bool { return m.method >= 0x8004 }

// patches are the metadata, which read as zeros, and the sectors of the
// beginning with the place where they really lie (BDE "Virtual sector(s)").
func (m *metadata) patches(h header, size int64) (all []patch, err error) {
	if m.version == 1 {
		all = append(all, patch{0, sector.Piece{Kind: sector.Plain, Length: headersVista * h.sector}})
	} else {
		length := m.headerLength(h.sector)
		if length <= 0 || length > size || m.headerAt <= 0 || m.headerAt > size-length || m.headerAt%h.sector != 0 {
			return nil, fmt.Errorf("the first %d bytes of the volume are kept at %d", length, m.headerAt)
		}
		all = append(all,
			patch{0, m.encryptedAt(m.headerAt, length, h.sector)},
			patch{m.headerAt, sector.Piece{Kind: sector.Zero, Length: length}})
		if m.state == stateSwitching && m.converting > 0 {
			all = append(all, patch{m.encrypted, sector.Piece{
				Kind: sector.Unreadable, Length: m.converting, Why: "was being encrypted or decrypted when the volume was left",
			}})
		}
	}
	area := m.area(h)
	for _, at := range m.blocks {
		if at > 0 && at < size {
			all = append(all, patch{at, sector.Piece{Kind: sector.Zero, Length: area}})
		}
	}
	return all, nil
}

// area is how long each stretch of metadata is: whole clusters on Vista.
func (m *metadata) area(h header) int64 {
	if m.version != 1 {
		return areaLater
	}
	cluster := max(h.sector*int64(h.raw[13]), h.sector)
	return (areaVista + cluster - 1) / cluster * cluster
}

// headerLength is how many bytes of the beginning lie elsewhere: the entry for
// that says it, or the header of the block since Windows 10.
func (m *metadata) headerLength(size int64) int64 {
	if b := first(m.entries, valueHeaderArea); len(b) >= 16 {
		if n := int64(binary.LittleEndian.Uint64(b[8:])); n > 0 {
			return n
		}
	}
	return m.headerCount * size
}

// encryptedAt is a piece of encrypted sectors that lie at a place of the volume.
func (m *metadata) encryptedAt(at, length, size int64) sector.Piece {
	return sector.Piece{From: at, Length: length, Number: uint64(at) / uint64(size) * m.step(size)}
}

// pieces fills what is between the patches: encrypted as far as the volume says,
// then as it is. Where patches overlap the first counts.
func (m *metadata) pieces(patches []patch, size, sectorSize int64) (all []sector.Piece, err error) {
	slices.SortStableFunc(patches, func(a, b patch) int { return int(min(max(a.at-b.at, -1), 1)) })
	var at int64
	for _, p := range append(patches, patch{at: size}) {
		if p.at%sectorSize != 0 || p.at < 0 {
			return nil, errors.New("metadata do not begin with a sector")
		}
		all = append(all, m.between(at, min(p.at, size), sectorSize)...)
		at = max(at, min(p.at, size))
		if over := at - p.at; over > 0 {
			p.piece.From += over
			p.piece.Length -= over
		}
		if p.piece.Length = min(p.piece.Length, size-at); p.piece.Length > 0 {
			all = append(all, p.piece)
			at += p.piece.Length
		}
	}
	return all, nil
}

// between are the sectors of a stretch without a patch.
func (m *metadata) between(from, to, sectorSize int64) []sector.Piece {
	if from >= to {
		return nil
	}
	end := to
	if m.version != 1 {
		end = min(max(from, m.encrypted&^(sectorSize-1)), to)
	}
	return []sector.Piece{
		m.encryptedAt(from, end-from, sectorSize),
		{Kind: sector.Plain, From: end, Length: to - end},
	}
}

// first mends the first sector of a volume of Vista, which BitLocker has written
// its own name and place over.
func (m *metadata) first(view evidence.Source, h header) evidence.Source {
	if m.version != 1 {
		return view
	}
	boot := slices.Clone(h.raw)
	copy(boot[3:], "NTFS    ")
	binary.LittleEndian.PutUint64(boot[56:], uint64(m.headerAt))
	return mended{view, boot}
}

// mended is a volume with another beginning.
type mended struct {
	evidence.Source
	begin []byte
}

func (v mended) ReadAt(p []byte, off int64) (int, error) {
	n, err := v.Source.ReadAt(p, off)
	if off >= 0 && off < int64(len(v.begin)) {
		copy(p[:n], v.begin[off:])
	}
	return n, err
}
