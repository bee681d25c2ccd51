// Package durable writes files that survive power loss and locks folders that
// one process at a time may change.
//
// Call [WriteFile] to replace a file whole, [Lock] to be alone. Promised: after
// WriteFile returns nil the new content is on the disk under its name, and a
// crash at any moment leaves either the old file or the new one. Not promised:
// anything on network file systems, whose locks and syncs are hearsay.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile replaces the file at name by data.
func WriteFile(name string, data []byte, perm fs.FileMode) (err error) {
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := fill(tmp, data, perm); err != nil {
		return err
	}
	// Before the rename nothing happened; after it and the sync of the folder
	// the new file is there for good.
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return SyncDir(dir)
}

func fill(f *os.File, data []byte, perm fs.FileMode) error {
	if err := f.Chmod(perm); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// SyncDir makes the names in a folder durable. Windows has no such call; its
// journal orders names by itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ErrLocked means that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// FileLock is a lock on a file, held until Unlock or the end of the process,
// however that comes.
type FileLock struct{ f *os.File }

// Lock takes the lock file at name, creating it. It does not wait: ErrLocked is
// returned, with the holder's own words, if another process has it.
func Lock(name, holder string) (*FileLock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		words, _ := os.ReadFile(name)
		f.Close()
		if errors.Is(err, ErrLocked) && len(words) > 0 {
			return nil, fmt.Errorf("%w: %s", err, words)
		}
		return nil, err
	}
	// Who holds it is a courtesy to people, not part of the lock.
	if err := f.Truncate(0); err == nil {
		f.WriteAt([]byte(holder), 0)
	}
	return &FileLock{f}, nil
}

// Unlock gives the lock back. The file stays: removing it would let two
// processes lock two files of one name.
func (l *FileLock) Unlock() error { return l.f.Close() }
