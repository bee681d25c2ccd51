package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/ulikunitz/xz"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image"
	"tutela/internal/evidencetest"
	"tutela/internal/evidencetest/objectstore"
)

func unpack(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "image", "ewf", "testdata", name+".xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustOpen(t testing.TB, st *Storage, name string) evidence.File {
	t.Helper()
	f, err := st.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// An image is the same medium, wherever it lies.
func TestImages(t *testing.T) {
	s := newServer(t)
	raw := noise(2*blockSize + 12345)
	files := map[string][]byte{
		"two.E01": unpack(t, "encase5.E01"), "two.E02": unpack(t, "encase5.E02"),
		"disk.dd": raw, "part.001": raw[:blockSize+1], "part.002": raw[blockSize+1 : blockSize+100], "part.003": raw[blockSize+100:],
		"empty.dd": nil, "a %2F+&ü.dd": raw[:100],
	}
	dir := t.TempDir()
	for name, content := range files {
		s.put(t, "case 17/"+name, content)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st := openStorage(t, "case 17/", s.options())
	for _, name := range []string{"two.E01", "disk.dd", "part.001", "empty.dd", "a %2F+&ü.dd"} {
		far, err := image.OpenIn(st, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		near, err := image.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if want, got := evidencetest.DiskSum(t, near), evidencetest.DiskSum(t, far); got != want || far.Size() != near.Size() || !slices.Equal(far.Chain(), near.Chain()) {
			t.Errorf("%s: %d bytes %s, here %d bytes %s", name, far.Size(), got, near.Size(), want)
		}
		if err := errors.Join(far.Close(), near.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	s := newServer(t)
	for _, key := range []string{"a/disk.E01", "a/disk.E02", "a/b/other.dd", "top.dd"} {
		s.put(t, key, []byte("x"))
	}
	for prefix, want := range map[string]string{"a/": "disk.E01\ndisk.E02", "": "top.dd", "a/b/": "other.dd", "none/": ""} {
		names, err := openStorage(t, prefix, s.options()).Names()
		if slices.Sort(names); err != nil || lines(names) != want {
			t.Errorf("%q: %q, %v", prefix, names, err)
		}
	}
}

func TestReadAtAnywhere(t *testing.T) {
	s := newServer(t)
	content := noise(20*blockSize + 777) // more than is held
	s.put(t, "disk.dd", content)
	st := openStorage(t, "", s.options())
	f := mustOpen(t, st, "disk.dd")
	var readers sync.WaitGroup
	for seed := range uint64(4) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			b := make([]byte, 300<<10)
			for range 15 {
				off := r.Int64N(f.Size())
				n, err := f.ReadAt(b, off)
				want := content[off:min(off+int64(len(b)), f.Size())]
				if !bytes.Equal(b[:n], want) || (n < len(b)) != (err == io.EOF) || n == len(b) && err != nil {
					t.Errorf("%d bytes at %d, %v", n, off, err)
				}
			}
		})
	}
	readers.Wait()
	if n, m := len(st.blocks.blocks), len(st.pieces.blocks); n > held || m > pieces {
		t.Errorf("%d blocks and %d pieces are kept", n, m)
	}
	for off, want := range map[int64]error{f.Size(): io.EOF, f.Size() + 1: io.EOF} {
		if n, err := f.ReadAt(make([]byte, 1), off); n != 0 || err != want {
			t.Errorf("at %d: %d, %v", off, n, err)
		}
	}
	if _, err := f.ReadAt(nil, -1); err == nil {
		t.Error("a negative offset was read")
	}
}

func TestReplacedWhileRead(t *testing.T) {
	s := newServer(t)
	content := noise(8 * blockSize)
	s.put(t, "disk.dd", content)
	s.put(t, "gone.dd", content)
	st := openStorage(t, "", s.options())
	b := make([]byte, 4096)
	for name, says := range map[string]string{"disk.dd": "it was replaced while it was read", "gone.dd": "it was deleted while it was read"} {
		f := mustOpen(t, st, name)
		if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, content[:4096]) {
			t.Fatal(err)
		}
		if name == "gone.dd" {
			if err := s.Delete(name); err != nil {
				t.Fatal(err)
			}
		} else {
			s.put(t, name, bytes.Repeat([]byte{7}, len(content)))
		}
		n, err := f.ReadAt(b, 5*blockSize+100)
		bad, ok := errors.AsType[*evidence.ReadError](err)
		if n != 0 || !ok || bad.Run != (tutela.Run{Offset: 5*blockSize + 100, Length: 4096}) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		// What was read before is still what it was.
		if _, err := f.ReadAt(b, 1000); err != nil || !bytes.Equal(b, content[1000:5096]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f := mustOpen(t, st, "disk.dd"); true { // opened anew it is the new one
		if _, err := f.ReadAt(b, 0); err != nil || b[0] != 7 {
			t.Errorf("the new object: %d, %v", b[0], err)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	s.put(t, "disk.dd", []byte("x"))
	if _, err := openStorage(t, "", s.options()).Open("other.dd"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "s3://evidence/other.dd") {
		t.Errorf("a missing object: %v", err)
	}
	for name, c := range map[string]*credentials.Credentials{
		"unknown":   credentials.NewStaticV4("nobody", objectstore.Secret, ""),
		"wrong":     credentials.NewStaticV4(objectstore.Access, "guess", ""),
		"anonymous": credentials.NewStaticV4("", "", ""),
	} {
		options := s.options()
		options.Credentials = c
		st := openStorage(t, "", options)
		if _, err := st.Open("disk.dd"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s credentials: %v", name, err)
		}
		if _, err := st.Names(); !errors.Is(err, ErrRefused) {
			t.Errorf("%s credentials: names: %v", name, err)
		}
	}
	for _, name := range []string{"", "a/b", "a\x00"} {
		if _, err := openStorage(t, "", s.options()).Open(name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
	other, err := Open(context.Background(), Folder{Bucket: "no-such-bucket"}, s.options())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Names(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing bucket: %v", err)
	}
}

// A store that dies, and one that keeps the connection and sends no more, end in
// an error in bounded time; one that cuts every answer short does too.
func TestStoreFails(t *testing.T) {
	s := newServer(t)
	content := noise(8 * blockSize)
	s.put(t, "disk.dd", content)
	options := s.options()
	options.Patience = 300 * time.Millisecond
	st := openStorage(t, "", options)
	f := mustOpen(t, st, "disk.dd")
	b := make([]byte, 4096)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	options.Endpoint = newProxy(t, s.Address, 100<<10).url()
	stalled := mustOpen(t, openStorage(t, "", options), "disk.dd")
	silent(t, stalled, 0)
	s.Stop()
	silent(t, f, 4*blockSize)
	if _, err := st.Open("disk.dd"); !errors.Is(err, ErrSilent) {
		t.Errorf("opened in a store that is dead: %v", err)
	}
}

// silent expects a read to fail because nothing answers.
func silent(t *testing.T, f evidence.File, off int64) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := f.ReadAt(make([]byte, 4096), off)
		done <- err
	}()
	select {
	case err := <-done:
		bad, ok := errors.AsType[*evidence.ReadError](err)
		if !ok || bad.Run != (tutela.Run{Offset: off, Length: 4096}) || !errors.Is(err, ErrSilent) {
			t.Errorf("%v", err)
		}
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("the error tells addresses of the lab: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the read hangs")
	}
}

// Reading ends when the command does, and says nothing of the evidence then.
func TestEnds(t *testing.T) {
	s := newServer(t)
	s.put(t, "disk.dd", noise(100))
	ctx, cancel := context.WithCancel(context.Background())
	st, err := Open(ctx, Folder{Bucket: bucketName}, s.options())
	if err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, st, "disk.dd")
	cancel()
	var bad *evidence.ReadError
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) || errors.As(err, &bad) {
		t.Errorf("after the context: %v", err)
	}
	st.Close()
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close of the storage: %v", err)
	}
}

func TestParseURL(t *testing.T) {
	for location, want := range map[string][3]string{
		"s3://b/disk.E01":           {"b", "", "disk.E01"},
		"s3://b/case/17/disk a.dd":  {"b", "case/17/", "disk a.dd"},
		"s3://b//x":                 {"b", "/", "x"},
		"s3://b/%41?versionId=1#.e": {"b", "", "%41?versionId=1#.e"},
	} {
		f, name, err := ParseURL(location)
		if got := [3]string{f.Bucket, f.Prefix, name}; err != nil || got != want {
			t.Errorf("%s: %q, %v", location, got, err)
		}
	}
	for _, location := range []string{"s3://", "s3://b", "s3://b/", "s3://b/folder/", "s3:///x", "/x", ""} {
		if _, _, err := ParseURL(location); err == nil {
			t.Errorf("%q was taken", location)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"": true, "store.example": true, "http://store.example:9000/": true, "https://store.example": true,
		"ftp://store.example": false, "https://store.example/path": false, "https://": false, "https://user@store.example": false, "://": false,
	} {
		st, err := Open(context.Background(), Folder{Bucket: bucketName}, Options{Endpoint: endpoint})
		if (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
		if err != nil {
			continue
		}
		if plain := strings.HasPrefix(endpoint, "http://"); (st.client.api.EndpointURL().Scheme == "http") != plain {
			t.Errorf("%q is spoken to by %v", endpoint, st.client.api.EndpointURL())
		}
		st.Close()
	}
}
