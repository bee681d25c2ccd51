//go:build unix

package digest

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"
)

// BenchmarkHasher digests contents of one length, which come one after the
// other as fast as they are taken; 64 MiB ones one at a time.
func BenchmarkHasher(b *testing.B) {
	for _, size := range []int{10_000, 700_000, 64 << 20} {
		content := noise(1, size)
		for _, e := range engines() {
			b.Run(fmt.Sprintf("%s/%d", e.name, size), func(b *testing.B) {
				benchmarkRun(b, newHasher(e), func(int) []byte { return content })
			})
		}
		b.Run(fmt.Sprintf("standard library/%d", size), func(b *testing.B) {
			start := processorTime(b)
			for range b.N {
				Sum(bytes.NewReader(content))
			}
			reportProcessorTime(b, int64(b.N*size), start)
		})
	}
}

// BenchmarkRagged digests contents of 1 to 20 kB.
func BenchmarkRagged(b *testing.B) {
	content := noise(1, 20_000)
	for _, e := range engines() {
		b.Run(e.name, func(b *testing.B) {
			benchmarkRun(b, newHasher(e), func(i int) []byte { return content[:1000+i*7919%19000] })
		})
	}
}

func benchmarkRun(b *testing.B, h *Hasher, content func(i int) []byte) {
	start, total := processorTime(b), int64(0)
	ahead := 64
	if len(content(0)) > 1<<20 {
		ahead = 0
	}
	feed := make(chan *Stream, ahead)
	go func() {
		defer close(feed)
		for i := range b.N {
			feed <- &Stream{R: bytes.NewReader(content(i))}
		}
	}()
	if err := h.Run(context.Background(), feed, func(s *Stream) { total += s.Size }); err != nil {
		b.Fatal(err)
	}
	reportProcessorTime(b, total, start)
}

// processorTime is what this process has used of the processors so far, in
// seconds: unlike time, it means something on a machine that is not ours alone.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// reportProcessorTime adds how many gigabytes a second of processor time since
// start has digested. Run with -cpu 1, so that the benchmark's own frame costs nothing.
func reportProcessorTime(b *testing.B, bytes int64, start float64) {
	b.SetBytes(bytes / int64(b.N))
	b.ReportMetric(float64(bytes)/1e9/(processorTime(b)-start), "GB/cpu-s")
}

// BenchmarkKernel shows from how many lanes on a kernel is worth it: where it
// passes the plain engine, whose speed does not depend on them.
func BenchmarkKernel(b *testing.B) {
	const share = arenaBytes/maximumLanes + before + after
	arena := make([]byte, maximumLanes*share)
	for _, d := range digesters {
		for _, e := range engines() {
			k := d.kernel(e)
			k.worth = 1
			for lanes := 1; lanes <= e.lanes; lanes += 1 + lanes/10*5 {
				b.Run(fmt.Sprintf("%s/%s/%d", d.name, e.name, lanes), func(b *testing.B) {
					if k.blocks == nil && e.lanes > 1 {
						b.Skip("no kernel")
					}
					s := newStates(d.algorithm, k)
					var spans [maximumLanes]span
					for i := range lanes {
						spans[i] = span{uint32(i * share), arenaBytes / maximumLanes / 64}
					}
					start := processorTime(b)
					for range b.N {
						s.run(arena, spans)
					}
					reportProcessorTime(b, int64(b.N*lanes*arenaBytes/maximumLanes), start)
				})
			}
		}
	}
}
