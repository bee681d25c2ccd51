// Package apfs reads containers of the Apple File System, version 2 (macOS 10.13
// and later, iOS 10.3 and later), without writing a byte.
//
// Start with [Open], then [FileSystem.Walk] and [FileSystem.Free]. The reader
// was written from Apple's "Apple File System Reference" of 2020-06-22
// ("Reference" below, cited by the names of its sections and structures) and the
// libfsapfs documentation.
//
// # What becomes an entry
//
// Every name of every file, as its directory lists it: a file with several names
// (hard links) once for each. A resource fork that is not empty is "path:rsrc", an
// extended attribute "path:name", also on directories ("/:name" on the root). A
// compressed file has its expanded content; then its com.apple.decmpfs attribute
// and its resource fork, which hold the same bytes packed, are left out, unless
// they cannot be expanded. Symbolic links, devices, sockets and pipes are entries
// without content. Directories are entries only where something must be said about
// them.
//
// A container with one volume has its files below "/". In a container with
// several each volume has a folder: "/Macintosh HD/…", "/Preboot/…". A name that
// another volume has too is followed by the number of the volume in the
// container, and a slash in it becomes a colon. "/", or that folder, is an entry
// if something must be said of the volume: what cannot be read, that it is
// encrypted, and a [tutela.FindingSnapshot] for each snapshot with its name,
// transaction and time; the locator then names the role of the volume. Of an
// encrypted volume that is all there is: its directories are encrypted too. Where
// the hardware has already undone that for the directories, files are listed and
// their contents refused.
//
// Entries come in the order of the volumes, in each in the order of the records
// of its tree (by the identifier of the directory), then those that no directory
// lists, then those of snapshots and of older checkpoints, the younger first.
//
// # Deleted files
//
// The file system never writes in place. What it looked like at its last
// checkpoints stays on the medium until the blocks are needed, and what it looked
// like when a snapshot was made stays as long as that does. A file that such a
// state has and today's has not is Deleted when its path leads to the root (through
// directories of any of these states), else an Orphan below "/$OrphanFiles". So is
// the earlier content of a file that has another one today, at the path the file
// had, if that content is whole. The locator names the snapshot or the checkpoint.
//
// What a snapshot has is certain: its blocks are kept for it. Of a checkpoint the
// content is given only if the space manager calls all its blocks free or waiting to
// be free, and all its extents were read; otherwise the entry says
// FindingOverwritten and nothing is given. Free blocks can have been used and freed
// again in between, which nothing shows.
//
// A file that is unlinked and still open is in a directory of its own, out of
// sight; it is an Orphan, with content. So is one of the file system's own that no
// directory lists, and, with a finding, any other that none lists.
//
// # Promised
//
// Every structure is held against its checksum, its type, its identifier and its
// transaction (in sealed volumes against the hash in its parent, up to the seal)
// before it is believed. Where the youngest checkpoint fails, the next one is used
// and FindingBackupTable says so, as it does where a system volume's own tree cannot
// be read and that of the snapshot is listed from which it is mounted. No byte is
// made up: zeros are given for holes that the file system records, everything else
// that is missing is an error of the read. Runs lists the bytes that lie in the
// source as they are. Content that is not compressed is an io.ReaderAt. What is kept
// in memory grows with the number of files (16 bytes each) and the names of
// directories, never with content.
//
// # Not promised
//
// Fusion drives, version 1 of the format, volumes with a key for each file, sealed
// volumes that were changed since or whose hash is not SHA-256, and features this
// reader does not know are refused by name. Nothing is unlocked. Volumes that
// were deleted, and nodes that no checkpoint leads to, are not searched. That files
// are clones of each other is not told. Directory statistics and the hashes of
// sealed contents are not read; whether the counts in a volume's superblock are
// right is not looked at. Sealed volumes, snapshots and blocks larger than 4 KiB
// were tried on containers that the tests build, not on one that macOS made.
package apfs

import (
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const (
	layerName    = "apfs"
	orphanFolder = "/$OrphanFiles"
)

// FileSystem is an opened container. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	container
	checkpoint *checkpoint
	older      []*checkpoint // the youngest first
	volumes    []*volume
	findings   []tutela.Finding // about the container as a whole
}

var _ evidence.FreeSpace = (*FileSystem)(nil)

// Open finds the youngest state of the container that was written whole. Where
// block 0 is bad it uses the superblocks of the checkpoint descriptor area, where
// the youngest checkpoint is bad an older one, and Walk says so. The error wraps
// [evidence.ErrNotThis] when src is not APFS, [evidence.ErrUnsupported] when it
// is of a kind that is not read; any other error means that it is APFS and that
// no checkpoint of it can be read.
func Open(src evidence.Source) (*FileSystem, error) {
	fs, err := open(src)
	if err != nil {
		return nil, fmt.Errorf("open apfs: %w", err)
	}
	return fs, nil
}

func open(src evidence.Source) (*FileSystem, error) {
	first, reason, err := firstSuperblock(src)
	if err != nil {
		return nil, err
	}
	if err := first.supported(); err != nil {
		return nil, err
	}
	fs := &FileSystem{container: container{src: src, blockSize: first.blockSize, blocks: first.blocks}}
	if reason != nil {
		fs.find(tutela.FindingBackupTable, fmt.Sprintf("block 0 is bad (%v): the checkpoint descriptor area was used", reason))
	}
	if err := fs.choose(first); err != nil {
		return nil, err
	}
	if err := fs.checkpoint.supported(); err != nil {
		return nil, err
	}
	fs.blocks = fs.checkpoint.blocks
	if have, need := src.Size(), fs.bytes(); have < need {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the container has %d bytes, only %d are here", need, have))
	}
	return fs, fs.openVolumes()
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}
