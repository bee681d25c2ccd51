package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// member is one member as its archive describes it.
type member struct {
	name     []byte
	at       int64  // bytes from the beginning of the archive
	in       string // added where at counts from the beginning of another file
	kind     tutela.EntryKind
	size     int64 // as claimed; -1 if not told
	times    tutela.Times
	findings []tutela.Finding

	// open begins to decode the content; nil if there is none. random is the
	// content itself where it lies in the archive as it is.
	open   func() (io.ReadCloser, error)
	random *io.SectionReader
	// leaf says that nothing is looked for in the content.
	leaf bool
	// outside says that the content is another file of the exhibit, which
	// does not count as expanded.
	outside bool
}

func (m *member) find(code, format string, args ...any) {
	m.findings = append(m.findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// refuse makes the member one that can be named and not read.
func (m *member) refuse(why *Error) {
	m.find(why.Code, "%v", why)
	m.random = nil
	m.open = func() (io.ReadCloser, error) { return nil, why }
}

// next counts a member. It must be called for every one, visited or not.
func (l *listing) next() error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if l.entries >= l.limits.EntriesPerRoot {
		return errFull
	}
	l.entries++
	l.number++
	_ = l.checkExpanded() // what is left of the members says so
	return nil
}

// member visits one member and what is inside it.
func (l *listing) member(m *member) error {
	if l.spent != nil && m.open != nil && len(m.findings) == 0 {
		m.refuse(l.spent)
	}
	e := l.entry(m)
	if m.open == nil {
		return l.visit(e)
	}
	o := &opener{member: m, account: &account{root: l.root, outside: m.outside}}
	defer o.close()
	e.Open = o.open
	switch inside := detect(l.formats, o.peek()); {
	case inside.list == nil || m.leaf:
		return l.visit(e)
	case l.spent != nil:
		return l.visit(e)
	case l.depth >= l.limits.Nesting:
		e.Find(tutela.FindingLimit, fmt.Sprintf("%s archive, nested %d deep: not expanded", inside.name, l.depth))
		return l.visit(e)
	}
	e.Beside = l.besides(m)
	return l.nested(e, o)
}

func (l *listing) entry(m *member) *evidence.Entry {
	e := &evidence.Entry{
		Volume:   l.parent.Volume,
		Path:     slices.Concat(l.parent.Path, []byte("!/"), bytes.TrimLeft(m.name, "/")),
		Chain:    l.chain(fmt.Sprintf("member %d @ %d%s", l.number, m.at, m.in)),
		Kind:     m.kind,
		State:    tutela.Embedded,
		Size:     m.size,
		Times:    m.times,
		Findings: m.findings,
	}
	if len(e.Path) > l.limits.NameBytes {
		e.Find(tutela.FindingLimit, fmt.Sprintf("the path has %d bytes and was cut", len(e.Path)))
		e.Path = e.Path[:l.limits.NameBytes:l.limits.NameBytes]
	}
	return e
}

// nested visits a member that is an archive, and then its members. Both read
// the same bytes: in place where they lie as they are, else from the spool.
func (l *listing) nested(e *evidence.Entry, o *opener) error {
	content, size, done, err := l.randomAccess(e, o)
	if err != nil {
		return fmt.Errorf("spool %s: %w", tutela.DisplayPath(e.Path), err)
	}
	defer done()
	if err := l.visit(e); err != nil {
		return err
	}
	if l.spent != nil {
		return nil
	}
	err = l.archive(e, content, size, l.depth+1)
	if errors.Is(err, evidence.ErrNotThis) { // it looked like one, and was cut off
		return nil
	}
	return err
}

func (l *listing) randomAccess(e *evidence.Entry, o *opener) (content io.ReaderAt, size int64, done func(), err error) {
	if r := o.member.random; r != nil {
		// What is read in place is not read through the meter.
		if err := o.account.advance(r.Size()); err != nil {
			why := fail(err)
			e.Find(why.Code, why.Error())
		}
		return r, r.Size(), func() {}, nil
	}
	stream, err := o.open()
	if err != nil {
		return nil, 0, nil, err
	}
	defer stream.Close()
	kept := &keepError{r: stream}
	spooled, err := l.spool.Put(l.ctx, kept, l.limits.MemberBytes)
	if err != nil {
		return nil, 0, nil, err
	}
	var why *Error
	if errors.As(kept.err, &why) {
		e.Find(why.Code, why.Error())
	} else if kept.err != nil {
		spooled.Close()
		return nil, 0, nil, kept.err
	}
	e.Size = spooled.Size()
	e.Open = func() (evidence.Content, error) {
		return &spooledContent{io.NewSectionReader(spooled, 0, spooled.Size()), kept.err}, nil
	}
	return spooled, spooled.Size(), func() { spooled.Close() }, nil
}

// keepError lets a spool keep what came before an error of decoding.
type keepError struct {
	r   io.Reader
	err error
}

func (k *keepError) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if err != nil && err != io.EOF {
		k.err, err = err, io.EOF
	}
	return n, err
}

// spooledContent ends with the error that the decoding ended with.
type spooledContent struct {
	*io.SectionReader
	end error // nil for io.EOF
}

var (
	_ evidence.Content = (*spooledContent)(nil)
	_ io.ReaderAt      = (*spooledContent)(nil)
)

func (c *spooledContent) Read(p []byte) (int, error) {
	n, err := c.SectionReader.Read(p)
	if err == io.EOF && c.end != nil {
		err = c.end
	}
	return n, err
}

func (c *spooledContent) Close() error { return nil }

// opener opens a member's content. The stream that was opened to look at the
// first bytes is the one that the first open hands out, so looking costs no
// second decompression.
type opener struct {
	member  *member
	account *account
	peeked  *peekedStream
	failed  error // of the first open
}

// peekedStream does not show the WriteTo of its buffer, which would copy in
// pieces of HeadBytes.
type peekedStream struct {
	buffered *bufio.Reader
	io.Closer
}

func (s *peekedStream) Read(p []byte) (int, error) { return s.buffered.Read(p) }

func (o *opener) peek() []byte {
	stream, err := o.start()
	if err != nil {
		o.failed = err
		return nil
	}
	o.peeked = stream
	head, _ := stream.buffered.Peek(HeadBytes) // an error comes again with the first read
	return head
}

func (o *opener) open() (evidence.Content, error) {
	if o.failed != nil {
		return nil, o.failed
	}
	if stream := o.peeked; stream != nil {
		o.peeked = nil
		return stream, nil
	}
	return o.start()
}

func (o *opener) start() (*peekedStream, error) {
	src, err := o.member.open()
	if err != nil {
		return nil, fail(err)
	}
	m := &metered{src: src, account: o.account}
	return &peekedStream{bufio.NewReaderSize(m, HeadBytes), m}, nil
}

func (o *opener) close() {
	if o.peeked != nil {
		o.peeked.Close()
	}
}
