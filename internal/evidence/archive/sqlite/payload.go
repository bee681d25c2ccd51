package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// payload is the bytes of a row: the first lie on a page of the tree, the others
// on a chain of overflow pages (1.7).
type payload struct {
	d     *Database
	page  uint32
	at    int // where it begins on the page
	local []byte
	size  int64
	first uint32 // page of the chain, 0 if there is none
	free  bool   // of a deleted row: its pages are on the freelist

	known int64 // pages of the chain that are known to be its own
	// A value is looked for from the one before on: mark is the number of a
	// page in the chain, and markPage that page. 0 is no mark.
	mark     int64
	markPage uint32
}

// room is how many bytes of a payload an overflow page holds.
func (p *payload) room() int64 { return int64(p.d.usable - 4) }

// own says that a page is the k-th of the chain. What a chain gives is the same
// each time, so a page is asked about once.
func (p *payload) own(k int64, page uint32) error {
	if k < p.known {
		return nil
	}
	if page == 0 {
		return errShort
	}
	if p.free {
		if err := p.d.takeFree(page); err != nil {
			return err
		}
		p.known = k + 1
		return nil
	}
	if err := p.d.take(page); err != nil {
		// Which of two rows a page belongs to is not known, and the other may
		// have been read.
		p.d.tell(fmt.Errorf("page %d: a row goes on at %w", p.page, err))
		return err
	}
	p.known = k + 1
	return nil
}

var (
	errShort = errors.New("the chain of overflow pages ends early")
	errLong  = errors.New("the chain of overflow pages goes on behind the row")
)

// seek finds the k-th page of the chain.
func (p *payload) seek(k int64) (uint32, error) {
	page, at := p.first, int64(0)
	if p.mark > 0 && p.mark <= k {
		page, at = p.markPage, p.mark
	}
	var next [4]byte
	for ; ; at++ {
		if err := p.own(at, page); err != nil {
			return 0, err
		}
		if at == k {
			p.mark, p.markPage = at, page
			return page, nil
		}
		if err := p.d.read(next[:], page, 0); err != nil {
			return 0, err
		}
		page = binary.BigEndian.Uint32(next[:])
	}
}

// reader reads a stretch of a payload that lies in it.
func (p *payload) reader(offset, length int64) io.Reader {
	return &payloadReader{p: p, at: offset, end: offset + length, k: -1}
}

// payloadReader is a position in a payload. Its errors stay.
type payloadReader struct {
	p       *payload
	at, end int64
	k       int64  // number of the page in the chain that is held, -1 for none
	held    []byte // a page
	err     error
}

func (r *payloadReader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.at >= r.end {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), r.end-r.at)]
	var n int
	if local := int64(len(r.p.local)); r.at < local {
		n = copy(b, r.p.local[r.at:])
	} else if r.err = r.hold((r.at - local) / r.p.room()); r.err == nil {
		n = copy(b, r.held[4+(r.at-local)%r.p.room():])
	}
	r.at += int64(n)
	return n, r.err
}

// hold reads the k-th page of the chain.
func (r *payloadReader) hold(k int64) error {
	if k == r.k {
		return nil
	}
	page, err := r.next(k)
	if err != nil {
		return err
	}
	if r.held == nil {
		r.held = make([]byte, r.p.d.usable)
	}
	if err := r.p.d.read(r.held, page, 0); err != nil {
		return err
	}
	last := int64(len(r.p.local))+(k+1)*r.p.room() >= r.p.size
	if last && binary.BigEndian.Uint32(r.held) != 0 {
		return errLong
	}
	r.k = k
	return nil
}

func (r *payloadReader) next(k int64) (uint32, error) {
	if r.k < 0 || k != r.k+1 {
		return r.p.seek(k)
	}
	page := binary.BigEndian.Uint32(r.held)
	return page, r.p.own(k, page)
}
