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

// openers finds how to open an entry by its number in the walk.
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
