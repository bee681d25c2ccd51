package digest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tutela"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// truth digests with the standard library alone.
func truth(b []byte) tutela.Digests {
	return tutela.Digests{MD5: md5.Sum(b), SHA1: sha1.Sum(b), SHA256: sha256.Sum256(b)}
}

// noise is n bytes that depend on seed alone.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(b)
	return b
}

// eachEngine runs test with every engine this processor has.
func eachEngine(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) { test(t, e) })
	}
}

// digestAll runs contents through h and returns what came out, in order.
func digestAll(t failer, h *Hasher, contents [][]byte, wrap func(io.Reader) io.Reader) []*Stream {
	t.Helper()
	feed := make(chan *Stream, len(contents))
	for i, c := range contents {
		feed <- &Stream{R: wrap(bytes.NewReader(c)), Tag: i}
	}
	close(feed)
	out := make([]*Stream, len(contents))
	if err := h.Run(context.Background(), feed, func(s *Stream) { out[s.Tag.(int)] = s }); err != nil {
		t.Fatal(err)
	}
	return out
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}

func asItIs(r io.Reader) io.Reader { return r }

func check(t failer, contents [][]byte, got []*Stream) {
	t.Helper()
	for i, c := range contents {
		if got[i] == nil {
			t.Errorf("stream %d of %d bytes: never done", i, len(c))
			continue
		}
		if got[i].Err != nil || got[i].Size != int64(len(c)) || got[i].Sum != truth(c) {
			t.Errorf("stream %d of %d bytes: size %d, error %v, digests\n%v, want\n%v",
				i, len(c), got[i].Size, got[i].Err, got[i].Sum, truth(c))
		}
	}
}

func TestBoundaryLengths(t *testing.T) {
	var contents [][]byte
	for _, n := range []int{0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 3072, 10_000,
		32<<10 - 1, 32 << 10, 32<<10 + 1, 64 << 10, 128<<10 + 55, 512<<10 - 8, 512 << 10, 512<<10 + 1, 1<<20 + 60} {
		contents = append(contents, noise(uint64(n), n))
	}
	eachEngine(t, func(t *testing.T, e engine) {
		h := newHasher(e)
		check(t, contents, digestAll(t, h, contents, asItIs))
		for _, c := range contents { // and alone
			check(t, [][]byte{c}, digestAll(t, h, [][]byte{c}, asItIs))
		}
	})
}

func TestRaggedLanes(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		h := newHasher(e)
		rapid.Check(t, func(t *rapid.T) {
			length := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 100_000), rapid.SampledFrom([]int{55, 56, 64, 32 << 10}))
			lengths := rapid.SliceOfN(length, 0, 40).Draw(t, "lengths")
			contents := make([][]byte, len(lengths))
			for i, n := range lengths {
				contents[i] = noise(uint64(i), n)
			}
			check(t, contents, digestAll(t, h, contents, asItIs))
		})
	})
}

func TestOddReaders(t *testing.T) {
	contents := [][]byte{noise(1, 700), nil, noise(2, 40_000), noise(3, 64)}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte":   iotest.OneByteReader,
		"half":       iotest.HalfReader,
		"data error": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, e engine) {
				check(t, contents, digestAll(t, newHasher(e), contents, wrap))
			})
		})
	}
}

func TestReaderErrors(t *testing.T) {
	bad := errors.New("bad sector")
	eachEngine(t, func(t *testing.T, e engine) {
		for _, n := range []int{0, 1, 64, 100_000} {
			fails := func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(bad)) }
			contents := [][]byte{noise(7, n), noise(8, 2*n)}
			for i, s := range digestAll(t, newHasher(e), contents, fails) {
				if s.Err != bad || s.Size != int64(len(contents[i])) || s.Sum != truth(contents[i]) {
					t.Errorf("stream of %d bytes: error %v, size %d, digests %v", len(contents[i]), s.Err, s.Size, s.Sum)
				}
			}
		}
	})
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

func TestReadersThatLie(t *testing.T) {
	for _, test := range []struct {
		name string
		read reader
		want error
	}{
		{"stuck", func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		{"negative", func([]byte) (int, error) { return -1, nil }, errBadReader},
		{"too many", func(p []byte) (int, error) { return len(p) + 1, nil }, errBadReader},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := digestAll(t, NewHasher(), [][]byte{nil}, func(io.Reader) io.Reader { return test.read })[0]
			if !errors.Is(got.Err, test.want) || got.Size != 0 || got.Sum != truth(nil) {
				t.Errorf("error %v, size %d", got.Err, got.Size)
			}
		})
	}
}

