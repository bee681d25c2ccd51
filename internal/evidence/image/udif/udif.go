// Package udif reads the disk inside an Apple disk image (.dmg, UDIF).
//
// Start with [Open]; the [Disk] is the medium. Apple never published the format:
// the reader was written from the libmodi documentation ("MODI" below), the
// header files of Apple's libraries, the LZFSE reference and what images hold.
//
// Read: the "koly" trailer, block tables in the property list or, in old images,
// in the resource fork, and blocks that are zeros, ignored, raw, or compressed
// with ADC, zlib, bzip2, LZFSE and LZMA; images without block tables, which are a
// raw disk with a trailer. Refused by name: encrypted images (both versions of
// the container), images split into segments. Sparse images and sparse bundles
// are formats of their own and not this one.
//
// Promised: a block that lies outside the file or does not decompress to its
// length is a read error of that block alone, and so is a stretch of the disk
// that no block holds. [Disk.Verify] holds the checksums that the image carries.
// Not promised: that a checksum is held when bytes are read; each covers a whole
// partition.
package udif

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const sector = 512

// Disk is the medium inside an image.
type Disk struct {
	virtual.Medium
	partitions []partition
}

var _ evidence.File = (*Disk)(nil)

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no Apple disk image, and
// [evidence.ErrUnsupported] for what is recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	files := virtual.NewFiles(st)
	d, err := read(files, name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open udif %s: %w", name, err), files.Close())
	}
	return d, nil
}

func read(files *virtual.Files, name string) (*Disk, error) {
	src, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	if err := refuseEncrypted(src); err != nil {
		return nil, err
	}
	t, err := findTrailer(src)
	if err != nil {
		return nil, err
	}
	if segments := t.segments(); segments > 1 {
		return nil, fmt.Errorf("udif: an image of %d segments not read: %w", segments, evidence.ErrUnsupported)
	}
	tables, err := t.tables(src)
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return readFlat(files, src, t)
	}
	m := &blocks{src: src}
	partitions, err := m.add(t, tables)
	if err != nil {
		return nil, err
	}
	size := max(t.size(), m.end())
	if m.end() != t.size() {
		files.Note(tutela.FindingDamaged, "udif: the trailer says that the disk has %d bytes, the blocks end at %d", t.size(), m.end())
	}
	return &Disk{virtual.NewMedium("udif", size, m, files), partitions}, nil
}

// readFlat opens an image without block tables: its data fork is the disk.
func readFlat(files *virtual.Files, src evidence.Source, t trailer) (*Disk, error) {
	if t.dataLength() < t.size() {
		return nil, fmt.Errorf("udif: no block tables, and %d bytes for a disk of %d", t.dataLength(), t.size())
	}
	return &Disk{Medium: virtual.NewMedium("udif-raw", t.size(), flat{src, t.dataOffset(), t.size()}, files)}, nil
}

type flat struct {
	src          evidence.Source
	offset, size int64
}

func (f flat) Piece(off int64) (virtual.Piece, error) {
	return virtual.Piece{Length: f.size - off, Source: f.src, Offset: f.offset + off}, nil
}

// refuseEncrypted knows the containers that an encrypted image is wrapped in:
// version 2 begins with its name, version 1 ends with it.
func refuseEncrypted(src evidence.Source) error {
	head, tail := make([]byte, 8), make([]byte, 8)
	src.ReadAt(head, 0)
	src.ReadAt(tail, max(src.Size()-8, 0))
	if string(head) == "encrcdsa" || string(tail) == "cdsaencr" {
		return fmt.Errorf("udif: encrypted: %w", evidence.ErrUnsupported)
	}
	return nil
}

const (
	trailerBytes = 512
	// padding is how much some tools leave behind the trailer.
	padding = 511
	// maxPlist bounds the property list and the resource fork, in bytes. 32 MB
	// describe a disk of more than 100 GB in blocks of 256 KB.
	maxPlist = 32 << 20
)

// trailer is the structure that ends an image, its "koly" block.
type trailer []byte

func (t trailer) long(at int) int64 { return int64(binary.BigEndian.Uint64(t[at:])) }

func (t trailer) dataOffset() int64 { return t.long(24) }
func (t trailer) dataLength() int64 { return t.long(32) }
func (t trailer) segments() uint32  { return binary.BigEndian.Uint32(t[60:]) }
func (t trailer) size() int64       { return t.long(492) * sector }

// findTrailer looks for the trailer at the end of the file.
func findTrailer(src evidence.Source) (trailer, error) {
	if src.Size() < trailerBytes {
		return nil, evidence.ErrNotThis
	}
	last, err := virtual.Read(src, src.Size()-trailerBytes, trailerBytes)
	if err != nil {
		return nil, err
	}
	if t := trailer(last); t.named() {
		return t, t.check()
	}
	length := min(src.Size(), trailerBytes+padding)
	tail, err := virtual.Read(src, src.Size()-length, int(length))
	if err != nil {
		return nil, evidence.ErrNotThis // what is bad lies before the place of a trailer
	}
	for ; len(tail) >= trailerBytes; tail = tail[:len(tail)-1] {
		if t := trailer(tail[len(tail)-trailerBytes:]); t.named() {
			return t, t.check()
		}
	}
	return nil, evidence.ErrNotThis
}

func (t trailer) named() bool {
	return string(t[:4]) == "koly" && binary.BigEndian.Uint32(t[8:]) == trailerBytes
}

func (t trailer) check() error {
	switch version := binary.BigEndian.Uint32(t[4:]); {
	case version != 4:
		return fmt.Errorf("udif: version %d not read: %w", version, evidence.ErrUnsupported)
	case t.long(492) < 0 || t.long(492) > 1<<52:
		return fmt.Errorf("udif: a disk of %d sectors", uint64(t.long(492)))
	case t.dataOffset() < 0 || t.dataOffset() > 1<<62:
		return fmt.Errorf("udif: the data fork at %d", uint64(t.dataOffset()))
	}
	return nil
}

// tables are the block tables, from the property list or the resource fork.
func (t trailer) tables(src evidence.Source) ([][]byte, error) {
	if length := t.long(224); length != 0 {
		b, err := t.read(src, t.long(216), length)
		if err != nil {
			return nil, fmt.Errorf("udif: property list: %w", err)
		}
		return plistTables(b)
	}
	if length := t.long(48); length != 0 {
		b, err := t.read(src, t.long(40), length)
		if err != nil {
			return nil, fmt.Errorf("udif: resource fork: %w", err)
		}
		return forkTables(b)
	}
	return nil, nil
}

func (t trailer) read(src evidence.Source, at, length int64) ([]byte, error) {
	if length < 0 || length > maxPlist {
		return nil, fmt.Errorf("%d bytes: %w", uint64(length), evidence.ErrUnsupported)
	}
	return virtual.Read(src, at, int(length))
}
