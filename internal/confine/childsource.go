package confine

import (
	"bytes"
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"tutela/internal/evidence/archive"
)

// A child reads its source in aligned blocks and keeps some of them: file
// systems read a few bytes here and there.
const (
	sourceBlock  = 64 << 10
	sourceBlocks = 128
)

// remoteSource is a Source whose bytes the parent has.
type remoteSource struct {
	child *child
	id    int64
	size  int64

	mu     sync.Mutex
	blocks map[int64]*list.Element // of cached, by number
	recent *list.List              // of *cached, the latest first
}

type cached struct {
	number int64
	bytes  []byte
}

// source reads from a call which source it is about.
func (c *child) source(d *decoder) *remoteSource {
	return &remoteSource{child: c, id: d.int(), size: d.int(), blocks: map[int64]*list.Element{}, recent: list.New()}
}

func (s *remoteSource) Size() int64 { return s.size }

func (s *remoteSource) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) && off < s.size {
		piece := p[n:min(int64(len(p)), int64(n)+s.size-off)]
		m, err := s.piece(piece, off)
		n += m
		off += int64(m)
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// piece reads some bytes, one at least. Long reads pass the cache by.
func (s *remoteSource) piece(p []byte, off int64) (int, error) {
	if len(p) >= sourceBlock {
		return s.fetch(p[:min(len(p), readMost)], off)
	}
	number := off / sourceBlock
	if b := s.cached(number); b != nil {
		return copy(p, b[off%sourceBlock:]), nil
	}
	b := make([]byte, min(sourceBlock, s.size-number*sourceBlock))
	if n, err := s.fetch(b, number*sourceBlock); n < len(b) || err != nil {
		return s.fetch(p, off) // something in the block is bad: exactly what was asked for
	}
	s.put(number, b)
	return copy(p, b[off%sourceBlock:]), nil
}

func (s *remoteSource) cached(number int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.blocks[number]
	if e == nil {
		return nil
	}
	s.recent.MoveToFront(e)
	return e.Value.(*cached).bytes
}

func (s *remoteSource) put(number int64, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks[number] != nil {
		return
	}
	s.blocks[number] = s.recent.PushFront(&cached{number, b})
	if s.recent.Len() > sourceBlocks {
		oldest := s.recent.Back()
		delete(s.blocks, s.recent.Remove(oldest).(*cached).number)
	}
}

func (s *remoteSource) fetch(p []byte, off int64) (int, error) {
	reply, err := s.child.peer.call(opSource, appendInt(appendInt(appendInt(nil, s.id), off), len(p)))
	if err != nil {
		return 0, err
	}
	b, err := decodeRead(reply)
	n := copy(p, b)
	if n < len(p) && err == nil {
		err = errGarbled
	}
	if n == len(p) && err == io.EOF {
		err = nil
	}
	return n, err
}

// decodeRead is the inverse of appendRead.
func decodeRead(b []byte) ([]byte, error) {
	end := len(b) - 4
	if end < 0 {
		return nil, errGarbled
	}
	failed := int64(binary.LittleEndian.Uint32(b[end:]))
	if failed > int64(end) {
		return nil, errGarbled
	}
	at := end - int(failed)
	return b[:at], decodeError(b[at:end])
}

// spoolInChild is how much of spooled streams a child keeps by itself, in bytes;
// what is longer the parent keeps.
const spoolInChild = 32 << 20

// childSpool is the Spool of an expansion in a child.
type childSpool struct {
	child *child
	used  atomic.Int64
}

func (s *childSpool) Put(ctx context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	room := min(max(spoolInChild-s.used.Load(), 0), limit)
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, room)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err == io.EOF {
		s.used.Add(n)
		return &spooledHere{bytes.NewReader(head.Bytes()), s}, nil
	}
	return s.toParent(ctx, io.MultiReader(&head, r), limit)
}

type spooledHere struct {
	*bytes.Reader
	spool *childSpool
}

func (h *spooledHere) Close() error {
	h.spool.used.Add(-h.Size())
	return nil
}

// toParent streams r to the parent, which has a disk.
func (s *childSpool) toParent(ctx context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	peer := s.child.peer
	reply, err := peer.call(opSpool, appendInt(nil, limit))
	if err != nil {
		return nil, err
	}
	d := &decoder{b: reply}
	there := &spooledThere{child: s.child, id: d.int()}
	b := make([]byte, readMost)
	for err == nil && ctx.Err() == nil {
		var n int
		n, err = readFull(r, b)
		if _, failed := peer.call(opSpoolWrite, append(appendInt(nil, there.id), b[:n]...)); failed != nil {
			err = failed
		}
	}
	if err != nil && err != io.EOF {
		there.Close()
		return nil, err
	}
	reply, err = peer.call(opSpoolEnd, appendInt(nil, there.id))
	if err != nil {
		there.Close()
		return nil, err
	}
	source := &decoder{b: append(appendInt(nil, there.id), reply...)}
	there.remoteSource = s.child.source(source)
	return there, source.end()
}

type spooledThere struct {
	*remoteSource
	child *child
	id    int64
}

func (t *spooledThere) Close() error {
	_, err := t.child.peer.call(opSpoolClose, appendInt(nil, t.id))
	return err
}
