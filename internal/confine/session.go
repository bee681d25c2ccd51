package confine

import (
	"context"
	"fmt"
	"sync"

	"tutela/internal/evidence"
)

const (
	// ahead is how many items a session makes before they are asked for.
	ahead = 512
	// batchBytes is about how much one batch of items carries.
	batchBytes = 512 << 10
)

// session makes items in the child, one after another, and hands them over in
// batches.
type session struct {
	items  chan item
	wary   bool // each item is taken before the next is made
	cancel context.CancelFunc
	ctx    context.Context
	err    error // of the producer; valid once items is closed

	mu   sync.Mutex
	held *item // the last that was handed over, if the producer waits for it
}

// item is one thing that crosses. With a member, the producer waits until the
// next batch is asked for: the member's content is had until then.
type item struct {
	bytes   []byte
	member  *begun
	release chan struct{}
}

// newSession makes a session. One that is wary makes an item only when the one
// before it was taken: where a child ended over the same work before, what comes
// before the end must not depend on chance.
func newSession(wary bool) *session {
	ctx, cancel := context.WithCancel(context.Background())
	return &session{items: make(chan item, ahead), wary: wary, ctx: ctx, cancel: cancel}
}

// run makes the items. A panic of the reader is an error of the session.
func (s *session) run(produce func(ctx context.Context, emit func([]byte) error) error) {
	defer close(s.items)
	defer func() {
		if cause := recover(); cause != nil {
			s.err = fmt.Errorf("reader failed: %v", cause)
		}
	}()
	s.err = produce(s.ctx, func(b []byte) error { return s.put(item{bytes: b}) })
}

func (s *session) put(i item) error {
	if s.wary {
		return s.hold(i.bytes, nil)
	}
	return s.queue(i)
}

func (s *session) queue(i item) error {
	select {
	case s.items <- i:
		return nil
	case <-s.ctx.Done():
		return errStopped
	}
}

// hold hands over a member and waits until the parent is done with it.
func (s *session) hold(b []byte, member *begun) error {
	i := item{bytes: b, member: member, release: make(chan struct{})}
	if err := s.queue(i); err != nil {
		return err
	}
	select {
	case <-i.release:
		return nil
	case <-s.ctx.Done():
		return errStopped
	}
}

// next waits for an item and takes with it what else is there. done says that
// nothing follows, and err why.
func (s *session) next() (items [][]byte, done bool, err error) {
	s.letGo()
	size := 0
	for {
		var i item
		more := true
		if len(items) == 0 {
			i, more = <-s.items
		} else {
			select {
			case i, more = <-s.items:
			default:
				return items, false, nil
			}
		}
		if !more {
			return items, true, s.err
		}
		items = append(items, i.bytes)
		if i.release != nil {
			s.mu.Lock()
			s.held = &i
			s.mu.Unlock()
			return items, false, nil
		}
		if size += len(i.bytes); size > batchBytes || len(items) == ahead {
			return items, false, nil
		}
	}
}

func (s *session) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		close(s.held.release)
		s.held = nil
	}
}

func (s *session) stop() {
	s.cancel()
	s.letGo()
}

// open opens the member at which the session stands.
func (s *session) open(_, _ int64) (evidence.Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || s.held.member == nil {
		return nil, errNoEntry
	}
	return s.held.member.content()
}
