// Package exfat reads exFAT volumes without writing a byte.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from
// Microsoft's "exFAT file system specification", revision 1.00 ("specification"
// below).
//
// # What becomes an entry
//
// Every file, what is left of every deleted one, and the two files without a name
// that the root directory lists: the allocation bitmap as /$ALLOC_BITMAP and the
// up-case table as /$UPCASE_TABLE, as The Sleuth Kit calls them. Directories and
// the volume label do not become entries; a directory does when it could not be
// listed whole, and "/" comes last when something must be said about the volume.
//
// The order is that of the directories, a directory's files before those of its
// subdirectories; then the orphans in the order of their clusters.
//
// # Deleted files
//
// Deleting clears one bit in each entry of a file's set, so the set's checksum
// still tells whether it is whole. Sets in directories that lead to the root are
// Deleted, also over deleted directories; sets in any other cluster that no file
// has are Orphans below /$OrphanFiles, if their checksum fits. A set whose later
// entries were written over is given, with FindingAssumed, as far as it goes.
//
// A deleted content in one piece (NoFatChain) is known exactly. Of another one
// the table may still hold the chain, which is taken if its length fits; else it
// is taken to go on in the next free clusters. Both are told by FindingAssumed.
// A content of which clusters belong to files now can be read up to the first of
// those, and says FindingOverwritten. Its absence does not exclude that clusters
// were used and freed again in between.
//
// # Promised
//
// No byte is made up: what lies behind the valid data length is zeros, as the
// format says, and any chain that ends early is an error of the read. What the
// clusters hold behind the valid data length is slack. Checksums of the boot
// region and of the sets are verified, the backup boot region is used where the
// main one is bad. Memory grows with the number of directories and with one bit
// for each cluster of the source, a few times over.
//
// # Not promised
//
// Times without a zone are given as if they were UTC. On a TexFAT volume the table
// and the bitmap that the boot sector calls active are believed, the others not
// looked at. Vendor extensions of a set (0xe0, 0xe1) and what they may hold, the
// OEM parameters and clusters marked bad are not read. The up-case table and the
// hashes of names are not needed for a listing and not checked.
package exfat

import (
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const layerName = "exfat"

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src      evidence.Source
	geo      geometry
	findings []tutela.Finding // about the volume as a whole
}

var _ evidence.FreeSpace = (*FileSystem)(nil)

// Open reads the boot region. Where it is bad the backup is used, and Walk says
// so. The error wraps [evidence.ErrNotThis] when src is not exFAT; any other error
// means that it is, and that neither region makes sense.
func Open(src evidence.Source) (*FileSystem, error) {
	geo, findings, err := bootRegion(src)
	if err != nil {
		return nil, fmt.Errorf("open exfat: %w", err)
	}
	fs := &FileSystem{src: src, geo: geo, findings: findings}
	if have := src.Size(); have < geo.total {
		fs.findings = append(fs.findings, tutela.Finding{Code: tutela.FindingTruncated,
			Detail: fmt.Sprintf("the volume has %d bytes, only %d are here", geo.total, have)})
	}
	return fs, nil
}

// Free implements [evidence.FreeSpace].
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	w := newWalker(fs, evidence.DefaultLimits(), nil)
	if err := w.openBitmap(ctx); err != nil {
		return err
	}
	if w.bitmap == nil {
		return errors.New("exfat: the allocation bitmap cannot be read")
	}
	var run tutela.Run
	give := func() error {
		if run.Length = min(run.Length, fs.src.Size()-run.Offset); run.Length <= 0 {
			return nil
		}
		return visit(run)
	}
	for c := uint32(firstCluster); fs.geo.holds(c); c++ {
		if c%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w.bitmap.has(c) {
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
	return give()
}
