package video

import (
	"bytes"
	"fmt"
	"io"

	"tutela/internal/video/avi"
	"tutela/internal/video/matroska"
	"tutela/internal/video/mp4"
	"tutela/internal/video/track"
)

// IsVideo reports whether [Open] reads contents of a MIME type, as package digest
// names it.
func IsVideo(mime string) bool {
	switch mime {
	case "video/mp4", "video/quicktime", "video/3gpp", "video/3gpp2", "video/x-m4v",
		"video/matroska", "video/x-matroska", "video/webm", "video/x-msvideo":
		return true
	}
	return false
}

// Open reads the head of a container of size bytes. What it is, is told by its
// bytes alone. Errors wrap track.ErrFormat unless they are the source's.
func Open(src io.ReaderAt, size int64) (track.Movie, error) {
	head := make([]byte, 12)
	n, err := src.ReadAt(head, 0)
	if n < len(head) {
		if err != nil && err != io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %d bytes", track.ErrFormat, n)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		return opened(matroska.Open(src, size))
	case bytes.HasPrefix(head, []byte("RIFF")) && bytes.HasPrefix(head[8:], []byte("AVI ")):
		return opened(avi.Open(src, size))
	}
	switch string(head[4:8]) {
	case "ftyp", "styp", "moov", "mdat", "moof", "wide", "free", "skip", "pnot", "uuid":
		return opened(mp4.Open(src, size))
	}
	return nil, fmt.Errorf("%w: no container that is known", track.ErrFormat)
}

// opened keeps a nil *Movie from becoming a track.Movie that is not nil.
func opened[M track.Movie](m M, err error) (track.Movie, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}
