package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// The boot sector: FAT specification, "Boot Sector and BPB".

const (
	firstCluster = 2 // the first two entries of a table stand for no cluster
	slotBytes    = 32
	backupSector = 6 // "no value other than 6 is recommended"
	maxFAT12     = 4084
	maxFAT16     = 65524
	maxFAT32     = 0x0ffffff5
)

// geometry is what the boot sector says about the volume. Places are in bytes
// from the beginning of the volume.
type geometry struct {
	bits       int   // 12, 16 or 32
	sector     int64 // bytes
	cluster    int64 // bytes
	tables     int   // copies of the file allocation table
	active     int   // the one to believe
	mirrored   bool  // the others are kept equal
	table      int64 // place of the first
	tableBytes int64 // of one
	root       int64 // place of the root directory of FAT12 and FAT16
	rootBytes  int64
	rootAt     uint32 // its first cluster on FAT32
	data       int64  // place of cluster 2
	clusters   uint32 // of the volume
	held       uint32 // of those, how many begin in the source
	total      int64  // bytes of the volume
	media      byte
}

// valid reports whether c is the number of a cluster.
func (g *geometry) valid(c uint32) bool { return c >= firstCluster && c-firstCluster < g.clusters }

// holds reports whether c is the number of a cluster that begins in the source.
func (g *geometry) holds(c uint32) bool { return c >= firstCluster && c-firstCluster < g.held }

// offset is the place of cluster c.
func (g *geometry) offset(c uint32) int64 { return g.data + int64(c-firstCluster)*g.cluster }

// clusterAt is the cluster at a place.
func (g *geometry) clusterAt(at int64) uint32 { return uint32((at-g.data)/g.cluster) + firstCluster }

// need is how many clusters size bytes take.
func (g *geometry) need(size int64) int64 { return (size + g.cluster - 1) / g.cluster }

// bootSector is the geometry of the boot sector or, on FAT32, of its copy.
func bootSector(src evidence.Source) (g geometry, backup bool, err error) {
	b := make([]byte, 512)
	err = readFull(src, b, 0)
	var unread *evidence.ReadError
	if err == nil {
		if g, err = parseBoot(b, src.Size()); err == nil {
			return g, false, nil
		}
		if foreign(src) {
			return g, false, fmt.Errorf("%w: %w", evidence.ErrNotThis, err)
		}
	}
	for at := int64(512) * backupSector; at <= 4096*backupSector; at *= 2 {
		if readFull(src, b, at) != nil {
			continue
		}
		g, bad := parseBoot(b, src.Size())
		if bad == nil && g.bits == 32 && g.sector*backupSector == at && tableBegins(src, &g) {
			return g, true, nil
		}
	}
	if errors.As(err, &unread) {
		return g, false, err
	}
	return g, false, fmt.Errorf("%w: %w", evidence.ErrNotThis, err)
}

// tableBegins reports whether the table begins as it must (FAT specification,
// "FAT[0]"), which shows that the volume was not formatted over.
func tableBegins(src evidence.Source, g *geometry) bool {
	b := make([]byte, 4)
	if readFull(src, b, g.table) != nil {
		return false
	}
	return binary.LittleEndian.Uint32(b)|0xf0000000 == 0xffffff00|uint32(g.media)
}

func parseBoot(b []byte, size int64) (g geometry, err error) {
	le := binary.LittleEndian
	if b[510] != 0x55 || b[511] != 0xaa {
		return g, errors.New("no 55aa signature")
	}
	g.sector, g.tables, g.media = int64(le.Uint16(b[11:])), int(b[16]), b[21]
	g.cluster = g.sector * int64(b[13])
	reserved, perTable := int64(le.Uint16(b[14:])), int64(le.Uint16(b[22:]))
	g.rootBytes = int64(le.Uint16(b[17:])) * slotBytes
	sectors := int64(le.Uint16(b[19:]))
	if sectors == 0 {
		sectors = int64(le.Uint32(b[32:]))
	}
	switch {
	case !powerOfTwo(g.sector, 512, 4096):
		return g, fmt.Errorf("%d bytes per sector", g.sector)
	case !powerOfTwo(int64(b[13]), 1, 128):
		return g, fmt.Errorf("%d sectors per cluster", b[13])
	case g.tables < 1 || g.tables > 4:
		return g, fmt.Errorf("%d file allocation tables", g.tables)
	case g.media != 0xf0 && g.media < 0xf8:
		return g, fmt.Errorf("media type %#x", g.media)
	case reserved == 0:
		return g, errors.New("no reserved sectors")
	}
	g.mirrored = true
	wide := perTable == 0
	if wide {
		perTable = int64(le.Uint32(b[36:]))
		g.parseWide(b)
	}
	g.tableBytes = perTable * g.sector
	g.table = reserved * g.sector
	g.root = g.table + int64(g.tables)*g.tableBytes
	g.data = g.root + (g.rootBytes+g.sector-1)/g.sector*g.sector
	g.total = sectors * g.sector
	return g, g.count(wide, size)
}

// parseWide reads the fields that only FAT32 has.
func (g *geometry) parseWide(b []byte) {
	le := binary.LittleEndian
	if flags := le.Uint16(b[40:]); flags&0x80 != 0 {
		g.active, g.mirrored = int(flags&0xf), false
	}
	g.rootAt = le.Uint32(b[44:])
}

// count finds the number of clusters and with it the type: FAT specification,
// "FAT Type Determination". A boot sector of FAT32's form is FAT32 however few
// clusters there are, as every driver takes it.
func (g *geometry) count(wide bool, size int64) error {
	clusters := (g.total - g.data) / g.cluster
	most := int64(maxFAT32)
	switch {
	case g.total <= g.data || clusters < 1 || g.tableBytes == 0:
		return fmt.Errorf("%d bytes in all, the clusters begin at %d", g.total, g.data)
	case g.active >= g.tables:
		return fmt.Errorf("table %d of %d is the active one", g.active, g.tables)
	case wide && g.rootBytes == 0:
		g.bits = 32
	case wide || g.rootBytes == 0:
		return errors.New("neither a FAT16 nor a FAT32 boot sector")
	case clusters <= maxFAT12:
		g.bits, most = 12, maxFAT12
	default:
		g.bits, most = 16, maxFAT16
	}
	if clusters > most {
		return fmt.Errorf("%d clusters on FAT%d", clusters, g.bits)
	}
	// Entries that the table has no room for stand for no clusters.
	clusters = min(clusters, g.tableBytes*8/int64(g.bits)-firstCluster)
	if clusters < 1 {
		return errors.New("a table without entries")
	}
	held := (size - g.data + g.cluster - 1) / g.cluster
	g.clusters, g.held = uint32(clusters), uint32(max(0, min(held, clusters)))
	return nil
}

func powerOfTwo(v, low, high int64) bool { return v >= low && v <= high && v&(v-1) == 0 }

// foreignMarks are what other formats leave where a damaged FAT32 boot sector
// would be: the copy of a boot sector outlives a formatting with some of them.
var foreignMarks = []struct {
	at   int64
	mark string
}{
	{3, "EXFAT   "}, {3, "NTFS    "}, {3, "-FVE-FS-"}, {0, "XFSB"}, {0, "hsqs"}, {0, "LUKS\xba\xbe"}, {32, "NXSB"},
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
