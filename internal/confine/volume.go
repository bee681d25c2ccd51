package confine

import (
	"context"
	"errors"
	"io"
	"sync"

	"tutela"
	"tutela/internal/evidence"
)

// Volume opens a file system in a child, as package filesystem does: with the
// reader called only, or with the first that knows the bytes. The name is that
// of the reader. The file system can tell its free space ([evidence.FreeSpace])
// if the reader can.
func (h *Host) Volume(src evidence.Source, only string) (evidence.FileSystem, string, error) {
	v := &volume{host: h, src: src, kind: kindVolume, param: []byte(only)}
	name, err := v.open()
	if err != nil {
		return nil, name, err
	}
	if v.maps {
		return mappedVolume{v}, name, nil
	}
	return v, name, nil
}

// Carve looks through stretches of src in a child, as package carve does.
func (h *Host) Carve(src evidence.Source, free []tutela.Run) evidence.FileSystem {
	return &volume{host: h, src: src, kind: kindCarve, param: appendRuns(nil, free)}
}

// volume is a file system in a child. The child is replaced when it ends.
type volume struct {
	host  *Host
	src   evidence.Source
	kind  int
	param []byte

	mu     sync.Mutex
	child  *process // nil before the first use and after a death
	handle int64    // of the file system in the child
	maps   bool     // it can tell its free space
	walks  int64    // that were begun; the number of the last
}

// mappedVolume is a volume that can tell its free space.
type mappedVolume struct{ *volume }

var (
	_ evidence.FileSystem = (*volume)(nil)
	_ evidence.FreeSpace  = mappedVolume{}
)

// open opens the volume and tries once more if that ended the child.
func (v *volume) open() (name string, err error) {
	var t tries
	for {
		v.mu.Lock()
		_, _, name, err = v.use()
		v.mu.Unlock()
		var death *Death
		if !errors.As(err, &death) || !t.again(0) {
			return name, err
		}
	}
}

// use is the child with the volume open in it, started if there is none. v.mu
// is held.
func (v *volume) use() (*process, int64, string, error) {
	if v.child != nil && !v.child.isGone() {
		return v.child, v.handle, "", nil
	}
	child, err := v.host.start()
	if err != nil {
		return nil, 0, "", err
	}
	_, told := child.lend(v.src, v.src.Size())
	reply, err := child.call(opOpen, append(appendBytes(appendInt(nil, v.kind), v.param), told...))
	if err != nil {
		defer v.host.retire(child)
		if death := child.died(err); death != nil {
			return nil, 0, "", death
		}
		return nil, 0, "", err
	}
	d := &decoder{b: reply}
	handle, name := d.int(), d.string()
	if failed := decodeError(d.bytes()); failed != nil {
		v.host.retire(child)
		return nil, 0, name, failed
	}
	v.maps = d.int() != 0
	v.child, v.handle = child, handle
	return child, handle, name, d.end()
}

// attempt does a piece of work in the child, and once more in a new one if it
// ended that. far tells how far the work has come: an end further on than the
// one before it is a new one.
func (v *volume) attempt(far func() int64, work func(child *process, handle int64) error) error {
	var t tries
	for {
		v.mu.Lock()
		child, handle, _, err := v.use()
		v.mu.Unlock()
		var death *Death
		if err != nil && !errors.As(err, &death) {
			return err
		}
		if death == nil {
			if err = work(child, handle); err == nil {
				return nil
			}
			if death = child.died(err); death == nil {
				return err
			}
			v.bury(child)
		}
		if !t.again(far()) {
			return death
		}
	}
}

// bury forgets a child that has ended.
func (v *volume) bury(child *process) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.child == child {
		v.child = nil
	}
	v.host.retire(child)
}

// Walk implements [evidence.FileSystem]. Where a child ends, the walk goes on
// in another behind the last entry that was visited.
func (v *volume) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	v.mu.Lock()
	v.walks++
	walk := v.walks
	v.mu.Unlock()
	visited := int64(0)
	tried := false // and ended a child
	var stop error // of visit; not to be taken for an error of the child
	err := v.attempt(func() int64 { return visited }, func(child *process, handle int64) error {
		call := appendInt(appendLimits(appendInt(appendInt(nil, handle), walk), limits), visited)
		call = appendInt(call, flag(tried))
		tried = true
		return pull(ctx, child, opWalk, call, func(d *decoder) error {
			s := d.sent()
			if d.bad {
				return errGarbled
			}
			if stop = visit(v.entry(walk, s)); stop != nil {
				return errStopped
			}
			visited = s.number
			return nil
		})
	})
	if stop != nil {
		return stop
	}
	return err
}

// Free implements [evidence.FreeSpace].
func (v mappedVolume) Free(ctx context.Context, visit func(tutela.Run) error) error {
	visited, end := int64(0), int64(0)
	var stop error
	err := v.attempt(func() int64 { return visited }, func(child *process, handle int64) error {
		seen := int64(0)
		return pull(ctx, child, opFree, appendInt(nil, handle), func(d *decoder) error {
			r := tutela.Run{Offset: d.int(), Length: d.int()}
			if d.bad || r.Offset < 0 || r.Length <= 0 || r.Length > v.src.Size()-r.Offset {
				return errGarbled
			}
			if seen++; seen <= visited {
				return nil
			}
			if r.Offset < end {
				return errGarbled
			}
			if stop = visit(r); stop != nil {
				return errStopped
			}
			visited, end = seen, r.Offset+r.Length
			return nil
		})
	})
	if stop != nil {
		return stop
	}
	return err
}

