package confine

import (
	"context"
	"errors"
	"io"
	"sync"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/carve"
)

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
	walk, limits, skip, wary := d.int(), d.limits(), d.int(), d.int() != 0
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	ready := m.openers(walk)
	ready.use(limits)
	s := newSession(wary)
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
	s := newSession(false)
	go s.run(func(ctx context.Context, emit func([]byte) error) error {
		return free.Free(ctx, func(r tutela.Run) error { return emit(appendInt(appendInt(nil, r.Offset), r.Length)) })
	})
	return appendInt(nil, c.keep(s)), nil
}

func (m *mount) open(walk, number int64) (evidence.Content, error) {
	open, err := m.openers(walk).find(number)
	if err != nil {
		return nil, err
	}
	return open()
}
