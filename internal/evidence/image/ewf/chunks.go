package ewf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zlib"

	"tutela"
	"tutela/internal/evidence"
)

const (
	groupBytes   = 256 << 10 // of the medium, that one goroutine decodes in one go
	aheadBytes   = 16 << 20  // of the medium, that are read ahead at most
	keptBytes    = 32 << 20  // of the medium, that are kept
	mostStreams  = 8         // readers that go forward at the same time
	regionBytes  = 4 << 20   // of a segment, that are read in one go
	deflateSpace = 1 << 10   // bytes by which deflate may make a chunk longer, and an eighth
	mostRatio    = 1040      // by which deflate makes anything shorter at most
)

// chunks decodes the chunks of a medium, keeps those used last, and decodes in
// advance for readers that go forward. It is safe for concurrent use.
type chunks struct {
	disk    *Disk
	group   int64 // chunks that one goroutine decodes in one go
	ahead   int64 // chunks that are decoded in advance
	most    int   // chunks that are kept
	workers int

	mu      sync.Mutex // guards what follows
	slots   recent[int64, *slot]
	streams []*stream // the last used first
	busy    int       // goroutines at work
	closed  bool
	done    sync.WaitGroup // for them
}

// slot is a chunk that is decoded, or about to be.
type slot struct {
	chunk int64
	ready chan struct{} // closed when data and err are set
	data  []byte
	err   error
}

// stream is a reader that goes forward. chunks.mu guards it.
type stream struct {
	next  int64 // the chunk it would ask for next
	ahead int64 // the first that was not yet handed out to be decoded
}

func newChunks(d *Disk) *chunks {
	c := &chunks{disk: d, workers: runtime.GOMAXPROCS(0)}
	c.group = max(groupBytes/d.chunk, 1)
	c.ahead = min(2*int64(c.workers)*c.group, aheadBytes/d.chunk)
	c.most = int(max(keptBytes/d.chunk, 2))
	return c
}

// close ends reading in advance and waits for it.
func (c *chunks) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.done.Wait()
}

// read fills p, which lies within the medium.
func (c *chunks) read(p []byte, off int64) (int, error) {
	size := c.disk.chunk
	first, last := off/size, (off+int64(len(p))-1)/size
	if len(p) == 0 {
		return 0, nil
	}
	one, window := c.stream(first, last)
	n := 0
	for chunk := first; chunk <= last; chunk++ {
		c.advance(one, chunk, last, min(window, chunk+max(c.ahead, 1)))
		data, err := c.get(chunk)
		if err != nil {
			return n, c.lost(chunk, off+int64(n), err)
		}
		n += copy(p[n:], data[off+int64(n)-chunk*size:])
	}
	return n, nil
}

// lost is the error for a chunk of which the bytes from off on were wanted.
func (c *chunks) lost(chunk, off int64, cause error) error {
	if errors.Is(cause, fs.ErrClosed) {
		return cause
	}
	end := min((chunk+1)*c.disk.chunk, c.disk.size)
	return &evidence.ReadError{
		Run: tutela.Run{Offset: off, Length: end - off},
		Err: fmt.Errorf("read ewf: chunk %d: %w", chunk, cause),
	}
}

// stream finds the reader that this read belongs to, and up to which chunk it is
// worth decoding: beyond what it asks for only if it goes on where it ended
// before.
func (c *chunks) stream(first, last int64) (*stream, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := last
	at := slices.IndexFunc(c.streams, func(s *stream) bool { return s.next == first || s.next == first+1 })
	switch {
	case at >= 0:
		window = min(last+c.ahead, (c.disk.size-1)/c.disk.chunk)
	case len(c.streams) < mostStreams:
		c.streams = append(c.streams, &stream{})
		at = len(c.streams) - 1
	default:
		at = mostStreams - 1
		c.streams[at] = &stream{}
	}
	one := c.streams[at]
	one.next = last + 1
	copy(c.streams[1:at+1], c.streams[:at])
	c.streams[0] = one
	return one, window
}

