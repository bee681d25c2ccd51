package evidencetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

var (
	mutants = flag.Int("mutants", 150, "damaged copies of each good image that are tried")
	seed    = flag.Uint64("seed", 1, "of the damage")
)

func row(path string, data []byte) string {
	return fmt.Sprintf("%s\t%d\t%x", path, len(data), sha256.Sum256(data))
}

const (
	// hangs is how long one damaged image may take before it counts as one
	// that stalls a scan.
	hangs = 30 * time.Second
	// enough is how much is read of each content of a damaged image, in bytes.
	enough = 64 << 10
	// hostileMemory is what a walk over a damaged image may allocate at once,
	// in bytes: what a confined child has.
	hostileMemory = 512 << 20
)

// Hostile walks whatever bytes and holds what must be true of any: no panic, no
// entry without a path, place and state, no run outside the image that calls
// itself content, no content that ends early without an error, no more deleted
// entries than the volume has sectors.
func Hostile(t testing.TB, open Open, image []byte) {
	t.Helper()
	src := Source(image)
	fs, err := open(src)
	if err != nil {
		return
	}
	var ghosts int64
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	err = fs.Walk(ctx, evidence.Limits{}, func(e *evidence.Entry) error {
		if e.State == tutela.Deleted || e.State == tutela.Orphan {
			ghosts++
		}
		return hostileEntry(e, src.Size())
	})
	if errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("the walk takes longer than %s", hangs)
	}
	if most := src.Size()/512 + 1; ghosts > most {
		t.Fatalf("%d deleted entries on %d sectors", ghosts, most)
	}
	if free, ok := fs.(evidence.FreeSpace); ok {
		hostileFree(t, free, src.Size())
	}
}

var errBroken = errors.New("a promise is broken")

func hostileEntry(e *evidence.Entry, size int64) error {
	if len(e.Path) == 0 || e.Path[0] != '/' || len(e.Chain) == 0 || e.State == 0 || e.Kind == 0 || e.Size < -1 {
		return fmt.Errorf("%w: entry %+v", errBroken, e)
	}
	for _, r := range append(append([]tutela.Run{}, e.Runs...), e.Slack...) {
		if r.Offset < 0 || r.Length <= 0 {
			return fmt.Errorf("%w: %s: run %v", errBroken, e.Path, r)
		}
	}
	if e.Open == nil {
		return nil
	}
	c, err := e.Open()
	if err != nil {
		return nil
	}
	defer c.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(c, enough))
	if err == nil && e.Size >= 0 && n != min(e.Size, enough) {
		return fmt.Errorf("%w: %s: %d bytes without an error, size %d", errBroken, e.Path, n, e.Size)
	}
	return nil
}

func hostileFree(t testing.TB, fs evidence.FreeSpace, size int64) {
	t.Helper()
	var end int64
	err := fs.Free(context.Background(), func(r tutela.Run) error {
		if r.Offset < end || r.Length <= 0 || r.Offset+r.Length > size {
			return fmt.Errorf("%w: free stretch %v after %d, size %d", errBroken, r, end, size)
		}
		end = r.Offset + r.Length
		return nil
	})
	if errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

// Mutants damages an image in many ways and walks each copy: bits turned, words
// set to tell-tale numbers, blocks swapped, zeroed, repeated, the end cut off.
// hot are the stretches where the format keeps its structure, in bytes; most of
// the damage goes there. With none it goes anywhere. `go test -mutants 10000`
// tries more of them.
func Mutants(t *testing.T, open Open, image []byte, hot ...tutela.Run) {
	t.Helper()
	MutantsOf(t, image, hot, func(damaged []byte) { Hostile(t, open, damaged) })
}

// MutantsOf is Mutants for what is no file system: try is called with each
// damaged copy, whose bytes are its own until it returns. It must not panic, hang
// or take much memory.
func MutantsOf(t *testing.T, image []byte, hot []tutela.Run, try func(damaged []byte)) {
	t.Helper()
	if len(hot) == 0 {
		hot = []tutela.Run{{Length: int64(len(image))}}
	}
	m := &mutator{rng: rand.New(rand.NewPCG(*seed, 1)), hot: hot, bytes: make([]byte, len(image))}
	for i := range *mutants {
		began := time.Now()
		copy(m.bytes, image)
		one := m.mutate()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		func() {
			defer func() {
				if cause := recover(); cause != nil {
					t.Fatalf("mutant %d of seed %d: panic: %v", i, *seed, cause)
				}
			}()
			try(one)
		}()
		runtime.ReadMemStats(&after)
		if after.HeapSys > before.HeapSys+hostileMemory {
			t.Fatalf("mutant %d of seed %d took %d MB", i, *seed, (after.HeapSys-before.HeapSys)>>20)
		}
		if took := time.Since(began); took > hangs {
			t.Fatalf("mutant %d of seed %d took %s", i, *seed, took)
		}
	}
}

type mutator struct {
	rng   *rand.Rand
	hot   []tutela.Run
	bytes []byte
}

// mutate damages the bytes in one to eight places and returns them, perhaps cut.
func (m *mutator) mutate() []byte {
	for range 1 + m.rng.IntN(8) {
		m.damage()
	}
	if m.rng.IntN(16) == 0 {
		return m.bytes[:m.rng.IntN(len(m.bytes)+1)]
	}
	return m.bytes
}

// telling are numbers that readers stumble over.
var telling = []uint64{0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}

func (m *mutator) damage() {
	at, room := m.place()
	if room == 0 {
		return
	}
	b := m.bytes[at : at+room]
	switch m.rng.IntN(7) {
	case 0:
		b[0] ^= 1 << m.rng.IntN(8)
	case 1:
		b[0] = byte(m.rng.Uint32())
	case 2:
		m.number(b, telling[m.rng.IntN(len(telling))])
	case 3:
		m.number(b, m.rng.Uint64()>>m.rng.IntN(64))
	case 4: // a stretch from elsewhere
		from, n := m.place()
		copy(b[:min(room, 1<<m.rng.IntN(13))], bytes.Clone(m.bytes[from:from+n]))
	case 5:
		clear(b[:min(room, 1<<m.rng.IntN(13))])
	case 6: // one more or less than it was
		if len(b) >= 4 {
			binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+uint32(m.rng.IntN(5))-2)
		}
	}
}

func (m *mutator) number(b []byte, v uint64) {
	var raw [8]byte
	if m.rng.IntN(2) == 0 {
		binary.LittleEndian.PutUint64(raw[:], v)
	} else {
		binary.BigEndian.PutUint64(raw[:], v)
	}
	width := 1 << m.rng.IntN(4)
	if m.rng.IntN(2) == 0 { // the last bytes of a big-endian number
		copy(b, raw[8-width:])
		return
	}
	copy(b, raw[:width])
}

// place picks where the damage goes, and how much room is behind it there.
func (m *mutator) place() (at, room int) {
	hot := m.hot[m.rng.IntN(len(m.hot))]
	if m.rng.IntN(10) == 0 {
		hot = tutela.Run{Length: int64(len(m.bytes))}
	}
	start := min(hot.Offset, int64(len(m.bytes)))
	length := min(hot.Length, int64(len(m.bytes))-start)
	if length <= 0 {
		return 0, 0
	}
	at = int(start + m.rng.Int64N(length))
	if m.rng.IntN(2) == 0 {
		at &^= 3
	}
	return at, len(m.bytes) - at
}
