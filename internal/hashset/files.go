package hashset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela"
)

// files reads several files as one source. Each was hashed before it is read,
// and is looked at again after, so that the digest that the set keeps is that of
// what was read.
type files struct {
	paths   []string
	infos   []os.FileInfo
	readers []ReadCloser
	sources []Source
	scheme  string // the first that a file names
	at      int
}

var (
	_ ReadCloser = (*files)(nil)
	_ measured   = (*files)(nil)
	_ sifted     = (*files)(nil)
)

func openAll(ctx context.Context, q ImportRequest) (_ *files, err error) {
	if len(q.Files) == 0 && q.Pictures == nil {
		return nil, errors.New("no files to import")
	}
	f := &files{paths: q.Files}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, path := range q.Files {
		if err := f.open(ctx, path, q); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *files) open(ctx context.Context, path string, q ImportRequest) error {
	info, digest, err := hashSource(ctx, path)
	if err != nil {
		return err
	}
	r, format, err := OpenFile(path, q.Format, q.Options)
	if err != nil {
		return err
	}
	f.readers = append(f.readers, r)
	f.infos = append(f.infos, info)
	f.sources = append(f.sources, Source{Name: filepath.Base(path), Size: info.Size(), SHA256: digest, Format: format, Intent: q.Intent})
	if s, ok := r.(Schemer); ok && f.scheme == "" {
		f.scheme = s.Scheme()
	}
	return nil
}

func hashSource(ctx context.Context, path string) (info os.FileInfo, d tutela.SHA256, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, d, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, d, err
	}
	if !info.Mode().IsRegular() {
		return nil, d, fmt.Errorf("%s is not a file", path)
	}
	d, err = hashFile(ctx, file)
	if err != nil {
		return nil, d, fmt.Errorf("hash %s: %w", path, err)
	}
	return info, d, nil
}

// Progress is how many bytes of all files were read.
func (f *files) Progress() (done, total int64) {
	for i, info := range f.infos {
		total += info.Size()
		if i < f.at {
			done += info.Size()
		}
	}
	if f.at < len(f.readers) {
		if m, ok := f.readers[f.at].(measured); ok {
			here, _ := m.Progress()
			done += min(here, f.infos[f.at].Size())
		}
	}
	return done, total
}

// Poor is how many frames of videos were left out.
func (f *files) Poor() (n int64) {
	for _, r := range f.readers {
		if s, ok := r.(sifted); ok {
			n += s.Poor()
		}
	}
	return n
}

// formats names what was read, each once.
func (f *files) formats() string {
	var names []string
	for _, s := range f.sources {
		names = append(names, string(s.Format))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "+")
}

// Next is the next assertion of the current file.
func (f *files) Next() (tutela.Assertion, error) {
	for f.at < len(f.readers) {
		a, err := f.readers[f.at].Next()
		if err == nil {
			return a, nil
		}
		if err != io.EOF {
			return a, fmt.Errorf("%s: %w", f.paths[f.at], err)
		}
		if err := f.unchanged(); err != nil {
			return a, err
		}
		f.at++
	}
	return tutela.Assertion{}, io.EOF
}

func (f *files) unchanged() error {
	info, err := os.Stat(f.paths[f.at])
	if err != nil {
		return err
	}
	before := f.infos[f.at]
	if !os.SameFile(info, before) || info.Size() != before.Size() || !info.ModTime().Equal(before.ModTime()) {
		return fmt.Errorf("%s changed while it was read", f.paths[f.at])
	}
	return nil
}

// Close closes every file.
func (f *files) Close() error {
	var errs []error
	for _, r := range f.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
