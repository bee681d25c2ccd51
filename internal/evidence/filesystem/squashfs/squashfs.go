// Package squashfs reads SquashFS 4.0, the packed read-only file system of live
// systems, firmware and snaps.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from the
// kernel's Documentation/filesystems/squashfs.rst ("SQUASHFS" below) and the
// public descriptions of what it compresses with: the xz file format, the LZMA
// SDK's notes on branch filters, the LZ4 block format.
//
// # What becomes an entry
//
// Every file, symbolic link, device, pipe and socket, once under each of its
// names, in the order of the directory tables: first all of a directory, then
// what is below it. Nothing is deleted in a SquashFS, and it has no map of free
// space.
//
// # Promised
//
// Content is expanded as it is read, block after block; a block that does not
// expand to what its file says is an [evidence.ReadError] of that block, and the
// blocks behind it can still be read. Every content is an io.ReaderAt. Runs
// lists the blocks that are stored as they are. What is kept in memory is
// bounded but for the number of directories.
//
// # Not promised
//
// Extended attributes, owners and the export table are not looked at. LZO,
// versions before 4.0, big-endian volumes and the branch filters for IA-64,
// ARM64 and RISC-V are named, not read. What an appending mksquashfs left behind
// of older tables is not searched.
package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

const (
	layerName       = "squashfs"
	orphanFolder    = "/$OrphanFiles"
	superblockBytes = 96
	minBlockBytes   = 4 << 10
	maxBlockBytes   = 1 << 20 // SQUASHFS 3: blocks of up to 1 MiB
	noTable         = 1<<64 - 1
)

// FileSystem is an opened volume, safe for concurrent use.
type FileSystem struct {
	src       evidence.Source
	super     superblock
	unpack    decoder
	metadata  *cache // of metadata blocks
	fragments *cache // of blocks that several files end in
	root      inode
	findings  []tutela.Finding // about the volume as a whole
}

var _ evidence.FileSystem = (*FileSystem)(nil)

// superblock is what the reader needs of it (SQUASHFS 3.1). Places are bytes
// from the beginning of the volume.
type superblock struct {
	inodes        uint32
	blockBytes    int64
	fragments     uint32
	compressor    uint16
	root          inodeRef
	used          int64
	inodeTable    int64
	dirTable      int64
	fragmentTable int64
}

// Open reads the superblock and the root directory's inode. The error wraps
// [evidence.ErrNotThis] where src begins with another number,
// [evidence.ErrUnsupported] for a version, byte order or compression that is
// not read; any other error means that it is a SquashFS and leads nowhere.
func Open(src evidence.Source) (*FileSystem, error) {
	fs, err := open(src)
	if err != nil {
		return nil, fmt.Errorf("open squashfs: %w", err)
	}
	return fs, nil
}

func open(src evidence.Source) (*FileSystem, error) {
	super, err := readSuperblock(src)
	if err != nil {
		return nil, err
	}
	unpack, err := decoderOf(super.compressor)
	if err != nil {
		return nil, err
	}
	fs := &FileSystem{src: src, super: super, unpack: unpack}
	fs.metadata = newCache(cachedMetadata, fs.readMetadata)
	fs.fragments = newCache(cachedFragments, fs.readFragment)
	if super.used > src.Size() {
		fs.findings = append(fs.findings, tutela.Finding{
			Code:   tutela.FindingTruncated,
			Detail: fmt.Sprintf("the volume has %d bytes, only %d are here", super.used, src.Size()),
		})
	}
	if fs.root, err = fs.inode(super.root); err != nil {
		return nil, fmt.Errorf("root inode: %w", err)
	}
	if fs.root.kind != tutela.Directory {
		return nil, errors.New("root inode: not a directory")
	}
	return fs, nil
}

func readSuperblock(src evidence.Source) (s superblock, err error) {
	b := make([]byte, superblockBytes)
	if n, err := src.ReadAt(b, 0); n < len(b) {
		if err == nil || err == io.EOF {
			return s, evidence.ErrNotThis
		}
		return s, err
	}
	if err := recognise(b); err != nil {
		return s, err
	}
	le := binary.LittleEndian
	s = superblock{
		inodes:     le.Uint32(b[4:]),
		blockBytes: int64(le.Uint32(b[12:])),
		fragments:  le.Uint32(b[16:]),
		compressor: le.Uint16(b[20:]),
		root:       inodeRef(le.Uint64(b[32:])),
	}
	if log := le.Uint16(b[22:]); log > 20 || s.blockBytes != 1<<log || s.blockBytes < minBlockBytes {
		return s, fmt.Errorf("blocks of %d bytes, 2^%d", s.blockBytes, log)
	}
	for at, place := range map[int]*int64{40: &s.used, 64: &s.inodeTable, 72: &s.dirTable, 80: &s.fragmentTable} {
		v := le.Uint64(b[at:])
		if v == noTable && place == &s.fragmentTable {
			v = 0
		}
		if v > 1<<62 {
			return s, fmt.Errorf("superblock: place %d out of range", v)
		}
		*place = int64(v)
	}
	return s, nil
}

// recognise tells a volume that can be read from one that is known by name and
// from everything else. Versions 1 to 3 keep theirs in the same place.
func recognise(b []byte) error {
	var order binary.ByteOrder = binary.LittleEndian
	switch string(b[:4]) {
	case "hsqs":
	case "sqsh":
		order = binary.BigEndian
	case "shsq", "qshs", "hsqt", "tqsh", "sqlz":
		return fmt.Errorf("a vendor's own variant (%s) is not read: %w", b[:4], evidence.ErrUnsupported)
	default:
		return evidence.ErrNotThis
	}
	major, minor := order.Uint16(b[28:]), order.Uint16(b[30:])
	switch {
	case major < 1 || major > 4:
		return fmt.Errorf("version %d.%d: %w", major, minor, evidence.ErrNotThis)
	case order == binary.ByteOrder(binary.BigEndian):
		return fmt.Errorf("version %d.%d, big-endian, is not read: %w", major, minor, evidence.ErrUnsupported)
	case major != 4 || minor != 0:
		return fmt.Errorf("version %d.%d is not read: %w", major, minor, evidence.ErrUnsupported)
	}
	return nil
}
