package vpdq

import (
	"math/rand/v2"
	"testing"

	"tutela"
	"tutela/internal/pdq"
)

// bits is the zero hash with its first n bits set: bits(n) and bits(m) lie |n-m|
// apart.
func bits(n int) (p tutela.PDQ) {
	for i := range n {
		p[i/8] |= 0x80 >> (i % 8)
	}
	return p
}

func hashes(ns ...int) (list []tutela.PDQ) {
	for _, n := range ns {
		list = append(list, bits(n))
	}
	return list
}

func TestCompareByHand(t *testing.T) {
	for _, c := range []struct {
		name     string
		a, b     []tutela.PDQ
		wantA    int
		wantB    int
		distance int
	}{
		{"the same", hashes(0, 100, 200), hashes(0, 100, 200), 100, 100, 0},
		{"in another order", hashes(200, 0, 100), hashes(0, 100, 200), 100, 100, 0},
		{"at the radius", hashes(0), hashes(31), 100, 100, 31},
		{"beyond the radius", hashes(0), hashes(32), 0, 0, 32},
		{"a clip of a longer one", hashes(100, 200), hashes(0, 50, 100, 150, 200, 250), 100, 33, 0},
		{"one frame meets two", hashes(100), hashes(90, 110, 200), 100, 66, 10},
		{"one of many", append(hashes(0), many(999)...), hashes(0), 1, 100, 0},
		{"nothing in one", nil, hashes(0), 0, 0, 257},
		{"nothing in both", nil, nil, 0, 0, 257},
	} {
		got := Compare(c.a, c.b, pdq.MaxRadius)
		if got.A.Percent() != c.wantA || got.B.Percent() != c.wantB || got.Distance != c.distance {
			t.Errorf("%s: %+v, want %d %% and %d %% at %d", c.name, got, c.wantA, c.wantB, c.distance)
		}
		back := Compare(c.b, c.a, pdq.MaxRadius)
		if back.A != got.B || back.B != got.A || back.Distance != got.Distance {
			t.Errorf("%s: the other way round it is %+v, not %+v", c.name, back, got)
		}
	}
}

// many are hashes that look like nothing else.
func many(n int) []tutela.PDQ {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]tutela.PDQ, n)
	for i := range list {
		for j := range list[i] {
			list[i][j] = byte(r.Uint32())
		}
	}
	return list
}

func TestNearestAreNamed(t *testing.T) {
	c := Compare(hashes(0, 120), hashes(250, 60, 115), pdq.MaxRadius)
	if c.I != 1 || c.J != 2 || c.Distance != 5 {
		t.Errorf("nearest are %d and %d at %d, want 1 and 2 at 5", c.I, c.J, c.Distance)
	}
}

func TestHashesLeavesFlatAndRepeated(t *testing.T) {
	got := Hashes([]tutela.Frame{
		{PDQ: bits(1), Quality: 100}, {PDQ: bits(2), Quality: 49}, {PDQ: bits(3), Quality: 50}, {PDQ: bits(1), Quality: 60},
	})
	if len(got) != 2 || got[0] != bits(1) || got[1] != bits(3) {
		t.Errorf("%v", got)
	}
}

func BenchmarkCompareHours(b *testing.B) {
	x, y := many(3600), many(3600)
	for b.Loop() {
		Compare(x, y, pdq.MaxRadius)
	}
}
