package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// solid is content that can only be decoded from its beginning, and in which
// members lie one behind the other. Whoever takes them in their order decodes
// it once.
type solid struct {
	root  *root
	begin func() (io.ReadCloser, error)

	src    io.ReadCloser
	pos    int64
	begun  bool
	broken error // what decoding ended with; there is nothing behind it
}

// maxAgain is how much of solid content is decoded again, in bytes for each
// root file, so that a large picture can be read a second time and no archive
// makes that quadratic.
const maxAgain = 1 << 30

// part opens size bytes from an offset on. What was opened before ends.
func (s *solid) part(offset, size int64) (io.ReadCloser, error) {
	if s.src != nil && s.pos > offset {
		s.close()
	}
	if s.src == nil {
		if err := s.restart(offset); err != nil {
			return nil, err
		}
	}
	if err := s.skip(offset - s.pos); err != nil {
		return nil, err
	}
	return &solidPart{s, offset, size}, nil
}

func (s *solid) restart(offset int64) error {
	if s.broken != nil && s.pos <= offset {
		return s.broken
	}
	if s.begun {
		if s.root.again += offset; s.root.again > maxAgain {
			return unsupported("solid: a second read this far from the beginning")
		}
	}
	src, err := s.begin()
	if err != nil {
		s.broken = err
		return err
	}
	s.src, s.pos, s.begun, s.broken = guarded{src}, 0, true, nil
	return nil
}

func (s *solid) skip(n int64) error {
	buf := make([]byte, min(n, 64<<10))
	for n > 0 {
		if err := s.root.ctx.Err(); err != nil {
			return err
		}
		m, err := s.read(buf[:min(n, int64(len(buf)))])
		n -= int64(m)
		if err != nil && n > 0 {
			return whole(err)
		}
	}
	return nil
}

func (s *solid) read(p []byte) (int, error) {
	if s.src == nil {
		return 0, s.broken
	}
	n, err := s.src.Read(p)
	s.pos += int64(n)
	if err != nil {
		s.close()
		s.broken = whole(err)
	}
	return n, err
}

func (s *solid) close() {
	if s.src != nil {
		s.src.Close()
		s.src = nil
	}
}

type solidPart struct {
	solid *solid
	at    int64
	left  int64
}

func (p *solidPart) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, io.EOF
	}
	if p.solid.pos != p.at {
		return 0, errors.New("internal error: a member of solid content was read after the next")
	}
	n, err := p.solid.read(b[:min(int64(len(b)), p.left)])
	p.at += int64(n)
	p.left -= int64(n)
	if err == io.EOF && p.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (p *solidPart) Close() error { return nil }

// guarded turns a panic of a decoder that is not ours into an error: what made
// it panic are the bytes.
type guarded struct{ io.ReadCloser }

func (g guarded) Read(p []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, fmt.Errorf("the decoder broke: %v", cause)
		}
	}()
	return g.ReadCloser.Read(p)
}

// checked gives out all that decoding gives, and fails at its end where size or
// CRC-32 are not what the archive tells.
type checked struct {
	io.ReadCloser
	format Format
	size   int64   // bytes; -1 where not told
	crc    *uint32 // nil where not told

	n   int64
	sum uint32
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p[:n])
	c.n += int64(n)
	if err == io.EOF {
		err = c.verify()
	}
	return n, err
}

func (c *checked) verify() error {
	switch {
	case c.size >= 0 && c.n < c.size:
		return fmt.Errorf("%s: the member ends after %d of %d bytes: %w", c.format, c.n, c.size, io.ErrUnexpectedEOF)
	case c.size >= 0 && c.n > c.size:
		return fmt.Errorf("%s: the member has %d bytes, the archive tells %d", c.format, c.n, c.size)
	case c.crc != nil && c.sum != *c.crc:
		return fmt.Errorf("%s: the crc-32 is %08x, the archive tells %08x", c.format, c.sum, *c.crc)
	}
	return io.EOF
}

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }
