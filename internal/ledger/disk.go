package ledger

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// file is what a tree needs of a file. Tests stand in for it to break it.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	size() (int64, error)
	sync() error // the data and what is needed to read it are on the medium
}

// disk is what a tree needs of its folder.
type disk interface {
	// open opens a file for reading and writing; with create it makes an
	// empty one where there is none, and never empties one.
	open(name string, how openMode) (file, error)
	exists(name string) (bool, error)
	rename(from, to string) error
	syncDir() error
}

type openMode int

const (
	readOnly openMode = iota
	readWrite
	readWriteCreate
)

// folder is the disk that there is.
type folder string

var _ disk = folder("")

func (d folder) open(name string, how openMode) (file, error) {
	flags := os.O_RDONLY
	switch how {
	case readWrite:
		flags = os.O_RDWR
	case readWriteCreate:
		flags = os.O_RDWR | os.O_CREATE
	}
	f, err := os.OpenFile(filepath.Join(string(d), name), flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d folder) exists(name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(string(d), name))
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}

func (d folder) rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d folder) syncDir() error {
	if err := syncFolder(string(d)); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(string(d)))
}

type osFile struct{ *os.File }

var _ file = osFile{}

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// WriteAt writes. What is long goes on to the medium at once, so that sync finds
// most of it there; and what was written a while before is not kept in memory any
// more, where it would only push out what is being read. Both are hints to the
// system and promise nothing. The first saves a third of a growing ledger's time.
func (f osFile) WriteAt(b []byte, at int64) (int, error) {
	const (
		long = 256 << 10 // bytes
		kept = 64 << 20  // bytes, that may soon be read again
	)
	n, err := f.File.WriteAt(b, at)
	if n >= long {
		beginWriting(f.File, at, int64(n))
		forget(f.File, max(at-kept, 0), min(int64(n), max(at+int64(n)-kept, 0)))
	}
	return n, err
}

func (f osFile) sync() error { return syncData(f.File) }

// makeFolder makes the folder of a ledger, for its owner only, and refuses one
// that is kept by another machine.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make ledger folder: %w", err)
	}
	return refuseNetworkFolder(dir)
}
