package ewf

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"tutela/internal/evidence"
)

// huge is a storage with an image that is worked out when it is read and never
// lies anywhere. Each chunk is its number in 8 bytes, and zeros.
type huge struct {
	chunk, perTable, chunks int64
	packed                  bool

	stored int64 // bytes of a chunk in the image
	front  []byte
	end    []byte
	read   *atomic.Int64 // bytes
}

var _ evidence.Storage = (*huge)(nil)

func newHuge(chunk, perTable, chunks int64, packed bool) *huge {
	h := &huge{chunk: chunk, perTable: perTable, chunks: chunks, packed: packed, read: &atomic.Int64{}}
	h.stored = int64(len(h.chunkBytes(0)))
	volume := drawVolume(uint64(chunks), uint64(chunk/512), 512, uint64(chunks*chunk/512), 1)
	front := newSegment(1)
	front.section("volume", volume)
	h.front = front.Bytes()
	at := uint64(h.group((chunks + perTable - 1) / perTable))
	h.end = append(drawDescriptor("data", at+descriptorSize+volumeSize, descriptorSize+volumeSize), volume...)
	h.end = append(h.end, drawDescriptor("done", at+uint64(len(h.end)), 0)...)
	return h
}

// zeros are the deflated zeros behind the number of a chunk of 32 KiB.
var zeros = func() []byte {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.BestCompression)
	z.Write(make([]byte, 32<<10-8))
	z.Close()
	return b.Bytes()
}()

// chunkBytes is chunk n as it is stored.
func (h *huge) chunkBytes(n int64) []byte {
	number := binary.LittleEndian.AppendUint64(nil, uint64(n))
	sum := adler32.Checksum(number)
	low, high := sum&0xffff, sum>>16
	sum = uint32((uint64(high)+uint64(low)*uint64(h.chunk-8))%65521)<<16 | low
	if !h.packed {
		b := append(number, make([]byte, h.chunk-8)...)
		return binary.LittleEndian.AppendUint32(b, sum)
	}
	b := append([]byte{0x78, 0x01, 0, 8, 0, 0xf7, 0xff}, number...)
	return binary.BigEndian.AppendUint32(append(b, zeros...), sum)
}

// inGroup is how many chunks a sectors section and its tables have.
func (h *huge) inGroup(g int64) int64 { return min(h.perTable, h.chunks-g*h.perTable) }

func (h *huge) tableSize(n int64) int64 { return descriptorSize + tableHeaderSize + 4*n + 4 }

func (h *huge) groupSize(n int64) int64 { return descriptorSize + n*h.stored + 2*h.tableSize(n) }

// group is where group g begins.
func (h *huge) group(g int64) int64 {
	full := min(g, h.chunks/h.perTable)
	at := int64(len(h.front)) + full*h.groupSize(h.perTable)
	if g > full {
		at += h.groupSize(h.chunks - full*h.perTable)
	}
	return at
}

func (h *huge) Size() int64 {
	return h.group((h.chunks+h.perTable-1)/h.perTable) + int64(len(h.end))
}

func (h *huge) Close() error             { return nil }
func (h *huge) Names() ([]string, error) { return []string{"huge.E01"}, nil }

func (h *huge) Open(name string) (evidence.File, error) {
	if name != "huge.E01" {
		return nil, fs.ErrNotExist
	}
	return h, nil
}

func (h *huge) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		piece := h.piece(off + int64(n))
		if len(piece) == 0 {
			err = io.EOF
			break
		}
		n += copy(p[n:], piece)
	}
	h.read.Add(int64(n))
	return n, err
}

// piece is what lies at a place, as far as it is of one kind.
func (h *huge) piece(off int64) []byte {
	if off < int64(len(h.front)) {
		return h.front[off:]
	}
	groups := (h.chunks + h.perTable - 1) / h.perTable
	if end := h.group(groups); off >= end {
		return h.end[min(off-end, int64(len(h.end))):]
	}
	g := (off - int64(len(h.front))) / h.groupSize(h.perTable)
	n, at := h.inGroup(g), h.group(g)
	in := off - at
	if in < descriptorSize {
		size := descriptorSize + n*h.stored
		return drawDescriptor("sectors", uint64(at+size), uint64(size))[in:]
	}
	if in -= descriptorSize; in < n*h.stored {
		return h.chunkBytes(g*h.perTable + in/h.stored)[in%h.stored:]
	}
	in -= n * h.stored
	at += descriptorSize + n*h.stored
	kind, size := "table", h.tableSize(n)
	if in >= size {
		kind, in, at = "table2", in-size, at+size
	}
	return h.table(kind, at, n, h.group(g), in)
}

