package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The tests speak to a real server: the gateway of Versity over a folder of this
// machine. It is built once, outside of the module, and kept in the cache of the
// user; building it for the first time takes some minutes.
const (
	gateway        = "github.com/versity/versitygw/cmd/versitygw"
	gatewayVersion = "v1.8.0"

	access, secret = "examiner", "not-a-secret"
	bucketName     = "evidence"
)

func gatewayProgram(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "tutela-test", "versitygw-"+gatewayVersion)
	program := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	build := exec.Command("go", "install", gateway+"@"+gatewayVersion)
	build.Dir = t.TempDir()
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the object store that the tests need cannot be built: %v\n%s", err, out)
	}
	return program
}

// server is a running object store with one bucket.
type server struct {
	address string
	process *exec.Cmd
	api     *minio.Client // of its owner
}

func newServer(t testing.TB) *server {
	t.Helper()
	program, root := gatewayProgram(t), t.TempDir()
	s := &server{address: freeAddress(t)}
	var said bytes.Buffer
	s.process = exec.Command(program, "--access", access, "--secret", secret, "--port", s.address, "--quiet",
		"posix", "--sidecar", t.TempDir(), root)
	s.process.Dir = t.TempDir()
	s.process.Stdout, s.process.Stderr = &said, &said
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			break
		}
		if time.Since(began) > 20*time.Second {
			s.stop()
			t.Fatalf("the object store does not start:\n%s", said.String())
		}
	}
	var err error
	s.api, err = minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(access, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.api.MakeBucket(context.Background(), bucketName, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) stop() {
	s.process.Process.Kill()
	s.process.Wait()
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) put(t testing.TB, key string, content []byte) {
	t.Helper()
	_, err := s.api.PutObject(context.Background(), bucketName, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// options are those of an examiner who does not wait long.
func (s *server) options() Options {
	return Options{
		Endpoint: "http://" + s.address, Credentials: credentials.NewStaticV4(access, secret, ""),
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

var removal = minio.RemoveObjectOptions{}
