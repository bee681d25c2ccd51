package main

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// bareBuffer is in bytes. What was read is digested three times while it is in
// the second-level cache.
const bareBuffer = 128 << 10

// bareDone is what the loop has digested.
type bareDone struct {
	Files int64
	Bytes int64
}

// bareLoop does what cannot be left away: it reads the files and makes the
// three digests with the standard library, in one goroutine for each processor.
// It keeps nothing of them.
func bareLoop(ctx context.Context, dir, _ string) (any, error) {
	names := make(chan string, 1024)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(names)
		return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			select {
			case names <- name:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	var files, bytes atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			m, s1, s256, buffer := md5.New(), sha1.New(), sha256.New(), make([]byte, bareBuffer)
			all := io.MultiWriter(m, s1, s256)
			for name := range names {
				m.Reset()
				s1.Reset()
				s256.Reset()
				n, err := copyFile(all, name, buffer)
				if err != nil {
					return err
				}
				_, _, _ = m.Sum(nil), s1.Sum(nil), s256.Sum(nil)
				files.Add(1)
				bytes.Add(n)
			}
			return nil
		})
	}
	err := group.Wait()
	return bareDone{files.Load(), bytes.Load()}, err
}

func copyFile(to io.Writer, name string, buffer []byte) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(to, struct{ io.Reader }{f}, buffer) // *os.File would not use the buffer
	return n, errors.Join(err, f.Close())
}

func checkBare(stdout []byte, d data) error {
	var done bareDone
	if err := json.Unmarshal(stdout, &done); err != nil {
		return fmt.Errorf("read what the loop did: %w", err)
	}
	if want := (bareDone{int64(d.files), d.bytes}); done != want {
		return fmt.Errorf("the loop digested %+v, the data is %+v", done, want)
	}
	return nil
}
