package near

import (
	"context"
	"fmt"
	"io"
	"testing"
)

func eachEngine(b *testing.B, x *Index, run func(b *testing.B, x *Index)) {
	for _, e := range engines() {
		with := *x
		with.engine = e
		b.Run(e.String(), func(b *testing.B) { run(b, &with) })
	}
}

// BenchmarkSearch is one look-up by the index, of a hash that is not in the set.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{1e4, 1e6, 4e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all, queries := randoms(1, n), randoms(2, 1<<14)
			x := opened(b, written(b, all, 1<<30), all)
			for _, radius := range []int{31, 47} {
				b.Run(fmt.Sprint(radius), func(b *testing.B) {
					eachEngine(b, x, func(b *testing.B, x *Index) {
						for i := 0; b.Loop(); i++ {
							x.Search(queries[i%len(queries)], radius, func(uint32, int) { b.Fatal("a random hash is near") })
						}
					})
				})
			}
		})
	}
}

// BenchmarkBatch is 1,000 look-ups at once by going through all hashes.
func BenchmarkBatch(b *testing.B) {
	all, queries := randoms(1, 1<<18), randoms(2, 1000)
	x := opened(b, nil, all)
	for _, radius := range []int{31, 47} {
		b.Run(fmt.Sprint(radius), func(b *testing.B) {
			eachEngine(b, x, func(b *testing.B, x *Index) {
				for b.Loop() {
					x.Batch(queries, radius, func(int, uint32, int) { b.Fatal("a random hash is near") })
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all))/float64(len(queries))*1000, "ps/pair")
			})
		})
	}
}

// BenchmarkThrough is one look-up by going through all hashes.
func BenchmarkThrough(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			queries := randoms(2, 1024)
			x := opened(b, nil, randoms(1, n))
			for i := 0; b.Loop(); i++ {
				x.Search(queries[i%len(queries)], 31, func(uint32, int) { b.Fatal("a random hash is near") })
			}
		})
	}
}

// BenchmarkWrite makes an index of a million hashes that lie in memory.
func BenchmarkWrite(b *testing.B) {
	all := randoms(1, 1e6)
	for _, memory := range []int64{16 << 20, 64 << 20, 1 << 30} {
		b.Run(fmt.Sprintf("%dMiB", memory>>20), func(b *testing.B) {
			for b.Loop() {
				if err := Write(context.Background(), io.Discard, uint64(len(all)), each(all), memory); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
