package ewf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"tutela/internal/evidence"
)

// mostOpen is how many segments are held open at once. An image of 10 TB may
// have 14,000 of them.
const mostOpen = 64

// files are the segments of an image. Those not used lately are closed and
// opened again. It is safe for concurrent use until close.
type files struct {
	storage evidence.Storage
	names   []string // by index; segment i+1

	mu     sync.Mutex // guards what follows
	sizes  []int64    // in bytes, as first opened; -1 before that
	open   recent[int, *handle]
	closed bool
}

// handle is an open segment, or one that is being opened.
type handle struct {
	index int
	users int           // guarded by files.mu
	ready chan struct{} // closed when file and err are set
	file  evidence.File
	err   error
}

func newFiles(st evidence.Storage, names []string) *files {
	sizes := make([]int64, len(names))
	for i := range sizes {
		sizes[i] = -1
	}
	return &files{storage: st, names: names, sizes: sizes}
}

// acquire opens segment i, which release must give back.
func (f *files) acquire(i int) (*handle, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, fmt.Errorf("read %s: %w", f.names[i], fs.ErrClosed)
	}
	if h, ok := f.open.get(i); ok {
		h.users++
		f.mu.Unlock()
		<-h.ready
		if h.err != nil {
			f.release(h)
			return nil, h.err
		}
		return h, nil
	}
	h := &handle{index: i, users: 1, ready: make(chan struct{})}
	f.open.put(i, h)
	f.mu.Unlock()

	h.file, h.err = f.storage.Open(f.names[i])
	f.mu.Lock()
	switch {
	case h.err != nil:
	case f.sizes[i] < 0:
		f.sizes[i] = h.file.Size()
	case f.sizes[i] != h.file.Size():
		h.err = fmt.Errorf("read %s: it had %d bytes when it was opened and has %d now", f.names[i], f.sizes[i], h.file.Size())
	}
	f.mu.Unlock()
	close(h.ready)
	if h.err != nil {
		f.release(h)
		return nil, h.err
	}
	return h, nil
}

// release gives a segment back, and closes those that are too many.
func (f *files) release(h *handle) {
	f.mu.Lock()
	h.users--
	idle := f.idle(h.err != nil)
	f.mu.Unlock()
	closeAll(idle)
}

// idle takes out the segments that nobody uses: all when it is closed, those
// that failed, those that are too many. f.mu is held.
func (f *files) idle(failed bool) (out []*handle) {
	if !f.closed && !failed && f.open.len() <= mostOpen {
		return nil
	}
	for i, h := range f.open.oldestFirst() {
		if h.users == 0 && (f.closed || h.err != nil || f.open.len() > mostOpen) {
			f.open.drop(i)
			out = append(out, h)
		}
	}
	return out
}

func closeAll(handles []*handle) error {
	var errs []error
	for _, h := range handles {
		if h.file != nil {
			errs = append(errs, h.file.Close())
		}
	}
	return errors.Join(errs...)
}

// readAt reads from segment i. The error for bytes that are not there is that
// of the file.
func (f *files) readAt(i int, p []byte, off int64) (int, error) {
	h, err := f.acquire(i)
	if err != nil {
		return 0, err
	}
	defer f.release(h)
	return h.file.ReadAt(p, off)
}

// close closes what is open; what is still in use follows when it is given back.
func (f *files) close() error {
	f.mu.Lock()
	f.closed = true
	idle := f.idle(false)
	f.mu.Unlock()
	return closeAll(idle)
}

// segmentsOf finds the names of the segments that begin with first, as far as
// they follow each other without a gap; next is the name after the last. A name
// that does not count segments is an image of one.
func segmentsOf(st evidence.Storage, first string) (names []string, next string, err error) {
	if _, ok := follower(first, 1); !ok {
		return []string{first}, "", nil
	}
	all, err := st.Names()
	if err != nil {
		return nil, "", fmt.Errorf("look for the other segments: %w", err)
	}
	alike := map[string][]string{}
	stem := first[:len(first)-2]
	for _, name := range all {
		if len(name) == len(first) && strings.EqualFold(name[:len(stem)-1], stem[:len(stem)-1]) {
			key := strings.ToLower(name)
			alike[key] = append(alike[key], name)
		}
	}
	names = []string{first}
	for n := 1; ; n++ {
		next, ok := follower(first, n)
		if !ok {
			return names, "", nil
		}
		found := alike[strings.ToLower(next)]
		if len(found) == 0 {
			return names, next, nil
		}
		names = append(names, closest(found, next))
	}
}

// closest picks the name that is written like the one that was expected.
func closest(found []string, expected string) string {
	if slices.Contains(found, expected) {
		return expected
	}
	for _, name := range found {
		if strings.HasPrefix(name, expected[:len(expected)-3]) {
			return name
		}
	}
	return slices.Min(found)
}

// follower is the name of the segment n places after first ("disk.E01"): E02 to
// E99, then EAA to EZZ, FAA and on to ZZZ (specification, "Segment file
// extensions").
func follower(first string, n int) (name string, ok bool) {
	dot := len(first) - 4
	if dot < 0 || first[dot] != '.' || first[dot+2:] != "01" {
		return "", false
	}
	letter := first[dot+1]
	a, z := byte('a'), byte('z')
	if letter >= 'A' && letter <= 'Z' {
		a, z = 'A', 'Z'
	} else if letter < 'a' || letter > 'z' {
		return "", false
	}
	if n < 99 {
		return fmt.Sprintf("%s%02d", first[:dot+2], n+1), true
	}
	n -= 99
	if leading := int(letter) + n/(26*26); leading <= int(z) {
		return first[:dot+1] + string([]byte{byte(leading), a + byte(n/26%26), a + byte(n%26)}), true
	}
	return "", false
}
