package near

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"tutela"
)

// hit is one visit of a look-up.
type hit struct {
	id       uint32
	distance int
}

// plainLoop is the truth: bit by bit over all hashes, in order of id.
func plainLoop(all []tutela.PDQ, h tutela.PDQ, radius int) []hit {
	var hits []hit
	for id := range all {
		if d := differ(all[id], h); d <= radius {
			hits = append(hits, hit{uint32(id), d})
		}
	}
	return hits
}

// onesIn counts bits by the definition, so that the loop owes nothing to the
// instruction that all engines are made of.
var onesIn = func() (ones [256]int) {
	for i := range ones {
		ones[i] = i&1 + ones[i/2]
	}
	return ones
}()

func differ(a, b tutela.PDQ) (d int) {
	for i := range a {
		d += onesIn[a[i]^b[i]]
	}
	return d
}

func random(r *rand.Rand) (h tutela.PDQ) {
	for i := 0; i < len(h); i += 8 {
		binary.LittleEndian.PutUint64(h[i:], r.Uint64())
	}
	return h
}

func randoms(seed uint64, n int) []tutela.PDQ {
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([]tutela.PDQ, n)
	for i := range all {
		all[i] = random(r)
	}
	return all
}

// near is h with so many bits changed.
func near(r *rand.Rand, h tutela.PDQ, distance int) tutela.PDQ {
	for _, bit := range r.Perm(256)[:distance] {
		h[bit/8] ^= 1 << (bit % 8)
	}
	return h
}

func joined(all []tutela.PDQ) []byte {
	out := make([]byte, 0, len(all)*hashSize)
	for i := range all {
		out = append(out, all[i][:]...)
	}
	return out
}

func each(all []tutela.PDQ) func(func(uint32, *tutela.PDQ) error) error {
	return func(visit func(uint32, *tutela.PDQ) error) error {
		for i := range all {
			if err := visit(uint32(i), &all[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func written(t testing.TB, all []tutela.PDQ, memory int64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(context.Background(), &out, uint64(len(all)), each(all), memory); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(t testing.TB, index []byte, all []tutela.PDQ) *Index {
	t.Helper()
	x, err := Open(index, joined(all))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *Index) found(h tutela.PDQ, radius int) []hit {
	var hits []hit
	x.Search(h, radius, func(id uint32, d int) { hits = append(hits, hit{id, d}) })
	return hits
}

func (x *Index) foundByBatch(queries []tutela.PDQ, radius int) [][]hit {
	hits := make([][]hit, len(queries))
	x.Batch(queries, radius, func(q int, id uint32, d int) { hits[q] = append(hits[q], hit{id, d}) })
	return hits
}

func byID(hits []hit) []hit {
	slices.SortFunc(hits, func(a, b hit) int { return int(a.id) - int(b.id) })
	return hits
}

// check holds both ways of looking up, by every engine of this processor, with
// and without an index, against the plain loop.
func check(t testing.TB, all, queries []tutela.PDQ, radii ...int) {
	t.Helper()
	index := written(t, all, 1<<30)
	for _, radius := range radii {
		want := make([][]hit, len(queries))
		for q := range queries {
			want[q] = plainLoop(all, queries[q], radius)
		}
		for _, bytes := range [][]byte{index, nil} {
			x := opened(t, bytes, all)
			for _, x.engine = range engines() {
				x.check(t, queries, radius, want)
			}
		}
	}
}

func (x *Index) check(t testing.TB, queries []tutela.PDQ, radius int, want [][]hit) {
	t.Helper()
	batch := x.foundByBatch(queries, radius)
	for q, h := range queries {
		if got := byID(x.found(h, radius)); !slices.Equal(got, want[q]) {
			t.Fatalf("%v, radius %d, index %t: Search(%v) found %v, the loop %v", x.engine, radius, x.offsets != nil, h, got, want[q])
		}
		if !slices.Equal(byID(batch[q]), want[q]) {
			t.Fatalf("%v, radius %d: Batch, query %d, found %v, the loop %v", x.engine, radius, q, batch[q], want[q])
		}
		if got := x.Any(h, radius); got != (len(want[q]) > 0) {
			t.Fatalf("%v, radius %d: Any(%v) = %t, the loop found %v", x.engine, radius, h, got, want[q])
		}
	}
}

// TestPlanted puts neighbours at every distance around each question.
func TestPlanted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	queries := randoms(3, 11)
	all := randoms(4, 3000)
	for _, q := range queries {
		for d := 0; d <= 60; d++ {
			all = append(all, near(r, q, d), near(r, q, d))
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	check(t, all, queries, 0, 1, 15, 16, 17, 30, 31, 32, 33, 46, 47, 48, 60)
}
