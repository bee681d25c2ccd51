package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// raw is a copy of a medium in one file or in several, one behind the other.
type raw struct {
	parts []part // in order; part i+1 begins where part i ends
	size  int64
}

var _ evidence.File = (*raw)(nil)

// part is one file of a raw image.
type part struct {
	evidence.File
	name  string
	start int64 // bytes from the beginning of the image
}

func (p part) end() int64 { return p.start + p.Size() }

func openRaw(st evidence.Storage, names []string) (*raw, error) {
	r := &raw{}
	for _, name := range names {
		f, err := st.Open(name)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.parts = append(r.parts, part{File: f, name: name, start: r.size})
		r.size += f.Size()
	}
	return r, nil
}

func (r *raw) Size() int64 { return r.size }

func (r *raw) Close() error {
	var errs []error
	for _, p := range r.parts {
		errs = append(errs, p.File.Close())
	}
	return errors.Join(errs...)
}

func (r *raw) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read image: negative offset")
	}
	n := 0
	for n < len(p) && off+int64(n) < r.size {
		at := off + int64(n)
		part := r.partAt(at)
		m, err := part.readAt(p[n:min(int64(len(p)), int64(n)+part.end()-at)], at-part.start)
		n += m
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// partAt finds the part that holds offset off, which is below the size.
func (r *raw) partAt(off int64) part {
	return r.parts[sort.Search(len(r.parts), func(i int) bool { return off < r.parts[i].end() })]
}

// readAt fills b, which lies within the part, and counts what it could not read
// from the beginning of the image.
func (p part) readAt(b []byte, off int64) (int, error) {
	n, err := p.File.ReadAt(b, off)
	if n == len(b) {
		return n, nil
	}
	rest := tutela.Run{Offset: off + int64(n), Length: int64(len(b) - n)}
	bad, told := errors.AsType[*evidence.ReadError](err)
	switch {
	case told:
		return n, &evidence.ReadError{Run: tutela.Run{Offset: p.start + bad.Run.Offset, Length: bad.Run.Length}, Err: bad.Err}
	case errors.Is(err, fs.ErrClosed):
		return n, err
	case err == nil || errors.Is(err, io.EOF):
		bad, _ = errors.AsType[*evidence.ReadError](shrunk(p.name, p.Size(), rest))
		err = bad.Err
	}
	return n, &evidence.ReadError{Run: tutela.Run{Offset: p.start + rest.Offset, Length: rest.Length}, Err: err}
}

// joined is a storage in which the parts of one split file are that file.
type joined struct {
	evidence.Storage
	names []string
}

// Open opens the whole by the name of its first part, and every other file as it
// is.
func (j joined) Open(name string) (evidence.File, error) {
	if name != j.names[0] {
		return j.Storage.Open(name)
	}
	r, err := openRaw(j.Storage, j.names)
	if err != nil {
		return nil, fmt.Errorf("join the parts: %w", err)
	}
	return r, nil
}
