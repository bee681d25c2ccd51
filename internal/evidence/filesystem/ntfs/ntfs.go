// Package ntfs reads NTFS volumes, versions 1.2 to 3.1, without writing a byte.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from the
// public descriptions of the format: the libfsntfs documentation ("FSNTFS"
// below), the Linux-NTFS project's notes and Microsoft's [MS-XCA] for LZNT1.
//
// # What becomes an entry
//
// Every attribute that holds a file's own bytes, once under each of its names:
// $DATA, unnamed or named (an alternate data stream, "path:name", also on
// directories and system files), and $INDEX_ROOT where its name is not $I30,
// because there the index is the content ($Secure:$SII, $Quota:$Q). Those are
// the attributes The Sleuth Kit lists, so listings can be laid side by side. A
// file with neither becomes one empty entry. Directories, $I30 indexes,
// $INDEX_ALLOCATION, $BITMAP, $EA, $OBJECT_ID, security descriptors and
// $LOGGED_UTILITY_STREAM do not become entries. DOS (8.3) names are not names
// of their own. Reserved records without name and content (12 to 15) are left
// out.
//
// $BadClus:$Bad is a map as large as the volume; its entry holds the bytes of
// the clusters that are marked bad, and nothing where none is.
//
// Entries come in the order of their MFT record, before them "/" if something
// must be said about the volume. Names are WTF-8, so an unpaired surrogate
// survives. A name may hold ':' (the Windows interface forbids it, NTFS does
// not): the Chain tells such a file from a stream.
//
// # Deleted files
//
// A record that is not in use is Deleted when its parent's record is still the
// one it names and the path leads to the root, else Orphan, below
// /$OrphanFiles. A record that is in use but cannot be reached from the root is
// an Orphan with a finding. Deleted content is what its clusters hold today: if
// $Bitmap says that one of them is in use the entry says FindingOverwritten,
// which an absent finding does not exclude, since clusters can have been used
// and freed again in between.
//
// # Promised
//
// No byte is made up: zeros are given where the file system defines them
// (sparse runs, beyond the valid data length), everything else that is missing
// is an error of the read. Runs lists the bytes that lie in the source as they
// are: no sparse runs, nothing beyond the valid data length, nothing for
// resident, compressed or encrypted content. An uncompressed content is an
// io.ReaderAt. What is kept in memory grows with the number of records and the
// names of directories, never with content.
//
// # Not promised
//
// EFS, WOF (compact OS) and deduplicated content are named, not decoded, and
// never read as the zeros that stand in its place. Names that survive only in
// the slack of an index or of an MFT record, runs in a freed record whose base
// record is still in use, the journals ($LogFile, $UsnJrnl) and shadow copies are
// not searched; the latter two are entries like any other file. Whether the index
// of a directory lists a file is not looked at: the MFT decides.
package ntfs

import (
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// Record numbers that the format fixes (FSNTFS "The metadata files").
const (
	recordMFT        = 0
	recordRoot       = 5
	recordBitmap     = 6
	recordBadClus    = 8
	firstUserRecord  = 24
	orphanFolder     = "/$OrphanFiles"
	layerName        = "ntfs"
	maxListBytes     = 256 << 10 // Windows caps an attribute list at 256 KiB
	readChunk        = 1 << 20
	maxNamedProduct  = 1024 // names × streams of one file; NTFS allows 1024 links
	memoBytes        = 16 << 20
	maxReparseBytes  = 16 << 10 // MAXIMUM_REPARSE_DATA_BUFFER_SIZE
	maxCountedReason = 8        // record numbers spelt out in a finding
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src      evidence.Source
	geo      geometry
	mft      table
	findings []tutela.Finding // about the volume as a whole
}

var _ evidence.FreeSpace = (*FileSystem)(nil)

// Open reads the boot sector and finds the MFT. Where the boot sector is bad it
// uses the copy behind the volume, where record 0 is bad its mirror, and Walk
// says so. The error wraps [evidence.ErrNotThis] when src is not NTFS; any
// other error means that it is, and that its MFT cannot be found.
func Open(src evidence.Source) (*FileSystem, error) {
	candidates, err := bootSectors(src)
	if err != nil {
		return nil, fmt.Errorf("open ntfs: %w", err)
	}
	var failures []error
	for _, c := range candidates {
		fs, err := mount(src, c)
		if err == nil {
			return fs, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", c.origin, err))
	}
	if !candidates[0].primary {
		return nil, fmt.Errorf("open ntfs: %w", evidence.ErrNotThis)
	}
	return nil, fmt.Errorf("open ntfs: %w", errors.Join(failures...))
}

func mount(src evidence.Source, c bootSector) (*FileSystem, error) {
	fs := &FileSystem{src: src, geo: c.geometry}
	if !c.primary {
		fs.find(tutela.FindingBackupTable, "the boot sector is bad: the "+c.origin+" was used")
	}
	if have, need := src.Size(), c.volumeBytes(); have < need {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the volume has %d bytes, only %d are here", need, have))
	}
	if err := fs.openTable(); err != nil {
		return nil, err
	}
	return fs, nil
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// held is how many bytes of the volume the source can give.
func (fs *FileSystem) held() int64 {
	return min(fs.src.Size(), fs.geo.volumeBytes())
}
