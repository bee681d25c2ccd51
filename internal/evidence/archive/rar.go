package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/nwaples/rardecode/v2"

	"tutela"
	"tutela/internal/evidence"
)

// The blocks of a RAR file are walked here (rar4blocks.go, rar5blocks.go), so
// that what is there is listed whatever state it is in; the module decodes. It
// is shown an archive made of a main header of ours and the blocks it needs:
// one file's, or in a solid archive all, in their order.

// rarBlock is one block: its header as far as it matters, and its place.
type rarBlock struct {
	at, data, end int64 // of the header, of what follows it, and of that; in bytes
	file          *rarFile
	last          bool // nothing follows
	more          bool // the archive continues in another volume
	locked        bool // from here on headers are encrypted
}

// rarFile is a file header.
type rarFile struct {
	name       []byte
	size       int64 // -1 where not told
	crc        *uint32
	times      tutela.Times
	dictionary int64
	directory  bool
	solid      bool // needs the files before it
	encrypted  bool
	before     bool // its content begins in an earlier volume
	after      bool // its content continues in the next
	kind       tutela.EntryKind
	target     []byte // of a link whose header names it
	method     string // "" or why its method is not read
}

// rarBlocks reads the blocks of one version of the format.
type rarBlocks interface {
	// main reads the first block.
	main() (next int64, solid bool, volume int, err error)
	// block reads the one at a byte; io.EOF where none follows.
	block(at int64) (rarBlock, error)
	// head is a signature and a main header.
	head(solid bool) []byte
}

// rar lists a RAR file.
func (l *listing) rar(head []byte) error {
	var blocks rarBlocks = &rar4{l.content, l.size}
	if bytes.HasPrefix(head, []byte("Rar!\x1a\x07\x01\x00")) {
		blocks = &rar5{l.content, l.size}
	}
	at, solid, volume, err := blocks.main()
	if err != nil {
		l.find(fail(err).Code, "rar: %v", err)
		return nil
	}
	if volume > 0 {
		l.find(tutela.FindingTruncated, "rar: this is volume %d of several; what begins before it is in others", volume+1)
	}
	r := &rarListing{listing: l, blocks: blocks, first: at}
	r.solid = &rarSolid{rarListing: r}
	defer r.solid.close()
	return r.list(at, solid)
}

type rarListing struct {
	*listing
	blocks rarBlocks
	first  int64 // byte of the first block behind the main header
	solid  *rarSolid
	files  int // file blocks so far, directories too
}

func (r *rarListing) list(at int64, solid bool) error {
	for at < r.size {
		b, err := r.blocks.block(at)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			r.find(fail(err).Code, "rar: at byte %d: %v", at, err)
			return nil
		case b.locked:
			r.find(tutela.FindingEncrypted, "rar: the list of members is encrypted")
			return nil
		case b.last:
			if b.more {
				r.find(tutela.FindingTruncated, "rar: continues in another volume")
			}
			return nil
		}
		if b.file != nil {
			if err := r.member(b, solid || b.file.solid); err != nil {
				return err
			}
		}
		at = b.end
	}
	return nil
}

func (r *rarListing) member(b rarBlock, solid bool) error {
	if err := r.next(); err != nil {
		return err
	}
	f, index := b.file, r.files
	r.files++
	if f.directory {
		return nil
	}
	m := &member{name: f.name, at: b.at, kind: f.kind, size: f.size, times: f.times}
	if f.target != nil {
		m.size = 0
		m.find(tutela.FindingSpecial, "%s to %s", linkWord(f.kind), tutela.DisplayPath(f.target))
		return r.listing.member(m)
	}
	if b.end > r.size {
		m.find(tutela.FindingTruncated, "rar: %d of %d packed bytes are there", r.size-b.data, b.end-b.data)
	}
	if why := f.unread(); why != nil {
		m.refuse(why)
	} else {
		m.open = func() (io.ReadCloser, error) { return r.open(b, index, solid) }
	}
	if f.kind != tutela.File {
		r.special(m, f.kind)
	}
	return r.listing.member(m)
}

func linkWord(kind tutela.EntryKind) string {
	if kind == tutela.Symlink {
		return "link"
	}
	return kind.String()
}

