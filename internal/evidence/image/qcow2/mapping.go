package qcow2

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Bits of the entries of L1 and L2 tables (QCOW2, "Cluster mapping").
const (
	offsetMask     = 1<<56 - 1<<9
	flagCompressed = 1 << 62
	flagZero       = 1 << 0
	subclusters    = 32
)

// mapping is the map of an image: two levels of tables to clusters.
type mapping struct {
	src     evidence.Source
	table   *virtual.Table
	h       *header
	backing evidence.Source // nil if there is none
	chunks  virtual.Chunks
}

func newMapping(src evidence.Source, h *header) *mapping {
	return &mapping{src: src, table: virtual.NewTable(src), h: h, chunks: virtual.NewChunks(h.cluster())}
}

func (m *mapping) entryBytes() int64 {
	if m.h.extendedL2() {
		return 16
	}
	return 8
}

// reach is how many bytes of the medium one L2 table maps.
func (m *mapping) reach() int64 { return m.h.cluster() / m.entryBytes() * m.h.cluster() }

// check holds the L1 table against the file.
func (m *mapping) check(files *virtual.Files) error {
	if !virtual.Inside(m.src, m.h.l1Offset, min(m.h.l1Entries, 1)*8) {
		return fmt.Errorf("qcow2: the L1 table at %d lies outside the file", m.h.l1Offset)
	}
	if need := (m.h.size + m.reach() - 1) / m.reach(); need > m.h.l1Entries {
		files.Note(tutela.FindingDamaged, "qcow2: the L1 table has %d entries, the disk needs %d", m.h.l1Entries, need)
	}
	return nil
}

func (m *mapping) Piece(off int64) (virtual.Piece, error) {
	table, err := m.l2(off)
	if err != nil || table == 0 {
		return virtual.Under(m.backing, off, m.reach()-off%m.reach()), err
	}
	at := table + off%m.reach()/m.h.cluster()*m.entryBytes()
	rest := m.h.cluster() - off%m.h.cluster()
	entry, err := m.table.Uint64BE(at)
	if err != nil {
		return virtual.Piece{Length: rest}, fmt.Errorf("L2 table: %w", err)
	}
	switch {
	case entry&flagCompressed != 0:
		return m.compressed(entry, off, rest)
	case m.h.extendedL2():
		return m.subcluster(entry, at+8, off)
	case entry&flagZero != 0 && m.h.version >= 3:
		return virtual.Zeros(rest), nil
	case entry&offsetMask == 0:
		return virtual.Under(m.backing, off, rest), nil
	}
	return m.plain(entry, off, rest)
}

// l2 is where the L2 table for off lies; 0 if there is none.
func (m *mapping) l2(off int64) (int64, error) {
	n := off / m.reach()
	if n >= m.h.l1Entries {
		return 0, fmt.Errorf("the L1 table has no entry %d", n)
	}
	entry, err := m.table.Uint64BE(m.h.l1Offset + 8*n)
	if err != nil {
		return 0, fmt.Errorf("L1 table: %w", err)
	}
	at := int64(entry & offsetMask)
	if at%m.h.cluster() != 0 {
		return 0, fmt.Errorf("the L2 table at %d is not at the beginning of a cluster", at)
	}
	return at, nil
}

// plain is a cluster that lies in the file as it is.
func (m *mapping) plain(entry uint64, off, length int64) (virtual.Piece, error) {
	at := int64(entry & offsetMask)
	if at%m.h.cluster() != 0 {
		return virtual.Piece{Length: length}, fmt.Errorf("the data at %d is not at the beginning of a cluster", at)
	}
	return virtual.Piece{Length: length, Source: m.src, Offset: at + off%m.h.cluster()}, nil
}

// subcluster is a stretch of a cluster whose thirty-second parts are allocated
// one by one (QCOW2, "Extended L2 Entries"): as many as are alike.
func (m *mapping) subcluster(entry uint64, bitmapAt, off int64) (virtual.Piece, error) {
	size := m.h.cluster() / subclusters
	n := int(off % m.h.cluster() / size)
	bitmap, err := m.table.Uint64BE(bitmapAt)
	allocated, zero := uint32(bitmap)>>n, uint32(bitmap>>32)>>n
	if err == nil && uint32(bitmap)&uint32(bitmap>>32) != 0 {
		err = fmt.Errorf("subclusters are both allocated and zero: %#x", bitmap)
	}
	if err != nil {
		return virtual.Piece{Length: m.h.cluster() - off%m.h.cluster()}, fmt.Errorf("L2 table: %w", err)
	}
	alike := min(same(allocated), same(zero), subclusters-n)
	length := int64(alike)*size - off%size
	switch {
	case zero&1 != 0:
		return virtual.Zeros(length), nil
	case allocated&1 == 0:
		return virtual.Under(m.backing, off, length), nil
	case entry&offsetMask == 0:
		return virtual.Piece{Length: length}, errors.New("subclusters of a cluster that lies nowhere")
	}
	return m.plain(entry, off, length)
}

// same is how many of the lowest bits equal the lowest.
func same(b uint32) int {
	if b&1 == 1 {
		return bits.TrailingZeros32(^b)
	}
	return bits.TrailingZeros32(b)
}

// compressed is a cluster that was compressed as a whole.
func (m *mapping) compressed(entry uint64, off, length int64) (virtual.Piece, error) {
	shift := 62 - (m.h.clusterBits - 8)
	at := int64(entry & (1<<shift - 1))
	sectors := int64(entry &^ (3 << 62) >> shift)
	packed := (sectors+1)*512 - at%512
	chunk, err := m.chunks.Get(int64(entry&^(3<<62)), func() ([]byte, error) { return m.unpack(at, packed) })
	if err != nil {
		return virtual.Piece{Length: length}, fmt.Errorf("compressed cluster at %d: %w", at, err)
	}
	return virtual.Piece{Length: length, Source: chunk, Offset: off % m.h.cluster()}, nil
}

// unpack decompresses a cluster of which packed bytes at most lie at at. The
// last one may end with the file, before its last sector does.
func (m *mapping) unpack(at, packed int64) ([]byte, error) {
	if at >= m.src.Size() {
		return nil, fmt.Errorf("it lies outside the file: %w", io.ErrUnexpectedEOF)
	}
	raw, err := virtual.Read(m.src, at, int(min(packed, m.src.Size()-at)))
	if err != nil {
		return nil, err
	}
	out := make([]byte, m.h.cluster())
	if m.h.zstd {
		return out, unzstd(out, raw)
	}
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(raw)), out); err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	return out, nil
}

// unzstd fills out from the zstd frame that raw begins with.
func unzstd(out, raw []byte) error {
	z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	if _, err := io.ReadFull(z, out); err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	return nil
}