// get is a chunk, decoded here if nobody else has begun to.
func (c *chunks) get(chunk int64) ([]byte, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("read ewf: %w", fs.ErrClosed)
	}
	if s, ok := c.slots.get(chunk); ok {
		c.mu.Unlock()
		<-s.ready
		return s.data, s.err
	}
	s := c.reserve(chunk)
	c.mu.Unlock()
	c.decode([]*slot{s})
	return s.data, s.err
}

// reserve makes the slot of a chunk. c.mu is held.
func (c *chunks) reserve(chunk int64) *slot {
	s := &slot{chunk: chunk, ready: make(chan struct{})}
	c.slots.put(chunk, s)
	for oldest := range c.slots.oldestFirst() {
		if c.slots.len() <= c.most {
			break
		}
		c.slots.drop(oldest)
	}
	return s
}

// advance hands out chunks to be decoded, from the one that is wanted now to the
// end of the window, as far as there are hands free. What is not wanted yet goes
// out in whole groups only.
func (c *chunks) advance(one *stream, now, last, window int64) {
	if window == now {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := max(now, one.ahead)
	for c.busy < c.workers && !c.closed && (at <= min(last, window) || at+c.group-1 <= window) {
		group := c.gather(&at, window)
		if len(group) == 0 {
			break
		}
		c.busy++
		c.done.Add(1)
		go c.work(group)
	}
	one.ahead = at
}

// gather reserves the next chunks that nobody has begun to decode. c.mu is held.
func (c *chunks) gather(at *int64, window int64) (group []*slot) {
	for ; *at <= window && int64(len(group)) < c.group; *at++ {
		if !c.slots.has(*at) {
			group = append(group, c.reserve(*at))
		} else if len(group) > 0 {
			break
		}
	}
	return group
}

func (c *chunks) work(group []*slot) {
	defer c.done.Done()
	c.decode(group)
	c.mu.Lock()
	c.busy--
	c.mu.Unlock()
}

// decode fills the slots of a group. What lies together in a segment is read
// together. A chunk that could not be read is not kept: the next who asks tries
// again.
func (c *chunks) decode(group []*slot) {
	places := make([]place, len(group))
	for i, s := range group {
		places[i], s.err = c.disk.tables.find(s.chunk)
	}
	region := c.region(group, places)
	for i, s := range group {
		if s.err == nil {
			s.data, s.err = c.disk.decode(s.chunk, places[i], region)
		}
		if s.err != nil {
			c.forget(s)
		}
		close(s.ready)
	}
	if region != nil {
		region.free()
	}
}

func (c *chunks) forget(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.slots.get(s.chunk); ok && kept == s {
		c.slots.drop(s.chunk)
	}
}

// region is a piece of a segment in memory.
type region struct {
	segment int
	at      int64
	bytes   []byte
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// buffer is memory of n bytes to be given back.
func buffer(n int64) *[]byte {
	b := buffers.Get().(*[]byte)
	if int64(cap(*b)) < n {
		*b = make([]byte, n)
	}
	*b = (*b)[:n]
	return b
}

func (r *region) free() { buffers.Put(&r.bytes) }

// region reads what the group lies in, if it lies together and can be read; nil
// otherwise.
func (c *chunks) region(group []*slot, places []place) *region {
	var from, to int64
	count := 0
	for i, p := range places {
		if group[i].err != nil {
			continue
		}
		if count == 0 {
			from = p.at
		} else if p.segment != places[0].segment || p.at < to {
			return nil
		}
		to = p.at + c.disk.stored(group[i].chunk, p)
		count++
	}
	if count < 2 || group[0].err != nil || to-from > regionBytes {
		return nil
	}
	r := &region{segment: places[0].segment, at: from, bytes: *buffer(to - from)}
	if n, _ := c.disk.files.readAt(r.segment, r.bytes, from); n < len(r.bytes) {
		r.free()
		return nil
	}
	return r
}

// length is how many bytes of the medium a chunk has.
func (d *Disk) length(chunk int64) int64 { return min(d.chunk, d.size-chunk*d.chunk) }

// stored is how many bytes a chunk takes in its segment at most.
func (d *Disk) stored(chunk int64, p place) int64 {
	if p.packed {
		return min(p.most, d.chunk+d.chunk/8+deflateSpace)
	}
	return min(p.most, d.chunk+4)
}

// decode is the content of a chunk, which lies at a place. It is in the region
// or is read.
func (d *Disk) decode(chunk int64, p place, r *region) ([]byte, error) {
	n := d.stored(chunk, p)
	if r != nil && r.segment == p.segment && p.at >= r.at && p.at+n <= r.at+int64(len(r.bytes)) {
		at := p.at - r.at
		data, _, err := d.unpack(chunk, p, r.bytes[at:at+n])
		return data, err
	}
	data, _, err := d.load(chunk, p)
	return data, err
}

// load reads a chunk and decodes it. It tells how many bytes it takes.
func (d *Disk) load(chunk int64, p place) (data []byte, used int64, err error) {
	b := buffer(d.stored(chunk, p))
	defer buffers.Put(b)
	got, cause := d.files.readAt(p.segment, *b, p.at)
	data, used, err = d.unpack(chunk, p, (*b)[:got])
	if err != nil && got < len(*b) {
		err = notEnd(cause) // it would have been longer
	}
	return data, used, err
}

// weigh finds out how a chunk at a place is stored.
func (d *Disk) weigh(chunk int64, p place) (used int64, packed bool, err error) {
	if d.length(chunk) <= 0 {
		return 0, false, errLength // the medium has no such chunk
	}
	for _, p.packed = range []bool{true, false} {
		if _, used, err = d.load(chunk, p); err == nil {
			return used, p.packed, nil
		}
	}
	return 0, false, err
}

func (d *Disk) unpack(chunk int64, p place, stored []byte) (data []byte, used int64, err error) {
	if p.packed {
		data, used, err = d.inflate(d.length(chunk), stored)
	} else {
		data, used, err = d.plain(d.length(chunk), stored)
	}
	if err == nil && p.exact && used != p.most {
		return nil, 0, errTable
	}
	return data, used, err
}

// plain checks a chunk that is stored as it is, with a checksum behind it. The
// last chunk may be filled up to the length of the others; where it is not, its
// length says nothing against a wrong geometry, which must be sure therefore.
func (d *Disk) plain(length int64, stored []byte) (data []byte, used int64, err error) {
	if !d.sure && length != d.chunk {
		return nil, 0, errLength
	}
	for _, n := range []int64{length, d.chunk} {
		if n+4 > int64(len(stored)) {
			return nil, 0, errLength
		}
		if adler32.Checksum(stored[:n]) == binary.LittleEndian.Uint32(stored[n:]) {
			return bytes.Clone(stored[:length]), n + 4, nil
		}
		if length == d.chunk {
			break
		}
	}
	return nil, 0, errChecksum
}

// inflater decompresses one chunk after the other.
type inflater struct {
	from bytes.Reader
	z    io.ReadCloser
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// inflate decompresses a chunk. The zlib format has the checksum in it.
func (d *Disk) inflate(length int64, stored []byte) (data []byte, used int64, err error) {
	if length > mostRatio*int64(len(stored)) {
		return nil, 0, errLength // before memory is taken for it
	}
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.from.Reset(stored)
	if err := f.reset(); err != nil {
		return nil, 0, errInflate
	}
	out := make([]byte, min(d.chunk, mostRatio*int64(len(stored))))
	n, err := fill(f.z, out)
	switch {
	case errors.Is(err, zlib.ErrChecksum):
		return nil, 0, errChecksum
	case err != nil:
		return nil, 0, errInflate
	case n != d.chunk && (n != length || !d.sure):
		return nil, 0, errLength
	}
	return out[:length], int64(len(stored) - f.from.Len()), nil
}

func (f *inflater) reset() (err error) {
	if f.z == nil {
		f.z, err = zlib.NewReader(&f.from)
		return err
	}
	return f.z.(zlib.Resetter).Reset(&f.from, nil)
}

// fill reads r to its end, which must come within b and with a right checksum.
func fill(r io.Reader, b []byte) (n int64, err error) {
	var beyond [1]byte
	for {
		room := b[n:]
		if len(room) == 0 {
			room = beyond[:]
		}
		m, err := r.Read(room)
		if m > 0 && n == int64(len(b)) {
			return n, errLength
		}
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
