package hashset

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// sorter orders any number of records of one size by their bytes within bounded
// memory: what does not fit is written to temporary files as sorted runs, which
// are merged when read back.
type sorter struct {
	dir    string // of temporary files; its owner removes it
	stride int    // bytes a record, at least 8
	room   int    // bytes of buf before it is spilled
	buf    []byte
	runs   []*os.File
	count  uint64
}

func newSorter(dir string, stride int, memory int64) *sorter {
	return &sorter{dir: dir, stride: stride, room: max(1, int(memory)/stride) * stride}
}

// add copies one record.
func (s *sorter) add(record []byte) error {
	if len(s.buf) >= s.room {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buf = append(s.buf, record...)
	s.count++
	return nil
}

func (s *sorter) spill() (err error) {
	sort.Sort(&records{s.buf, s.stride, make([]byte, s.stride)})
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	if _, err := f.Write(s.buf); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.buf = s.buf[:0]
	return nil
}

// each visits all records in order, once. The slice is valid until visit
// returns.
func (s *sorter) each(visit func(record []byte) error) error {
	sort.Sort(&records{s.buf, s.stride, make([]byte, s.stride)})
	merge, err := s.open()
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	for merge.Len() > 0 {
		r := merge.runs[0]
		if err := visit(r.record); err != nil {
			return err
		}
		switch err := r.next(); {
		case err == io.EOF:
			heap.Pop(merge)
		case err != nil:
			return fmt.Errorf("sort: %w", err)
		default:
			heap.Fix(merge, 0)
		}
	}
	return nil
}

func (s *sorter) open() (*merge, error) {
	m := &merge{}
	readers := []io.Reader{bytes.NewReader(s.buf)}
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		readers = append(readers, bufio.NewReaderSize(f, 64<<10))
	}
	for _, r := range readers {
		next := &run{r, make([]byte, s.stride)}
		err := next.next()
		if err == io.EOF {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.runs = append(m.runs, next)
	}
	heap.Init(m)
	return m, nil
}

// close gives memory and files back.
func (s *sorter) close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	s.runs, s.buf = nil, nil
	return errors.Join(errs...)
}

// records sorts a buffer of records in place.
type records struct {
	buf    []byte
	stride int
	tmp    []byte
}

func (r *records) Len() int        { return len(r.buf) / r.stride }
func (r *records) at(i int) []byte { return r.buf[i*r.stride : (i+1)*r.stride] }

func (r *records) Swap(i, j int) {
	copy(r.tmp, r.at(i))
	copy(r.at(i), r.at(j))
	copy(r.at(j), r.tmp)
}

func (r *records) Less(i, j int) bool { return less(r.at(i), r.at(j)) }

// less compares the first eight bytes at once: digests rarely agree on them.
func less(a, b []byte) bool {
	x, y := binary.BigEndian.Uint64(a), binary.BigEndian.Uint64(b)
	if x != y {
		return x < y
	}
	return bytes.Compare(a, b) < 0
}

type run struct {
	r      io.Reader
	record []byte
}

// next reads the next record; io.EOF at the end.
func (r *run) next() error {
	_, err := io.ReadFull(r.r, r.record)
	return err
}

// merge is a heap of runs by their foremost record.
type merge struct{ runs []*run }

func (m *merge) Len() int           { return len(m.runs) }
func (m *merge) Less(i, j int) bool { return less(m.runs[i].record, m.runs[j].record) }
func (m *merge) Swap(i, j int)      { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }
func (m *merge) Push(any)           { panic("internal error: runs are never added") }
func (m *merge) Pop() any {
	last := m.runs[len(m.runs)-1]
	m.runs = m.runs[:len(m.runs)-1]
	return last
}
