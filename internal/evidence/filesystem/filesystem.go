// Package filesystem knows every reader of a file system. The readers lie in the
// folders below, one for each family.
//
// Call [Open] with the bytes of a volume. A reader is added by a line in
// readers.
package filesystem

import (
	"errors"
	"fmt"

	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/apfs"
	"tutela/internal/evidence/filesystem/btrfs"
	"tutela/internal/evidence/filesystem/exfat"
	"tutela/internal/evidence/filesystem/ext"
	"tutela/internal/evidence/filesystem/fat"
	"tutela/internal/evidence/filesystem/hfsplus"
	"tutela/internal/evidence/filesystem/iso"
	"tutela/internal/evidence/filesystem/ntfs"
	"tutela/internal/evidence/filesystem/squashfs"
	"tutela/internal/evidence/filesystem/xfs"
)

// reader is a file system this version can list.
type reader struct {
	name string
	open func(evidence.Source) (evidence.FileSystem, error)

	// spans is the byte at which the file system begins to be one, if an
	// image of it may carry a partition table that does not mention it; 0
	// where that does not happen.
	spans int64
}

// readers lists them in the order in which they are tried: what only a few bytes
// tell comes after what many do.
func readers() []reader {
	return []reader{
		{name: "ntfs", open: opens(ntfs.Open)},
		{name: "exfat", open: opens(exfat.Open)},
		{name: "apfs", open: opens(apfs.Open)},
		{name: "hfs+", open: opens(hfsplus.Open)},
		{name: "xfs", open: opens(xfs.Open)},
		{name: "squashfs", open: opens(squashfs.Open)},
		{name: "ext", open: opens(ext.Open)},
		{name: "btrfs", open: opens(btrfs.Open)},
		{name: "udf", open: openUDF},
		{name: "iso9660", spans: 32 << 10, open: opens(iso.Open)},
		{name: "fat", open: opens(fat.Open)},
	}
}

// opens makes a reader's Open fit, without a typed nil.
func opens[F evidence.FileSystem](open func(evidence.Source) (F, error)) func(evidence.Source) (evidence.FileSystem, error) {
	return func(src evidence.Source) (evidence.FileSystem, error) {
		fs, err := open(src)
		if err != nil {
			return nil, err
		}
		return fs, nil
	}
}

// Span is a file system that may cover a disk, partitions and all, without the
// partition table mentioning it. It begins to be one at byte From.
type Span struct {
	Name string
	From int64
}

// Spanning are the file systems that do so, in the order in which they are tried.
func Spanning() (all []Span) {
	for _, r := range readers() {
		if r.spans > 0 {
			all = append(all, Span{r.name, r.spans})
		}
	}
	return all
}

// Open opens a volume with the reader called only, or with the first that knows
// the bytes where only is empty. The name is that of the file system (a reader
// of a family names the member), also where the reader that knew it could not
// open it; "" if none did, with an error that wraps evidence.ErrNotThis, or the
// *evidence.ReadError that kept one from telling. A reader that panics failed.
func Open(src evidence.Source, only string) (evidence.FileSystem, string, error) {
	unknown := error(evidence.ErrNotThis)
	for _, r := range readers() {
		if only != "" && only != r.name {
			continue
		}
		fs, err := r.safely(src)
		var unread *evidence.ReadError
		switch {
		case errors.Is(err, evidence.ErrNotThis):
		case errors.As(err, &unread):
			unknown = err
		default:
			return fs, r.nameOf(fs), err
		}
	}
	return nil, "", unknown
}

// named is a file system that is one of a family.
type named interface{ Name() string }

func (r reader) nameOf(fs evidence.FileSystem) string {
	if n, ok := fs.(named); ok {
		return n.Name()
	}
	return r.name
}

// safely opens, and turns a panic of the reader into an error.
func (r reader) safely(src evidence.Source) (fs evidence.FileSystem, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			fs, err = nil, fmt.Errorf("reader failed: %v", cause)
		}
	}()
	return r.open(src)
}
