// Package objectstore runs an object store for tests: the gateway of Versity,
// which speaks S3 over a folder of this machine.
//
// Call [Start], then [Server.Put]. The program is built once, outside of the
// module, and kept in the cache of the user; building it for the first time
// takes some minutes and needs the module proxy.
package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// What the server is asked with.
const (
	Access = "examiner"
	Secret = "not-a-secret"
	Bucket = "evidence"
)

const (
	gateway = "github.com/versity/versitygw/cmd/versitygw"
	version = "v1.8.0"

	startsWithin = 30 * time.Second
)

// Server is a running object store with one bucket.
type Server struct {
	Address string // host:port, plain HTTP

	process *exec.Cmd
	api     *minio.Client
	dir     string
}

// Start runs a server with an empty bucket. Whoever starts it must stop it.
func Start() (*Server, error) {
	program, err := build()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "objectstore")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err = s.run(program); err == nil {
		err = s.makeBucket()
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// build is the path of the gateway's program.
func build() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		if cache, err = os.MkdirTemp("", "objectstore-program"); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, "tutela-test", "versitygw-"+version)
	program := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	install := exec.Command("go", "install", gateway+"@"+version)
	install.Dir = os.TempDir()
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the object store that the tests need cannot be built: %w\n%s", err, out)
	}
	return program, nil
}

func (s *Server) run(program string) (err error) {
	root, notes := filepath.Join(s.dir, "root"), filepath.Join(s.dir, "notes")
	if err := errors.Join(os.Mkdir(root, 0o700), os.Mkdir(notes, 0o700)); err != nil {
		return err
	}
	if s.Address, err = freeAddress(); err != nil {
		return err
	}
	var said bytes.Buffer
	s.process = exec.Command(program, "--access", Access, "--secret", Secret, "--port", s.Address, "--quiet", "posix", "--sidecar", notes, root)
	s.process.Dir, s.process.Stdout, s.process.Stderr = s.dir, &said, &said
	if err := s.process.Start(); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < startsWithin; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.Address); err == nil {
			return c.Close()
		}
	}
	s.process.Process.Kill()
	s.process.Wait() // so that nobody writes what it said any more
	s.process = nil
	return fmt.Errorf("the object store does not start:\n%s", said.String())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) makeBucket() (err error) {
	s.api, err = minio.New(s.Address, &minio.Options{Creds: credentials.NewStaticV4(Access, Secret, "")})
	if err != nil {
		return err
	}
	return s.api.MakeBucket(context.Background(), Bucket, minio.MakeBucketOptions{})
}

// URL is the server's endpoint.
func (s *Server) URL() string { return "http://" + s.Address }

// Put stores an object, in place of the one that had the key.
func (s *Server) Put(key string, content []byte) error {
	_, err := s.api.PutObject(context.Background(), Bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	return err
}

// Delete removes an object.
func (s *Server) Delete(key string) error {
	return s.api.RemoveObject(context.Background(), Bucket, key, minio.RemoveObjectOptions{})
}

// Stop kills the server, as a fault would, and removes what it kept.
func (s *Server) Stop() {
	if s.process != nil && s.process.Process != nil {
		s.process.Process.Kill()
		s.process.Wait()
	}
	os.RemoveAll(s.dir)
}
