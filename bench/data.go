package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// data is a folder of files to be read by all contestants.
type data struct {
	dir   string
	files int
	bytes int64
}

// gigabytes says how much was read in a time.
func (d data) gigabytesPerSecond(seconds float64) float64 { return float64(d.bytes) / 1e9 / seconds }

// logNormal are the sizes of n files that hold total bytes together. Files on
// people's drives have sizes about like this: many small ones, a few that make
// up most of the bytes. sigma is that of the logarithm.
func logNormal(n int, total int64) []int {
	const sigma = 1.5
	r := rand.New(rand.NewPCG(1, 2))
	weights, sum := make([]float64, n), 0.0
	for i := range weights {
		weights[i] = math.Exp(sigma * r.NormFloat64())
		sum += weights[i]
	}
	sizes := make([]int, n)
	for i, w := range weights {
		sizes[i] = int(w / sum * float64(total))
	}
	return sizes
}

func equal(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// makeFiles fills a folder with random bytes that are the same in every run, so
// many files to each folder below it. Afterwards all of it is in the cache, and
// nothing is left to be written.
func (b *bench) makeFiles(name string, sizes []int, perFolder int) (data, error) {
	d := data{dir: filepath.Join(b.dir, name), files: len(sizes)}
	for i, size := range sizes {
		d.bytes += int64(size)
		if i%perFolder == 0 {
			if err := os.MkdirAll(d.folder(i/perFolder), 0o700); err != nil {
				return d, err
			}
		}
	}
	group, ctx := errgroup.WithContext(b.ctx)
	group.SetLimit(runtime.NumCPU())
	for folder := range (len(sizes) + perFolder - 1) / perFolder {
		group.Go(func() error {
			from := folder * perFolder
			return d.fill(ctx, folder, from, sizes[from:min(from+perFolder, len(sizes))])
		})
	}
	if err := group.Wait(); err != nil {
		return d, fmt.Errorf("make the data: %w", err)
	}
	settleDisk()
	return d, d.warm(b.ctx)
}

func (d data) folder(n int) string { return filepath.Join(d.dir, fmt.Sprintf("%04d", n)) }

func (d data) fill(ctx context.Context, folder, first int, sizes []int) error {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(first)+1)
	noise := rand.NewChaCha8(seed)
	for i, size := range sizes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := writeFile(filepath.Join(d.folder(folder), fmt.Sprintf("%07d.bin", first+i)), io.LimitReader(noise, int64(size))); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, content io.Reader) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{f}, content)
	return errors.Join(err, f.Close())
}

// warm reads every file once.
func (d data) warm(ctx context.Context) error {
	return filepath.WalkDir(d.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		return warmFile(name)
	})
}

// evict drops every file from the cache.
func (d data) evict() error {
	return filepath.WalkDir(d.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return evict(name)
	})
}

// warmFile reads a file once, so that it is in the cache.
func warmFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return errors.Join(err, f.Close())
}

func (d data) remove() error { return os.RemoveAll(d.dir) }
