package carve

import (
	"context"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func benchmark(b *testing.B, image []byte) {
	src := evidencetest.Source(image)
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		fs := New(src, []tutela.Run{{Length: src.Size()}})
		if err := fs.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkZeros(b *testing.B) { benchmark(b, make([]byte, 256<<20)) }
func BenchmarkNoise(b *testing.B) { benchmark(b, noise(256<<20, 1)) }

// BenchmarkFiles is free space that is full of files.
func BenchmarkFiles(b *testing.B) {
	for _, s := range append(publicSamples(b), sample{name: "film", bytes: file(b, "testdata/film.mkv")}) {
		b.Run(s.name, func(b *testing.B) {
			var d disk
			for len(d.bytes) < 32<<20 {
				d.put(s, make([]byte, sector))
			}
			benchmark(b, d.bytes)
		})
	}
}
