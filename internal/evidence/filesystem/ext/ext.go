// Package ext reads ext2, ext3 and ext4 volumes without writing a byte.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from the
// kernel's Documentation/filesystems/ext4 ("ext4 documentation" in this package,
// with the names of its sections) and the libfsext documentation of the format.
// The three are one format; which of them a volume is called follows from its
// features.
//
// # What becomes an entry
//
// Every name of a file, link, device, socket or pipe that a directory holds: a
// file with two names becomes two entries. Directories become entries only where
// something must be said about them, and "/" where something must be said about
// the volume; it comes last. Files of the format itself (journal, quota, orphan
// file, reserved descriptors) and extended attributes do not become entries.
//
// Files come in the order of their directory, then the names removed from it,
// then what lies below its directories; at last, below /$OrphanFiles, inodes that
// no name leads to. In folders encrypted with fscrypt names are given in base64
// (RFC 4648, URL alphabet, no padding), since they can hold any byte.
//
// # The journal
//
// A volume that was not unmounted is read as a mount would show it: blocks of
// finished transactions count in place of those they are meant for, and "/" says
// so. Nothing is written for that. Runs name only bytes that lie in their place.
//
// The journal is read whole as well, for what it still knows of the past: older
// copies of inode tables and directories give deleted files their places, names
// and times back.
//
// # Deleted files
//
// They come from, in this order: inodes in use without a name (deleted while a
// program had them open: all is there); freed inodes that still hold their block
// numbers (ext2 keeps them, ext3 and ext4 do not); the youngest copy of the inode in the
// journal that tells where its content was, with [tutela.FindingAssumed]. Inode
// numbers are used again: the generation number tells which file a copy is of.
// Names come from the room between the names of a directory (kernels since 5.13
// wipe it) and from copies of the directory in the journal. A name of which
// nothing else is left, or that only changed (renamed), is an entry of size -1
// without content that says so with [tutela.FindingOverwritten].
//
// Deleted content is what its blocks hold today. The entry has
// FindingOverwritten if a block belongs to another file now, if copies of the
// block bitmaps show that it was given to one since, or if a file deleted later
// had it; and it says if transactions are missing that would tell. Where that is
// not said, blocks can still have been written past the journal's memory.
//
// # Promised
//
// No byte is made up: zeros are given where the file system defines them (holes,
// unwritten extents), everything else that is missing is an error of the read,
// with the stretch. Checksums (crc32c, crc16) are held against the superblock,
// group descriptors, bitmaps, inodes, directories, extent nodes and the journal;
// a wrong one is a finding, in the journal it ends the use of the block. A bad
// superblock or group descriptor is replaced by its copy, which is told. Memory
// grows with the number of inodes (a bit each), of one directory's names and of
// the journal's blocks, never with content.
//
// # Not promised
//
// Files encrypted with fscrypt are named, not decrypted. The features compression
// and dirdata, and unknown incompatible ones, are refused by name; so is an
// external journal, and a volume that uses one is read without it. Fast commits
// that were not replayed are told and not read. The copy of the superblock is
// looked for in group 1 at the default group size. Older contents of files that
// are still in use are not searched for in the journal. Bigger attribute values
// (ea_inode) are not read. Content larger than the volume by more than its holes,
// or holes larger than the volume, are refused with [tutela.FindingLimit].
package ext

import (
	"errors"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	*super
	src      evidence.Source // what a mount would see
	overlay  *overlay        // nil where that is what lies in place
	log      *journal        // nil without one
	group    []group
	layer    string
	findings []tutela.Finding // about the volume as a whole
}

var _ evidence.FreeSpace = (*FileSystem)(nil)

// Open reads the superblock, or a copy of it, and the group descriptors, and
// takes what a journal holds for the volume into account. The error wraps
// [evidence.ErrNotThis] when src is not ext2, ext3 or ext4, and
// [evidence.ErrUnsupported] when it is with a feature that is not read.
func Open(src evidence.Source) (*FileSystem, error) {
	s, findings, err := superblock(src)
	if err != nil {
		return nil, fmt.Errorf("open ext: %w", err)
	}
	fs := &FileSystem{super: s, src: src, findings: findings}
	fs.layer = fs.name()
	if have, need := src.Size(), s.volumeBytes(); have < need {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the volume has %d bytes, only %d are here", need, have))
	}
	if err := fs.readGroups(); err != nil {
		return nil, fmt.Errorf("open %s: %w", fs.layer, err)
	}
	fs.startJournal()
	return fs, nil
}

// Name is "ext2", "ext3" or "ext4".
func (fs *FileSystem) Name() string { return fs.layer }

// name is what the volume would be called: by its features, since all three are
// one format.
func (s *super) name() string {
	const ext4 = 0x40 | 0x80 | 0x200 | 0x8000 // extents, 64bit, flex_bg, inline data
	switch {
	case s.incompat&ext4 != 0 || s.ro&^7 != 0:
		return "ext4"
	case s.has(s.compat, compatJournal):
		return "ext3"
	}
	return "ext2"
}

func (fs *FileSystem) find(code, detail string) {
	f := tutela.Finding{Code: code, Detail: detail}
	if !slices.Contains(fs.findings, f) { // the descriptors may be read twice
		fs.findings = append(fs.findings, f)
	}
}

// held is how many bytes of the volume the source can give.
func (fs *FileSystem) held() int64 { return min(fs.src.Size(), fs.volumeBytes()) }

func (fs *FileSystem) readBlock(n int64, p []byte) error {
	return readFull(fs.src, p, n*fs.block)
}

// startJournal opens the journal and lays over the volume what it holds for it.
func (fs *FileSystem) startJournal() {
	recover := fs.has(fs.incompat, incompatRecover)
	if fs.journal == 0 {
		if fs.has(fs.compat, compatJournal) {
			fs.find(tutela.FindingUnsupported, fmt.Sprintf("the journal lies on another device (%x): not read", fs.raw[0xd0:0xe0]))
		}
		return
	}
	in, err := fs.inode(fs.journal)
	var log *journal
	if err == nil {
		log, err = fs.openJournal(in)
	}
	if err != nil {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("journal: %v", err))
		return
	}
	fs.log = log
	if log.start == 0 || !recover && !fs.usesBackup() {
		return
	}
	o, n := log.replay()
	if len(o.copies) == 0 {
		return
	}
	fs.find(tutela.FindingAssumed, fmt.Sprintf("the volume was not unmounted: %d transactions (%d blocks) of its journal count as written", n, len(o.copies)))
	fs.lay(o)
}

func (fs *FileSystem) usesBackup() bool { return le16(fs.raw, 0x5a) != 0 }

// lay puts the journal's blocks over the volume, and reads anew what stood in
// those.
func (fs *FileSystem) lay(o *overlay) {
	old := *fs
	fs.src, fs.overlay = o, o
	if s, err := superAt(o, superOffset); err == nil && s.sameShape(fs.super) {
		fs.super = s
	}
	if err := fs.readGroups(); err != nil {
		findings := fs.findings
		*fs = old
		fs.findings = findings
		fs.find(tutela.FindingDamaged, fmt.Sprintf("journal: with it, %v: not used", err))
	}
}

var errEncrypted = fmt.Errorf("content is encrypted (fscrypt): %w", evidence.ErrUnsupported)

var (
	errTooMuch = errors.New("content larger than the volume is not read")
	errCrowded = errors.New("files in use claim more blocks than the volume has: not read")
)