func (h *huge) table(kind string, at, n, base, in int64) []byte {
	if in < descriptorSize {
		size := h.tableSize(n)
		return drawDescriptor(kind, uint64(at+size), uint64(size))[in:]
	}
	if in -= descriptorSize; in < tableHeaderSize {
		return drawTableHeader(int(n), uint64(base))[in:]
	}
	return h.entries(n)[in-tableHeaderSize:]
}

var entriesOf = map[string][]byte{}

// entries are those of a table of n chunks; all such tables have the same.
func (h *huge) entries(n int64) []byte {
	key := fmt.Sprint(n, h.stored)
	if b, ok := entriesOf[key]; ok {
		return b
	}
	entries := make([]uint32, n)
	for k := range entries {
		entries[k] = uint32(descriptorSize + int64(k)*h.stored)
		if h.packed {
			entries[k] |= packedBit
		}
	}
	entriesOf[key] = drawEntries(entries)
	return entriesOf[key]
}

// check reads chunk n and holds it against what it must be.
func (h *huge) check(t testing.TB, d *Disk, n int64) {
	t.Helper()
	b := make([]byte, 512)
	if _, err := d.ReadAt(b, n*h.chunk); err != nil {
		t.Fatalf("chunk %d: %v", n, err)
	}
	if got := int64(binary.LittleEndian.Uint64(b)); got != n || len(bytes.Trim(b[8:], "\x00")) > 0 {
		t.Fatalf("chunk %d holds %d", n, got)
	}
}

// heap is how much memory is in use, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const tenTB = 10 << 40

func TestTenTerabytes(t *testing.T) {
	h := newHuge(32<<10, 16375, tenTB/(32<<10), true)
	h.entries(16375)
	h.entries(h.chunks % h.perTable)
	before := heap()
	d := mustOpen(t, h, "huge.E01")
	if d.Size() != tenTB || len(d.Notes()) > 0 {
		t.Fatalf("%d bytes, notes %v", d.Size(), d.Notes())
	}
	if read := h.read.Load(); read > 16<<20 {
		t.Errorf("%d bytes are read to open it", read)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		h.check(t, d, rng.Int64N(h.chunks))
	}
	h.check(t, d, 0)
	h.check(t, d, h.chunks-1)
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("%d MB are kept", grown>>20)
	}
	if n := d.tables.pages.len(); n > mostPages {
		t.Errorf("%d pages of tables are kept", n)
	}
}

// EnCase 6.7.1 counted past 2 GiB into the bit that marks compressed chunks.
func TestOffsetsPastTwoGiB(t *testing.T) {
	h := newHuge(64<<10, 33_000, 33_000, false)
	d := mustOpen(t, h, "huge.E01")
	border := int64((1<<31 - descriptorSize) / (64<<10 + 4)) // the chunk that crosses it
	for _, n := range []int64{0, 1, border - 1, border, border + 1, border + 2, h.chunks - 1} {
		h.check(t, d, n)
	}
	if len(d.Notes()) > 0 {
		t.Errorf("notes %v", d.Notes())
	}
}

// BenchmarkTenTerabytes walks through a sparse disk as far as there is time. The
// memory in use must not grow on the way.
func BenchmarkTenTerabytes(b *testing.B) {
	h := newHuge(32<<10, 16375, tenTB/(32<<10), true)
	h.entries(16375)
	h.entries(h.chunks % h.perTable)
	d := mustOpen(b, h, "huge.E01")
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	var most uint64
	for i := 0; b.Loop(); i++ {
		if _, err := d.ReadAt(buf, int64(i)<<20%tenTB); err != nil {
			b.Fatal(err)
		}
		if i%(64<<10) == 0 {
			most = max(most, heap())
		}
	}
	b.ReportMetric(float64(most>>20), "MB-heap")
	b.ReportMetric(float64(len(d.tables.states)), "tables")
}
