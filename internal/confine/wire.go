package confine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Both ends of the pipes speak the same way: a frame is a call, or the reply to
// one, and either side may call at any time.
//
//	length uint32  of what follows
//	kind   uint8   call, reply or failure
//	op     uint8   of a call; 0 otherwise
//	id     uint32  of the call
//	payload
//
// A failure's payload is an error as [appendError] writes it. The format is
// between two copies of one binary and carries no version.
const (
	kindCall    = 1
	kindReply   = 2
	kindFailure = 3

	frameHead = 6
	// maxFrame bounds a frame, in bytes: what the other side sends is
	// believed no further.
	maxFrame = 4 << 20
)

// errGone is the error of every call whose other side has ended.
var errGone = errors.New("the process at the other end has ended")

// handler answers a call. The payload is its own; the reply is written before
// the handler's buffers are used again, so it may be part of anything.
type handler func(op byte, payload []byte) ([]byte, error)

// peer is one end of the pipes.
type peer struct {
	serve handler

	writing sync.Mutex
	w       io.Writer
	head    [4 + frameHead]byte // guarded by writing

	mu      sync.Mutex
	waiting map[uint32]chan answer
	next    uint32
	err     error // why nothing more is answered

	frames  atomic.Uint64 // that arrived
	serving atomic.Int64  // calls of the other side that are being answered
}

type answer struct {
	payload []byte
	err     error
}

func newPeer(w io.Writer, serve handler) *peer {
	return &peer{w: w, serve: serve, waiting: map[uint32]chan answer{}}
}

// run reads frames until the other side ends. Every call is answered in a
// goroutine of its own, so that one may call back.
func (p *peer) run(r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	err := p.readAll(in)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errGone
	for id, wait := range p.waiting {
		delete(p.waiting, id)
		wait <- answer{err: errGone}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func (p *peer) readAll(in *bufio.Reader) error {
	for {
		var head [4 + frameHead]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n < frameHead || n > maxFrame {
			return fmt.Errorf("a frame of %d bytes", n)
		}
		payload := make([]byte, n-frameHead)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		p.frames.Add(1)
		p.take(head[4], head[5], binary.LittleEndian.Uint32(head[6:]), payload)
	}
}

func (p *peer) take(kind, op byte, id uint32, payload []byte) {
	if kind == kindCall {
		p.serving.Add(1)
		go func() {
			defer p.serving.Add(-1)
			p.answer(op, id, payload)
		}()
		return
	}
	p.mu.Lock()
	wait := p.waiting[id]
	delete(p.waiting, id)
	p.mu.Unlock()
	if wait == nil {
		return
	}
	if kind == kindFailure {
		wait <- answer{err: decodeError(payload)}
		return
	}
	wait <- answer{payload: payload}
}

func (p *peer) answer(op byte, id uint32, payload []byte) {
	reply, err := p.serve(op, payload)
	if err != nil {
		p.write(kindFailure, 0, id, appendError(nil, err))
		return
	}
	p.write(kindReply, 0, id, reply)
}

// call asks the other side and waits. The error is that of its handler, or
// errGone.
func (p *peer) call(op byte, payload []byte) ([]byte, error) {
	wait := make(chan answer, 1)
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return nil, p.err
	}
	p.next++
	id := p.next
	p.waiting[id] = wait
	p.mu.Unlock()
	if err := p.write(kindCall, op, id, payload); err != nil {
		p.mu.Lock()
		delete(p.waiting, id)
		p.mu.Unlock()
		return nil, errGone
	}
	a := <-wait
	return a.payload, a.err
}

// small frames go out in one piece.
const small = 32 << 10

func (p *peer) write(kind, op byte, id uint32, payload []byte) error {
	if len(payload) > maxFrame-frameHead {
		panic(fmt.Sprintf("internal error: a frame of %d bytes", len(payload)))
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	binary.LittleEndian.PutUint32(p.head[:], uint32(frameHead+len(payload)))
	p.head[4], p.head[5] = kind, op
	binary.LittleEndian.PutUint32(p.head[6:], id)
	if len(payload) <= small {
		_, err := p.w.Write(append(p.head[:len(p.head):len(p.head)], payload...))
		return err
	}
	if _, err := p.w.Write(p.head[:]); err != nil {
		return err
	}
	_, err := p.w.Write(payload)
	return err
}