func TestTeeSeesEveryByte(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		var seen [5][]byte
		feed := make(chan *Stream, len(seen))
		for i := range seen {
			feed <- &Stream{R: bytes.NewReader(noise(uint64(i), 70_000*i)), Tee: func(p []byte) { seen[i] = append(seen[i], p...) }}
		}
		close(feed)
		if err := newHasher(e).Run(context.Background(), feed, func(*Stream) {}); err != nil {
			t.Fatal(err)
		}
		for i := range seen {
			if !bytes.Equal(seen[i], noise(uint64(i), 70_000*i)) {
				t.Errorf("stream %d: tee saw %d bytes that differ", i, len(seen[i]))
			}
		}
	})
}

func TestRunEndsWithContext(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		ctx, cancel := context.WithCancel(context.Background())
		endless := reader(func(p []byte) (int, error) { cancel(); return len(p), nil })
		feed := make(chan *Stream, 1)
		feed <- &Stream{R: endless}
		var ended []*Stream
		err := newHasher(e).Run(ctx, feed, func(s *Stream) { ended = append(ended, s) })
		if err != context.Canceled || len(ended) != 1 || ended[0].Err != context.Canceled {
			t.Errorf("Run: %v, done: %v", err, ended)
		}
	})
}

// TestHasherCanBeUsedAgain after a Run that was cut off with blocks of ragged
// streams in its arena.
func TestHasherCanBeUsedAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		h := newHasher(e)
		ctx, cancel := context.WithCancel(context.Background())
		feed := make(chan *Stream, 40)
		for i := range cap(feed) {
			feed <- &Stream{R: bytes.NewReader(noise(uint64(i), 100_000+1000*i))}
		}
		done, failed := 0, 0
		h.Run(ctx, feed, func(s *Stream) {
			if done++; done == 20 {
				cancel()
			}
			if s.Err != nil {
				failed++
			}
			if s.Err == nil && s.Sum == (tutela.Digests{}) || s.Err != nil && s.Sum != (tutela.Digests{}) {
				t.Errorf("error %v with digests %v", s.Err, s.Sum)
			}
		})
		if e.lanes > 1 && failed == 0 {
			t.Error("no stream was given up on")
		}
		contents := [][]byte{noise(1, 70_000), nil, noise(2, 100)}
		check(t, contents, digestAll(t, h, contents, asItIs))
	})
}

func TestRunWaitsForSlowFeeds(t *testing.T) {
	feed := make(chan *Stream)
	go func() {
		defer close(feed)
		for i := range 100 {
			feed <- &Stream{R: bytes.NewReader(noise(uint64(i), 1000*i)), Tag: i}
		}
	}()
	done := 0
	err := NewHasher().Run(context.Background(), feed, func(s *Stream) {
		done++
		if s.Sum != truth(noise(uint64(s.Tag.(int)), 1000*s.Tag.(int))) {
			t.Errorf("stream %v differs", s.Tag)
		}
	})
	if err != nil || done != 100 {
		t.Errorf("Run: %v after %d streams", err, done)
	}
}

// TestLargeStreamsAreShared: a Hasher that has a long stream leaves the next
// ones at hand to others for a while.
func TestLargeStreamsAreShared(t *testing.T) {
	const large = 4 * arenaBytes
	feed := make(chan *Stream, 3)
	left := -1
	for range cap(feed) {
		feed <- &Stream{R: io.LimitReader(reader(func(p []byte) (int, error) {
			if left < 0 {
				left = len(feed) // when the first byte is asked for
			}
			return len(p), nil
		}), large)}
	}
	close(feed)
	if err := NewHasher().Run(context.Background(), feed, func(*Stream) {}); err != nil {
		t.Fatal(err)
	}
	if left != 2 {
		t.Errorf("%d streams left for others, want 2", left)
	}
}

func TestSum(t *testing.T) {
	for _, n := range []int{0, 1, 100_000} {
		got, size, err := Sum(bytes.NewReader(noise(1, n)))
		if err != nil || size != int64(n) || got != truth(noise(1, n)) {
			t.Errorf("%d bytes: size %d, error %v, digests %v", n, size, err, got)
		}
	}
}

func FuzzEnginesAgree(f *testing.F) {
	f.Add([]byte("abc"), uint16(1), uint16(700))
	f.Add(bytes.Repeat([]byte{0}, 1000), uint16(64), uint16(65))
	f.Fuzz(func(t *testing.T, data []byte, cut, step uint16) {
		var contents [][]byte
		for i := 0; i < 20; i++ {
			from := min(len(data), i*int(cut))
			to := min(len(data), from+i*int(step))
			contents = append(contents, bytes.Repeat(data[from:to], 1+i%3))
		}
		for _, e := range engines() {
			check(t, contents, digestAll(t, newHasher(e), contents, asItIs))
		}
	})
}
