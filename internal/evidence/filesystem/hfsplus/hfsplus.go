// Package hfsplus reads HFS+ and HFSX volumes (Mac OS Extended), alone or in an
// HFS wrapper, without writing a byte.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from Apple's
// Technical Note TN1150 "HFS Plus Volume Format" and the libfshfs documentation;
// compressed files are expanded by package decmpfs.
//
// # What becomes an entry
//
// Every file record of the catalog, with the content of its data fork. A
// resource fork that is not empty is "path:rsrc", an extended attribute
// "path:name", also on directories ("/:name" on the root). A compressed file has
// its expanded content; then its com.apple.decmpfs attribute and its resource
// fork, which hold the same bytes packed, are left out, unless they cannot be
// expanded. Symbolic links, devices, sockets and pipes become entries without
// content, and the files of the volume itself are "/$ExtentsFile",
// "/$CatalogFile", "/$BadBlockFile", "/$AllocationFile", "/$StartupFile" and
// "/$AttributesFile", as The Sleuth Kit names them.
//
// A hard link is an entry with the content, times, fork and attributes of the
// file it leads to. That file itself, "iNode…" in the folder "␀␀␀␀HFS+ Private
// Data", is an entry only if no link leads to it. What lies in a directory with
// hard links is listed once, under the first of them; each further link is a
// directory entry that says where.
//
// Names are WTF-8, decomposed as they are on disk. A slash in a name on disk is
// given as ':', as macOS shows it to programs, so a name may hold a colon: the
// Chain tells such a file from a stream. Times are UTC.
//
// Entries come in the order of the catalog's leaves, before them "/" if something
// must be said about the volume, then the volume's own files; deleted ones last.
//
// # Deleted files
//
// The catalog forgets a deleted file at once, but old copies of its records stay
// behind: in the free space of the catalog's nodes, in nodes that are no longer
// used, and in the journal. A file record found there whose ID no file has now is a deleted
// file: Deleted if the path to it leads to the root, else Orphan below
// /$OrphanFiles. Of several copies that begin in the same block the longest is
// given. Its content is what its blocks hold today. FindingOverwritten says that
// the allocation file gives one of them to something else, or that a younger
// deleted file had it too; its absence does not exclude that a block was used and
// freed in between. Records without content are left out.
//
// # Journal
//
// If changes wait in the journal, the listing is that after them, as a Mac would
// show it, and a finding says so. The volume's own files are given as they lie,
// and what the changes replace is searched for deleted files.
//
// # Promised
//
// No byte is made up: HFS+ has no holes. Runs lists the bytes that lie in the
// source as they are; uncompressed contents are io.ReaderAt. What is kept in
// memory grows with the number of directories, hard links, attributes, fragmented
// forks and deleted files, never with content.
//
// # Not promised
//
// Plain HFS (Mac OS Standard) is refused by name, and so is a journal on another
// device, or in an HFS wrapper, if changes wait in it. Deleted
// files with more than eight extents end where these do. Attributes of deleted
// files are not searched, so deleted compressed files are not expanded; nor is the
// free space of the volume searched for nodes of a catalog that lay elsewhere.
// Per-file encryption of iOS volumes is told, not undone. Security descriptors
// are given as the attribute they are stored in, not interpreted.
package hfsplus

import (
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// Catalog node IDs that the format fixes: TN1150 "Catalog File".
const (
	cnidRootParent = 1
	cnidRoot       = 2
	cnidExtents    = 3
	cnidCatalog    = 4
	cnidBadBlocks  = 5
	cnidAllocation = 6
	cnidStartup    = 7
	cnidAttributes = 8
	cnidFirstUser  = 16
)

const (
	layerName    = "hfs+"
	orphanFolder = "/$OrphanFiles"
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src        evidence.Source
	meta       evidence.Source // src, or src with what waits in the journal
	header     header
	overflow   overflow
	catalog    *tree
	attributes *tree // nil where there is none
	findings   []tutela.Finding
}

var (
	_ evidence.FileSystem = (*FileSystem)(nil)
	_ evidence.FreeSpace  = (*FileSystem)(nil)
)

// Open reads the volume header and finds the catalog. Where the header is bad it
// uses the copy at the end of the volume, and Walk says so. The error wraps
// [evidence.ErrNotThis] when src is neither HFS+ nor HFSX, and
// [evidence.ErrUnsupported] when it is plain HFS; any other error means that the
// catalog cannot be found.
func Open(src evidence.Source) (*FileSystem, error) {
	headers, err := candidates(src)
	if err != nil {
		return nil, fmt.Errorf("open hfs+: %w", err)
	}
	var failures []error
	for _, c := range headers {
		fs, err := mount(src, c)
		if err == nil {
			return fs, nil
		}
		failures = append(failures, err)
	}
	if !headers[0].primary {
		return nil, fmt.Errorf("open hfs+: %w", evidence.ErrNotThis)
	}
	return nil, fmt.Errorf("open hfs+: %w", errors.Join(failures...))
}

func mount(src evidence.Source, c candidate) (*FileSystem, error) {
	fs := &FileSystem{src: src, meta: src, header: c.header}
	if !c.primary {
		fs.find(tutela.FindingBackupTable, "the volume header is bad: its copy was used")
	}
	if have, need := src.Size(), fs.header.start+fs.header.bytes(); have < need {
		fs.find(tutela.FindingTruncated, fmt.Sprintf("the volume ends at byte %d, the image at %d", need, have))
	}
	fs.findState()
	fs.replayJournal()
	if h, err := headerAtOffset(fs.meta, fs.header.start, fs.header.start+headerAt); err == nil && c.primary {
		fs.header = h
	}
	fs.openOverflow()
	var err error
	if fs.catalog, err = fs.openTree("catalog", cnidCatalog, fs.header.catalog); err != nil {
		return nil, err
	}
	if fs.header.attributesFile.total > 0 {
		if fs.attributes, err = fs.openTree("attributes file", cnidAttributes, fs.header.attributesFile); err != nil {
			fs.find(tutela.FindingDamaged, err.Error()+": extended attributes and compressed files are not read")
		}
	}
	return fs, nil
}

// findState says in what state the volume was left.
func (fs *FileSystem) findState() {
	a := fs.header.attributes
	if a&attrUnmounted == 0 && a&attrJournaled == 0 {
		fs.find(tutela.FindingDamaged, "the volume was not unmounted")
	}
	if a&attrInconsistent != 0 {
		fs.find(tutela.FindingDamaged, "the volume is marked as inconsistent")
	}
}

func (fs *FileSystem) openTree(name string, cnid uint32, f fork) (*tree, error) {
	a := fs.resolve(f, cnid, dataFork)
	if a.problem != "" {
		fs.find(tutela.FindingDamaged, name+": "+a.problem)
	}
	a.size = min(a.size, fs.held())
	return openTree(name, a.content(fs.meta), a.content(fs.src))
}

func (fs *FileSystem) openOverflow() {
	fs.overflow = overflow{}
	if fs.header.extents.total == 0 {
		return
	}
	t, err := fs.openTree("extents overflow file", cnidExtents, fs.header.extents)
	if err != nil {
		fs.find(tutela.FindingDamaged, err.Error()+": fragmented files end where their first eight extents do")
		return
	}
	for _, p := range fs.overflow.load(context.Background(), t) {
		fs.find(p.code, p.detail)
	}
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// held is how many bytes of the volume the source can give.
func (fs *FileSystem) held() int64 {
	return max(0, min(fs.src.Size()-fs.header.start, fs.header.bytes()))
}
