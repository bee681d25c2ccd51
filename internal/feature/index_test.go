package feature

import (
	"fmt"
	"image"
	"testing"
)

// TestIndexAgainstThePlainLoop holds what the index finds against Verify with
// every known picture: nothing else, and here all of it.
func TestIndexAgainstThePlainLoop(t *testing.T) {
	var originals []*image.Gray
	var sets []Set
	for i := range 40 {
		g := picture(uint64(200+i), 480, 360)
		originals, sets = append(originals, g), append(sets, Extract(g))
		if i%10 == 0 {
			sets, originals = append(sets, Set{}), append(originals, image.NewGray(g.Rect))
		}
	}
	index := NewIndex(sets)
	for i, g := range originals {
		for name, query := range map[string]Set{
			"part":     Extract(cut(g, 0.1, 0.1, 0.8, 0.9)),
			"mirrored": Extract(cut(mirrored(g), 0, 0, 0.9, 0.9)),
		} {
			want := plain(query, sets)
			got := fmt.Sprint(index.Search(query))
			if got != fmt.Sprint(want) {
				t.Errorf("%s of %d: found %s, want %v", name, i, got, want)
			}
			if sets[i].Len() > 0 && (len(want) == 0 || want[0].Known != i) {
				t.Errorf("%s of %d is not found by the loop either", name, i)
			}
		}
	}
}

func plain(query Set, sets []Set) (hits []Hit) {
	for i, s := range sets {
		if e, ok := Verify(query, s); ok {
			hits = append(hits, Hit{i, e})
		}
	}
	return hits
}

func TestEmptyIndex(t *testing.T) {
	query := Extract(picture(1, 320, 240))
	for _, sets := range [][]Set{nil, {{}}, {{}, {}}} {
		if hits := NewIndex(sets).Search(query); len(hits) != 0 {
			t.Errorf("%v", hits)
		}
	}
}

// BenchmarkSearch looks for a part of one of 20,000 known pictures. All but the
// drawn ones have places that look like nothing.
func BenchmarkSearch(b *testing.B) {
	sets := make([]Set, 20_000)
	for i := range sets {
		sets[i] = random(uint64(i))
	}
	g := picture(1, 640, 480)
	sets[777] = Extract(g)
	index := NewIndex(sets)
	query := Extract(cut(g, 0.1, 0.1, 0.8, 0.9))
	for b.Loop() {
		if hits := index.Search(query); len(hits) != 1 || hits[0].Known != 777 {
			b.Fatal(hits)
		}
	}
}
