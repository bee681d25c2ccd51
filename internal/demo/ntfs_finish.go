package demo

import "fmt"

// mirrored is how many records $MFTMirr repeats.
const mirrored = 4

// tables are where the files that describe all others lie.
type tables struct{ mft, mirror, records, bitmap run }

// finish writes what describes the files: indexes, the MFT and its mirror,
// bitmaps, and last the boot sectors: until then a reader sees no volume at
// all.
func (v *ntfsVolume) finish() error {
	v.fillTable()
	t, err := v.placeTables()
	if err != nil {
		return fmt.Errorf("place the MFT: %w", err)
	}
	for _, n := range v.nodes {
		if !n.dir {
			continue
		}
		if err := v.index(n); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	if err := v.writeTables(t); err != nil {
		return fmt.Errorf("write the MFT: %w", err)
	}
	return v.writeBoot(t)
}

// fillTable adds unused records up to the end of the MFT's last cluster.
func (v *ntfsVolume) fillTable() {
	for len(v.nodes)*recordSize%clusterSize != 0 {
		n := v.newNode("", nil)
		n.unused, n.nameless = true, true
	}
}

// placeTables gives the tables their clusters and their records the $DATA that
// leads there.
func (v *ntfsVolume) placeTables() (t tables, err error) {
	mftSize, recordsSize := len(v.nodes)*recordSize, len(v.recordBitmap())
	for _, place := range []struct {
		at   *run
		size int
	}{{&t.mft, mftSize}, {&t.mirror, mirrored * recordSize}, {&t.records, recordsSize}, {&t.bitmap, len(v.bitmap)}} {
		if *place.at, err = v.take(int64(place.size)); err != nil {
			return t, err
		}
	}
	v.nodes[recordMFT].attributes = []attribute{
		stored(t.mft, mftSize),
		{kind: attrBitmap, runs: []run{t.records}, size: int64(recordsSize)},
	}
	v.nodes[recordMirror].attributes = []attribute{stored(t.mirror, mirrored*recordSize)}
	v.nodes[recordBitmap].attributes = []attribute{stored(t.bitmap, len(v.bitmap))}
	return t, nil
}

func (v *ntfsVolume) writeTables(t tables) error {
	mft, err := v.encodeTable()
	if err != nil {
		return err
	}
	for _, piece := range []struct {
		at   run
		data []byte
	}{{t.mft, mft}, {t.mirror, mft[:mirrored*recordSize]}, {t.records, v.recordBitmap()}, {t.bitmap, v.bitmap}} {
		if err := v.put(piece.at, piece.data); err != nil {
			return err
		}
	}
	return nil
}

// recordBitmap says which of the MFT's records are in use.
func (v *ntfsVolume) recordBitmap() []byte {
	b := make([]byte, roundUp(len(v.nodes), 64)/8)
	for i, n := range v.nodes {
		if n.flags()&recordInUse != 0 {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

func (v *ntfsVolume) encodeTable() ([]byte, error) {
	var table []byte
	for _, n := range v.nodes {
		record, err := n.encode()
		if err != nil {
			return nil, err
		}
		table = append(table, record...)
	}
	return table, nil
}

// writeBoot writes the boot sector to the volume's first sector and a copy to
// its last.
func (v *ntfsVolume) writeBoot(t tables) error {
	b := v.bootSector(t)
	if _, err := v.w.WriteAt(b, 0); err != nil {
		return err
	}
	_, err := v.w.WriteAt(b, (v.geometry.sectors-1)*sectorSize)
	return err
}

func (v *ntfsVolume) bootSector(t tables) []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xeb\x52\x90NTFS    ")
	le.PutUint16(b[0x0b:], sectorSize)
	b[0x0d] = clusterSize / sectorSize
	b[0x15] = 0xf8 // a fixed disk
	le.PutUint16(b[0x18:], 63)
	le.PutUint16(b[0x1a:], 255)
	le.PutUint32(b[0x1c:], uint32(v.geometry.hidden))
	le.PutUint32(b[0x24:], 0x0080_0080)
	le.PutUint64(b[0x28:], uint64(v.geometry.sectors-1))
	le.PutUint64(b[0x30:], uint64(t.mft.first))
	le.PutUint64(b[0x38:], uint64(t.mirror.first))
	b[0x40] = 0xf6 // a record has 2^10 bytes
	b[0x44] = indexBlockSize / clusterSize
	copy(b[0x48:], "tutela00") // the serial number
	b[510], b[511] = 0x55, 0xaa
	return b
}
