package ewf

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func TestReadAtKeepsTheContract(t *testing.T) {
	medium := media(plainSectors)
	d := mustOpen(t, plain.draw(medium), "disk.E01")
	size := int64(len(medium))
	for _, c := range []struct {
		off, n int64
		want   int64
		err    error
	}{
		{0, size, size, nil}, {0, size + 1, size, io.EOF}, {size, 1, 0, io.EOF}, {size + 5, 1, 0, io.EOF},
		{4095, 2, 2, nil}, {4096, 4096, 4096, nil}, {size - 1, 1, 1, nil}, {size - 1, 2, 1, io.EOF}, {100, 0, 0, nil},
	} {
		b := make([]byte, c.n)
		n, err := d.ReadAt(b, c.off)
		if int64(n) != c.want || err != c.err || !bytes.Equal(b[:n], medium[min(c.off, size):min(c.off, size)+int64(n)]) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v", c.n, c.off, n, err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
}

// Many readers, forward and at random, of an image whose segments are more than
// are held open at once.
func TestManyReaders(t *testing.T) {
	defer goleak.VerifyNone(t)
	medium := media(4000)
	st := &counting{Storage: drawing{perChunk: 8, perTable: 2, tables: 2}.draw(medium)}
	d, err := Open(st, "disk.E01")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			b := make([]byte, 1+rng.IntN(40_000))
			for off := int64(0); off < int64(len(medium)); off += int64(len(b)) {
				if i%2 == 1 {
					off = rng.Int64N(int64(len(medium)))
				}
				n, err := d.ReadAt(b, off)
				if err != nil && err != io.EOF || !bytes.Equal(b[:n], medium[off:off+int64(n)]) {
					t.Errorf("%d bytes at %d: %v", n, off, err)
					return
				}
			}
		})
	}
	wait.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if st.most > mostOpen+8+1 || st.open != 0 {
		t.Errorf("%d segments of %d were open at once, %d still are", st.most, len(st.Storage), st.open)
	}
	if _, err := d.ReadAt(make([]byte, 10_000), 0); err == nil {
		t.Error("read after Close")
	}
}

// counting is a storage that counts what is open.
type counting struct {
	evidencetest.Storage
	mu         sync.Mutex
	open, most int
}

type counted struct {
	evidence.File
	st *counting
}

func (c *counting) Open(name string) (evidence.File, error) {
	f, err := c.Storage.Open(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.most = max(c.most, c.open)
	return counted{f, c}, nil
}

func (c counted) Close() error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	c.st.open--
	return c.File.Close()
}

func TestSegmentThatChangesIsNotRead(t *testing.T) {
	medium := media(4000)
	st := drawing{perChunk: 8, perTable: 2, tables: 2}.draw(medium)
	d := mustOpen(t, st, "disk.E01")
	for name := range st {
		st[name] = st[name][:len(st[name])-1]
	}
	failed := 0
	for off := int64(0); off < d.Size(); off += 4 * 4096 { // of each segment one chunk
		_, err := d.ReadAt(make([]byte, 512), off)
		if err == nil {
			continue // it was still open
		}
		failed++
		if _, ok := errors.AsType[*evidence.ReadError](err); !ok || !strings.Contains(err.Error(), "bytes when it was opened and has") {
			t.Fatalf("at %d: %v", off, err)
		}
	}
	if failed < len(st)-mostOpen {
		t.Errorf("only %d of %d segments failed", failed, len(st))
	}
}

// BenchmarkSequential reads a third each of noise, text and nothing.
func BenchmarkSequential(b *testing.B) {
	d := mustOpen(b, drawing{perChunk: 64, perTable: 16375, tables: 1}.draw(media(1<<17)), "disk.E01")
	buf := make([]byte, 1<<20)
	b.SetBytes(d.Size())
	for b.Loop() {
		for off := int64(0); off < d.Size(); off += int64(len(buf)) {
			if _, err := d.ReadAt(buf, off); err != nil && err != io.EOF {
				b.Fatal(err)
			}
		}
	}
}
