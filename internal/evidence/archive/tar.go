package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"tutela"
)

const (
	tarBlock = 512
	// maxTarBreaks is how often a listing goes on behind something broken. A
	// header may make the reader look at a megabyte before it refuses it.
	maxTarBreaks = 100
)

// tar lists the archive, and goes on at the next good header where it breaks
// off or where more follows its end mark.
func (l *listing) tar([]byte) error {
	l.lookAhead = l.lookThroughTar
	at := int64(0)
	for range maxTarBreaks {
		stopped, why, err := l.tarFrom(at)
		if err != nil {
			return err
		}
		next, found := l.nextTarHeader(max(stopped, at+tarBlock))
		l.judgeTarStop(why, stopped, next, found)
		if !found {
			return nil
		}
		at = next
	}
	l.stop(tutela.FindingLimit, "tar: broken in %d places; the rest was left", maxTarBreaks)
	return nil
}

func (l *listing) judgeTarStop(why error, stopped, next int64, found bool) {
	switch {
	case why == nil && found:
		l.find(tutela.FindingDamaged, "tar: goes on at byte %d, behind its end mark", next)
	case why == nil:
	case found:
		l.find(tutela.FindingDamaged, "tar: at byte %d: %v; went on at byte %d", stopped, why, next)
	default:
		l.find(fail(why).Code, "tar: at byte %d: %v", stopped, why)
	}
}

// tarFrom lists from a header on. why is what it stopped at, nil for the end
// mark; err is for the caller.
func (l *listing) tarFrom(at int64) (stopped int64, why, err error) {
	section := io.NewSectionReader(l.content, at, l.size-at)
	r := tar.NewReader(section)
	for {
		h, why := r.Next()
		pos, _ := section.Seek(0, io.SeekCurrent)
		if why == io.EOF {
			return at + pos, nil, nil
		}
		if why != nil && !errors.Is(why, tar.ErrInsecurePath) {
			return at + pos, why, nil
		}
		if err := l.tarMember(r, h, at+pos); err != nil {
			return 0, nil, err
		}
	}
}

// tarMember visits one member whose data begin at a byte.
func (l *listing) tarMember(r *tar.Reader, h *tar.Header, data int64) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := l.next(); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	m := &member{
		name: []byte(h.Name), at: data, kind: tutela.File, size: h.Size,
		times: tutela.Times{Modified: h.ModTime.UTC(), Accessed: h.AccessTime.UTC(), Changed: h.ChangeTime.UTC()},
	}
	switch kind, what := tarSpecial(h); {
	case kind != tutela.File:
		m.kind, m.size = kind, 0
		m.find(tutela.FindingSpecial, "%s", what)
	case isSparse(h):
		m.open = openOnce(r)
	default:
		l.inPlace(m, data)
	}
	return l.member(m)
}

// tarSpecial says what a member is that has no content of its own.
func tarSpecial(h *tar.Header) (kind tutela.EntryKind, what string) {
	switch h.Typeflag {
	case tar.TypeLink:
		return tutela.Symlink, "hard link to " + tutela.DisplayPath([]byte(h.Linkname))
	case tar.TypeSymlink:
		return tutela.Symlink, "symlink to " + tutela.DisplayPath([]byte(h.Linkname))
	case tar.TypeChar, tar.TypeBlock:
		return tutela.Device, fmt.Sprintf("device %d, %d", h.Devmajor, h.Devminor)
	case tar.TypeFifo:
		return tutela.Pipe, "pipe"
	}
	return tutela.File, ""
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// brokenReader is the end of a stream that should not end there.
type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// openOnce gives out a sparse member: only the tar reader knows its holes, and
// it reads forward.
func openOnce(r *tar.Reader) func() (io.ReadCloser, error) {
	opened := false
	return func() (io.ReadCloser, error) {
		if opened {
			return nil, unsupported("tar: a second read of a sparse member")
		}
		opened = true
		return io.NopCloser(r), nil
	}
}

// nextTarHeader finds the first header at or behind a byte.
func (l *listing) nextTarHeader(from int64) (at int64, found bool) {
	from = (from + tarBlock - 1) / tarBlock * tarBlock
	buf := make([]byte, 128*tarBlock)
	for from+tarBlock <= l.size && l.ctx.Err() == nil {
		n, err := l.content.ReadAt(buf[:min(int64(len(buf)), l.size-from)], from)
		for i := 0; i+tarBlock <= n; i += tarBlock {
			if isTarHeader(buf[i : i+tarBlock]) {
				return from + int64(i), true
			}
		}
		if n < tarBlock || (err != nil && err != io.EOF) {
			return 0, false
		}
		from += int64(n / tarBlock * tarBlock)
	}
	return 0, false
}
