package virtual

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// bad is a source of which a stretch cannot be read.
type bad struct {
	evidence.Source
	run tutela.Run
	err error // what it says; a *evidence.ReadError if nil
}

func (b bad) ReadAt(p []byte, off int64) (int, error) {
	end := b.run.Offset + b.run.Length
	if off >= end || off+int64(len(p)) <= b.run.Offset {
		return b.Source.ReadAt(p, off)
	}
	n := max(b.run.Offset-off, 0)
	b.Source.ReadAt(p[:n], off)
	if b.err != nil {
		return int(n), b.err
	}
	from := max(off, b.run.Offset)
	return int(n), &evidence.ReadError{Run: tutela.Run{Offset: from, Length: end - from}, Err: errors.New("bad sector")}
}

// pieces is a map by hand.
type pieces []struct {
	start int64
	Piece
	err error
}

func (ps pieces) Piece(off int64) (Piece, error) {
	for _, p := range ps {
		if off >= p.start && off < p.start+p.Length {
			rest := p.Piece
			rest.Length -= off - p.start
			rest.Offset += off - p.start
			return rest, p.err
		}
	}
	return Piece{}, nil
}

func TestReadErrors(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10)
	src := evidencetest.Source(data)
	m := NewMedium("test", 100, pieces{
		{0, Piece{10, bad{src, tutela.Run{Offset: 53, Length: 4}, nil}, 50}, nil},
		{10, Piece{10, nil, 0}, nil},
		{20, Piece{10, nil, 0}, errors.New("no such block")},
		{30, Piece{10, src, 95}, nil}, // the last five bytes lie outside
		{40, Piece{10, bad{src, tutela.Run{Offset: 4, Length: 1}, io.ErrClosedPipe}, 0}, nil},
		{50, Piece{10, src, -1}, nil},
		{60, Piece{30, bad{src, tutela.Run{Offset: 0, Length: 100}, nil}, 20}, nil},
		{90, Piece{5, src, 0}, nil}, // then a piece without a length
	}, NewFiles(nil))
	want := slices.Concat(data[50:60], make([]byte, 20), data[95:], data[:5], data[:10], data[:10], data[:30], data[:5], data[:5])
	evidencetest.Lost(t, &m, want,
		tutela.Run{Offset: 3, Length: 4}, tutela.Run{Offset: 20, Length: 10}, tutela.Run{Offset: 35, Length: 5},
		tutela.Run{Offset: 44, Length: 46}, tutela.Run{Offset: 95, Length: 5})
	if n, err := m.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
		t.Errorf("%d bytes before the beginning, %v", n, err)
	}
	if n, err := m.ReadAt(make([]byte, 20), 92); n != 3 || errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	closed := NewMedium("test", 10, pieces{{0, Piece{10, bad{src, tutela.Run{Length: 10}, fs.ErrClosed}, 0}, nil}}, NewFiles(nil))
	if _, err := closed.ReadAt(make([]byte, 1), 0); err != fs.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

func TestUnder(t *testing.T) {
	parent := evidencetest.Source(make([]byte, 100))
	for _, c := range []struct {
		parent      evidence.Source
		off, length int64
		want        Piece
	}{
		{nil, 5, 10, Piece{Length: 10}},
		{parent, 5, 10, Piece{10, parent, 5}},
		{parent, 95, 10, Piece{5, parent, 95}},
		{parent, 100, 10, Piece{Length: 10}},
	} {
		if got := Under(c.parent, c.off, c.length); got != c.want {
			t.Errorf("at %d: %+v", c.off, got)
		}
	}
}

func TestResolve(t *testing.T) {
	f := NewFiles(evidencetest.Storage{"a.vmdk": nil, "B.vmdk": nil, "c": nil, "C": nil})
	for reference, want := range map[string]string{
		"a.vmdk": "a.vmdk", `C:\vm\A.VMDK`: "a.vmdk", "../../b.vmdk": "B.vmdk", "/x/c": "c", "x/C": "C",
	} {
		if got, err := f.Resolve(reference); got != want || err != nil {
			t.Errorf("%s: %q, %v", reference, got, err)
		}
	}
	for _, reference := range []string{"", "/", "d", "..", "a.vmdk/"} {
		if got, err := f.Resolve(reference); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", reference, got, err)
		}
	}
}

// A page that has a bad sector gives what lies beside it.
func TestTable(t *testing.T) {
	data := make([]byte, 3*pageBytes+10)
	for i := range data {
		data[i] = byte(i)
	}
	table := NewTable(bad{evidencetest.Source(data), tutela.Run{Offset: 512, Length: 512}, nil})
	for off, want := range map[int64]uint32{0: 0x00010203, 508: 0xfcfdfeff, 1024: 0x00010203, pageBytes - 2: 0xfeff0001, 3*pageBytes + 6: 0x06070809} {
		if got, err := table.Uint32BE(off); got != want || err != nil {
			t.Errorf("at %d: %08x, %v", off, got, err)
		}
	}
	for _, off := range []int64{510, 512, -1, 3*pageBytes + 7, 1 << 62} {
		if _, err := table.Uint32LE(off); err == nil {
			t.Errorf("at %d there is a number", off)
		}
	}
	if got, err := table.Uint64LE(4096); got != 0x0706050403020100 || err != nil {
		t.Errorf("%x, %v", got, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache[int, string](2)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 100 {
				c.Put(n, fmt.Sprint(n))
				if got, ok := c.Get(n); ok && got != fmt.Sprint(n) {
					t.Errorf("%d is %s to reader %d", n, got, i)
				}
			}
		})
	}
	all.Wait()
	if len(c.at) != 2 || c.order.Len() != 2 {
		t.Errorf("%d values are kept", len(c.at))
	}
	c = NewCache[int, string](2)
	c.Put(1, "one")
	c.Put(2, "two")
	c.Get(1)
	c.Put(3, "three")
	if _, ok := c.Get(2); ok {
		t.Error("the value used last was given up")
	}
}
