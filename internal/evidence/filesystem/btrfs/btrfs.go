// Package btrfs reads Btrfs volumes that lie on one device, or whose device holds
// a whole copy.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from the
// on-disk format description of the Btrfs documentation ("BTRFS" below).
//
// # What becomes an entry
//
// Every file, symbolic link, device, pipe and socket that a directory leads to
// from the root of the top-level subvolume, once under each of its names: first
// all of a directory, then what is below it. Subvolumes and snapshots appear
// where their names lie and are read like directories, so a file that a snapshot
// shares is listed again below it.
//
// # Promised
//
// Checksums of the trees (CRC-32C and SHA-256) are held against their blocks;
// where one is wrong, the second copy is taken if there is any, and nothing is
// taken from a block without a good one. Zlib and zstd are expanded as content
// is read; an extent that does not expand is an [evidence.ReadError] of that
// extent, and those behind it can still be read. No byte is made up: zeros are
// given for holes and for extents that were never written. What is kept in
// memory is bounded but for the number of directories and chunks, and the
// extents of the one file that is looked at.
//
// # Not promised
//
// Deleted files and earlier states of the trees are not searched, and the log of what was synced last is not replayed ("/" says so
// where there is one). The striped and parity profiles (raid0, raid10, raid5,
// raid6), LZO, and extents on other devices are named, not read. Checksums of
// content, and those of trees by xxHash and BLAKE2, are not verified.
package btrfs

import (
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

const layerName = "btrfs"

// FileSystem is an opened volume, safe for concurrent use.
type FileSystem struct {
	src      evidence.Source
	sb       superblock
	chunks   []chunk // ascending
	nodes    *cache
	roots    node // of the tree of trees
	findings []tutela.Finding
}

var _ evidence.FileSystem = (*FileSystem)(nil)

// Open reads a superblock, the chunks and the root of the tree of trees. The
// error wraps [evidence.ErrNotThis] when src is not Btrfs,
// [evidence.ErrUnsupported] for what is known and not read; any other error means
// that it is Btrfs and leads nowhere.
func Open(src evidence.Source) (*FileSystem, error) {
	sb, copied, err := findSuperblock(src)
	if err != nil {
		return nil, fmt.Errorf("open btrfs: %w", err)
	}
	fs := &FileSystem{src: src, sb: sb}
	fs.nodes = &cache{nodes: map[uint64]node{}}
	if copied {
		fs.find(tutela.FindingBackupTable, "the superblock is bad: a copy was used")
	}
	if sb.deviceBytes > uint64(src.Size()) {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the device has %d bytes, only %d are here", sb.deviceBytes, src.Size()))
	}
	if sb.logRoot != 0 {
		fs.find(tutela.FindingDamaged, "the log of what was written last is not replayed: names and contents may be those before it")
	}
	if err := fs.openChunks(); err != nil {
		return nil, fmt.Errorf("open btrfs: %w", err)
	}
	if fs.roots, err = fs.node(sb.root, sb.rootLevel); err != nil {
		return nil, fmt.Errorf("open btrfs: tree of trees: %w", err)
	}
	if _, err := fs.subvolume(topLevel); err != nil {
		return nil, fmt.Errorf("open btrfs: top-level subvolume: %w", err)
	}
	return fs, nil
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// readFull fills b from off on. What it could not read is a *evidence.ReadError.
func readFull(src evidence.Source, b []byte, off int64) error {
	if off < 0 {
		return errors.New("a place before the volume")
	}
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return err
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &evidence.ReadError{Run: tutela.Run{Offset: off, Length: int64(len(b))}, Err: fmt.Errorf("read at %d: %w", off, err)}
}
