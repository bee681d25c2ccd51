package hashset

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter orders any number of records within bounded memory: what does not fit
// is written to temporary files as sorted runs, which are merged when read back.
// Records are 8 bytes or longer; one alone may be larger than the memory.
type sorter struct {
	dir     string                // of temporary files; its owner removes it
	compare func(a, b []byte) int // of records that agree in their first 8 bytes; must not contradict the order of these
	memory  int64                 // bytes of buffers before they are spilled
	arena   []byte
	keys    []sortKey
	runs    []*os.File
	count   uint64
	sorted  bool
}

// sortKey is where a record lies in the arena, and its first 8 bytes: most
// comparisons end there.
type sortKey struct {
	prefix uint64
	at, n  uint32
}

const (
	sortKeySize = 16
	maxArena    = 1 << 31
	runBuffer   = 128 << 10
)

func newSorter(dir string, memory int64, compare func(a, b []byte) int) *sorter {
	return &sorter{dir: dir, memory: min(memory, maxArena), compare: compare}
}

// add copies one record. It panics after each was called.
func (s *sorter) add(record []byte) error {
	if s.sorted {
		panic("internal error: a sorter that was read takes no more")
	}
	need := int64(len(s.arena)+len(record)) + sortKeySize*int64(len(s.keys)+1)
	if need > s.memory && len(s.keys) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.keys = append(s.keys, sortKey{binary.BigEndian.Uint64(record), uint32(len(s.arena)), uint32(len(record))})
	s.arena = append(s.arena, record...)
	s.count++
	return nil
}

func (s *sorter) record(k sortKey) []byte { return s.arena[k.at : k.at+k.n] }

func (s *sorter) sort() {
	slices.SortFunc(s.keys, func(a, b sortKey) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return s.compare(s.record(a), s.record(b))
	})
}

func (s *sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 1<<20)
	var length []byte
	for _, k := range s.keys {
		length = binary.AppendUvarint(length[:0], uint64(k.n))
		w.Write(length)
		w.Write(s.record(k))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.arena, s.keys = s.arena[:0], s.keys[:0]
	return nil
}

// each visits all records in order. It may be called again. The slice is valid
// until visit returns.
func (s *sorter) each(visit func(record []byte) error) error {
	if err := s.settle(); err != nil {
		return err
	}
	if len(s.runs) == 0 {
		for _, k := range s.keys {
			if err := visit(s.record(k)); err != nil {
				return err
			}
		}
		return nil
	}
	m, err := s.open()
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	for len(m.runs) > 0 {
		if err := visit(m.runs[0].record); err != nil {
			return err
		}
		if err := m.next(); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
	}
	return nil
}

// settle ends the taking in: all is in memory, or nothing is.
func (s *sorter) settle() error {
	if s.sorted {
		return nil
	}
	s.sorted = true
	if len(s.runs) == 0 {
		s.sort()
		return nil
	}
	err := s.spill()
	s.arena, s.keys = nil, nil
	return err
}

func (s *sorter) open() (*merge, error) {
	m := &merge{compare: s.compare}
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := &run{r: bufio.NewReaderSize(f, runBuffer)}
		err := r.next()
		if err == io.EOF {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.runs = append(m.runs, r)
	}
	for i := len(m.runs)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// close gives memory and files back.
func (s *sorter) close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	s.runs, s.arena, s.keys = nil, nil, nil
	return errors.Join(errs...)
}

type run struct {
	r      *bufio.Reader
	prefix uint64
	record []byte
}

// next reads the next record; io.EOF at the end.
func (r *run) next() error {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err
	}
	r.record = slices.Grow(r.record[:0], int(n))[:n]
	if _, err := io.ReadFull(r.r, r.record); err != nil {
		return io.ErrUnexpectedEOF
	}
	r.prefix = binary.BigEndian.Uint64(r.record)
	return nil
}

// merge is a heap of runs by their foremost record.
type merge struct {
	runs    []*run
	compare func(a, b []byte) int
}

func (m *merge) less(a, b *run) bool {
	if a.prefix != b.prefix {
		return a.prefix < b.prefix
	}
	return m.compare(a.record, b.record) < 0
}

// next takes the foremost record away.
func (m *merge) next() error {
	err := m.runs[0].next()
	if err == io.EOF {
		last := len(m.runs) - 1
		m.runs[0] = m.runs[last]
		m.runs = m.runs[:last]
		err = nil
	}
	m.sink(0)
	return err
}

func (m *merge) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.runs); child++ {
			if m.less(m.runs[child], m.runs[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.runs[i], m.runs[least] = m.runs[least], m.runs[i]
		i = least
	}
}

// spool is a temporary file that a section grows in while another is written.
// Nothing is made as long as nothing is written.
type spool struct {
	dir  string
	size uint64 // bytes
	file *os.File
	w    *bufio.Writer
}

func (s *spool) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "column-*")
		if err != nil {
			return 0, err
		}
		s.file, s.w = f, bufio.NewWriterSize(f, runBuffer)
	}
	s.size += uint64(len(p))
	return s.w.Write(p)
}

// read gives what was written from its beginning.
func (s *spool) read(use func(r *bufio.Reader) error) error {
	if s.file == nil {
		return use(bufio.NewReader(bytes.NewReader(nil)))
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return use(bufio.NewReaderSize(s.file, runBuffer))
}

// copyTo copies all of it and closes it.
func (s *spool) copyTo(w io.Writer) error {
	err := s.read(func(r *bufio.Reader) error {
		_, err := io.Copy(w, r)
		return err
	})
	return errors.Join(err, s.close())
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close(), os.Remove(s.file.Name()))
	s.file, s.w = nil, nil
	return err
}
