package carve

import (
	"context"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const (
	// sector is the grid on which headers are looked for, in bytes.
	sector = 512
	// vain is how much reading in vain is always allowed, in bytes.
	vain = 128 << 20
	// dear is how many times its own size a file may cost to be followed.
	dear = 4
	// stretchesTold is how many unreadable stretches "/" names.
	stretchesTold = 16
)

// search is one walk through all stretches.
type search struct {
	ctx    context.Context
	src    evidence.Source
	visit  func(*evidence.Entry) error
	most   int64 // bytes of one file
	blocks blocks

	held *found // a broken picture that a whole file may still cut short

	passed int64 // bytes looked through
	wasted int64 // bytes read in vain

	unread     []tutela.Run // could not be looked through, the first of them
	unreadMore int64        // stretches beyond those
	unexamined place        // headers passed over
	oversized  place        // files beyond most
}

// place counts what happened and says where it did first.
type place struct{ count, first int64 }

func (p *place) add(at int64) {
	if p.count == 0 {
		p.first = at
	}
	p.count++
}

// found is what a validator makes of the bytes behind a header.
type found struct {
	at     int64 // in the source; search sets it
	size   int64 // bytes
	ext    string
	broken string // why it is not whole; empty if it is
	doubt  string // why its length is inferred; empty if its format tells it
	resume int64  // where in a broken file the search goes on, from its beginning
}

// through looks through one stretch.
func (s *search) through(stretch tutela.Run) error {
	s.blocks.begin(stretch)
	for at := stretch.Offset; ; {
		header, err := s.header(at)
		if err != nil {
			return err
		}
		if header < 0 {
			return s.release()
		}
		if at, err = s.examine(header); err != nil {
			return err
		}
	}
}

// header is the next place from at on where a file may begin, -1 if there is
// none in the stretch.
func (s *search) header(at int64) (int64, error) {
	stretch := s.blocks.stretch
	for at < end(stretch) {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		b, err := s.blocks.at(at)
		if err != nil {
			return 0, err
		}
		n := int(at - b.from)
		hit := firstHeader(b.b[n:])
		s.note(b, at)
		if hit >= 0 {
			s.passed += int64(hit) + sector
			return at + int64(hit), nil
		}
		s.passed += int64(len(b.b) - n)
		// Blocks are whole sectors, but the first of a stretch.
		at += roundUp(int64(len(b.b) - n))
	}
	return -1, nil
}

func roundUp(n int64) int64 { return (n + sector - 1) &^ (sector - 1) }

// firstHeader is where in b, in steps of a sector, a file may begin, or -1.
func firstHeader(b []byte) int {
	for i := 0; i+shortestHead <= len(b); i += sector {
		if recognise(b[i:i+shortestHead]) != nil {
			return i
		}
	}
	return -1
}

// note remembers what of a block could not be read, when the search comes by.
func (s *search) note(b *block, from int64) {
	for _, r := range b.bad {
		if last := len(s.unread) - 1; last >= 0 && end(r) <= end(s.unread[last]) || end(r) <= from {
			continue
		}
		if last := len(s.unread) - 1; last >= 0 && end(s.unread[last]) == r.Offset {
			s.unread[last].Length += r.Length
		} else if len(s.unread) < stretchesTold {
			s.unread = append(s.unread, r)
		} else if r.Offset >= s.blocks.toldTo {
			s.unreadMore++
		}
		s.blocks.toldTo = max(s.blocks.toldTo, end(r))
	}
}

// examine validates what begins at a header, gives it out, and returns where the
// search goes on.
func (s *search) examine(at int64) (next int64, err error) {
	if s.wasted > 2*s.passed+vain {
		s.unexamined.add(at)
		return at + sector, nil
	}
	v := s.view(at)
	head := v.bytes(0, shortestHead)
	if head == nil {
		return at + sector, s.blocks.err
	}
	f, ok := recognise(head)(v)
	if s.blocks.err != nil {
		return 0, s.blocks.err
	}
	if !ok && v.why == limited {
		s.oversized.add(at)
	}
	if !ok {
		s.wasted += v.cost + v.aside
		return at + sector, nil
	}
	f.at = at
	s.wasted += max(v.cost+v.aside-dear*f.size, 0)
	if f.broken != "" {
		return at + max(roundUp(f.resume), sector), s.hold(f)
	}
	next = at + max(roundUp(f.size), sector)
	s.passed += next - at - sector
	return next, s.whole(f)
}

func (s *search) view(at int64) *view {
	rest := end(s.blocks.stretch) - at
	v := &view{blocks: &s.blocks, at: at, size: min(rest, s.most), short: ended}
	if v.size < rest {
		v.short = limited
	}
	v.most = dear*v.size + 8*blockSize
	return v
}

// hold keeps a broken file until it is known where it ends at the latest.
func (s *search) hold(f found) error {
	if s.held != nil && f.at < s.held.at+s.held.size {
		return nil // a picture inside the broken one
	}
	if err := s.release(); err != nil {
		return err
	}
	s.held = &f
	return nil
}

// whole gives out a file, and before it a broken one, which ends here.
func (s *search) whole(f found) error {
	if h := s.held; h != nil && f.at < h.at+h.size {
		h.size, h.broken = f.at-h.at, "another file begins in it"
		if h.size < leastBroken {
			s.held = nil
		}
	}
	if err := s.release(); err != nil {
		return err
	}
	return s.give(f)
}

// release gives out what is held.
func (s *search) release() error {
	h := s.held
	s.held = nil
	if h == nil {
		return nil
	}
	return s.give(*h)
}

func (s *search) give(f found) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	src, run := s.src, tutela.Run{Offset: f.at, Length: f.size}
	e := &evidence.Entry{
		Path:  fmt.Appendf(nil, "/$Carved/%012d.%s", f.at, f.ext),
		Chain: []tutela.Locator{{Layer: "carve", At: fmt.Sprintf("%d+%d %s", f.at, f.size, f.ext)}},
		Kind:  tutela.File,
		State: tutela.Carved,
		Size:  f.size,
		Runs:  []tutela.Run{run},
		Open:  func() (evidence.Content, error) { return evidence.Stretch(src, run), nil },
	}
	if f.broken != "" {
		e.Find(tutela.FindingTruncated, f.broken)
	}
	if f.doubt != "" {
		e.Find(tutela.FindingAssumed, f.doubt)
	}
	return s.visit(e)
}

// tell gives out "/" if something must be said about the search.
func (s *search) tell() error {
	e := &evidence.Entry{
		Path:  []byte("/"),
		Chain: []tutela.Locator{{Layer: "carve", At: "free space"}},
		Kind:  tutela.Directory,
		State: tutela.Allocated,
	}
	for _, r := range s.unread {
		e.Find(tutela.FindingReadError, fmt.Sprintf("carving: bytes %d to %d could not be read; no file was looked for in them", r.Offset, end(r)-1))
	}
	if s.unreadMore > 0 {
		e.Find(tutela.FindingReadError, fmt.Sprintf("carving: %d stretches more could not be read", s.unreadMore))
	}
	if s.unexamined.count > 0 {
		e.Find(tutela.FindingLimit, fmt.Sprintf("carving: %d headers, from byte %d on, were passed over because too many before them led nowhere", s.unexamined.count, s.unexamined.first))
	}
	if s.oversized.count > 0 {
		e.Find(tutela.FindingLimit, fmt.Sprintf("carving: %d files, from byte %d on, are longer than %d bytes, or do not end before that, and were left", s.oversized.count, s.oversized.first, s.most))
	}
	if len(e.Findings) == 0 {
		return nil
	}
	return s.visit(e)
}
