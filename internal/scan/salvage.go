package scan

import (
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// salvageStep is how finely a stretch that cannot be read is narrowed down, in
// bytes. It is a sector of today's drives.
const salvageStep = 4096

// salvageLimit is how many bytes may be lost before the rest of the content is
// given up: a dying drive answers each attempt after seconds.
const salvageLimit = 64 << 20

// salvage reads a content forward and goes on behind what cannot be read, where
// the content allows it. What was lost stands as zeros and is counted, so that
// the rest is known to be readable and nobody takes the digest for the truth.
type salvage struct {
	content evidence.Content
	size    int64 // of the content; -1 where unknown
	off     int64
	stuck   bool   // a bad stretch was met
	buf     []byte // one step
	hand    []byte // of it, what was not handed out yet
	lost    int64
	runs    []tutela.Run // lost stretches, from the beginning of the content
	reason  string       // of the first
}

func newSalvage(c evidence.Content, size int64) *salvage { return &salvage{content: c, size: size} }

// Read reads on in the reader's own pace until the first bad stretch, and from
// there in aligned steps: what counts as lost must not depend on how much was
// asked for at a time.
func (s *salvage) Read(p []byte) (int, error) {
	if s.stuck {
		return s.step(p)
	}
	n, err := s.content.Read(p)
	s.off += int64(n)
	var bad *evidence.ReadError
	_, random := s.content.(io.ReaderAt)
	if !random || !errors.As(err, &bad) {
		return n, err
	}
	s.stuck = true
	if n > 0 {
		return n, nil
	}
	return s.step(p)
}

// step hands out what is at hand of the aligned step that holds off, and reads
// the next when there is nothing left.
func (s *salvage) step(p []byte) (int, error) {
	if len(s.hand) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.hand)
	s.hand = s.hand[n:]
	return n, nil
}

// fill reads to the end of an aligned step. It goes by offsets, since the stream
// behind a bad stretch is stuck.
func (s *salvage) fill() error {
	if s.buf == nil {
		s.buf = make([]byte, salvageStep)
	}
	rest := int64(salvageStep) - s.off%salvageStep
	if s.size >= 0 {
		rest = min(rest, max(s.size-s.off, 0))
	}
	if rest == 0 {
		return io.EOF
	}
	n, err := s.content.(io.ReaderAt).ReadAt(s.buf[:rest], s.off)
	var bad *evidence.ReadError
	if n == 0 && errors.As(err, &bad) {
		if s.lost >= salvageLimit {
			return fmt.Errorf("given up after %d unreadable bytes: %w", s.lost, err)
		}
		s.lose(rest, err)
		n = int(rest)
	}
	s.off += int64(n)
	s.hand = s.buf[:n]
	if n > 0 {
		return nil
	}
	return err
}

// lose writes bytes off as zeros.
func (s *salvage) lose(length int64, err error) {
	clear(s.buf[:length])
	if s.reason == "" {
		s.reason = reason(err)
	}
	if last := len(s.runs) - 1; last >= 0 && s.runs[last].Offset+s.runs[last].Length == s.off {
		s.runs[last].Length += length
	} else {
		s.runs = append(s.runs, tutela.Run{Offset: s.off, Length: length})
	}
	s.lost += length
}

func (s *salvage) findings() []tutela.Finding {
	var out []tutela.Finding
	for _, r := range s.runs {
		out = append(out, tutela.Finding{Code: tutela.FindingReadError, Detail: fmt.Sprintf("bytes %d to %d: %s", r.Offset, r.Offset+r.Length-1, s.reason)})
	}
	return out
}

// reason is what an error says, but of a read error the cause alone: how much
// was asked for at which offset depends on who else was being read, and a record
// must not.
func reason(err error) string {
	var bad *evidence.ReadError
	if !errors.As(err, &bad) {
		return err.Error()
	}
	cause := bad.Err
	for inner := errors.Unwrap(cause); inner != nil; inner = errors.Unwrap(cause) {
		cause = inner
	}
	return cause.Error()
}
