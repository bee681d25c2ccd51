package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest/objectstore"
)

// A server that does what no good one does. What it says of the object is told
// by HEAD; get answers every GET.
func badServer(t *testing.T, size int, get http.HandlerFunc) *Storage {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Wed, 25 Nov 2026 12:00:00 GMT")
		w.Header().Set("ETag", `"first"`)
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			return
		}
		get(w, r)
	}))
	t.Cleanup(s.Close)
	return openStorage(t, "", Options{
		Endpoint: s.URL, Region: "here", Credentials: credentials.NewStaticV4("a", "b", ""), Attempts: 3, Patience: time.Second, pause: time.Millisecond,
	})
}

func partial(w http.ResponseWriter, contentRange, body string) {
	w.Header().Set("Content-Range", contentRange)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusPartialContent)
	w.Write([]byte(body))
}

// No answer but the right one becomes bytes.
func TestWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		get  http.HandlerFunc
		says string
	}{
		"another range": {func(w http.ResponseWriter, _ *http.Request) { partial(w, "bytes 1-4/4", "bcde") }, "bytes 1-4/4"},
		"another size":  {func(w http.ResponseWriter, _ *http.Request) { partial(w, "bytes 0-3/5", "abcd") }, "bytes 0-3/5"},
		"no range":      {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("abcd")) }, `sent ""`},
		"too short":     {func(w http.ResponseWriter, _ *http.Request) { partial(w, "bytes 0-3/4", "ab") }, "unexpected EOF"},
		"another object": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"second"`)
			partial(w, "bytes 0-3/4", "abcd")
		}, "replaced while it was read"},
		"no object": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("ETag")
			partial(w, "bytes 0-3/4", "abcd")
		}, "replaced while it was read"},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Write([]byte("hello\n"))
			c.Close()
		}, "does not answer"},
		"busy": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte("<Error><Code>SlowDown</Code><Message>later</Message></Error>"))
		}, "SlowDown"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustOpen(t, badServer(t, 4, c.get), "x")
			n, err := f.ReadAt(make([]byte, 4), 0)
			if _, ok := errors.AsType[*evidence.ReadError](err); n != 0 || !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}

// What passes is waited for: the third attempt is answered.
func TestTriedAgain(t *testing.T) {
	var asked atomic.Int64
	f := mustOpen(t, badServer(t, 4, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if r.Header.Get("If-Match") != `"first"` || r.Header.Get("Range") != "bytes=0-3" {
			t.Errorf("asked with %v", r.Header)
		}
		partial(w, "bytes 0-3/4", "abcd")
	}), "x")
	b := make([]byte, 4)
	if n, err := f.ReadAt(b, 0); n != 4 || err != nil || string(b) != "abcd" || asked.Load() != 3 {
		t.Errorf("%q, %v after %d requests", b[:n], err, asked.Load())
	}
}

// A reader that jumps about is given pieces, one that goes forward blocks, and
// those ahead of it; the store is asked once for each.
func TestReadAhead(t *testing.T) {
	content := noise(8 * blockSize)
	var mu sync.Mutex
	var asked []string
	st := badServer(t, len(content), func(w http.ResponseWriter, r *http.Request) {
		var from, to int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
		mu.Lock()
		asked = append(asked, fmt.Sprintf("%d KiB at %d", (to+1-from)>>10, from>>10))
		mu.Unlock()
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(content[from : to+1])
	})
	f := mustOpen(t, st, "x")
	b := make([]byte, 64<<10)
	for _, c := range []struct {
		at    int64 // KiB
		wants []string
	}{
		{0, []string{"256 KiB at 0"}},
		{100, nil},
		{5 * 8192, []string{"256 KiB at 40960"}},
		{300, []string{"8192 KiB at 0"}}, // goes forward
		{900, nil},
		{8192, []string{"8192 KiB at 16384", "8192 KiB at 24576", "8192 KiB at 32768", "8192 KiB at 8192"}},
		{2 * 8192, []string{"8192 KiB at 40960"}}, // the third ahead; the others are on their way
		{5 * 8192, nil},
		{6*8192 + 700, []string{"8192 KiB at 49152", "8192 KiB at 57344"}},
	} {
		asked = nil
		off := c.at << 10
		if n, err := f.ReadAt(b, off); err != nil || !bytes.Equal(b[:n], content[off:off+int64(n)]) {
			t.Fatal(err)
		}
		st.blocks.work.Wait()
		slices.Sort(asked)
		if !slices.Equal(asked, c.wants) {
			t.Errorf("reading at %d KiB asked for %q, want %q", c.at, asked, c.wants)
		}
	}
}

// BenchmarkSequential reads an image of 64 MiB from its beginning to its end in
// pieces of 64 KiB: by blocks, and by a request for each piece.
func BenchmarkSequential(b *testing.B) {
	const size, piece = 64 << 20, 64 << 10
	s := newServer(b)
	s.put(b, "disk.dd", noise(size))
	buf := make([]byte, piece)
	b.Run("blocks", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			f := mustOpen(b, openStorage(b, "", s.options()), "disk.dd")
			for off := int64(0); off < size; off += piece {
				if _, err := f.ReadAt(buf, off); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("requests", func(b *testing.B) {
		b.SetBytes(size)
		st := openStorage(b, "", s.options())
		for b.Loop() {
			for off := int64(0); off < size; off += piece {
				var o minio.GetObjectOptions
				o.SetRange(off, off+piece-1)
				body, _, _, err := st.client.api.GetObject(context.Background(), objectstore.Bucket, "disk.dd", o)
				if err != nil {
					b.Fatal(err)
				}
				if err := fill(body, buf); err != nil {
					b.Fatal(err)
				}
				body.Close()
			}
		}
	})
}

func fill(from io.Reader, b []byte) error {
	_, err := io.ReadFull(from, b)
	return err
}
