// Package parallels reads the disk inside an expanding Parallels image (.hds,
// .hdd), both forms of its header.
//
// Start with [Open]; the [Disk] is the medium. The reader was written from
// QEMU's docs/interop/parallels.txt.
//
// Parallels keeps a disk as a folder: DiskDescriptor.xml and one file for each
// snapshot, whose headers do not say that they stand upon another. Open reads one
// such file. Where a DiskDescriptor.xml that is beside it names more than one
// image, the disk is refused: what was not written after the snapshot would be
// given as zeros; so it is where the descriptor says that it is encrypted. Plain
// images, without a header, are raw.
//
// Promised: a block that was not allocated is zeros; one that lies outside the
// file is a read error of that block alone. An image that was not closed says so
// in a note. Not promised: encrypted images are not recognised where only the
// descriptor would tell.
package parallels

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const (
	magicPlain    = "WithoutFreeSpace"
	magicExtended = "WithouFreSpacExt"
	headerBytes   = 64
	sector        = 512
	inUse         = 0x746f6e59
	descriptor    = "DiskDescriptor.xml"
	// maxDescriptor bounds the descriptor, in bytes.
	maxDescriptor = 1 << 20
)

// Disk is the medium inside an image.
type Disk struct{ virtual.Medium }

var _ evidence.File = (*Disk)(nil)

// Open opens the disk in the file called name. The error wraps
// [evidence.ErrNotThis] when the file is no expanding Parallels image, and
// [evidence.ErrUnsupported] for what is recognised and not read.
func Open(st evidence.Storage, name string) (*Disk, error) {
	files := virtual.NewFiles(st)
	d, err := read(files, name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open parallels %s: %w", name, err), files.Close())
	}
	return d, nil
}

func read(files *virtual.Files, name string) (*Disk, error) {
	src, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := readBlocks(src)
	if err != nil {
		return nil, err
	}
	if err := refuseDescribed(files.Storage()); err != nil {
		return nil, err
	}
	if b.open {
		files.Note(tutela.FindingDamaged, "parallels: marked as in use: it was not closed, blocks written last may be missing from its table")
	}
	if need := (b.size + b.block - 1) / b.block; need > b.entries {
		files.Note(tutela.FindingDamaged, "parallels: the block table has %d entries, the disk has %d blocks", b.entries, need)
	}
	return &Disk{virtual.NewMedium("parallels", b.size, b, files)}, nil
}

// blocks is the map of a disk; lengths in bytes.
type blocks struct {
	src     evidence.Source
	table   *virtual.Table
	size    int64
	block   int64
	unit    int64 // of the numbers in the table
	entries int64
	open    bool
}

func readBlocks(src evidence.Source) (*blocks, error) {
	h := make([]byte, headerBytes)
	if n, err := src.ReadAt(h, 0); n < len(h) && src.Size() >= int64(len(h)) {
		return nil, err
	}
	le := binary.LittleEndian
	magic := string(h[:16])
	if magic != magicPlain && magic != magicExtended {
		return nil, evidence.ErrNotThis
	}
	b := &blocks{
		src: src, table: virtual.NewTable(src), block: int64(le.Uint32(h[28:])) * sector, unit: sector,
		entries: int64(le.Uint32(h[32:])), open: le.Uint32(h[44:]) == inUse,
	}
	sectors := le.Uint64(h[36:])
	if magic == magicPlain {
		sectors &= 0xffffffff
	} else {
		b.unit = b.block
	}
	switch version := le.Uint32(h[16:]); {
	case version != 2:
		return nil, fmt.Errorf("parallels: version %d not read: %w", version, evidence.ErrUnsupported)
	case sectors > 1<<52:
		return nil, fmt.Errorf("parallels: a disk of %d sectors", sectors)
	case b.block == 0 || b.block > 1<<31:
		return nil, fmt.Errorf("parallels: blocks of %d bytes", b.block)
	}
	b.size = int64(sectors) * sector
	return b, nil
}

func (b *blocks) Piece(off int64) (virtual.Piece, error) {
	n, within := off/b.block, off%b.block
	rest := virtual.Piece{Length: b.block - within}
	if n >= b.entries {
		return rest, fmt.Errorf("block %d has no entry in the table", n)
	}
	entry, err := b.table.Uint32LE(headerBytes + 4*n)
	switch {
	case err != nil:
		return rest, fmt.Errorf("block table: %w", err)
	case entry == 0:
		return rest, nil
	}
	rest.Source, rest.Offset = b.src, int64(entry)*b.unit+within
	return rest, nil
}

// refuseDescribed refuses a disk whose descriptor names more than one image, or
// says that it is encrypted.
func refuseDescribed(st evidence.Storage) error {
	f, err := st.Open(descriptor)
	if err != nil {
		return nil // the file may come alone
	}
	defer f.Close()
	b, err := virtual.Read(f, 0, int(min(f.Size(), maxDescriptor)))
	if err != nil {
		return fmt.Errorf("parallels: %s: %w", descriptor, err)
	}
	images, engine, err := describe(b)
	switch {
	case err != nil:
		return fmt.Errorf("parallels: %s: %w", descriptor, err)
	case strings.Trim(engine, "{0-} \r\n\t") != "":
		return fmt.Errorf("parallels: encrypted by %s: %w", engine, evidence.ErrUnsupported)
	case images > 1:
		return fmt.Errorf("parallels: a disk of %d images (snapshots, or split) not read: %w", images, evidence.ErrUnsupported)
	}
	return nil
}

// describe counts the elements Image, wherever they stand, and finds what
// encrypts the disk: zeros where nothing does.
func describe(b []byte) (images int, engine string, err error) {
	var last string
	for in := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := in.RawToken()
		if err == io.EOF {
			return images, engine, nil
		}
		if err != nil {
			return 0, "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if last = token.Name.Local; last == "Image" {
				images++
			}
		case xml.CharData:
			if last == "Engine" {
				engine += string(token)
			}
		case xml.EndElement:
			last = ""
		}
	}
}
