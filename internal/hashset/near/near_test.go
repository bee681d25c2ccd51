package near

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

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

// TestProperty draws sets out of few band values, so that lists are long, chains
// are many and hashes come more than once, and asks for what lies around them.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		values := randoms(r.Uint64(), rapid.IntRange(1, 3).Draw(rt, "values"))
		all := make([]tutela.PDQ, rapid.IntRange(0, 700).Draw(rt, "hashes"))
		loose := rapid.IntRange(0, bandCount).Draw(rt, "loose bands")
		for i := range all {
			all[i] = random(r)
			for _, b := range r.Perm(bandCount)[loose:] {
				copy(all[i][2*b:2*b+2], values[r.IntN(len(values))][2*b:])
			}
		}
		queries := make([]tutela.PDQ, rapid.IntRange(1, 2*groupSize+1).Draw(rt, "queries"))
		for i := range queries {
			queries[i] = values[r.IntN(len(values))]
			if len(all) > 0 && i%2 == 0 {
				queries[i] = all[r.IntN(len(all))]
			}
			queries[i] = near(r, queries[i], r.IntN(MaxRadius+10))
		}
		check(t, all, queries, rapid.IntRange(-1, 70).Draw(rt, "radius"))
	})
}

// TestChains spreads differing bits over the bands so that which band a chain
// may begin at is all but undecided: evenly, then some moved between bands that
// stand close.
func TestChains(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, radius := range []int{0, 15, 16, 31, 32, 47} {
		query := random(r)
		all := make([]tutela.PDQ, 5000)
		for i := range all {
			all[i] = withDiffering(r, query, spread(r, radius+r.IntN(2)))
		}
		check(t, all, []tutela.PDQ{query}, radius)
	}
}

// spread is how many bits each band differs in, all together total.
func spread(r *rand.Rand, total int) (differs [bandCount]int) {
	for i := range total {
		differs[i%bandCount]++
	}
	r.Shuffle(bandCount, func(i, j int) { differs[i], differs[j] = differs[j], differs[i] })
	for range r.IntN(10) {
		from := r.IntN(bandCount)
		to := (from + 1 + r.IntN(3)) % bandCount
		if r.IntN(2) == 0 {
			from, to = to, from
		}
		if differs[from] > 0 && differs[to] < bandBits {
			differs[from], differs[to] = differs[from]-1, differs[to]+1
		}
	}
	return differs
}

func withDiffering(r *rand.Rand, h tutela.PDQ, differs [bandCount]int) tutela.PDQ {
	for b, d := range differs {
		for _, bit := range r.Perm(bandBits)[:d] {
			h[2*b+bit/8] ^= 1 << (bit % 8)
		}
	}
	return h
}

// TestSame has more hits in one list than a kernel puts down at once.
func TestSame(t *testing.T) {
	all := make([]tutela.PDQ, 1000)
	for i := range all {
		all[i][31] = byte(i % 3)
	}
	check(t, all, make([]tutela.PDQ, 3), 0, 1, 31, 47, 48, 255, 256)
}

// TestSizes has sets that end everywhere in a block and in a vector.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 511, 512, 513, 1025} {
		all := randoms(7, n)
		check(t, all, append(all[:min(n, 9):min(n, 9)], tutela.PDQ{}), 0, 31, 100)
	}
}

// TestKernels holds the kernels of every engine against the plain ones on all
// they leave, which look-ups confirm and so would hide.
func TestKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 20 {
		var b block
		var group [groupSize]tutela.PDQ
		for i := range group {
			group[i] = random(r)
		}
		for i := range blockSize {
			h := near(r, group[r.IntN(groupSize)], r.IntN(100))
			for k, word := range wordsOf(h[:]) {
				b.words[k][i] = word
			}
		}
		for _, e := range engines() {
			var got, want marks
			if some := e.sweepNarrow(&b, &group, &got); some != sweepNarrowPlain(&b, &group, &want) || got != want {
				t.Fatalf("%v, narrow: %x, plain %x", e, got, want)
			}
			limit := r.IntN(65)
			if some := e.sweepWide(&b, &group, limit, &got); some != sweepWidePlain(&b, &group, limit, &want) || got != want {
				t.Fatalf("%v, wide, limit %d: %x, plain %x", e, limit, got, want)
			}
		}
	}
}

// TestFilters holds the filters against the plain one over many spans, of
// which some fill the hits.
func TestFilters(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	postings := make([]byte, 4*5000)
	for i := range 5000 {
		binary.LittleEndian.PutUint32(postings[4*i:], 3<<r.IntN(31))
	}
	for range 200 {
		spans := make([]span, 1+r.IntN(60))
		for i := range spans {
			count := r.IntN(80)
			if r.IntN(10) == 0 {
				count = r.IntN(1000)
			}
			spans[i] = span{at: uint64(r.IntN(5001 - count)), count: uint32(count), signature: uint32(1) << r.IntN(32), limit: uint32(r.IntN(5))}
			if r.IntN(3) == 0 {
				spans[i].limit = 0
			}
		}
		want := allHits(plain, postings, spans)
		for _, e := range engines() {
			if got := allHits(e, postings, spans); !slices.Equal(got, want) {
				t.Fatalf("%v found %d, the plain filter %d", e, len(got), len(want))
			}
		}
	}
}

