package iso

import (
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// content is the bytes of one file, joined from its extents. Reading past what
// the image holds fails with an [evidence.ReadError] naming the missing bytes.
type content struct {
	*io.SectionReader
}

var (
	_ evidence.Content = content{}
	_ io.ReaderAt      = content{}
)

func newContent(src evidence.Source, extents []tutela.Run, size int64) content {
	return content{io.NewSectionReader(extentReader{src, extents}, 0, size)}
}

func (content) Close() error { return nil }

type extentReader struct {
	src     evidence.Source
	extents []tutela.Run
}

func (r extentReader) ReadAt(p []byte, off int64) (n int, err error) {
	for _, run := range r.extents {
		if off >= run.Length {
			off -= run.Length
			continue
		}
		want := p[n:min(int64(len(p)), int64(n)+run.Length-off)]
		got, err := r.readExtent(want, run.Offset+off)
		n += got
		if err != nil {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}

func (r extentReader) readExtent(p []byte, at int64) (int, error) {
	held := max(0, min(int64(len(p)), r.src.Size()-at))
	n := 0
	if held > 0 {
		var err error
		n, err = r.src.ReadAt(p[:held], at)
		if int64(n) < held {
			return n, err
		}
	}
	if n == len(p) {
		return n, nil
	}
	missing := tutela.Run{Offset: at + held, Length: int64(len(p)) - held}
	return n, &evidence.ReadError{Run: missing, Err: fmt.Errorf("read at byte %d: the image ends before the file does: %w", missing.Offset, io.ErrUnexpectedEOF)}
}
