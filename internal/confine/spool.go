package confine

import (
	"context"
	"io"

	"tutela/internal/evidence/archive"
)

// spooling is a stream that a child hands to the parent's spool.
type spooling struct {
	w      *io.PipeWriter
	done   chan struct{} // closed when the spool has it, or not
	result archive.Spooled
	err    error
}

// beginSpool opens the way for a stream that is too long for the child.
func (p *process) beginSpool(d *decoder) ([]byte, error) {
	limit := d.int()
	run := p.expansion()
	if d.end() != nil || run == nil {
		return nil, errGarbled
	}
	r, w := io.Pipe()
	s := &spooling{w: w, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.result, s.err = run.x.options.Spool.Put(context.Background(), r, limit)
		r.CloseWithError(io.ErrClosedPipe)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.spools[p.last] = s
	return appendInt(nil, p.last), nil
}

func (p *process) spooling(id int64) (*spooling, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.spools[id]
	if s == nil {
		return nil, errGarbled
	}
	return s, nil
}

func (p *process) writeSpool(d *decoder) ([]byte, error) {
	s, err := p.spooling(d.int())
	if err != nil {
		return nil, err
	}
	if _, err := s.w.Write(d.b); err != nil {
		<-s.done
		return nil, s.err
	}
	p.read.Store(0)
	return nil, nil
}

// endSpool makes what was spooled a source of the child.
func (p *process) endSpool(d *decoder) ([]byte, error) {
	id := d.int()
	s, err := p.spooling(id)
	if err != nil || d.end() != nil {
		return nil, errGarbled
	}
	s.w.Close()
	<-s.done
	if s.err != nil {
		return nil, s.err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources[id] = s.result
	p.largest = max(p.largest, s.result.Size())
	return appendInt(nil, s.result.Size()), nil
}

func (p *process) closeSpool(d *decoder) ([]byte, error) {
	id := d.int()
	s, err := p.spooling(id)
	if err != nil || d.end() != nil {
		return nil, errGarbled
	}
	p.mu.Lock()
	delete(p.spools, id)
	delete(p.sources, id)
	p.mu.Unlock()
	return nil, s.close()
}

func (s *spooling) close() error {
	s.w.CloseWithError(io.ErrClosedPipe)
	<-s.done
	if s.result == nil {
		return nil
	}
	return s.result.Close()
}

// closeSpools gives back what a child that has ended had spooled.
func (p *process) closeSpools() {
	p.mu.Lock()
	left := p.spools
	p.spools = map[int64]*spooling{}
	p.mu.Unlock()
	for _, s := range left {
		s.close()
	}
}
