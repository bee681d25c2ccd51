package survey

import (
	"errors"
	"fmt"

	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/iso"
	"tutela/internal/evidence/filesystem/ntfs"
)

// reader is a file system this version can list.
type reader struct {
	name string
	open func(evidence.Source) (evidence.FileSystem, error)

	// spans is the byte at which the file system begins to be one, if an
	// image of it may carry a partition table that does not mention it; 0
	// where that does not happen. See [medium.spanning].
	spans int64
}

// readers lists them in the order in which they are tried.
func readers() []reader {
	return []reader{
		{name: "ntfs", open: func(src evidence.Source) (evidence.FileSystem, error) { return ntfs.Open(src) }},
		{name: "iso9660", spans: 32 << 10, open: func(src evidence.Source) (evidence.FileSystem, error) { return iso.Open(src) }},
	}
}

// openWith tries each reader. The name is that of the one that knew the format,
// also where it could not open it; "" if none did, with an error that wraps
// evidence.ErrNotThis, or the *evidence.ReadError that kept one from telling.
func openWith(readers []reader, src evidence.Source) (evidence.FileSystem, string, error) {
	unknown := error(evidence.ErrNotThis)
	for _, r := range readers {
		fs, err := r.safely(src)
		var unread *evidence.ReadError
		switch {
		case errors.Is(err, evidence.ErrNotThis):
		case errors.As(err, &unread):
			unknown = err
		default:
			return fs, r.name, err
		}
	}
	return nil, "", unknown
}

// safely opens, and turns a panic of the reader into an error.
func (r reader) safely(src evidence.Source) (fs evidence.FileSystem, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			fs, err = nil, panicked(cause)
		}
	}()
	fs, err = r.open(src)
	if err != nil {
		return nil, err // not a typed nil
	}
	return fs, nil
}

func panicked(cause any) error { return fmt.Errorf("reader failed: %v", cause) }
