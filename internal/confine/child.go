package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem"
)

// What the parent asks of a child …
const (
	opOpen    = iota + 1 // kind, what it needs, source → file system, name
	opWalk               // file system, walk, limits, entries to pass over, whether to be wary → session
	opFree               // file system → session
	opExpand             // archive → session
	opNext               // session → items, and whether that was all
	opStop               // session
	opContent            // where from, walk, number → content, whether it is random
	opRead               // content, at most → bytes, error
	opReadAt             // content, offset, at most → bytes, error
	opClose              // content or file system
	opPicture            // source, what is asked → view
	opVideo              // whether frames are wanted that are decoded elsewhere, source → session
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
	opStill                   // coding, size and colour of key frames → name of the decoder that takes them now
	opStillPiece              // bytes of the stream, none behind the last
	opStillPixels             // → number of the frame that ends with them, pixels; none behind the last
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
	switch os.Getenv(childVariable) {
	case "1":
	case decoderChild:
		fmt.Fprintf(os.Stderr, "fatal error: cannot become a decoder: %v\n", becomeDecoder(os.Args[1:]))
		os.Exit(1)
	default:
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
	case opVideo:
		return c.video(d)
	}
	return nil, errGarbled
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
