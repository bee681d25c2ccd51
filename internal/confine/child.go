package confine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidence/carve"
	"tutela/internal/evidence/filesystem"
	"tutela/internal/picture"
)

// What the parent asks of a child …
const (
	opOpen    = iota + 1 // kind, what it needs, source → file system, name
	opWalk               // file system, walk, limits, entries to pass over → session
	opFree               // file system → session
	opExpand             // archive → session
	opNext               // session → items, and whether that was all
	opStop               // session
	opContent            // where from, walk, number → content, whether it is random
	opRead               // content, at most → bytes, error
	opReadAt             // content, offset, at most → bytes, error
	opClose              // content or file system
	opPicture            // source → perceptual hash
)

// … and what a child asks of its parent.
const (
	opSource      = iota + 64 // source, offset, length → bytes, error
	opSpool                   // limit → spooled
	opSpoolWrite              // spooled, bytes
	opSpoolEnd                // spooled → size; it is a source from then on
	opSpoolClose              // spooled
	opBeside                  // path from the folder of the archive → source, or nothing
	opBesideClose             // source
)

const (
	// readMost is how much one read of a content or a source carries.
	readMost = 1 << 20
	// inlineMost is how long a content may be to go along with its entry.
	inlineMost = 32 << 10
)

var (
	errNoEntry = errors.New("no such entry")
	errStopped = errors.New("stopped")
)

// childVariable marks a process as a child. Its value is the format of the
// pipes, so that nothing else is taken for one.
const childVariable = "TUTELA_CONFINED_CHILD"

// Child does the work of a child process and does not return, if this process
// was started as one; else it returns at once. It must be the first thing that
// main does, in a program whose [Host] starts copies of itself.
func Child() {
	runChild(filesystem.Open)
}

// opening opens volumes, as package filesystem does.
type opening func(src evidence.Source, only string) (evidence.FileSystem, string, error)

func runChild(open opening) {
	if os.Getenv(childVariable) != "1" {
		return
	}
	in, out := os.Stdin, os.Stdout
	os.Stdout = os.Stderr // nothing else may write into the pipe
	if err := restrict(); err != nil {
		fmt.Fprintf(os.Stderr, "fatal error: cannot be confined: %v\n", err)
		os.Exit(1)
	}
	if err := serve(in, out, open); err != nil {
		fmt.Fprintf(os.Stderr, "fatal error: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers the parent until it goes.
func serve(in io.Reader, out io.Writer, open opening) error {
	c := &child{opening: open, things: map[int64]any{}}
	c.peer = newPeer(out, c.answer)
	return c.peer.run(in)
}

// child is the other side of a [Host]: readers, and what they have open.
type child struct {
	peer    *peer
	opening opening

	mu     sync.Mutex
	things map[int64]any // sessions, file systems and contents, by handle
	last   int64
}

func (c *child) keep(thing any) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.things[c.last] = thing
	return c.last
}

func (c *child) drop(handle int64) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	thing := c.things[handle]
	delete(c.things, handle)
	return thing
}

// thing is what a handle stands for, of the type that the call is about.
func thing[T any](c *child, handle int64) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.things[handle].(T)
	if !ok {
		return t, fmt.Errorf("%w: handle %d", errGarbled, handle)
	}
	return t, nil
}

// answer is the handler of the parent's calls.
func (c *child) answer(op byte, payload []byte) ([]byte, error) {
	d := &decoder{b: payload}
	switch op {
	case opOpen:
		return c.open(d)
	case opWalk:
		return c.walk(d)
	case opFree:
		return c.free(d)
	case opExpand:
		return c.expand(d)
	case opNext:
		return c.next(d)
	case opStop:
		return c.stop(d)
	case opContent:
		return c.content(d)
	case opRead:
		return c.read(d)
	case opReadAt:
		return c.readAt(d)
	case opClose:
		return c.close(d)
	case opPicture:
		return c.picture(d)
	}
	return nil, errGarbled
}

// What is opened on a source.
const (
	kindVolume = 1 // param: the one reader to try, or ""
	kindCarve  = 2 // param: the stretches to look through
)

// mount is an opened file system, and by the number of a walk what the contents
// of its entries are had from.
type mount struct {
	fs evidence.FileSystem

	mu    sync.Mutex
	walks map[int64]*openers
}

// openers are those of a walk, made if it is new.
func (m *mount) openers(walk int64) *openers {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.walks[walk] == nil {
		m.walks[walk] = newOpeners(m.fs)
	}
	return m.walks[walk]
}

