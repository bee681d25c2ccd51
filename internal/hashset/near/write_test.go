package near

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tutela"
)

// TestParts: an index is the same whatever the memory, down to parts that end
// within one list.
func TestParts(t *testing.T) {
	all := append(randoms(1, 20000), make([]tutela.PDQ, 20000)...)
	whole := written(t, all, 1<<30)
	if !bytes.Equal(written(t, all, 0), whole) {
		t.Error("an index made in parts is another")
	}
	if parts := (len(whole) - offsetsSize) / leastMemory; parts < 3 {
		t.Errorf("%d parts are not enough to tell", parts)
	}
}

// TestOrdered holds the layout against the words of its description.
func TestOrdered(t *testing.T) {
	all := append(randoms(2, 3000), make([]tutela.PDQ, 10)...)
	x := opened(t, written(t, all, 1<<30), all)
	for b := range bandCount {
		var ids []uint32
		last := -1
		for v := range bandValues {
			at, count := x.list(b, uint16(v))
			for k := range uint64(count) {
				id := number(x.postings, at+k+x.count)
				w := wordsOf(all[id][:])
				if int(w.band(b)) != v || number(x.postings, at+k) != w.signature(b) {
					t.Fatalf("band %d, value %d: posting %d is not of hash %d", b, v, k, id)
				}
				if v == last && id <= ids[len(ids)-1] {
					t.Fatalf("band %d, value %d: ids not in order", b, v)
				}
				ids, last = append(ids, id), v
			}
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != len(all) {
			t.Fatalf("band %d has %d hashes of %d", b, len(ids), len(all))
		}
	}
}

func number(b []byte, at uint64) uint32 {
	b = b[4*at:]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// TestMemory: the buffers of a large index stay within what is given.
func TestMemory(t *testing.T) {
	all := randoms(3, 200000)
	const memory = 2 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Write(context.Background(), io.Discard, uint64(len(all)), each(all), memory); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > memory+9<<20 {
		t.Errorf("%d bytes allocated for an index of %d", used, Size(uint64(len(all))))
	}
}

func TestWriteRefuses(t *testing.T) {
	all := randoms(4, 100)
	wrong := errors.New("no more")
	calls := 0
	for name, c := range map[string]struct {
		n    uint64
		each func(func(uint32, *tutela.PDQ) error) error
		want string
	}{
		"too few":      {n: 101, each: each(all), want: errVisits.Error()},
		"too many":     {n: 99, each: each(all), want: errVisits.Error()},
		"beyond 32":    {n: 1 << 32, each: each(all), want: "too many"},
		"not in order": {n: 100, each: func(v func(uint32, *tutela.PDQ) error) error { return v(1, &all[0]) }, want: errVisits.Error()},
		"fails":        {n: 100, each: func(func(uint32, *tutela.PDQ) error) error { return wrong }, want: wrong.Error()},
		"changes": {n: 100, want: errVisits.Error(), each: func(v func(uint32, *tutela.PDQ) error) error {
			calls++
			if calls > 1 {
				// All move to the highest value: there is no room for them there.
				all = make([]tutela.PDQ, len(all))
				for i := range all {
					for k := range all[i] {
						all[i][k] = 255
					}
				}
			}
			return each(all)(v)
		}},
	} {
		err := Write(context.Background(), io.Discard, c.n, c.each, 1<<20)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	all := randoms(5, 10)
	if err := Write(ctx, io.Discard, 10, each(all), 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("disk full")
	if err := Write(context.Background(), failing{full}, 10, each(all), 1<<20); !errors.Is(err, full) {
		t.Errorf("writer failed: %v", err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }
