package main

import (
	"context"
	"errors"
	"strings"

	"github.com/alecthomas/kong"

	"tutela/internal/evidence"
	"tutela/internal/evidence/image"
	"tutela/internal/evidence/s3"
)

// Evidence lies on this machine, or in an object store (s3://bucket/disk.E01).

// absolute makes the paths of this machine absolute, as kong's type "path" does;
// what lies elsewhere stays as it is written.
func absolute(paths []string) error {
	for i, path := range paths {
		if path != "-" && !isElsewhere(path) {
			paths[i] = kong.ExpandPath(path)
		}
	}
	return nil
}

func isElsewhere(path string) bool { return strings.HasPrefix(path, s3.Scheme) }

// places are the folders of object stores that a command reads from.
type places struct {
	ctx  context.Context
	open map[s3.Folder]*s3.Storage
}

func newPlaces(ctx context.Context) *places {
	return &places{ctx: ctx, open: make(map[s3.Folder]*s3.Storage)}
}

// storage is where path lies; ok is false for a path of this machine.
func (p *places) storage(path string) (st evidence.Storage, name string, ok bool, err error) {
	if !isElsewhere(path) {
		return nil, "", false, nil
	}
	folder, name, err := s3.ParseURL(path)
	if err != nil {
		return nil, "", false, misuse("%v", err)
	}
	if p.open[folder] == nil {
		opened, err := s3.Open(p.ctx, folder, s3.FromEnvironment())
		if err != nil {
			return nil, "", false, err
		}
		p.open[folder] = opened
	}
	return p.open[folder], name, true, nil
}

// image opens the image at path, wherever that is.
func (p *places) image(path string) (*image.Image, error) {
	st, name, ok, err := p.storage(path)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return image.OpenIn(st, name)
	}
	return image.Open(path)
}

// Close ends what is read from the stores.
func (p *places) Close() error {
	var errs []error
	for _, st := range p.open {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}
