package stack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tutela"
	"tutela/internal/pdq"
)

// plain keeps the same promises by going through everything: no index, no
// bookkeeping.
type plain struct {
	pictures []tutela.PDQ
	stacks   [][]int // places of pictures
	medoids  []int
}

func (s *plain) add(h tutela.PDQ) int {
	best, least := -1, Radius+1
	for n, m := range s.medoids {
		if d := pdq.Distance(h, s.pictures[m]); d < least {
			best, least = n, d
		}
	}
	p := len(s.pictures)
	s.pictures = append(s.pictures, h)
	if best < 0 {
		s.stacks = append(s.stacks, []int{p})
		s.medoids = append(s.medoids, p)
		return len(s.stacks) - 1
	}
	s.stacks[best] = append(s.stacks[best], p)
	s.choose(best)
	return best
}

func (s *plain) choose(n int) {
	members := s.stacks[n]
	if !slices.Contains([]int{3, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}, len(members)) {
		return
	}
	best, least := s.medoids[n], s.sum(members, s.medoids[n])
	for i := 0; i < len(members); i += max(1, len(members)/16) {
		if sum := s.sum(members, members[i]); sum >= 0 && sum < least {
			best, least = members[i], sum
		}
	}
	s.medoids[n] = best
}

func (s *plain) sum(members []int, from int) (sum int) {
	for _, p := range members {
		d := pdq.Distance(s.pictures[p], s.pictures[from])
		if d > Radius {
			return -1
		}
		sum += d
	}
	return sum
}

// alike draws hashes in families, so that stacks grow and overlap: each is an
// earlier one with up to 45 bits turned, or a new one.
func alike(t *rapid.T, count int) []tutela.PDQ {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	founders := rapid.IntRange(1, 6).Draw(t, "founders")
	spread := rapid.IntRange(0, 45).Draw(t, "spread")
	return family(rnd, count, founders, spread)
}

func family(rnd *rand.Rand, count, founders, spread int) []tutela.PDQ {
	all := make([]tutela.PDQ, 0, count)
	for i := range count {
		var h tutela.PDQ
		if i < founders {
			for k := range h {
				h[k] = byte(rnd.Uint32())
			}
		} else {
			h = turned(rnd, all[rnd.IntN(i)], rnd.IntN(spread+1))
		}
		all = append(all, h)
	}
	return all
}

// turned has so many bits turned, or fewer where one is hit twice.
func turned(rnd *rand.Rand, h tutela.PDQ, count int) tutela.PDQ {
	for range count {
		bit := rnd.IntN(256)
		h[bit/8] ^= 1 << (bit % 8)
	}
	return h
}

func TestTheSameStacksAsByGoingThroughAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := New(), &plain{}
		for i, h := range alike(t, rapid.IntRange(1, 300).Draw(t, "count")) {
			if n := want.add(h); n != add(s, uint64(i), h) {
				t.Fatalf("picture %d belongs on stack %d", i, n)
			}
		}
		for n, m := range want.medoids {
			if s.Medoid(n).ID != uint64(m) {
				t.Fatalf("the medoid of stack %d is %d, not %d", n, s.Medoid(n).ID, m)
			}
		}
		promises(t, s)
	})
}

func add(s *Stacks, id uint64, h tutela.PDQ) int {
	n, ok := s.Add(id, h, pdq.MinQuality)
	if !ok {
		return -1
	}
	return n
}

type fataler interface{ Fatalf(string, ...any) }

// promises checks what must hold of any stacks.
func promises(t fataler, s *Stacks) {
	seen := map[uint64]bool{}
	for n := range s.Len() {
		medoid, count, there := s.Medoid(n), 0, false
		for m := range s.Members(n) {
			if d := pdq.Distance(m.PDQ, medoid.PDQ); d > Radius || d != m.Distance {
				t.Fatalf("picture %d is %d bits from the medoid of stack %d, told %d", m.ID, d, n, m.Distance)
			}
			if seen[m.ID] {
				t.Fatalf("picture %d is twice on stacks", m.ID)
			}
			seen[m.ID] = true
			there = there || m.ID == medoid.ID
			count++
		}
		if !there || count != s.Size(n) {
			t.Fatalf("stack %d: %d pictures of %d, medoid there: %v", n, count, s.Size(n), there)
		}
	}
	if len(seen) != s.Pictures() {
		t.Fatalf("%d pictures on stacks, %d told", len(seen), s.Pictures())
	}
}

// The index passes from chains to arrays and on, which small runs never see.
func TestManyStacksKeepThePromises(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	s, want := New(), &plain{}
	for i, h := range family(rnd, 7000, 5500, 40) {
		if n := want.add(h); n != add(s, uint64(i), h) {
			t.Fatalf("picture %d belongs on stack %d", i, n)
		}
	}
	if len(s.index.listed[0]) == 0 || len(s.index.young) == 0 {
		t.Error("arrays and chains were not both in use")
	}
	promises(t, s)
}

// Each is within the radius of the one before: single links would join all.
func TestAChainIsNotOneStack(t *testing.T) {
	s := New()
	var h tutela.PDQ
	for i := range 8 {
		for bit := range 30 {
			h[(30*i+bit)/8] ^= 1 << ((30*i + bit) % 8)
		}
		add(s, uint64(i), h)
	}
	if s.Len() < 3 {
		t.Errorf("%d stacks", s.Len())
	}
	promises(t, s)
}

