//go:build unix && !aix && !solaris

package folder

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tutela"
)

// fdDirectory is a directory by way of openat(2) and its kin. It costs one
// fstatat for each file and leaves access times alone where it may.
type fdDirectory struct{ f *os.File }

var _ directory = fdDirectory{}

func openDirectory(path string) (directory, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return fdDirectory{f}, nil
}

func (d fdDirectory) fd() int { return int(d.f.Fd()) }

// names opens the directory anew, because its position is shared by all who
// use it.
func (d fdDirectory) names() ([]string, error) {
	f, err := d.openDir(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d fdDirectory) lstat(name string) (stat, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return stat{}, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return statOfUnix(&st), nil
}

func (d fdDirectory) readlink(name string) (string, error) {
	for size := 256; ; size *= 2 {
		b := make([]byte, size)
		n, err := unix.Readlinkat(d.fd(), name, b)
		if err != nil {
			return "", &os.PathError{Op: "readlink", Path: name, Err: err}
		}
		if n < size || size > maxPath {
			return string(b[:n]), nil
		}
	}
}

func (d fdDirectory) directory(name string) (directory, error) {
	f, err := d.openDir(name)
	if err != nil {
		return nil, err
	}
	return fdDirectory{f}, nil
}

// file does not wait for a writer if the name has become a pipe.
func (d fdDirectory) file(name string) (openFile, error) {
	fd, err := d.openat(name, unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return &fdFile{fd, name}, nil
}

// openat opens for reading. O_NOATIME is refused to those who do not own the
// file.
func (d fdDirectory) openat(name string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := d.try(name, flags|noAccessTime)
	if err == unix.EPERM && noAccessTime != 0 {
		fd, err = d.try(name, flags)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// openDir is openat for a directory.
func (d fdDirectory) openDir(name string) (*os.File, error) {
	fd, err := d.openat(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d fdDirectory) try(name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(d.fd(), name, flags, 0)
		return err
	})
	return fd, err
}

func (d fdDirectory) self() (stat, error) { return fstat(d.fd(), d.f.Name()) }

func fstat(fd int, name string) (stat, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return stat{}, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return statOfUnix(&st), nil
}

func (d fdDirectory) close() error { return d.f.Close() }

// again repeats a call that a signal interrupted, as slow and network file
// systems allow it to.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func statOfUnix(st *unix.Stat_t) stat {
	return stat{
		kind: kindOfUnix(uint32(st.Mode)),
		size: st.Size,
		times: tutela.Times{
			Modified: timeOf(st.Mtim),
			Changed:  timeOf(st.Ctim),
		},
		links:  uint64(st.Nlink),
		device: uint64(st.Dev),
		inode:  uint64(st.Ino),
	}
}

func timeOf(ts unix.Timespec) time.Time { return time.Unix(ts.Unix()).UTC() }

func kindOfUnix(mode uint32) tutela.EntryKind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return tutela.File
	case unix.S_IFDIR:
		return tutela.Directory
	case unix.S_IFLNK:
		return tutela.Symlink
	case unix.S_IFIFO:
		return tutela.Pipe
	case unix.S_IFSOCK:
		return tutela.Socket
	}
	return tutela.Device
}
