package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// disk is a source in memory. Reads that touch bad fail.
type disk struct {
	bytes []byte
	bad   tutela.Run
}

var _ evidence.Source = disk{}

func (d disk) Size() int64 { return int64(len(d.bytes)) }

func (d disk) ReadAt(p []byte, off int64) (int, error) {
	if off < d.bad.Offset+d.bad.Length && d.bad.Offset < off+int64(len(p)) {
		return 0, &evidence.ReadError{Run: d.bad, Err: errors.New("the head crashed")}
	}
	n, err := bytes.NewReader(d.bytes).ReadAt(p, off)
	if err == io.EOF && n == len(p) {
		err = nil
	}
	return n, err
}

func newDisk(size int) disk { return disk{bytes: make([]byte, size)} }

func (d disk) sign(at int) { d.bytes[at+510], d.bytes[at+511] = 0x55, 0xAA }

// put writes entry i of the boot record at byte at.
func (d disk) put(at, i int, kind byte, start, length uint32) {
	raw := d.bytes[at+446+16*i:]
	raw[4] = kind
	binary.LittleEndian.PutUint32(raw[8:], start)
	binary.LittleEndian.PutUint32(raw[12:], length)
	d.sign(at)
}

// guid of a Linux file system, in bytes on disk.
var linux = []byte{0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4}

type gptPart struct {
	slot        int // from 1
	first, last uint64
	name        string
}

// newGPT is a disk with both copies of a table of 128 entries.
func newGPT(sectors int, sectorSize int64, parts ...gptPart) disk {
	d := newDisk(sectors * int(sectorSize))
	d.put(0, 0, 0xEE, 1, uint32(sectors-1))
	array := make([]byte, 128*128)
	for _, p := range parts {
		raw := array[128*(p.slot-1):]
		copy(raw, linux)
		raw[16] = byte(p.slot)
		binary.LittleEndian.PutUint64(raw[32:], p.first)
		binary.LittleEndian.PutUint64(raw[40:], p.last)
		for i, r := range p.name {
			binary.LittleEndian.PutUint16(raw[56+2*i:], uint16(r))
		}
	}
	arraySectors := uint64(len(array)) / uint64(sectorSize)
	last := uint64(sectors - 1)
	d.putGPT(sectorSize, 1, last, 2, array)
	d.putGPT(sectorSize, last, 1, last-arraySectors, array)
	return d
}

func (d disk) putGPT(sectorSize int64, my, alternate, entries uint64, array []byte) {
	copy(d.bytes[int64(entries)*sectorSize:], array)
	h := d.bytes[int64(my)*sectorSize:][:92]
	copy(h, "EFI PART\x00\x00\x01\x00")
	binary.LittleEndian.PutUint32(h[12:], 92)
	binary.LittleEndian.PutUint64(h[24:], my)
	binary.LittleEndian.PutUint64(h[32:], alternate)
	binary.LittleEndian.PutUint64(h[72:], entries)
	binary.LittleEndian.PutUint32(h[80:], uint32(len(array)/128))
	binary.LittleEndian.PutUint32(h[84:], 128)
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	seal(h)
}

// seal puts the right checksum into a header.
func seal(h []byte) {
	clear(h[16:20])
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
}
