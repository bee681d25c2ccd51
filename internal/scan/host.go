package scan

import (
	"context"
	"io"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/picture"
)

// Host reads contents that may be hostile. Package confine has one that does so
// in processes of their own; its errors and entries are those of the packages
// that do the work. An error that has a method Finding says by that how the
// reader ended.
type Host interface {
	// Expand is archive.Expander.Expand.
	Expand(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error
	// Perceptual decodes and hashes a picture.
	Perceptual(ctx context.Context, data []byte) (tutela.Perceptual, error)
}

// here reads in this process.
type here struct{}

func (here) Expand(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error {
	return archive.New(o).Expand(ctx, parent, content, size, visit)
}

func (here) Perceptual(ctx context.Context, data []byte) (tutela.Perceptual, error) {
	return picture.Perceptual(ctx, data, picture.Limits{})
}