// unread is why the content cannot be read, before anything is allocated for it.
func (f *rarFile) unread() *Error {
	switch {
	case f.encrypted:
		return &Error{tutela.FindingEncrypted, errors.New("rar: the member is encrypted")}
	case f.before:
		return &Error{tutela.FindingTruncated, errors.New("rar: the member begins in another volume")}
	case f.after:
		return &Error{tutela.FindingTruncated, errors.New("rar: the member continues in another volume")}
	case f.method != "":
		return unsupported("rar: method %s", f.method)
	case f.dictionary > maxDecoderMemory:
		return &Error{tutela.FindingLimit, fmt.Errorf("rar: a dictionary of %d bytes", f.dictionary)}
	}
	return nil
}

func (r *rarListing) open(b rarBlock, index int, solid bool) (io.ReadCloser, error) {
	src, err := r.begin(b, index, solid)
	if err != nil {
		return nil, err
	}
	content := guarded{io.NopCloser(rarErrors{src})}
	return &checked{ReadCloser: content, format: "rar", size: b.file.size, crc: b.file.crc}, nil
}

// begin returns a reader that stands before the content of a member.
func (r *rarListing) begin(b rarBlock, index int, solid bool) (io.Reader, error) {
	if solid {
		return r.solid.at(index)
	}
	return r.decode(b.at, b.end, false, 1)
}

// decode makes a reader of the blocks in a stretch, of a solid archive or not,
// and goes to the content of the n-th file.
func (r *rarListing) decode(from, to int64, solid bool, n int) (z *rardecode.Reader, err error) {
	defer rescue(&err)
	src := io.MultiReader(bytes.NewReader(r.blocks.head(solid)), io.NewSectionReader(r.content, from, min(to, r.size)-from))
	z, err = rardecode.NewReader(src, rardecode.MaxDictionarySize(maxDecoderMemory))
	for range n {
		if err == nil {
			_, err = z.Next()
		}
		if err == nil {
			err = r.ctx.Err()
		}
	}
	return z, rarError(err)
}

func rescue(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("rar: the decoder broke: %v", cause)
	}
}

// rarErrors gives the errors of the module a kind.
type rarErrors struct{ io.Reader }

func (r rarErrors) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	return n, rarError(err)
}

func rarError(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, rardecode.ErrMultiVolume):
		return fmt.Errorf("rar: continues in another volume: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, rardecode.ErrShortFile), errors.Is(err, rardecode.ErrUnexpectedArcEnd), errors.Is(err, rardecode.ErrDecoderOutOfData):
		return fmt.Errorf("rar: %v: %w", err, io.ErrUnexpectedEOF)
	case errors.Is(err, rardecode.ErrUnknownVersion):
		return fmt.Errorf("rar: %v: %w", err, evidence.ErrUnsupported)
	}
	return err
}

// rarSolid decodes a solid archive forward, once if its members are taken in
// their order.
type rarSolid struct {
	*rarListing
	z      *rardecode.Reader
	index  int // of the file z stands at
	begun  bool
	broken error
}

func (s *rarSolid) at(index int) (io.Reader, error) {
	if s.z != nil && index <= s.index { // was read, at least in part
		s.close()
	}
	if s.broken != nil {
		return nil, s.broken
	}
	if s.z == nil {
		return s.restart(index)
	}
	for s.index < index {
		if err := s.forward(); err != nil {
			s.close()
			s.broken = err
			return nil, err
		}
	}
	return s.z, nil
}

func (s *rarSolid) forward() (err error) {
	defer rescue(&err)
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.index++
	_, err = s.z.Next()
	return whole(rarError(err))
}

func (s *rarSolid) restart(index int) (io.Reader, error) {
	if s.begun {
		// What is decoded again can only be guessed by the packed bytes.
		if s.root.again += s.size; s.root.again > maxAgain {
			return nil, unsupported("rar: a second read of a solid archive of this size")
		}
	}
	z, err := s.decode(s.first, s.size, true, index+1)
	s.z, s.index, s.begun = z, index, true
	if err != nil {
		s.close()
		s.broken = whole(err)
		return nil, s.broken
	}
	return z, nil
}

func (s *rarSolid) close() { s.z = nil }
