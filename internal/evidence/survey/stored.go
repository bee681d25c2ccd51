package survey

import (
	"context"
	"errors"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image"
)

// openStored opens the file called name that lies elsewhere, under path: an
// image, or any other file, which is listed as itself.
func openStored(path string, st evidence.Storage, name string, options Options) (source, error) {
	img, err := image.OpenIn(st, name)
	if unsupported, ok := errors.AsType[*image.UnsupportedError](err); ok {
		return newStoredContainer(path, st, name, unsupported)
	}
	if err != nil {
		return nil, err
	}
	m := newMedium(path, img, options)
	if image.Named(name) || m.recognised() || img.Chain()[0].Layer != "raw" {
		return m, nil
	}
	return stored{img, path, name}, nil
}

func newStoredContainer(path string, st evidence.Storage, name string, cause *image.UnsupportedError) (source, error) {
	f, err := st.Open(name)
	if err != nil {
		return nil, err
	}
	size := f.Size()
	return newContainer(name, path, size, cause), f.Close()
}

// stored is a single file that lies elsewhere and is no image.
type stored struct {
	*image.Image
	path, name string
}

func (s stored) walk(ctx context.Context, _ evidence.Limits, visit func(*evidence.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return visit(&evidence.Entry{
		Path:  []byte("/" + s.name),
		Chain: []tutela.Locator{{Layer: "file", At: s.name}},
		Kind:  tutela.File,
		State: tutela.Allocated,
		Size:  s.Size(),
		Open: func() (evidence.Content, error) {
			return evidence.Stretch(s.Image, tutela.Run{Length: s.Size()}), nil
		},
	})
}

func (s stored) describe() Source { return Source{Path: s.path, Kind: "file", Size: s.Size()} }
