// Package archive finds files inside files: archives (zip and what is built on
// it, such as OOXML and OpenDocument, JAR, APK and UFDR; 7z, rar, tar, cab, cpio,
// ar and Debian packages, Android backups), compressed streams (gzip, bzip2, xz,
// Zstandard, lz4, lzma, Unix compress), and what Office and Windows keep in OLE
// compound files and thumbnail caches; the BLOBs of SQLite databases, and the files
// of iOS backups, which their manifests list; pictures and files in PDF; mail
// (messages, mbox, winmail.dat, Outlook's PST); and the smaller pictures in
// pictures (JPEG, TIFF and camera raw, PSD); all nested in one another.
//
// Start with [Detect], which says from the first [HeadBytes] bytes whether there
// is anything to expand, then [New] and [Expander.Expand].
//
// A format is one row of the table in formats.go and one lister, which turns
// the content (random access, listing.content and listing.size) into members;
// everything else, that is nesting, limits, paths, counting and the spool,
// happens around it. To add one, write the lister in a file of its own, and if
// the format is a world of its own, its reader in a package below this one that
// knows nothing of archives (as compound is); then add the row. A member's
// content is a function that begins to decode it, and, where the bytes lie in
// the archive as they are, a section of it (see member, inPlace). Content that
// can only be decoded from its beginning goes through solid.
//
// Promised: a member is decompressed once when it is visited (an archive within
// an archive once in all: it goes to the [Spool] first, and both the visitor and
// the walk inside read from there), a solid archive once in all, if its members
// are read in their order; nothing is allocated by a size that an archive
// claims, and no decoder takes more than 256 MiB; every bound of
// [evidence.Limits] that is hit is a finding; what is encrypted is told, and
// opened where a passphrase of [evidence.Keys] fits, which is told too: to know
// that, up to 64 MiB are decoded once more, and what a wrong passphrase gives is
// never called right; and the names in an archive are labels, never host paths.
// Not promised: that an Entry's Open works after visit has returned (see
// [Expander.Expand]), that DOS times, which have no zone, are really UTC, and
// that content is right where its format has no checksum (compress, ar, cpio but
// for its crc form, MSZIP blocks without one, compound files, thumbnail caches)
// or only one that is not verified (BLAKE2sp in rar).
//
// A zip without a usable directory is listed from its local headers, a tar with
// a damaged header from the next good one.
//
// Not read, and told by name: in zip the methods from before deflate, PPMd, JPEG,
// WavPack and strong encryption; in 7z zstd, brotli, lz4, Deflate64 behind other
// coders and the filters IA-64, ARMT, RISC-V; LZX and Quantum in cab; rar from
// before 2.0, and what a passphrase would open in rar. Several volumes are not
// joined: each lists what it has whole. Self-extracting archives are not
// detected, nor are the previews in the summary of an Office file looked for.
// Of SQLite databases, deleted rows are read where they lie whole on free pages;
// rollback journals are not, which is told; a log beside a database is read in
// folders, on volumes, in zip and in tar, and elsewhere it is told that it was
// not looked for. Of iOS backups, what is encrypted stays so, and those in
// archives are listed without content: the files are members there under the
// names that the backup gave them.
//
// Of PDF, pictures that have a format of their own come as they are; bare
// samples are put into a PNG that is ours ("samples-7.png"), so that they can be
// looked at and found again, and CMYK and the like come bare, which is told.
// Objects that a later revision replaced are listed too ("picture-5@623.jpg").
// Pictures written into a page's own content are not read. Thumbnails are those
// that are JPEG; a JPEG file is opened only if its first [HeadBytes] bytes tell
// of one. Of mail, what is before and behind the parts is passed over, S/MIME
// and PGP stay as they are. Of Outlook, a message without text and attachments
// is not told, compressed RTF comes as it is stored, and OST files since 2013
// are not read, which is told.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// Spool turns a forward-only stream into random access. Whoever starts an
// expansion hands one in.
type Spool interface {
	// Put reads r to its end. It must return the first error of r, and may
	// fail when r holds more than limit bytes.
	Put(ctx context.Context, r io.Reader, limit int64) (Spooled, error)
}

// Spooled is bytes that a Spool keeps until they are closed.
type Spooled interface {
	io.ReaderAt
	Size() int64
	Close() error
}

// Error is what Open, or a Read of the content it returns, fails with. Code is
// the finding that the member's record needs: damaged for a checksum that does
// not hold, truncated, encrypted, unsupported, limit, bomb or read-error.
type Error struct {
	Code string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// fail gives an error of decoding the code that fits it.
func fail(err error) *Error {
	var known *Error
	var read *evidence.ReadError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &read):
		return &Error{tutela.FindingReadError, err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{tutela.FindingTruncated, err}
	case errors.Is(err, evidence.ErrUnsupported):
		return &Error{tutela.FindingUnsupported, err}
	}
	return &Error{tutela.FindingDamaged, err}
}

func unsupported(format string, args ...any) *Error {
	return &Error{tutela.FindingUnsupported, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), evidence.ErrUnsupported)}
}