// pull starts a session and takes its items until it ends.
func pull(ctx context.Context, child *process, op byte, call []byte, take func(*decoder) error) error {
	session, err := child.begin(op, call)
	if err != nil {
		return err
	}
	return child.pull(ctx, session, take)
}

// entry gives an entry of the child a way to be opened here.
func (v *volume) entry(walk int64, s *sent) *evidence.Entry {
	e := &s.entry
	switch {
	case s.how == contentInline:
		e.Open = openInline(s)
	case s.how == contentRemote && inPlace(e):
		e.Open = openInPlace(v.src, e.Runs, e.Size)
	case s.how == contentRemote:
		number := s.number
		e.Open = func() (evidence.Content, error) { return v.openRemote(walk, number) }
	}
	return e
}

// inPlace reports whether the entry's runs are its content.
func inPlace(e *evidence.Entry) bool {
	if len(e.Runs) == 0 {
		return false
	}
	var total int64
	for _, r := range e.Runs {
		if total += r.Length; r.Length < 0 || total > e.Size {
			return false
		}
	}
	return total == e.Size
}

func openInPlace(src evidence.Source, runs []tutela.Run, size int64) func() (evidence.Content, error) {
	extents := make([]evidence.Extent, len(runs))
	for i, r := range runs {
		extents[i] = evidence.Extent(r)
	}
	return func() (evidence.Content, error) { return evidence.NewExtents(src, extents, size), nil }
}

func openInline(s *sent) func() (evidence.Content, error) {
	if errors.Is(s.failed, errOnOpen) {
		return func() (evidence.Content, error) { return nil, s.failed }
	}
	if s.failed == nil {
		return func() (evidence.Content, error) { return evidence.Bytes(s.inline), nil }
	}
	return func() (evidence.Content, error) { return &broken{rest: s.inline, err: s.failed}, nil }
}

// broken is a content that ends with an error.
type broken struct {
	rest []byte
	err  error
}

func (b *broken) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *broken) Close() error { return nil }

// openRemote opens the content of an entry in the child.
func (v *volume) openRemote(walk, number int64) (evidence.Content, error) {
	c := &volumeContent{volume: v, walk: walk, number: number}
	if err := v.attempt(c.far, c.open); err != nil {
		return nil, err
	}
	if c.random {
		return randomContent{c}, nil
	}
	return c, nil
}

// volumeContent is a content in the child. When the child ends, another opens
// it anew and reads up to where the first was.
type volumeContent struct {
	volume *volume
	walk   int64
	number int64
	at     int64 // of Read

	child  *process
	handle int64
	random bool
	closed bool
	err    error // of Read; it stays
}

func (c *volumeContent) far() int64 { return c.at }

func (c *volumeContent) open(child *process, mount int64) error {
	reply, err := child.call(opContent, appendInt(appendInt(appendInt(nil, mount), c.walk), c.number))
	if err != nil {
		return err
	}
	d := &decoder{b: reply}
	c.child, c.handle, c.random = child, d.int(), d.int() != 0
	return d.end()
}

func (c *volumeContent) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	err = c.volume.attempt(c.far, func(child *process, mount int64) error {
		if err := c.stand(child, mount); err != nil {
			return err
		}
		b, failed, err := c.ask(opRead, appendInt(appendInt(nil, c.handle), min(len(p), readMost)))
		n = copy(p, b)
		c.at += int64(n)
		c.err = failed
		return err
	})
	if err != nil {
		c.err = err
	}
	if n > 0 {
		return n, nil
	}
	return n, c.err
}

// stand makes sure that this child has the content open, at the place where the
// reading is.
func (c *volumeContent) stand(child *process, mount int64) error {
	if c.child == child {
		return nil
	}
	if err := c.open(child, mount); err != nil {
		return err
	}
	for skipped := int64(0); skipped < c.at; {
		b, failed, err := c.ask(opRead, appendInt(appendInt(nil, c.handle), min(c.at-skipped, readMost)))
		if err := errors.Join(failed, err); err != nil {
			return err
		}
		skipped += int64(len(b))
	}
	return nil
}

// ask reads bytes from the child. failed is what the content failed with, err
// what the child did.
func (c *volumeContent) ask(op byte, call []byte) (b []byte, failed, err error) {
	reply, err := c.child.call(op, call)
	if err != nil {
		return nil, nil, err
	}
	b, failed = decodeRead(reply)
	if errors.Is(failed, errGarbled) {
		return nil, nil, failed
	}
	return b, failed, nil
}

func (c *volumeContent) Close() error {
	if c.closed || c.child == nil || c.child.isGone() {
		return nil
	}
	c.closed = true
	c.child.call(opClose, appendInt(nil, c.handle)) // it only gives back room in the child
	return nil
}

// randomContent is a content that can be read anywhere.
type randomContent struct{ *volumeContent }

var _ io.ReaderAt = randomContent{}

func (r randomContent) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.piece(p[n:min(len(p), n+readMost)], off+int64(n))
		n += m
	}
	return n, err
}

func (r randomContent) piece(p []byte, off int64) (n int, err error) {
	c := r.volumeContent
	var failed error
	err = c.volume.attempt(func() int64 { return 0 }, func(child *process, mount int64) error {
		if err := c.stand(child, mount); err != nil {
			return err
		}
		var b []byte
		b, failed, err = c.ask(opReadAt, appendInt(appendInt(appendInt(nil, c.handle), off), len(p)))
		n = copy(p, b)
		return err
	})
	if err != nil {
		return n, err
	}
	if n == len(p) && failed == io.EOF {
		failed = nil
	}
	return n, failed
}
