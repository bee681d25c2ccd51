// Package fat reads FAT12, FAT16 and FAT32 volumes with long names, without
// writing a byte.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from
// Microsoft's "FAT: General Overview of On-Disk Format", version 1.03 ("FAT
// specification" below).
//
// # What becomes an entry
//
// Every file, and what is left of every deleted one. Directories, the volume
// label and the file allocation tables do not become entries; a directory does
// when it could not be listed whole, and "/" comes last when something must be
// said about the volume. A long name is used where it is complete and its
// checksum fits the short one. A short name is given as Windows shows it, in
// lower case where the entry says so; its bytes above 0x7f are kept as they are,
// because no volume says which code page they are of.
//
// The order is that of the directories, a directory's files before those of its
// subdirectories; then the orphans in the order of their clusters.
//
// # Deleted files
//
// A deleted entry of a directory that leads to the root is Deleted, also where
// the way leads over deleted directories, as long as their first cluster is free
// and still names itself and its parent. What else looks like a directory in
// clusters that no file has gives Orphans below /$OrphanFiles: clusters that
// begin with "." and "..", and clusters full of sound entries. Its first letter
// is lost to a deleted short name and becomes '_', as in The Sleuth Kit.
//
// Deleting clears the chain of clusters, so only the first cluster and the size
// of a deleted content are known. If the first one belongs to a file now, nothing
// is read. Else the content is taken to go on in the next free clusters, those in
// use passed over, and FindingAssumed says so; it also tells where another
// deleted file begins inside, or where half of the cluster number is missing
// (Windows clears it on FAT32) and which half was taken. A chain that is still
// there, fits the size and belongs to no file in use is followed, and told in the
// same way. Even a single free cluster can have been used
// and freed again: an absent finding does not exclude that.
//
// # Promised
//
// No byte is made up: a chain that ends early is an error of the read. Chains
// that do not fit the size, run in circles or share clusters are findings. The
// second table is used where the first cannot be read, the boot sector's copy
// where the boot sector is bad. Memory grows with the number of directories and
// with one bit for each cluster of the source, a few times over.
//
// # Not promised
//
// The format keeps local times and no zone: they are given as if they were UTC.
// Where the copies of the table differ the active one is believed, and that they
// differ is told once for the volume. Files of DOS 1 without a BIOS
// parameter block, the extended attributes of OS/2 (they are the file "EA DATA.
// SF"), clusters marked bad, and chains that no entry begins are not read.
package fat

import (
	"context"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src      evidence.Source
	geo      geometry
	findings []tutela.Finding // about the volume as a whole
}

var _ evidence.FreeSpace = (*FileSystem)(nil)

// Open reads the boot sector. Where it is bad and the volume is FAT32, its copy
// is used, and Walk says so. The error wraps [evidence.ErrNotThis] when src is
// not FAT.
func Open(src evidence.Source) (*FileSystem, error) {
	geo, backup, err := bootSector(src)
	if err != nil {
		return nil, fmt.Errorf("open fat: %w", err)
	}
	fs := &FileSystem{src: src, geo: geo}
	if backup {
		fs.find(tutela.FindingBackupTable, "the boot sector is bad: its copy was used")
	}
	if have := src.Size(); have < geo.total {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the volume has %d bytes, only %d are here", geo.total, have))
	}
	return fs, nil
}

// Name is "fat12", "fat16" or "fat32".
func (fs *FileSystem) Name() string { return fmt.Sprintf("fat%d", fs.geo.bits) }

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// Free implements [evidence.FreeSpace].
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	t := newTable(fs)
	if err := t.load(ctx); err != nil {
		return err
	}
	var run tutela.Run
	give := func() error {
		if run.Length = min(run.Length, fs.src.Size()-run.Offset); run.Length <= 0 {
			return nil
		}
		return visit(run)
	}
	for c := uint32(firstCluster); fs.geo.holds(c); c++ {
		if t.used.has(c) {
			continue
		}
		if at := fs.geo.offset(c); run.Offset+run.Length != at {
			if err := give(); err != nil {
				return err
			}
			run = tutela.Run{Offset: at}
		}
		run.Length += fs.geo.cluster
	}
	if err := give(); err != nil {
		return err
	}
	if t.unread > 0 {
		return fmt.Errorf("fat: %d sectors of the file allocation table cannot be read", t.unread)
	}
	return nil
}
