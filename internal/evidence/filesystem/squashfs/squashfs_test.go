package squashfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func openAny(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

// made are the volumes of testdata/make.sh; all hold the same tree.
var made = []string{"gzip", "lzma", "xz", "xz-arm", "lz4", "lz4-hc", "zstd", "zstd-4k", "stored", "stored-data"}

func volume(t testing.TB, name string) []byte {
	t.Helper()
	return evidencetest.Image(t, "testdata/"+name+".sqs")
}

func TestTruth(t *testing.T) {
	raw, err := os.ReadFile("testdata/truth.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	for _, name := range made {
		t.Run(name, func(t *testing.T) {
			img := volume(t, name)
			evidencetest.Truth(t, rows, openAny, img)
			src := evidencetest.Source(img)
			all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, src))
			evidencetest.InPlace(t, src, all)
			if found := evidencetest.Rows(all, tutela.Allocated); len(found) != len(rows) {
				t.Errorf("%d files, not %d", len(found), len(rows))
			}
		})
	}
}

func TestGolden(t *testing.T) {
	evidencetest.Golden(t, "gzip", openAny, volume(t, "gzip"))
	evidencetest.Golden(t, "stored-data", openAny, volume(t, "stored-data"))
	evidencetest.Golden(t, "diskfs-file", openAny, evidencetest.Image(t, "diskfs/file.sqs"))
	evidencetest.Golden(t, "diskfs-dir-read", openAny, evidencetest.Image(t, "diskfs/dir_read.sqs"))
}

// TestBranchFilters: mksquashfs takes a filter only where it makes a block
// smaller, so each is tried by itself on the files of the same tree.
func TestBranchFilters(t *testing.T) {
	truth, err := os.ReadFile("testdata/truth.tsv")
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 32<<10)
	for _, name := range []string{"code-x86", "code-arm", "code-thumb", "code-ppc", "code-sparc"} {
		packed, err := os.ReadFile("testdata/" + name + ".xz")
		if err != nil {
			t.Fatal(err)
		}
		n, err := unxz(dst, packed)
		row := fmt.Sprintf("%s\t%d\t%x\n", name, n, sha256.Sum256(dst[:n]))
		if err != nil || !bytes.Contains(truth, []byte(row)) {
			t.Errorf("%s: %s%v", name, row, err)
		}
		packed[len(packed)/2] ^= 1
		if _, err := unxz(dst, packed); err == nil {
			t.Errorf("%s: damage is not noticed", name)
		}
	}
	packed, err := os.ReadFile("testdata/code-ia64.xz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unxz(dst, packed); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("ia64: %v", err)
	}
}

func TestRandomAccess(t *testing.T) {
	for _, name := range []string{"gzip", "lz4-hc", "stored"} {
		all := map[string]*evidence.Entry{}
		fs := evidencetest.MustOpen(t, openAny, evidencetest.Source(volume(t, name)))
		err := fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
			all[string(e.Path)] = e
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/text", "/sparse", "/small", "/empty-file"} {
			c, err := all[path].Open()
			if err != nil {
				t.Fatal(err)
			}
			whole, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, off := range []int64{0, 1, 65536, 4095, 199999, 4096, 500000, 100, 700001} {
				b := make([]byte, 5000)
				n, err := c.(io.ReaderAt).ReadAt(b, off)
				want := whole[min(off, int64(len(whole))):min(off+5000, int64(len(whole)))]
				if !bytes.Equal(b[:n], want) || (n < len(b)) != (err == io.EOF) {
					t.Errorf("%s %s: %d bytes from %d on: %v", name, path, n, off, err)
				}
			}
		}
	}
}

// TestBadBlock: one bad block is lost, and no other.
func TestBadBlock(t *testing.T) {
	img := volume(t, "gzip")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	var text *evidence.Entry
	err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		if string(e.Path) == "/text" {
			text = e
		}
		return nil
	})
	if err != nil || text == nil {
		t.Fatal(err)
	}
	opened, err := text.Open()
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	third, err := opened.(*content).find(3)
	if err != nil {
		t.Fatal(err)
	}
	img[third.at+third.bytes()/2] ^= 0x55
	c, err := text.Open()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, c)
	var bad *evidence.ReadError
	if n != 3*4096 || !errors.As(err, &bad) || bad.Run != (tutela.Run{Offset: third.at, Length: third.bytes()}) {
		t.Errorf("%d bytes, then %v", n, err)
	}
	b := make([]byte, len(good)-4*4096)
	if _, err := c.(io.ReaderAt).ReadAt(b, 4*4096); err != nil || !bytes.Equal(b, good[4*4096:]) {
		t.Errorf("behind the bad block: %v", err)
	}
}

