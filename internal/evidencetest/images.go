package evidencetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ulikunitz/xz"
)

//go:embed testdata/images.tar.xz
var packed []byte

// Folder is where the public test images lie, unpacked: once for all tests of
// this machine, beside its other temporary files. Nobody may change them.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := unpacked()
	if err != nil {
		t.Fatalf("unpack the test images: %v", err)
	}
	return dir
}

var unpacked = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("tutela-test-images-%x", sha256.Sum256(packed))[:40])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fresh, err := os.MkdirTemp(os.TempDir(), "tutela-test-images-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := unpack(fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, gone := os.Stat(dir); gone != nil {
			return "", err
		} // another test was faster
	}
	return dir, nil
})

func unpack(dir string) error {
	z, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, data, 0o444); err != nil {
			return err
		}
	}
}

// Image is the bytes of a public test image ("fslib/fat16.dd"), or of a file of
// the package's own testdata ("testdata/small.img"), unpacked if its name there
// ends in .gz or .xz.
func Image(t testing.TB, name string) []byte {
	t.Helper()
	if !strings.HasPrefix(name, "testdata/") {
		name = filepath.Join(Folder(t), name)
	}
	for suffix, unpack := range map[string]func(io.Reader) (io.Reader, error){
		"":    func(r io.Reader) (io.Reader, error) { return r, nil },
		".gz": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		".xz": func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) },
	} {
		raw, err := os.ReadFile(name + suffix)
		if err != nil {
			continue
		}
		r, err := unpack(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatalf("no test image %s", name)
	return nil
}
