package confine

import (
	"context"
	"io"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

func (c *child) expand(d *decoder) ([]byte, error) {
	limits, keys, skip, wary, src := d.limits(), d.keys(), d.int(), d.int() != 0, c.source(d)
	parent := d.sent()
	if err := d.end(); err != nil {
		return nil, err
	}
	parent.entry.Beside = c.beside
	s := newSession(wary)
	e := &expansion{session: s, skip: skip}
	x := archive.New(archive.Options{Limits: limits, Spool: &childSpool{child: c}, Keys: keys})
	go s.run(func(ctx context.Context, emit func([]byte) error) error {
		e.emit = emit
		return x.Expand(ctx, &parent.entry, src, src.Size(), e.visit)
	})
	return appendInt(nil, c.keep(s)), nil
}

// beside finds a file that lies near the archive.
func (c *child) beside(name string) *evidence.Entry {
	b := &besideFile{child: c, name: name}
	if b.src = b.borrow(); b.src == nil {
		return nil
	}
	return &evidence.Entry{Kind: tutela.File, Size: b.src.Size(), Open: b.open}
}

// expansion is an archive being expanded. A member whose content is long holds
// it up until the parent asks for the next.
type expansion struct {
	session *session
	emit    func([]byte) error
	skip    int64
	number  int64
}

func (x *expansion) visit(e *evidence.Entry) error {
	x.number++
	if x.number <= x.skip {
		return drain(e)
	}
	s := &sent{entry: *e, number: x.number}
	if e.Open == nil {
		return x.emit(appendSent(nil, s))
	}
	c, err := e.Open()
	if err != nil {
		s.how, s.failed = contentInline, &openError{err}
		return x.emit(appendSent(nil, s))
	}
	defer c.Close()
	head := make([]byte, inlineMost)
	n, err := readFull(c, head)
	if err != nil {
		s.how, s.inline, s.failed = contentInline, head[:n], err
		if err == io.EOF {
			s.failed = nil
		}
		return x.emit(appendSent(nil, s))
	}
	s.how = contentRemote
	return x.session.hold(appendSent(nil, s), &begun{head: head[:n], rest: c, open: e.Open})
}

// drain reads what an earlier try has read, so that the limits count the same.
func drain(e *evidence.Entry) error {
	if e.Open == nil {
		return nil
	}
	c, err := e.Open()
	if err != nil {
		return nil
	}
	defer c.Close()
	io.Copy(io.Discard, c) // its error was told by the earlier try
	return nil
}

// begun is the content of a member whose beginning was read to see whether it
// is short. The first to open it goes on there.
type begun struct {
	head []byte
	rest evidence.Content
	open func() (evidence.Content, error)
}

func (b *begun) content() (evidence.Content, error) {
	if b.head == nil {
		return b.open()
	}
	c := &continued{head: b.head, Content: b.rest}
	b.head = nil
	return c, nil
}

type continued struct {
	head []byte
	evidence.Content
}

func (c *continued) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Content.Read(p)
}

// Close leaves the content open: whoever visits the member closes it.
func (c *continued) Close() error { return nil }

// besideFile is a file that lies near the archive. It is borrowed from the parent
// until its content is closed, and anew when it is opened again: a backup has
// more of them than can be open.
type besideFile struct {
	child *child
	name  string
	src   *remoteSource // for the first to open it
}

// borrow is nil if there is no such file.
func (b *besideFile) borrow() *remoteSource {
	reply, err := b.child.peer.call(opBeside, []byte(b.name))
	if err != nil || len(reply) == 0 {
		return nil
	}
	d := &decoder{b: reply}
	src := b.child.source(d)
	if d.end() != nil {
		return nil
	}
	return src
}

func (b *besideFile) open() (evidence.Content, error) {
	src := b.src
	b.src = nil
	if src == nil {
		src = b.borrow()
	}
	if src == nil {
		return nil, errNoEntry
	}
	return &besideContent{evidence.NewExtents(src, []evidence.Extent{{Length: src.Size()}}, src.Size()), src}, nil
}

type besideContent struct {
	*evidence.Extents
	src *remoteSource
}

var (
	_ evidence.Content = (*besideContent)(nil)
	_ io.ReaderAt      = (*besideContent)(nil)
)

func (b *besideContent) Close() error {
	_, err := b.src.child.peer.call(opBesideClose, appendInt(nil, b.src.id))
	return err
}
