package confine

import (
	"context"
	"errors"
	"sync"

	"tutela/internal/evidence"
)

// keptOpeners is how many entries of a file system stay ready to be opened. A
// scan is never this many entries behind its walk, so that finding one anew by
// walking again happens only after a child was replaced.
const keptOpeners = 1 << 16

// openers finds how to open an entry by its number in a walk. Each walk has its
// own: one that runs ahead must not push out what another still needs.
type openers struct {
	fs evidence.FileSystem

	mu     sync.Mutex
	limits evidence.Limits
	ready  map[int64]func() (evidence.Content, error)
	order  []int64 // of keeping; a ring once it is full
	oldest int
}

func newOpeners(fs evidence.FileSystem) *openers {
	return &openers{fs: fs, ready: map[int64]func() (evidence.Content, error){}}
}

// use sets the limits under which entries are found again.
func (o *openers) use(limits evidence.Limits) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limits = limits
}

// send makes an entry ready to cross. What lies in the source as it is the
// parent reads by itself; what is short goes along; the rest is asked for.
func (o *openers) send(number int64, e *evidence.Entry) *sent {
	s := &sent{entry: *e, number: number}
	switch {
	case e.Open == nil:
	case inPlace(e):
		s.how = contentRemote
	case e.Size <= inlineMost && e.Size >= 0:
		s.how = contentInline
		s.inline, s.failed = readInline(e.Open, e.Size)
	default:
		s.how = contentRemote
		o.keep(number, e.Open)
	}
	return s
}

func (o *openers) keep(number int64, open func() (evidence.Content, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready[number] = open
	if len(o.order) < keptOpeners {
		o.order = append(o.order, number)
		return
	}
	delete(o.ready, o.order[o.oldest])
	o.order[o.oldest] = number
	o.oldest = (o.oldest + 1) % keptOpeners
}

func (o *openers) find(number int64) (func() (evidence.Content, error), error) {
	o.mu.Lock()
	open, limits := o.ready[number], o.limits
	o.mu.Unlock()
	if open != nil {
		return open, nil
	}
	at := int64(0)
	err := o.fs.Walk(context.Background(), limits, func(e *evidence.Entry) error {
		if at++; at < number {
			return nil
		}
		open = e.Open
		return errStopped
	})
	if open == nil {
		return nil, errors.Join(errNoEntry, err)
	}
	return open, nil
}
