//go:build unix && !aix && !solaris

package folder

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// fdFile is a file by its descriptor alone. An os.File would ask the kernel
// twice more for each file, whether it can be waited for; regular files cannot,
// and a lab reads hundreds of millions of small ones.
type fdFile struct {
	fd   int
	name string
}

var _ openFile = (*fdFile)(nil)

func (f *fdFile) Read(p []byte) (int, error) {
	return f.result("read", len(p), func() (int, error) { return unix.Read(f.fd, p) })
}

func (f *fdFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = f.result("read", len(p)-n, func() (int, error) { return unix.Pread(f.fd, p[n:], off+int64(n)) })
		n += m
	}
	return n, err
}

// result makes of a call what Go's readers promise.
func (f *fdFile) result(what string, wanted int, call func() (int, error)) (n int, err error) {
	err = again(func() (err error) {
		n, err = call()
		return err
	})
	switch {
	case err != nil:
		return 0, &os.PathError{Op: what, Path: f.name, Err: err}
	case n == 0 && wanted > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (f *fdFile) stat() (stat, error) { return fstat(f.fd, f.name) }

// Close may be called twice: a descriptor that was given back may be somebody
// else's.
func (f *fdFile) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil {
		return &os.PathError{Op: "close", Path: f.name, Err: err}
	}
	return nil
}
