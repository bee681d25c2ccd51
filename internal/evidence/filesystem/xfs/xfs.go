// Package xfs reads XFS volumes, versions 4 and 5 of the format.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from "XFS
// Algorithms & Data Structures" ("XFSDS" below) and the libfsxfs documentation.
//
// # What becomes an entry
//
// Every file, symbolic link, device, pipe and socket that a directory leads to
// from the root, once under each of its names: first all of a directory, then
// what is below it. Behind them come, in the order of their inodes, the files
// that are in use and that no directory leads to (deleted while open, or lost),
// as orphans, and the deleted files.
//
// # Deleted files
//
// Freeing an inode clears its size, its kind and the number of its extents, but
// not the extents. Where these still make sense and lead to blocks that are free
// today, at least one of them, the file is given with a finding that says what
// was assumed: content up to the zeros that fill its last block, because nothing
// tells the size. A record that a directory freed keeps its name and the lower
// half of the inode number: where such a record names the inode, the file is
// Deleted under that name, else an Orphan. Whether an inode was freed, used and
// freed again since a name was written cannot be told; the finding says so, and
// where two freed inodes list the same blocks, that too.
// Directories and links that were deleted are left out.
//
// # Promised
//
// Checksums of a version 5 volume are held against its bytes and a wrong one is
// a finding. No byte is made up: zeros are given for holes and for extents that
// were never written, which is what the format defines. Where the log was not
// closed, "/" says so. Memory grows with the number of directories and inodes,
// and with the extents of the one file that is looked at.
//
// # Not promised
//
// The log is not replayed. Files on a realtime device are named, not read; so
// are directories of version 1. Extended attributes, the reverse map, quotas and
// what is left in short directories are not looked at. When the last of 64 inodes
// that lie together is freed, their place may be given back: such inodes are not
// searched for, so of a large directory that was deleted whole only some files
// come back. A volume whose first superblock is bad is found by a copy only where
// the first group's header is there, or the volume has the shape that mkfs.xfs
// gives it.
package xfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

const (
	layerName    = "xfs"
	orphanFolder = "/$OrphanFiles"
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src      evidence.Source
	sb       superblock
	findings []tutela.Finding // about the volume as a whole
}

var (
	_ evidence.FileSystem = (*FileSystem)(nil)
	_ evidence.FreeSpace  = (*FileSystem)(nil)
)

// Open reads the superblock, or the copy in a later allocation group where that
// is bad, and the root directory's inode. The error wraps [evidence.ErrNotThis]
// when src is not XFS, [evidence.ErrUnsupported] for what is known and not read;
// any other error means that it is XFS and leads nowhere.
func Open(src evidence.Source) (*FileSystem, error) {
	sb, from, err := findSuperblock(src)
	if err != nil {
		return nil, fmt.Errorf("open xfs: %w", err)
	}
	fs := &FileSystem{src: src, sb: sb}
	if from != 0 {
		fs.find(tutela.FindingBackupTable, fmt.Sprintf("the superblock is bad: the copy at byte %d was used", from))
	}
	if sb.badSum {
		fs.find(tutela.FindingDamaged, "the superblock's checksum is wrong")
	}
	if have := src.Size(); have < sb.bytes() {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the volume has %d bytes, only %d are here", sb.bytes(), have))
	}
	fs.checkLog()
	root, err := fs.inode(sb.root)
	if err != nil {
		return nil, fmt.Errorf("open xfs: root directory: %w", err)
	}
	if !root.isDirectory() {
		return nil, errors.New("open xfs: the root is not a directory")
	}
	return fs, nil
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// readFull fills b from off on. What it could not read is a *evidence.ReadError.
func (fs *FileSystem) readFull(b []byte, off int64) error { return readFull(fs.src, b, off) }

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

// Free implements [evidence.FreeSpace]: what the tree of free blocks of each
// allocation group lists (XFSDS "AG Free Space B+trees").
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	var last tutela.Run // found and not yet given out
	give := func(next tutela.Run) error {
		if last.Length > 0 && last.Offset+last.Length == next.Offset {
			last.Length += next.Length
			return nil
		}
		was := last
		if last = next; was.Length == 0 {
			return nil
		}
		return visit(was)
	}
	var problems []error
	for group := range fs.sb.groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := fs.freeOfGroup(group, give)
		if broken, ok := errors.AsType[*treeError](err); ok {
			problems = append(problems, broken)
			continue
		}
		if err != nil {
			return err
		}
	}
	if last.Length > 0 {
		if err := visit(last); err != nil {
			return err
		}
	}
	return errors.Join(problems...)
}

func (fs *FileSystem) freeOfGroup(group uint32, give func(tutela.Run) error) error {
	var end uint32
	return fs.eachFree(group, func(start, count uint32) error {
		if start < end || count == 0 || uint64(start)+uint64(count) > uint64(fs.sb.groupBlocks) {
			return &treeError{fmt.Errorf("group %d: free blocks %d to %d make no sense", group, start, uint64(start)+uint64(count))}
		}
		end = start + count
		at := fs.sb.offset(group, start)
		length := min(int64(count)<<fs.sb.blockLog, fs.src.Size()-at)
		if length <= 0 {
			return nil
		}
		return give(tutela.Run{Offset: at, Length: length})
	})
}
