package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"tutela"
	"tutela/internal/evidence"
)

// file is a listed file that can be opened for as long as the folder is.
type file struct {
	node   *node
	name   string
	listed stat
}

func (f *file) open() (evidence.Content, error) {
	dir, err := f.node.use()
	if err != nil {
		return nil, f.trouble(err)
	}
	defer f.node.release()
	opened, err := dir.file(f.name)
	if err != nil {
		return nil, f.trouble(err)
	}
	now, err := opened.stat()
	if err == nil && now.kind != tutela.File {
		err = fmt.Errorf("it became a %v: %w", now.kind, ErrChanged)
	}
	if err != nil {
		return nil, errors.Join(f.trouble(err), opened.Close())
	}
	return &content{file: opened, listed: f.listed, opened: now}, nil
}

// trouble marks an error that means that the file is no longer what was listed.
func (f *file) trouble(err error) error {
	err = fmt.Errorf("open %s: %w", tutela.DisplayPath([]byte(f.name)), err)
	if troubleCode(err) == tutela.FindingChanged && !errors.Is(err, ErrChanged) {
		err = fmt.Errorf("%w: %w", err, ErrChanged)
	}
	return err
}

// content is the bytes a file had when it was opened. Bytes that are added
// while it is read are not delivered: a log that grows as fast as it is read
// would never end.
type content struct {
	file   openFile
	listed stat
	opened stat
	offset int64
	short  bool // the file ended before its size
	more   bool // it went on after its size
}

var (
	_ evidence.Content = (*content)(nil)
	_ io.ReaderAt      = (*content)(nil)
)

func (c *content) Read(p []byte) (int, error) {
	rest := c.opened.size - c.offset
	if rest <= 0 {
		return 0, c.probe()
	}
	n, err := c.file.Read(p[:min(int64(len(p)), rest)])
	c.offset += int64(n)
	if err == io.EOF {
		c.short = true
	}
	return n, err
}

// probe looks whether a file that says 0 bytes has some, as those of /proc and
// the like do. That other files went on is told by their size when they are
// closed.
func (c *content) probe() error {
	var b [1]byte
	if c.opened.size > 0 {
		return io.EOF
	}
	if n, _ := c.file.ReadAt(b[:], 0); n > 0 {
		c.more = true
	}
	return io.EOF
}

// ReadAt reads as io.ReaderAt does, up to the size the file had when opened.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.opened.size {
		return 0, io.EOF
	}
	if rest := c.opened.size - off; int64(len(p)) > rest {
		n, err := c.file.ReadAt(p[:rest], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	n, err := c.file.ReadAt(p, off)
	if err == io.EOF && n < len(p) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close returns an error that wraps ErrChanged if the file is not what it was
// when it was listed.
func (c *content) Close() error {
	now, err := c.file.stat()
	if err == nil {
		err = c.change(now)
	}
	if closed := c.file.Close(); err == nil || errors.Is(closed, fs.ErrClosed) {
		err = closed
	}
	return err
}

func (c *content) change(now stat) error {
	switch {
	case !now.same(c.listed):
		return fmt.Errorf("another file took its place: %w", ErrChanged)
	case now.size != c.listed.size:
		return fmt.Errorf("it had %d bytes and now has %d: %w", c.listed.size, now.size, ErrChanged)
	case c.short:
		return fmt.Errorf("it says %d bytes and %d could be read: %w", c.opened.size, c.offset, ErrChanged)
	case c.more:
		return fmt.Errorf("it says %d bytes and has more: %w", c.opened.size, ErrChanged)
	case !now.times.Modified.Equal(c.listed.times.Modified):
		return fmt.Errorf("it was written to: %w", ErrChanged)
	case now.links == 0:
		return fmt.Errorf("it was deleted: %w", ErrChanged)
	}
	return nil
}
