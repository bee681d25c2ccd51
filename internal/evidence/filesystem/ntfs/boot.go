package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tutela/internal/evidence"
)

// The boot sector: FSNTFS "The volume header". Only the fields below are used;
// the others differ between the tools that format volumes.

var (
	oemNTFS       = []byte("NTFS    ")
	bootSignature = []byte{0x55, 0xaa}
)

const (
	minSector  = 256 // what mkntfs accepts
	maxSector  = 4096
	maxCluster = 2 << 20
	minRecord  = 512
	maxRecord  = 64 << 10
)

// geometry is what the boot sector says about the volume.
type geometry struct {
	sector  int64 // bytes
	cluster int64 // bytes
	record  int64 // bytes of an MFT record
	sectors int64 // of the volume, its backup boot sector not counted
	mft     int64 // first cluster of the MFT
	mirror  int64 // first cluster of its mirror
}

func (g geometry) volumeBytes() int64 { return g.sectors * g.sector }
func (g geometry) clusters() int64    { return g.volumeBytes() / g.cluster }

// bootSector is a geometry and where it was found.
type bootSector struct {
	geometry
	primary bool
	origin  string
}

// bootSectors are the boot sectors that make sense, the primary one first. It
// is an error that wraps ErrNotThis if there is none and the source does not
// even claim to be NTFS.
func bootSectors(src evidence.Source) ([]bootSector, error) {
	first := make([]byte, 512)
	claims := false
	var found []bootSector
	var reason error
	if err := readFull(src, first, 0); err == nil {
		claims = bytes.Equal(first[3:11], oemNTFS)
		var g geometry
		if g, reason = parseBoot(first); reason == nil {
			found = append(found, bootSector{g, true, "boot sector"})
		}
	}
	if !claims && foreign(src) {
		return nil, evidence.ErrNotThis
	}
	found = append(found, backups(src, found)...)
	if len(found) > 0 {
		return found, nil
	}
	if claims {
		return nil, fmt.Errorf("boot sector: %w, and no backup of it", reason)
	}
	return nil, evidence.ErrNotThis
}

// backups are the copies of the boot sector at the places where they can be:
// behind the volume if its size is known, else in the last sector of the source.
func backups(src evidence.Source, primary []bootSector) []bootSector {
	var found []bootSector
	for _, p := range primary {
		if g, ok := bootAt(src, p.volumeBytes()); ok {
			found = append(found, bootSector{g, false, "backup boot sector"})
		}
	}
	for size := int64(512); size <= maxSector; size *= 2 {
		at := src.Size() - size
		g, ok := bootAt(src, at)
		if ok && g.sector == size && g.volumeBytes() <= at && at-g.volumeBytes() < g.cluster {
			found = append(found, bootSector{g, false, "backup boot sector"})
		}
	}
	return found
}

func bootAt(src evidence.Source, at int64) (geometry, bool) {
	b := make([]byte, 512)
	if at <= 0 || at >= src.Size() {
		return geometry{}, false
	}
	if err := readFull(src, b, at); err != nil {
		return geometry{}, false
	}
	g, err := parseBoot(b)
	return g, err == nil
}

func parseBoot(b []byte) (g geometry, err error) {
	if !bytes.Equal(b[3:11], oemNTFS) {
		return g, errors.New("no NTFS signature")
	}
	if !bytes.Equal(b[510:512], bootSignature) {
		return g, errors.New("no 55aa signature")
	}
	g.sector = int64(binary.LittleEndian.Uint16(b[11:]))
	if !powerOfTwo(g.sector, minSector, maxSector) {
		return g, fmt.Errorf("%d bytes per sector", g.sector)
	}
	g.cluster = g.sector * sectorsPerCluster(b[13])
	if !powerOfTwo(g.cluster, g.sector, maxCluster) {
		return g, fmt.Errorf("%#x sectors per cluster", b[13])
	}
	g.record = recordBytes(b[64], g.cluster)
	if !powerOfTwo(g.record, minRecord, maxRecord) {
		return g, fmt.Errorf("mft record size %#x", b[64])
	}
	return g, g.parseExtent(b)
}

// parseExtent reads the size of the volume and where its tables begin.
func (g *geometry) parseExtent(b []byte) error {
	sectors := binary.LittleEndian.Uint64(b[40:])
	if sectors == 0 || sectors > math.MaxInt64/uint64(g.sector) {
		return fmt.Errorf("%d sectors", sectors)
	}
	g.sectors = int64(sectors)
	mft, mirror := binary.LittleEndian.Uint64(b[48:]), binary.LittleEndian.Uint64(b[56:])
	n := uint64(g.clusters())
	if mft >= n && mirror >= n {
		return fmt.Errorf("mft in cluster %d or %d of %d", mft, mirror, n)
	}
	g.mft, g.mirror = int64(min(mft, n)), int64(min(mirror, n))
	return nil
}

// sectorsPerCluster is a count up to 128; above 0xf0 it is the negative of a
// power of two. It is 0 for what nobody writes.
func sectorsPerCluster(v byte) int64 {
	switch {
	case v <= 0x80:
		return int64(v)
	case v >= 0xf0:
		return 1 << (256 - int(v))
	}
	return 0
}

// recordBytes is a number of clusters or, negative, a power of two of bytes.
func recordBytes(v byte, cluster int64) int64 {
	if v < 0x80 {
		return int64(v) * cluster
	}
	if shift := 256 - int(v); shift < 32 {
		return 1 << shift
	}
	return 0
}

func powerOfTwo(v, low, high int64) bool {
	return v >= low && v <= high && v&(v-1) == 0
}

// foreignMarks are what other formats leave where NTFS leaves nothing. A volume
// that was formatted anew keeps the old NTFS backup boot sector behind its end,
// and often the old MFT: it must not be taken for an NTFS volume.
var foreignMarks = []struct {
	at   int64
	mark string
}{
	{3, "EXFAT   "}, {3, "-FVE-FS-"}, {54, "FAT1"}, {82, "FAT32"},
	{0, "XFSB"}, {0, "hsqs"}, {32, "NXSB"}, {1024, "H+"}, {1024, "HX"},
	{1080, "\x53\xef"}, {32769, "CD001"}, {65600, "_BHRfS_M"},
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
