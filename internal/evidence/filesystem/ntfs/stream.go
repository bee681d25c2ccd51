package ntfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// stream is the content of a non-resident attribute as it lies in its clusters.
type stream struct {
	src     evidence.Source
	cluster int64    // bytes
	extents []extent // without a gap from cluster 0 on
	size    int64    // bytes
	valid   int64    // bytes that were ever written; the rest up to size is zeros
}

var _ io.ReaderAt = (*stream)(nil)

// ReadAt gives an error, not zeros, for what nothing maps.
func (s *stream) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= s.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), s.size-off))
	for n < want {
		k, err := s.readPiece(p[n:want], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
	}
	if want < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPiece reads from one extent, or zeros.
func (s *stream) readPiece(p []byte, off int64) (int, error) {
	if off >= s.valid {
		clear(p)
		return len(p), nil
	}
	p = p[:min(int64(len(p)), s.valid-off)]
	e := s.extentAt(off / s.cluster)
	if e.lcn == missing {
		return 0, fmt.Errorf("content from byte %d on is in clusters that no run names", off)
	}
	within := off - e.vcn*s.cluster
	p = p[:min(int64(len(p)), e.length*s.cluster-within)]
	if e.lcn == sparse {
		clear(p)
		return len(p), nil
	}
	return readRun(s.src, p, e.lcn*s.cluster+within)
}

// extentAt is the extent that holds cluster vcn of the content, or one that
// says that it is missing.
func (s *stream) extentAt(vcn int64) extent {
	i := sort.Search(len(s.extents), func(i int) bool { return s.extents[i].end() > vcn })
	if i == len(s.extents) {
		return extent{vcn, missing, 1}
	}
	return s.extents[i]
}

// mappedBytes is how much of the volume the stream claims.
func (s *stream) mappedBytes() int64 {
	var clusters int64
	for _, e := range s.extents {
		if e.mapped() {
			clusters += e.length
		}
	}
	return clusters * s.cluster
}

// sourceRuns are the bytes of the source that are bytes of the content.
func (s *stream) sourceRuns() []tutela.Run {
	var runs []tutela.Run
	limit := min(s.size, s.valid)
	for _, e := range s.extents {
		start := e.vcn * s.cluster
		if start >= limit {
			break
		}
		if e.mapped() {
			runs = append(runs, tutela.Run{Offset: e.lcn * s.cluster, Length: min(e.length*s.cluster, limit-start)})
		}
	}
	return runs
}

// slack are the bytes of the clusters that lie behind what was ever written.
func (s *stream) slack() []tutela.Run {
	var runs []tutela.Run
	limit := min(s.size, s.valid)
	for _, e := range s.extents {
		used := min(max(limit-e.vcn*s.cluster, 0), e.length*s.cluster)
		if e.mapped() && used < e.length*s.cluster {
			runs = append(runs, tutela.Run{Offset: e.lcn*s.cluster + used, Length: e.length*s.cluster - used})
		}
	}
	return runs
}

// readRun fills p from off on. What it could not read is a *evidence.ReadError.
func readRun(src evidence.Source, p []byte, off int64) (int, error) {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return n, err
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("read %d bytes at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	rest := tutela.Run{Offset: off + int64(n), Length: int64(len(p) - n)}
	return n, &evidence.ReadError{Run: rest, Err: err}
}

func readFull(src evidence.Source, p []byte, off int64) error {
	if off < 0 {
		return errors.New("negative offset")
	}
	_, err := readRun(src, p, off)
	return err
}

// content is an uncompressed content: forward, and at random.
type content struct{ *io.SectionReader }

func (content) Close() error { return nil }

var (
	_ evidence.Content = content{}
	_ io.ReaderAt      = content{}
)

func (s *stream) open() (evidence.Content, error) {
	return content{io.NewSectionReader(s, 0, s.size)}, nil
}

func openBytes(b []byte) (evidence.Content, error) {
	return content{io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))}, nil
}

// assemble joins the parts of a non-resident attribute, which are in order of
// their first cluster. Where they leave a gap the stream has a missing extent;
// each thing that does not fit is told.
func (fs *FileSystem) assemble(parts []attribute) (s stream, problems []string) {
	first := &parts[0]
	s = stream{src: fs.src, cluster: fs.geo.cluster, size: first.size, valid: first.validBytes}
	if first.low != 0 {
		problems = append(problems, fmt.Sprintf("the first %d clusters and the size are not told", first.low))
		s.size = fs.reach(parts)
		s.valid = s.size
	}
	if s.valid > s.size {
		problems = append(problems, fmt.Sprintf("%d bytes are valid of %d", s.valid, s.size))
		s.valid = s.size
	}
	for i := range parts {
		if err := s.join(&parts[i], fs.geo); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if first.compressed() {
		s.padTo(roundUp(s.end(), unitClusters), sparse)
	}
	if need := ceilDiv(s.size, s.cluster); s.end() < need {
		problems = append(problems, fmt.Sprintf("%d of %d clusters are in no run", need-s.end(), need))
		s.padTo(need, missing)
	}
	return s, problems
}

// join appends the runs of one part.
func (s *stream) join(part *attribute, geo geometry) error {
	if part.low < s.end() {
		return fmt.Errorf("a part from cluster %d on overlaps the one before", part.low)
	}
	if part.low > s.end() {
		gap := part.low - s.end()
		s.padTo(part.low, missing)
		runs, err := decodeRuns(s.extents, part.runs, part.low, geo)
		s.extents = runs
		return errors.Join(fmt.Errorf("%d clusters before cluster %d are in no run", gap, part.low), err)
	}
	runs, err := decodeRuns(s.extents, part.runs, part.low, geo)
	s.extents = runs
	return err
}

// end is the first cluster behind all extents.
func (s *stream) end() int64 {
	if len(s.extents) == 0 {
		return 0
	}
	return s.extents[len(s.extents)-1].end()
}

func (s *stream) padTo(vcn, lcn int64) {
	if end := s.end(); end < vcn {
		s.extents = append(s.extents, extent{end, lcn, vcn - end})
	}
}

// reach is the end of the last cluster that parts speak of, in bytes, where
// nothing tells the true size. It is bounded by the volume.
func (fs *FileSystem) reach(parts []attribute) int64 {
	var last int64
	for i := range parts {
		last = max(last, parts[i].high)
	}
	return min(last, fs.geo.clusters()-1)*fs.geo.cluster + fs.geo.cluster
}

func ceilDiv(a, b int64) int64 {
	if a%b == 0 {
		return a / b
	}
	return a/b + 1
}

func roundUp(a, b int64) int64 { return ceilDiv(a, b) * b }