// Options say how an Expander works.
type Options struct {
	// Limits hold for each call of Expand, across all nesting. The zero value
	// means the defaults.
	Limits evidence.Limits
	// Spool takes what must be read twice. It must not be nil.
	Spool Spool
	// Keys open what is encrypted. Without any it stays closed, and says so.
	Keys evidence.Keys
}

// Expander expands root files within limits. It keeps no state between calls
// and is safe for concurrent use if its Spool is.
type Expander struct {
	options Options
}

// New is an Expander that works as the options say.
func New(options Options) *Expander {
	options.Limits = options.Limits.WithDefaults()
	return &Expander{options}
}

// Expand visits every member of the archive in content, size bytes long, in
// the order the archive lists them, and after each member that is an archive
// the members of that. parent is the entry of the archive itself; it is not
// changed and not visited.
//
// A member's path is the parent's, "!/", and the name as written, except that
// slashes at its beginning are left out. Directories are not visited, links and
// devices are, without content. What must be said about an archive as a whole,
// which has been visited before, comes last of its members as a directory named
// "!/".
//
// Unlike the Entry of a file system, a member can be opened only until its
// visit returns, and by one goroutine at a time. Its content may fail with an
// [*Error] at any read, also at the very end where a checksum is told.
//
// Expand returns the first error of visit unchanged, an error of the context or
// of the spool, or one wrapping [evidence.ErrNotThis] if content is no archive.
// Whatever is wrong with the archive itself is a finding, not an error.
func (x *Expander) Expand(ctx context.Context, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error {
	o := x.options
	r := &root{ctx: ctx, limits: o.Limits, spool: o.Spool, keys: o.Keys, formats: formats, size: size, visit: visit}
	err := r.archive(parent, content, size, 1)
	if err == errFull {
		return nil
	}
	return err
}

// root is the expansion of one root file: what its nested archives share.
type root struct {
	ctx      context.Context
	limits   evidence.Limits
	spool    Spool
	keys     evidence.Keys
	formats  []format
	size     int64 // bytes of the root file
	visit    func(*evidence.Entry) error
	expanded int64  // bytes that came out so far
	entries  int64  // members counted so far
	again    int64  // bytes of solid content that were decoded once more
	proven   int    // number of the passphrase that fitted last
	derived  int64  // rounds of key derivation so far
	spent    *Error // why nothing more is decompressed; members are still listed
}

// errFull ends an expansion that has given out as many members as it may.
var errFull = errors.New("no more entries")

// archive lists one archive. depth is 1 for the root file.
func (r *root) archive(parent *evidence.Entry, content io.ReaderAt, size int64, depth int) error {
	head, err := readHead(content, size)
	l := &listing{root: r, parent: parent, content: content, size: size, depth: depth, format: detect(r.formats, head)}
	if l.format.list == nil {
		return errors.Join(fmt.Errorf("expand %s: %w", tutela.DisplayPath(parent.Path), evidence.ErrNotThis), err)
	}
	err = l.format.list(l, head)
	if err != nil && err != errFull {
		return err
	}
	if err := l.visitArchive(err); err != nil {
		return err
	}
	return err
}

func readHead(content io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, min(HeadBytes, size))
	n, err := content.ReadAt(head, 0)
	if n == len(head) || err == io.EOF {
		err = nil
	}
	return head[:n], err
}

// listing is one archive being listed.
type listing struct {
	*root
	parent   *evidence.Entry
	content  io.ReaderAt
	size     int64
	depth    int
	format   format
	number   int64            // of the last member
	findings []tutela.Finding // about the archive as a whole
	untold   int              // findings beyond maxFindings

	// lookAhead finds members that belong to others; nil where the format
	// cannot. siblings are what it found, nil before it was asked.
	lookAhead func(siblings)
	siblings  siblings
}

// maxFindings bounds how much damage is told about one archive. That something
// was left out is always told.
const maxFindings = 32

// find tells about damage; limits are told with stop.
func (l *listing) find(code, format string, args ...any) {
	f := tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)}
	switch {
	case slices.Contains(l.findings, f): // a member that is opened twice says the same twice
	case len(l.findings) < maxFindings:
		l.findings = append(l.findings, f)
	default:
		l.untold++
	}
}

// stop tells why the rest of the archive was left.
func (l *listing) stop(code, format string, args ...any) {
	l.findings = append(l.findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (l *listing) visitArchive(ended error) error {
	if l.untold > 0 {
		l.stop(tutela.FindingDamaged, "%d more findings of this kind", l.untold)
	}
	if ended == errFull {
		l.stop(tutela.FindingLimit, "more than %d members come out of one file; the rest was left", l.limits.EntriesPerRoot)
	}
	if l.spent != nil {
		l.stop(l.spent.Code, "%v", l.spent)
	}
	if len(l.findings) == 0 {
		return nil
	}
	return l.visit(&evidence.Entry{
		Volume:   l.parent.Volume,
		Path:     append(slices.Clone(l.parent.Path), "!/"...),
		Chain:    l.chain("archive"),
		Kind:     tutela.Directory,
		State:    tutela.Embedded,
		Findings: l.findings,
	})
}

// chain is the parent's with one step more. It never shares its array.
func (l *listing) chain(at string) []tutela.Locator {
	return slices.Concat(l.parent.Chain, []tutela.Locator{{Layer: string(l.format.name), At: at}})
}
