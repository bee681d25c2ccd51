package demo

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
)

// contents reads every planted thing back, each with a reader that is not of
// this package: the host, go-ntfs, go-diskfs, and the standard library's
// archives. Links have no content and are left out.
func contents(t *testing.T, p *Plan) map[Planted][]byte {
	t.Helper()
	home, disc := openNTFS(t, p.Disk), openISO(t, p.Disk)
	host := hostFiles(t, p.Folder)
	out := map[Planted][]byte{}
	for _, planted := range p.Planted {
		outer, inner, _ := strings.Cut(planted.Path, "!/")
		var content []byte
		switch {
		case planted.Source == Folder && host[outer] == "":
			continue
		case planted.Source == Folder:
			content = must(os.ReadFile(host[outer]))(t, outer)
		case planted.Volume == "1" && planted.State == tutela.Deleted:
			content = home.deleted(t, outer)
		case planted.Volume == "1":
			content = home.read(t, outer)
		default:
			content = must(fs.ReadFile(disc, strings.TrimPrefix(outer, "/")))(t, outer)
		}
		if inner != "" {
			content = unpack(t, filepath.Base(outer), content, inner)
		}
		out[planted] = content
	}
	return out
}

// must turns an error into the end of the test.
func must(content []byte, err error) func(t *testing.T, what string) []byte {
	return func(t *testing.T, what string) []byte {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return content
	}
}

// hostFiles maps shown paths to host paths of regular files.
func hostFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		out["/"+tutela.DisplayPath([]byte(filepath.ToSlash(rel)))] = name
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unpack follows a way into an archive, one step for each "!/".
func unpack(t *testing.T, name string, content []byte, way string) []byte {
	t.Helper()
	step, rest, deeper := strings.Cut(way, "!/")
	var member []byte
	switch {
	case strings.HasSuffix(name, ".gz") && step == strings.TrimSuffix(filepath.Base(name), ".gz"):
		z, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		member = must(io.ReadAll(z))(t, name)
	case strings.HasSuffix(name, ".tar"):
		member = untar(t, content, step)
	default:
		z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		member = must(fs.ReadFile(z, step))(t, name)
	}
	if deeper {
		return unpack(t, step, member, rest)
	}
	return member
}

func untar(t *testing.T, content []byte, name string) []byte {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h.Name == name {
			return must(io.ReadAll(r))(t, name)
		}
	}
}
