package s3

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"

	"tutela/internal/evidencetest/objectstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real one, which ends with the test.
type server struct{ *objectstore.Server }

const bucketName = objectstore.Bucket

func newServer(t testing.TB) server {
	t.Helper()
	s, err := objectstore.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return server{s}
}

func (s server) put(t testing.TB, key string, content []byte) {
	t.Helper()
	if err := s.Put(key, content); err != nil {
		t.Fatal(err)
	}
}

// options are those of an examiner who does not wait long.
func (s server) options() Options {
	return Options{
		Endpoint: s.URL(), Credentials: credentials.NewStaticV4(objectstore.Access, objectstore.Secret, ""),
		Attempts: 3, Patience: 2 * time.Second, pause: 10 * time.Millisecond,
	}
}

func openStorage(t testing.TB, prefix string, options Options) *Storage {
	t.Helper()
	st, err := Open(context.Background(), Folder{bucketName, prefix}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// noise is content that does not repeat.
func noise(size int) []byte {
	b := make([]byte, size)
	x := uint64(88172645463325252)
	for i := range b {
		if i%8 == 0 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		b[i] = byte(x >> (8 * (i % 8)))
	}
	return b
}

// proxy stands before a server. What it does to a connection is decided when the
// connection is made.
type proxy struct {
	net.Listener
	done chan struct{}
}

// newProxy passes at most bytes of the answers of each connection on and then
// falls silent, with the connection open.
func newProxy(t *testing.T, to string, bytes int64) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l, make(chan struct{})}
	go p.serve(to, bytes)
	t.Cleanup(func() { close(p.done); l.Close() })
	return p
}

func (p *proxy) serve(to string, bytes int64) {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		go func() { <-p.done; in.Close(); out.Close() }()
		go io.Copy(out, in)
		go io.CopyN(in, out, bytes)
	}
}

func (p *proxy) url() string { return fmt.Sprintf("http://%s", p.Addr()) }

func lines(names []string) string { return strings.Join(names, "\n") }
