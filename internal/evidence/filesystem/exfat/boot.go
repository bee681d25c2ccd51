package exfat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
	"tutela/internal/evidence"
)

// Main and backup boot regions: specification, section 3.

const (
	firstCluster  = 2
	regionSectors = 12
	maxClusters   = 1<<32 - 11
)

// geometry is what the boot sector says about the volume. Places are in bytes
// from the beginning of the volume.
type geometry struct {
	sector     int64 // bytes
	cluster    int64 // bytes
	table      int64 // place of the active file allocation table
	tableBytes int64
	heap       int64  // place of cluster 2
	clusters   uint32 // of the volume
	held       uint32 // of those, how many begin in the source
	root       uint32 // first cluster of the root directory
	active     byte   // 0 or 1: the table and the bitmap to believe
	total      int64  // bytes of the volume
}

func (g *geometry) valid(c uint32) bool       { return c >= firstCluster && c-firstCluster < g.clusters }
func (g *geometry) holds(c uint32) bool       { return c >= firstCluster && c-firstCluster < g.held }
func (g *geometry) offset(c uint32) int64     { return g.heap + int64(c-firstCluster)*g.cluster }
func (g *geometry) need(size int64) int64     { return size/g.cluster + min(1, size%g.cluster) }
func (g *geometry) clusterAt(at int64) uint32 { return uint32((at-g.heap)/g.cluster) + firstCluster }

// bootRegion is the geometry of the main boot region or, where that is bad, of
// the backup.
func bootRegion(src evidence.Source) (g geometry, told []tutela.Finding, err error) {
	b := make([]byte, 512)
	err = readFull(src, b, 0)
	var unread *evidence.ReadError
	claims := err == nil && string(b[3:11]) == "EXFAT   "
	if claims {
		var sound bool
		if g, sound, err = parseRegion(src, b, 0); err == nil && sound {
			return g, nil, nil
		}
	}
	if !claims && err == nil && foreign(src) {
		return g, nil, evidence.ErrNotThis
	}
	for size := int64(512); size <= 4096; size *= 2 {
		at := size * regionSectors
		if readFull(src, b, at) != nil || string(b[3:11]) != "EXFAT   " {
			continue
		}
		if backup, sound, bad := parseRegion(src, b, at); bad == nil && sound && backup.sector == size {
			return backup, []tutela.Finding{{Code: tutela.FindingBackupTable, Detail: "the main boot region is bad: the backup was used"}}, nil
		}
	}
	switch {
	case claims && err == nil:
		return g, []tutela.Finding{{Code: tutela.FindingDamaged, Detail: "the checksum of the boot region is wrong, and there is no good backup of it"}}, nil
	case claims:
		return g, nil, fmt.Errorf("boot region: %w, and no backup of it", err)
	case errors.As(err, &unread):
		return g, nil, err
	}
	return g, nil, evidence.ErrNotThis
}

// parseRegion reads the boot sector in b and holds the region it begins against
// its checksum: section 3.4.
func parseRegion(src evidence.Source, b []byte, at int64) (g geometry, sound bool, err error) {
	if g, err = parseBoot(b, src.Size()); err != nil {
		return g, false, err
	}
	region := make([]byte, regionSectors*g.sector)
	if readFull(src, region, at) != nil {
		return g, false, nil
	}
	return g, binary.LittleEndian.Uint32(region[11*g.sector:]) == regionSum(region[:11*g.sector]), nil
}

// regionSum is the checksum of the first eleven sectors, without the flags and
// the percentage that change while the volume is used.
func regionSum(region []byte) (sum uint32) {
	for i, c := range region {
		if i != 106 && i != 107 && i != 112 {
			sum = sum>>1 | sum<<31
			sum += uint32(c)
		}
	}
	return sum
}

func parseBoot(b []byte, size int64) (g geometry, err error) {
	le := binary.LittleEndian
	shift, clusterShift := b[108], b[109]
	switch {
	case b[510] != 0x55 || b[511] != 0xaa:
		return g, errors.New("no 55aa signature")
	case shift < 9 || shift > 12:
		return g, fmt.Errorf("2^%d bytes per sector", shift)
	case clusterShift > 25-shift:
		return g, fmt.Errorf("2^%d sectors per cluster", clusterShift)
	case b[110] != 1 && b[110] != 2:
		return g, fmt.Errorf("%d file allocation tables", b[110])
	}
	g.sector = 1 << shift
	g.cluster = g.sector << clusterShift
	sectors := le.Uint64(b[72:])
	if sectors > math.MaxInt64/uint64(g.sector) {
		return g, fmt.Errorf("%d sectors", sectors)
	}
	g.total = int64(sectors) * g.sector
	g.tableBytes = int64(le.Uint32(b[84:])) * g.sector
	g.active = b[106] & 1 & (b[110] - 1)
	g.table = int64(le.Uint32(b[80:]))*g.sector + int64(g.active)*g.tableBytes
	g.heap = int64(le.Uint32(b[88:])) * g.sector
	g.root = le.Uint32(b[96:])
	return g, g.count(int64(le.Uint32(b[92:])), size)
}

// count takes the number of clusters as far as the volume and its table have room
// for them.
func (g *geometry) count(clusters, size int64) error {
	switch {
	case g.table < regionSectors*2*g.sector || g.heap < g.table || g.heap >= g.total:
		return fmt.Errorf("table at byte %d, clusters at %d of %d", g.table, g.heap, g.total)
	case clusters < 1 || clusters > maxClusters:
		return fmt.Errorf("%d clusters", clusters)
	case clusters > (g.total-g.heap)/g.cluster:
		return fmt.Errorf("%d clusters, room for %d", clusters, (g.total-g.heap)/g.cluster)
	case clusters > g.tableBytes/4-firstCluster:
		return fmt.Errorf("%d clusters, a table for %d", clusters, g.tableBytes/4-firstCluster)
	case int64(g.root)-firstCluster < 0 || int64(g.root)-firstCluster >= clusters:
		return fmt.Errorf("root directory in cluster %d of %d", g.root, clusters)
	}
	held := (size - g.heap + g.cluster - 1) / g.cluster
	g.clusters, g.held = uint32(clusters), uint32(max(0, min(held, clusters)))
	return nil
}

// foreignMarks are what other formats leave where a damaged boot sector would be:
// the backup region may outlive a formatting.
var foreignMarks = []struct {
	at   int64
	mark string
}{
	{3, "NTFS    "}, {3, "-FVE-FS-"}, {54, "FAT1"}, {82, "FAT32"}, {0, "XFSB"}, {0, "hsqs"}, {0, "LUKS\xba\xbe"}, {32, "NXSB"},
	{1024, "H+"}, {1024, "HX"}, {1024, "\x10\x20\xf5\xf2"}, {1080, "\x53\xef"}, {32769, "CD001"}, {65600, "_BHRfS_M"},
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

// readFull fills b or returns an error.
func readFull(src evidence.Source, b []byte, at int64) error {
	n, err := src.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}