func (c *child) open(d *decoder) ([]byte, error) {
	kind, param, src := d.int(), d.bytes(), c.source(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	m, name, err := &mount{walks: map[int64]*openers{}}, "", error(nil)
	switch kind {
	case kindVolume:
		m.fs, name, err = c.opening(src, string(param))
	case kindCarve:
		runs := &decoder{b: param}
		m.fs = carve.New(src, runs.runs())
		err = runs.end()
	default:
		err = errGarbled
	}
	if err != nil {
		// The name is told with the error: who knew the format, and could
		// not open it.
		return appendBytes(appendBytes(appendInt(nil, 0), name), appendError(nil, err)), nil
	}
	_, maps := m.fs.(evidence.FreeSpace)
	return appendInt(appendBytes(appendBytes(appendInt(nil, c.keep(m)), name), ""), flag(maps)), nil
}

func (c *child) walk(d *decoder) ([]byte, error) {
	m, err := thing[*mount](c, d.int())
	walk, limits, skip := d.int(), d.limits(), d.int()
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	ready := m.openers(walk)
	ready.use(limits)
	s := newSession()
	go s.run(func(ctx context.Context, emit func([]byte) error) error {
		number := int64(0)
		return m.fs.Walk(ctx, limits, func(e *evidence.Entry) error {
			number++
			if number <= skip {
				return nil
			}
			return emit(appendSent(nil, ready.send(number, e)))
		})
	})
	return appendInt(nil, c.keep(s)), nil
}

// readInline reads a content that says it has size bytes.
func readInline(open func() (evidence.Content, error), size int64) ([]byte, error) {
	c, err := open()
	if err != nil {
		return nil, &openError{err}
	}
	defer c.Close()
	b, err := io.ReadAll(io.LimitReader(c, size+1))
	return b, err
}

func (c *child) free(d *decoder) ([]byte, error) {
	m, err := thing[*mount](c, d.int())
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	free, ok := m.fs.(evidence.FreeSpace)
	if !ok {
		return nil, errGarbled
	}
	s := newSession()
	go s.run(func(ctx context.Context, emit func([]byte) error) error {
		return free.Free(ctx, func(r tutela.Run) error { return emit(appendInt(appendInt(nil, r.Offset), r.Length)) })
	})
	return appendInt(nil, c.keep(s)), nil
}

// next hands over what the session has made.
func (c *child) next(d *decoder) ([]byte, error) {
	handle := d.int()
	s, err := thing[*session](c, handle)
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	items, done, err := s.next()
	if done {
		c.drop(handle)
	}
	b := appendBytes(appendInt(nil, flag(done)), appendError(nil, err))
	b = appendInt(b, len(items))
	for _, item := range items {
		b = appendBytes(b, item)
	}
	return b, nil
}

func (c *child) stop(d *decoder) ([]byte, error) {
	if s, ok := c.drop(d.int()).(*session); ok {
		s.stop()
	}
	return nil, d.end()
}

// content opens the content of an entry of a file system, or of the member at
// which an expansion stands.
func (c *child) content(d *decoder) ([]byte, error) {
	handle, walk, number := d.int(), d.int(), d.int()
	if err := d.end(); err != nil {
		return nil, err
	}
	from, err := thing[interface {
		open(walk, number int64) (evidence.Content, error)
	}](c, handle)
	if err != nil {
		return nil, err
	}
	opened, err := from.open(walk, number)
	if err != nil {
		return nil, err
	}
	_, random := opened.(io.ReaderAt)
	return appendInt(appendInt(nil, c.keep(opened)), flag(random)), nil
}

func (m *mount) open(walk, number int64) (evidence.Content, error) {
	open, err := m.openers(walk).find(number)
	if err != nil {
		return nil, err
	}
	return open()
}

func (c *child) read(d *decoder) ([]byte, error) {
	opened, err := thing[evidence.Content](c, d.int())
	most := d.int()
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	b := make([]byte, max(min(most, readMost), 0))
	n, err := readFull(opened, b)
	return appendRead(b[:n], err), nil
}

// readFull reads until b is full, so that decoders that give little at a time
// cost few crossings.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (c *child) readAt(d *decoder) ([]byte, error) {
	opened, err := thing[io.ReaderAt](c, d.int())
	off, most := d.int(), d.int()
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	b := make([]byte, max(min(most, readMost), 0))
	n, err := opened.ReadAt(b, off)
	return appendRead(b[:n], err), nil
}

// appendRead is the reply to a read: the bytes and the error that came with
// them.
func appendRead(b []byte, err error) []byte {
	failed := appendError(nil, err)
	return binary.LittleEndian.AppendUint32(append(b, failed...), uint32(len(failed)))
}

func (c *child) close(d *decoder) ([]byte, error) {
	if closer, ok := c.drop(d.int()).(io.Closer); ok {
		return nil, closer.Close()
	}
	return nil, d.end()
}

func (c *child) expand(d *decoder) ([]byte, error) {
	limits, keys, skip, src := d.limits(), d.keys(), d.int(), c.source(d)
	parent := d.sent()
	if err := d.end(); err != nil {
		return nil, err
	}
	parent.entry.Beside = c.beside
	s := newSession()
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

func (c *child) picture(d *decoder) ([]byte, error) {
	src := c.source(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return nil, err
	}
	p, err := picture.Perceptual(context.Background(), data, picture.Limits{Memory: pictureMemory})
	if err != nil {
		return nil, err
	}
	b := append(appendInt(nil, p.Quality), p.PDQ[:]...)
	return appendBytes(appendInt(appendInt(b, p.Width), p.Height), p.Decoder), nil
}