func allHits(e engine, postings []byte, spans []span) (all []uint64) {
	spans = slices.Clone(spans)
	var hits [hitRoom]uint64
	for len(spans) > 0 {
		done, found := e.filter(postings, spans, &hits)
		all, spans = append(all, hits[:found]...), spans[done:]
	}
	return all
}

// TestOrder: every engine visits in the same order.
func TestOrder(t *testing.T) {
	all := make([]tutela.PDQ, 3000)
	r := rand.New(rand.NewPCG(12, 13))
	for i := range all {
		all[i] = near(r, tutela.PDQ{}, r.IntN(40))
	}
	x := opened(t, written(t, all, 1<<30), all)
	x.engine = plain
	want, batch := x.found(tutela.PDQ{}, 31), x.foundByBatch(make([]tutela.PDQ, 3), 31)
	for _, x.engine = range engines() {
		if !slices.Equal(x.found(tutela.PDQ{}, 31), want) {
			t.Errorf("%v: Search visits in another order", x.engine)
		}
		if !slices.EqualFunc(x.foundByBatch(make([]tutela.PDQ, 3), 31), batch, slices.Equal) {
			t.Errorf("%v: Batch visits in another order", x.engine)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	all := randoms(14, 1000)
	for _, index := range [][]byte{written(t, all, 1<<30), nil} {
		x := opened(t, index, all)
		for _, x.engine = range engines() {
			allocations := testing.AllocsPerRun(10, func() {
				x.Search(all[0], 31, func(uint32, int) {})
				x.Any(all[0], 31)
				x.Batch(all[:9], 31, func(int, uint32, int) {})
			})
			if allocations > 0 {
				t.Errorf("%v: %v allocations", x.engine, allocations)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	all := randoms(15, 2000)
	x := opened(t, written(t, all, 1<<30), all)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := g; i < len(all); i += 40 {
				if got := x.found(all[i], 31); !slices.Equal(got, []hit{{uint32(i), 0}}) {
					t.Errorf("hash %d: found %v", i, got)
				}
			}
		})
	}
	wait.Wait()
}

func TestOpenRefusesShapes(t *testing.T) {
	all := randoms(16, 10)
	index := written(t, all, 1<<30)
	if uint64(len(index)) != Size(10) {
		t.Errorf("index of %d bytes, Size says %d", len(index), Size(10))
	}
	for _, c := range []struct{ index, hashes []byte }{
		{nil, make([]byte, 31)},
		{index[:len(index)-1], joined(all)},
		{index, joined(all[:9])},
		{index[:offsetsSize-8], nil},
		{make([]byte, 1), nil},
	} {
		if _, err := Open(c.index, c.hashes); !errors.Is(err, ErrShape) {
			t.Errorf("%d bytes over %d: %v", len(c.index), len(c.hashes), err)
		}
	}
}

// FuzzOpen turns bytes of an index over and looks up: it may find less or twice,
// but nothing that is not so.
func FuzzOpen(f *testing.F) {
	all := append(randoms(17, 300), make([]tutela.PDQ, 100)...)
	index := written(f, all, 1<<30)
	f.Add([]byte{}, byte(31))
	f.Add([]byte{0, 0, 0, 4, 255, 255, 255, 255}, byte(31))
	f.Add([]byte{0, 0, 0, 0, 144, 1, 0, 0, 0, 64, 0, 4, 255, 0, 0, 0}, byte(47))
	f.Fuzz(func(t *testing.T, changes []byte, radius byte) {
		index := slices.Clone(index)
		for ; len(changes) >= 8; changes = changes[8:] {
			at := int(binary.LittleEndian.Uint32(changes)) % (len(index) - 4)
			copy(index[at:], changes[4:8])
		}
		x := opened(t, index, all)
		for _, x.engine = range engines() {
			for _, h := range []tutela.PDQ{{}, all[0]} {
				x.checkTrue(t, all, h, int(radius)%(MaxRadius+1))
			}
		}
	})
}

func (x *Index) checkTrue(t *testing.T, all []tutela.PDQ, h tutela.PDQ, radius int) {
	t.Helper()
	x.Search(h, radius, func(id uint32, d int) {
		if d > radius || d != differ(all[id], h) {
			t.Fatalf("%v, radius %d: hash %d is at %d, not %d", x.engine, radius, id, differ(all[id], h), d)
		}
	})
}

// TestDeceit changes every part of an index at random, a lot.
func TestDeceit(t *testing.T) {
	all := append(randoms(18, 200), make([]tutela.PDQ, 200)...)
	honest := written(t, all, 1<<30)
	r := rand.New(rand.NewPCG(19, 20))
	for range 30 {
		index := slices.Clone(honest)
		for range 20000 {
			binary.LittleEndian.PutUint32(index[4*r.IntN(len(index)/4):], uint32(r.Uint64()>>(32+r.IntN(32))))
		}
		x := opened(t, index, all)
		for _, x.engine = range engines() {
			x.checkTrue(t, all, tutela.PDQ{}, 31)
			x.checkTrue(t, all, all[3], 47)
		}
	}
}
