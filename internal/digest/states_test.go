package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// digester is one digest with what its states must come to.
type digester struct {
	name      string
	algorithm *algorithm
	kernel    func(engine) kernel
	truth     func([]byte) []byte
}

var digesters = []digester{
	{"MD5", &algorithmMD5, func(e engine) kernel { return e.md5 }, func(b []byte) []byte { d := md5.Sum(b); return d[:] }},
	{"SHA-1", &algorithmSHA1, func(e engine) kernel { return e.sha1 }, func(b []byte) []byte { d := sha1.Sum(b); return d[:] }},
	{"SHA-256", &algorithmSHA256, func(e engine) kernel { return e.sha256 }, func(b []byte) []byte { d := sha256.Sum256(b); return d[:] }},
}

// eachKernel runs test with every kernel of every engine this processor has,
// told that even a single lane is worth it.
func eachKernel(t *testing.T, test func(t *testing.T, d digester, k kernel, lanes int)) {
	eachEngine(t, func(t *testing.T, e engine) {
		for _, d := range digesters {
			if k := d.kernel(e); k.blocks != nil {
				k.worth = 1
				t.Run(d.name, func(t *testing.T) { test(t, d, k, e.lanes) })
			}
		}
	})
}

// padded lays contents out behind one another, each with its padding, and
// returns their spans.
func (d digester) padded(contents [][]byte) (arena []byte, spans [maximumLanes]span) {
	for i, c := range contents {
		begin := len(arena)
		arena = append(arena, c...)
		end := len(arena)
		arena = append(arena, make([]byte, 128)...)
		arena = arena[:pad(arena, begin, end)]
		d.algorithm.putLength(arena[len(arena)-64:], int64(len(c)))
		spans[i] = span{uint32(begin), (len(arena) - begin) / 64}
	}
	return arena, spans
}

func (d digester) check(t failer, s *states, contents [][]byte) {
	t.Helper()
	for i, c := range contents {
		got := make([]byte, len(d.truth(nil)))
		if s.sum(i, got); string(got) != string(d.truth(c)) {
			t.Errorf("lane %d of %d bytes: %x, want %x", i, len(c), got, d.truth(c))
		}
	}
}

// TestKernels holds every kernel against the standard library with ragged
// contents in a ragged number of lanes.
func TestKernels(t *testing.T) {
	eachKernel(t, func(t *testing.T, d digester, k kernel, lanes int) {
		length := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 20_000),
			rapid.SampledFrom([]int{0, 1, 55, 56, 63, 64, 65, 119, 120, 128}))
		rapid.Check(t, func(t *rapid.T) {
			var contents [][]byte
			for i, n := range rapid.SliceOfN(length, 1, lanes).Draw(t, "lengths") {
				contents = append(contents, noise(uint64(i), n))
			}
			s := newStates(d.algorithm, k)
			for i := range contents {
				s.reset(i)
			}
			arena, spans := d.padded(contents)
			s.run(arena, spans)
			d.check(t, s, contents)
		})
	})
}

// TestKernelsLeaveIdleLanesAlone: only the lanes in the mask change, and they
// do as the standard library changes them.
func TestKernelsLeaveIdleLanesAlone(t *testing.T) {
	const blocks = 5
	arena := noise(9, maximumLanes*64*blocks)
	eachKernel(t, func(t *testing.T, d digester, k kernel, lanes int) {
		for mask := 1; mask < 1<<lanes; mask += 1 + mask*int(1<<lanes-1-mask)>>(lanes+3) {
			vector, scalar := newStates(d.algorithm, k), newStates(d.algorithm, kernel{})
			var offsets [maximumLanes]uint32
			for i := range maximumLanes {
				vector.reset(i)
				scalar.reset(i)
				offsets[i] = uint32(i * 64 * blocks)
				if mask>>i&1 == 1 {
					scalar.lend(i, arena[offsets[i]:][:64*blocks])
				}
			}
			k.blocks(&vector.words, &arena[0], &offsets, uint32(mask), blocks)
			if vector.words != scalar.words {
				t.Fatalf("mask %#x: states differ", mask)
			}
		}
	})
}

// TestHandOver changes between kernel and standard library in mid-stream, block
// by block.
func TestHandOver(t *testing.T) {
	eachKernel(t, func(t *testing.T, d digester, k kernel, lanes int) {
		rapid.Check(t, func(t *rapid.T) {
			contents := make([][]byte, lanes)
			size := rapid.IntRange(0, 1000).Draw(t, "size")
			together, alone := newStates(d.algorithm, k), newStates(d.algorithm, kernel{})
			for i := range contents {
				contents[i] = noise(uint64(i), size)
				together.reset(i)
			}
			arena, spans := d.padded(contents)
			for spans[0].blocks > 0 {
				n := rapid.IntRange(1, spans[0].blocks).Draw(t, "blocks")
				part := spans
				for i := range contents {
					part[i].blocks = n
					spans[i].offset += uint32(64 * n)
					spans[i].blocks -= n
				}
				together.run(arena, part)
				together, alone = alone, together
				together.words = alone.words
			}
			d.check(t, together, contents)
		})
	})
}
