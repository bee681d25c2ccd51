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
	lost    int64
	runs    []tutela.Run // lost stretches, from the beginning of the content
	reason  string       // of the first
}

func newSalvage(c evidence.Content, size int64) *salvage { return &salvage{content: c, size: size} }

func (s *salvage) Read(p []byte) (int, error) {
	if s.lost > 0 {
		return s.readAt(p)
	}
	n, err := s.content.Read(p)
	s.off += int64(n)
	var bad *evidence.ReadError
	if n > 0 && errors.As(err, &bad) {
		return n, nil // it will be met again by the next read
	}
	if !errors.As(err, &bad) {
		return n, err
	}
	if _, ok := s.content.(io.ReaderAt); !ok {
		return 0, err
	}
	return s.lose(p, err)
}

// readAt goes on by offsets, since the stream behind a bad stretch is stuck.
func (s *salvage) readAt(p []byte) (int, error) {
	at := s.content.(io.ReaderAt)
	n, err := at.ReadAt(p[:min(len(p), salvageStep)], s.off)
	s.off += int64(n)
	var bad *evidence.ReadError
	if n > 0 || !errors.As(err, &bad) {
		if n > 0 && err != io.EOF {
			err = nil
		}
		return n, err
	}
	return s.lose(p, err)
}

// lose writes the next step off as zeros.
func (s *salvage) lose(p []byte, err error) (int, error) {
	if s.lost >= salvageLimit {
		return 0, fmt.Errorf("given up after %d unreadable bytes: %w", s.lost, err)
	}
	n := min(len(p), salvageStep-int(s.off%salvageStep))
	if s.size >= 0 {
		n = int(min(int64(n), max(s.size-s.off, 0)))
	}
	if n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	if s.reason == "" {
		s.reason = err.Error()
	}
	if last := len(s.runs) - 1; last >= 0 && s.runs[last].Offset+s.runs[last].Length == s.off {
		s.runs[last].Length += int64(n)
	} else {
		s.runs = append(s.runs, tutela.Run{Offset: s.off, Length: int64(n)})
	}
	s.off += int64(n)
	s.lost += int64(n)
	return n, nil
}

func (s *salvage) findings() []tutela.Finding {
	var out []tutela.Finding
	for _, r := range s.runs {
		out = append(out, tutela.Finding{Code: tutela.FindingReadError, Detail: fmt.Sprintf("bytes %d to %d: %s", r.Offset, r.Offset+r.Length-1, s.reason)})
	}
	return out
}
