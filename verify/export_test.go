package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
)

// inMemory is a bundle whose paths no disk would take.
type inMemory map[string][]byte

func (m inMemory) sizes() map[string]uint64 {
	sizes := make(map[string]uint64, len(m))
	for path, data := range m {
		sizes[path] = uint64(len(data))
	}
	return sizes
}

func (m inMemory) open(path string) (io.ReadCloser, error) {
	data, ok := m[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m inMemory) close() error { return nil }

// Files is Path for files in memory.
func Files(files map[string][]byte, o Options) (*Verdict, error) {
	return judge(context.Background(), inMemory(files), o)
}

// Tar is Path for a tar in memory.
func Tar(b []byte, o Options) (*Verdict, error) {
	src, err := readTar(bytes.NewReader(b), uint64(len(b)), func() error { return nil })
	if err != nil {
		return &Verdict{Problems: []string{fmt.Sprint(err)}}, nil
	}
	return judge(context.Background(), src, o)
}