func TestRefused(t *testing.T) {
	good := volume(t, "gzip")
	for name, c := range map[string]struct {
		at   int
		put  []byte
		want error
		says string
	}{
		"another number": {0, []byte("hsqx"), evidence.ErrNotThis, ""},
		"big-endian":     {0, []byte{'s', 'q', 's', 'h', 28: 0, 4, 0, 0}, evidence.ErrUnsupported, "version 4.0, big-endian"},
		"version 3":      {28, []byte{3, 0, 1, 0}, evidence.ErrUnsupported, "version 3.1"},
		"a vendor's":     {0, []byte("shsq"), evidence.ErrUnsupported, "shsq"},
		"lzo":            {20, []byte{compressLZO}, evidence.ErrUnsupported, "lzo compression not read"},
		"compressor 9":   {20, []byte{9}, evidence.ErrUnsupported, "compression 9"},
	} {
		img := bytes.Clone(good)
		copy(img[c.at:], c.put)
		if _, err := Open(evidencetest.Source(img)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(evidencetest.Source(good[:95])); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("95 bytes: %v", err)
	}
}

// TestCutOff: the tables lie at the end, so that a volume that is cut off cannot
// be listed, and must not seem empty.
func TestCutOff(t *testing.T) {
	good := volume(t, "gzip")
	if _, err := Open(evidencetest.Source(good[:len(good)/2])); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("half a volume: %v", err)
	}
	less := int(binary.LittleEndian.Uint64(good[40:])) - 1
	fs, err := Open(evidencetest.Source(good[:less]))
	if err != nil {
		t.Fatal(err)
	}
	all := evidencetest.List(t, fs)
	if len(all) < 300 || all[0].Findings[0].Code != tutela.FindingTruncated {
		t.Errorf("%d entries, first: %s", len(all), all[0].Line())
	}
}

func TestLoop(t *testing.T) {
	fs, err := Open(evidencetest.Source(volume(t, "stored")))
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{fs: fs, limits: evidence.DefaultLimits(), seen: map[inodeRef]bool{fs.super.root: true}}
	w.visit = func(e *evidence.Entry) error {
		if e.Findings[0].Code != tutela.FindingLoop || string(e.Path) != "/again" {
			t.Error(e)
		}
		return nil
	}
	if err := w.list(context.Background(), directory{path: "/again", ref: fs.super.root}); err != nil {
		t.Fatal(err)
	}
}

func TestLongPath(t *testing.T) {
	fs, err := Open(evidencetest.Source(volume(t, "gzip")))
	if err != nil {
		t.Fatal(err)
	}
	var seen bool
	err = fs.Walk(context.Background(), evidence.Limits{NameBytes: 16}, func(e *evidence.Entry) error {
		if len(e.Path) > 16 {
			return fmt.Errorf("%s", e.Path)
		}
		seen = seen || strings.HasPrefix(string(e.Path), orphanFolder)
		return nil
	})
	if err != nil || !seen {
		t.Errorf("a deep directory: %v, %v", seen, err)
	}
}

// hot are the superblock and the tables, which lie behind the content.
func hot(img []byte) []tutela.Run {
	from := int64(binary.LittleEndian.Uint64(img[64:]))
	return []tutela.Run{{Length: superblockBytes}, {Offset: from, Length: int64(len(img)) - from}}
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"stored", "zstd-4k", "xz", "lz4", "lzma", "gzip"} {
		t.Run(name, func(t *testing.T) {
			img := volume(t, name)
			evidencetest.Mutants(t, openAny, img, hot(img)...)
		})
	}
}

// FuzzOpen changes bytes of whole volumes: pairs of a place in the tables and a
// byte.
func FuzzOpen(f *testing.F) {
	images := [][]byte{volume(f, "stored"), volume(f, "gzip"), volume(f, "lz4")}
	f.Add(byte(0), []byte{16, 0, 0, 1})
	f.Add(byte(1), []byte{100, 1, 0, 0x80})
	f.Add(byte(2), []byte{0, 8, 0, 0xff, 1, 8, 0, 0x7f})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		img := images[int(which)%len(images)]
		tables := hot(img)[1]
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int64(changes[0]) | int64(changes[1])<<8 | int64(changes[2])<<16
			if at >= superblockBytes {
				at = tables.Offset + (at-superblockBytes)%tables.Length
			}
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, openAny, img)
	})
}

func FuzzDecoders(f *testing.F) {
	for compressor := uint16(compressZlib); compressor <= compressZstd; compressor++ {
		f.Add(compressor, []byte{0, 1, 2, 3})
	}
	f.Add(uint16(compressLZ4), []byte{0x41, 'a', 'b', 'c', 'd', 4, 0, 0x10, 'x'})
	f.Fuzz(func(t *testing.T, compressor uint16, packed []byte) {
		unpack, err := decoderOf(compressor)
		if err != nil {
			return
		}
		dst := make([]byte, 4096)
		if n, err := unpack(dst, packed); err == nil && n > len(dst) {
			t.Fatal(n)
		}
	})
}
