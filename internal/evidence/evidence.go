// Package evidence says what seized media are to the rest of the lab: a
// [Source] of bytes that cannot be written, and the [Entry] values found on it.
//
// Start with package survey below this one: it opens a path as a folder, a
// single file or an image and walks everything on it. The packages image,
// volume, filesystem/… and archive each understand one layer and meet only in
// the types declared here.
//
// Promised: nothing under this folder can write to a file (a test of the import
// graph holds that), a walk visits the same entries in the same order every
// time the bytes are the same, every limit that is hit becomes a finding, and a
// reader that does not understand something says so by name. Not promised: that
// what the evidence claims about itself (names, times, sizes) is true.
package evidence

import (
	"cmp"
	"context"
	"errors"
	"io"

	"tutela"
)

// Source is the bytes of an exhibit or of a part of it. It must be safe for
// concurrent use and must never write. ReadAt returns io.EOF only at Size;
// a stretch that cannot be read is a [*ReadError].
type Source interface {
	io.ReaderAt
	Size() int64
}

// FileSystem lists what lies on a volume, in a folder or in an archive.
type FileSystem interface {
	// Walk visits every entry in an order that depends on the bytes alone.
	// It must return the first error of visit unchanged, must stop when ctx
	// ends, and must report what it could not understand as findings of an
	// entry (of the root directory "/" where no better one exists), returning
	// an error only when nothing more can be listed. An Entry is valid until
	// visit returns unless its Open is retained.
	Walk(ctx context.Context, limits Limits, visit func(*Entry) error) error
}

// FreeSpace is a FileSystem that can tell which bytes of its volume belong to
// nothing. Deleted files lie there, and what is left of others.
type FreeSpace interface {
	FileSystem
	// Free visits the stretches that the file system's own map calls free, in
	// bytes from the beginning of the volume, ascending, joined where they
	// touch, inside the source. It must return the first error of visit
	// unchanged; where the map cannot be read it returns an error, and what
	// it has visited until then stands.
	Free(ctx context.Context, visit func(tutela.Run) error) error
}

// Content is the bytes of one entry, forward only. Where random access costs
// nothing, the value is an io.ReaderAt too.
type Content interface {
	io.Reader
	io.Closer
}

// Entry is one file, stream, deleted file, archive member, gap or volume.
type Entry struct {
	Volume   string           // set by survey; see tutela.Record
	Path     []byte           // raw bytes, '/' first; ":name" marks a stream, "!/" a way into a file
	Chain    []tutela.Locator // from the exhibit to these bytes; a layer below appends its own step
	Kind     tutela.EntryKind
	State    tutela.State
	Size     int64 // bytes; -1 where only reading tells
	Times    tutela.Times
	Findings []tutela.Finding

	// Runs says where the content lies in the source, if it lies there as it
	// is: without holes, and nothing for what is compressed, encrypted or held
	// in the metadata. Where the lengths add up to Size, the runs in their
	// order are the content, and may be read in place of Open.
	Runs []tutela.Run
	// Slack are the bytes between the end of the content and the end of what
	// the file system gave it. Most readers have one stretch or none.
	Slack []tutela.Run

	// Beside finds another file by its path from the folder of this one
	// ("photo.db-wal"); nil if it finds none. A reader that can look anywhere
	// sets it; for the others package survey does, which knows those that the
	// walk came by at about the same time. It may be nil.
	Beside func(name string) *Entry

	// Open begins to read the content. It is nil when there is none to read
	// (links, devices); an error from it makes the record unreadable. It must
	// stay callable, also from another goroutine, while the walk goes on and
	// until the evidence is closed.
	Open func() (Content, error)
}

// Find adds a finding.
func (e *Entry) Find(code, detail string) {
	e.Findings = append(e.Findings, tutela.Finding{Code: code, Detail: detail})
}

// Limits bound what hostile bytes can make a reader do. The zero value of a
// field means its default from [DefaultLimits].
type Limits struct {
	MemberBytes    int64 // one archive member; default 64 GiB
	ExpandedBytes  int64 // all that comes out of one root file; default 100 GB
	Ratio          int64 // expanded to compressed, checked after RatioAfter; default 200
	RatioAfter     int64 // bytes; default 100 MB
	Nesting        int   // archives inside archives; default 8
	NameBytes      int   // one path; default 4 KiB
	EntriesPerRoot int64 // members that come out of one root file; default 10 million
	DeletedFactor  int64 // deleted bytes on a volume, as a multiple of its size; default 2
}

// DefaultLimits are the limits a lab starts with.
func DefaultLimits() Limits {
	return Limits{
		MemberBytes:    64 << 30,
		ExpandedBytes:  100e9,
		Ratio:          200,
		RatioAfter:     100e6,
		Nesting:        8,
		NameBytes:      4 << 10,
		EntriesPerRoot: 10e6,
		DeletedFactor:  2,
	}
}

// WithDefaults is l with the default in place of every zero.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		MemberBytes:    cmp.Or(l.MemberBytes, d.MemberBytes),
		ExpandedBytes:  cmp.Or(l.ExpandedBytes, d.ExpandedBytes),
		Ratio:          cmp.Or(l.Ratio, d.Ratio),
		RatioAfter:     cmp.Or(l.RatioAfter, d.RatioAfter),
		Nesting:        cmp.Or(l.Nesting, d.Nesting),
		NameBytes:      cmp.Or(l.NameBytes, d.NameBytes),
		EntriesPerRoot: cmp.Or(l.EntriesPerRoot, d.EntriesPerRoot),
		DeletedFactor:  cmp.Or(l.DeletedFactor, d.DeletedFactor),
	}
}

// ErrNotThis is returned by a reader's Open when the bytes are not of its
// format; the next reader is tried. Any other error means: it is, but broken.
var ErrNotThis = errors.New("not of this format")

// ErrUnsupported is wrapped by readers that recognise what they cannot read.
// The wrapping text names it: "btrfs: raid6 profile not read".
var ErrUnsupported = errors.New("not supported")

// ReadError says which bytes of a source could not be read.
type ReadError struct {
	Run tutela.Run
	Err error
}

func (e *ReadError) Error() string { return e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// Section is length bytes of src from offset on, as a Source of its own. It
// panics if offset or length is negative.
func Section(src Source, offset, length int64) Source {
	if offset < 0 || length < 0 {
		panic("internal error: negative section")
	}
	return section{src, offset, length}
}

type section struct {
	src            Source
	offset, length int64
}

var _ Source = section{}

func (s section) Size() int64 { return s.length }

func (s section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= s.length {
		return 0, io.EOF
	}
	if rest := s.length - off; int64(len(p)) > rest {
		n, err := s.src.ReadAt(p[:rest], s.offset+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return s.src.ReadAt(p, s.offset+off)
}
