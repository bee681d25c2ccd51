package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"tutela/internal/ledger"
	"tutela/internal/thumb"
)

// OpenThumbs opens the lab's thumbnails, whose seed is made on first use. The
// lab must be open for writing, and the caller closes them.
func (l *Lab) OpenThumbs() (*thumb.Store, error) {
	seed, err := l.thumbSeed()
	if err != nil {
		return nil, fmt.Errorf("open the thumbnails: %w", err)
	}
	store, err := thumb.Open(filepath.Join(l.Dir, "thumbs"), seed)
	if err != nil {
		return nil, fmt.Errorf("open the thumbnails: %w", err)
	}
	return store, nil
}

func (l *Lab) thumbSeed() (ledger.Seed, error) {
	name := filepath.Join(l.Dir, "keys", "thumbs.seed")
	seed, err := l.safe.LoadSeed(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return seed, err
	}
	seed = ledger.NewSeed()
	return seed, l.safe.SaveSeed(name, seed)
}