func TestTheMedoidMovesToTheMiddle(t *testing.T) {
	s := New()
	add(s, 1, tutela.PDQ{0xff, 0xff})       // 16 bits from the middle
	add(s, 2, tutela.PDQ{})                 // the middle
	add(s, 3, tutela.PDQ{0, 0, 0x0f, 0x0f}) // 8 bits, on the other side
	if s.Len() != 1 || s.Medoid(0).ID != 2 {
		t.Errorf("%d stacks, the medoid is %d", s.Len(), s.Medoid(0).ID)
	}
	ids := []uint64{}
	for m := range s.Members(0) {
		ids = append(ids, m.ID)
	}
	if !slices.Equal(ids, []uint64{1, 2, 3}) {
		t.Errorf("members %v", ids)
	}
}

func TestFindTellsWhereAPictureWouldGo(t *testing.T) {
	s := New()
	add(s, 1, tutela.PDQ{0xff, 0xff})
	if n, d, ok := s.Find(tutela.PDQ{0xff}); n != 0 || d != 8 || !ok {
		t.Errorf("stack %d, %d bits, %v", n, d, ok)
	}
	if _, _, ok := s.Find(tutela.PDQ{0, 0, 0xff, 0xff, 0xff}); ok {
		t.Error("40 bits are near")
	}
	if s.Pictures() != 1 {
		t.Error("Find added")
	}
}

func TestTheRadiusIsExact(t *testing.T) {
	for d := range 40 {
		s, h := New(), tutela.PDQ{}
		add(s, 1, h)
		for i := range d {
			h[i%32] |= 1 << (i / 32) // spread over all bands
		}
		if n := add(s, 2, h); (n == 0) != (d <= Radius) {
			t.Errorf("%d bits: stack %d", d, n)
		}
	}
}

func TestFlatPicturesAreNotStacked(t *testing.T) {
	s := New()
	if _, ok := s.Add(1, tutela.PDQ{}, pdq.MinQuality-1); ok || s.Pictures() != 0 {
		t.Error("a flat picture is on a stack")
	}
}

func TestStoredStacksGoOnAsIfNothingHadBeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := alike(t, rapid.IntRange(0, 200).Draw(t, "count")+6)
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		whole, part := New(), New()
		for i, h := range all {
			add(whole, uint64(i), h)
			if i == cut {
				part = stored(t, part)
			}
			add(part, uint64(i), h)
		}
		if !bytes.Equal(written(t, whole), written(t, part)) {
			t.Fatalf("other stacks after storing at %d", cut)
		}
	})
}

func written(t fataler, s *Stacks) []byte {
	var b bytes.Buffer
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d of %d: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func stored(t fataler, s *Stacks) *Stacks {
	back, err := Read(bytes.NewReader(written(t, s)))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return back
}

func few(t fataler) []byte {
	s := New()
	for i, h := range family(rand.New(rand.NewPCG(1, 2)), 12, 4, 20) {
		add(s, uint64(i), h)
	}
	return written(t, s)
}

func TestEveryDamagedByteIsSeen(t *testing.T) {
	good := few(t)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := Read(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: error %v", i, err)
		}
		if _, err := Read(bytes.NewReader(good[:i])); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: error %v", i, err)
		}
	}
}

// Bytes with a true checksum that break a promise.
func TestStacksThatBreakAPromiseAreRefused(t *testing.T) {
	const medoids, rows = len(magic) + 8, len(magic) + 8 + 4*4
	for name, breaks := range map[string]func([]byte){
		"medoid of another stack":  func(b []byte) { b[medoids] = 1 },
		"medoid that is not there": func(b []byte) { b[medoids+3] = 1 },
		"stack that never began":   func(b []byte) { b[rows+40] = 9 },
		"picture too far":          func(b []byte) { copy(b[rows+11*rowSize+8:], make([]byte, 32)) },
		"fewer stacks":             func(b []byte) { b[len(magic)+4]-- },
		"endless pictures":         func(b []byte) { b[len(magic)+3] = 0xff },
		"endless stacks":           func(b []byte) { b[len(magic)+7] = 0xff },
	} {
		bad := few(t)
		breaks(bad)
		if _, err := Read(bytes.NewReader(summed(bad))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// summed has its checksum made anew.
func summed(b []byte) []byte {
	body := b[:len(b)-4]
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

func TestReadLeavesWhatFollows(t *testing.T) {
	r := bytes.NewReader(append(few(t), "more"...))
	if _, err := Read(r); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "more" {
		t.Errorf("%q follows", rest)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(few(f))
	f.Add(written(f, New()))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range [][]byte{b, summed(append(bytes.Clone(b), 0, 0, 0, 0))} {
			s, err := Read(bytes.NewReader(form))
			if err != nil {
				continue
			}
			for n := range s.Len() {
				for m := range s.Members(n) {
					if m.Distance > Radius {
						t.Fatalf("picture %d is %d bits from its medoid", m.ID, m.Distance)
					}
				}
			}
			if again := written(t, s); !bytes.Equal(again, form[:len(again)]) {
				t.Fatal("other bytes when written again")
			}
		}
	})
}

// BenchmarkAdd adds a million pictures; two of three are like no other, which is
// the dearer case.
func BenchmarkAdd(b *testing.B) {
	all := lab(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		s := New()
		for i, h := range all {
			s.Add(uint64(i), h, 100)
		}
		b.ReportMetric(float64(s.Len()), "stacks")
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(all))*1e6, "µs/picture")
}

// lab is what a lab's pictures are like: two thirds unlike any other, the rest
// like one that was there before.
func lab(count int) []tutela.PDQ {
	rnd := rand.New(rand.NewPCG(3, 4))
	all := make([]tutela.PDQ, count)
	for i := range all {
		if i > 0 && i%3 == 0 {
			all[i] = turned(rnd, all[rnd.IntN(i)], rnd.IntN(24))
			continue
		}
		for k := 0; k < 32; k += 8 {
			binary.LittleEndian.PutUint64(all[i][k:], rnd.Uint64())
		}
	}
	return all
}
