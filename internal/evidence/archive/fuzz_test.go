package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

func seed(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		files, err := filepath.Glob("testdata/" + pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
}

// fuzzExpand holds what every expansion promises: it ends, its errors have
// codes, and no more comes out than the limits allow.
func fuzzExpand(t *testing.T, content []byte) {
	limits := evidence.Limits{ExpandedBytes: 1 << 20, RatioAfter: 1 << 18, Nesting: 4, EntriesPerRoot: 300, NameBytes: 200}
	if archive.Detect(content[:min(len(content), archive.HeadBytes)]) == "" {
		return
	}
	spool := &memorySpool{}
	var read int64
	entries := 0
	x := archive.New(archive.Options{Limits: limits, Spool: spool})
	err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		entries++
		if !strings.HasPrefix(string(e.Path), "/r!/") || (len(e.Path) > limits.NameBytes+2 && len(e.Findings) == 0) {
			t.Errorf("path %q", e.Path)
		}
		if e.Open != nil {
			n, _ := readAll(t, e)
			read += n
		}
		return nil
	})
	if err != nil {
		t.Errorf("expand: %v", err)
	}
	// Archives are read by the visitor and from the spool, and each of them
	// may have something said about it.
	if entries > 2*300+1 || read > 4<<20 || spool.open != 0 {
		t.Errorf("%d entries, %d bytes, %d spooled contents open", entries, read, spool.open)
	}
}

func FuzzZip(f *testing.F) {
	seed(f, "*.zip")
	f.Add(quine(f))
	f.Add(fanOut(f, 2))
	f.Add(makeZip(f, zip.Deflate, file{"a.gz", string(makeGzip(f, []byte("text")))}))
	f.Fuzz(fuzzExpand)
}

func FuzzTar(f *testing.F) {
	seed(f, "*.tar")
	f.Add(makeTar(f, file{"a.zip", string(makeZip(f, zip.Deflate, file{"b", "c"}))}))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzExpand(t, mendTar(content)) })
}

// mendTar sets the checksum of the first header, or nothing would pass Detect.
func mendTar(content []byte) []byte {
	if len(content) < archive.HeadBytes {
		return content
	}
	b := bytes.Clone(content)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b[:archive.HeadBytes] {
		sum += int(c)
	}
	copy(b[148:156], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return b
}

func FuzzStream(f *testing.F) {
	seed(f, "*.gz", "*.tgz", "*.bz2", "*.xz", "*.zst")
	f.Fuzz(fuzzExpand)
}

// FuzzGzipBody lets the fuzzer write what is inside, and reads past the
// checksum that it could not guess.
func FuzzGzipBody(f *testing.F) {
	seed(f, "*.zip", "*.tar")
	f.Fuzz(func(t *testing.T, content []byte) { fuzzExpand(t, makeGzip(t, content)) })
}
