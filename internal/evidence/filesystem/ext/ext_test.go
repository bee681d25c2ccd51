package ext

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func open(src evidence.Source) (evidence.FileSystem, error) {
	fs, err := Open(src)
	if err != nil {
		return nil, err
	}
	return fs, nil
}

// public are the test images that others have made.
var public = []string{
	"fslib/ext2.dd", "fslib/ext3.dd", "fslib/ext4.dd",
	"velocidex/tiny.ext4", "velocidex/hierarchy_32.ext4", "velocidex/hierarchy_64.ext4",
}

// own are the images of make.py.
func own(t testing.TB) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no images: %v", err)
	}
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.ToSlash(p), ".gz"))
	}
	return names
}

func TestGolden(t *testing.T) {
	for _, name := range public {
		t.Run(name, func(t *testing.T) {
			evidencetest.Golden(t, strings.ReplaceAll(name, "/", "_"), open, evidencetest.Image(t, name))
		})
	}
	for _, name := range own(t) {
		t.Run(name, func(t *testing.T) {
			evidencetest.Golden(t, filepath.Base(name), open, evidencetest.Image(t, name))
		})
	}
	t.Run("dfvfs", func(t *testing.T) {
		img := append(evidencetest.Image(t, "dfvfs/test_data/ext2.splitraw.000"), evidencetest.Image(t, "dfvfs/test_data/ext2.splitraw.001")...)
		evidencetest.Golden(t, "dfvfs_ext2.raw", open, img)
	})
}

// TestGroundTruth holds the volumes of fslib against the tree that was copied to
// all of them.
func TestGroundTruth(t *testing.T) {
	rows := slices.DeleteFunc(evidencetest.GroundTruth(t), func(row string) bool {
		return strings.HasPrefix(row, "document/Digital forensics.txt\t") // other line ends on the volumes
	})
	for _, name := range public[:3] {
		t.Run(name, func(t *testing.T) {
			evidencetest.Truth(t, rows, open, evidencetest.Image(t, name))
		})
	}
}

// overwritten are the deleted files of an image whose blocks other files have
// taken, as make.py left them; the entries say so.
var overwritten = map[string][]string{
	"open.ext3": {"a/f0", "large", "tree/sub/g4.jpg", "tree/sub/g5.jpg"},
	"open.ext4": {"fragments", "reused", "tree/h.txt", "tree/sub/g4.jpg", "tree/sub/g5.jpg"},
}

// TestWritten holds the images of make.py against what it wrote: every file in
// use and none else, and every deleted file, with its name and content.
func TestWritten(t *testing.T) {
	for _, name := range own(t) {
		t.Run(name, func(t *testing.T) {
			truth := string(evidencetest.Image(t, name+".truth.tsv"))
			except := map[string]string{}
			for _, path := range overwritten[filepath.Base(name)] {
				except[path] = "overwritten"
			}
			img := evidencetest.Image(t, name)
			evidencetest.SleuthKit(t, truth, open, img, except)
			honest(t, truth, evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(img))))
		})
	}
}

// honest holds deleted entries against the truth: one whose content is not what
// was written under its name must say that others have its blocks.
func honest(t *testing.T, truth string, all []evidencetest.Entry) {
	t.Helper()
	digests := map[string]string{}
	for line := range strings.Lines(truth) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		digests["/"+f[1]] = f[3]
	}
	for i := range all {
		e := &all[i]
		want := digests[string(e.Path)]
		if e.State == tutela.Allocated || e.Open == nil || want == "" || e.SHA256.String() == want {
			continue
		}
		if !found(e, tutela.FindingOverwritten) {
			t.Errorf("%s: wrong content, and nothing said about it", e.Path)
		}
	}
}

func found(e *evidencetest.Entry, code string) bool {
	for _, f := range e.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// TestSpecial: what links lead to, and the numbers of devices.
func TestSpecial(t *testing.T) {
	for _, name := range []string{"testdata/inline.ext4", "testdata/blocks.ext3"} {
		all := evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(evidencetest.Image(t, name))))
		details := map[string]string{}
		for i := range all {
			if e := &all[i]; found(e, tutela.FindingSpecial) {
				details[string(e.Path)] = e.Findings[0].Detail
			}
		}
		for path, want := range map[string]string{
			"/link5": "a link to short", "/link59": "a link to " + strings.Repeat("t", 59), "/link60": "a link to " + strings.Repeat("t", 60),
			"/link200": "a link to " + strings.Repeat("u", 200), "/block": "device 8, 1", "/character": "device 300, 70000", "/fifo": "a pipe", "/socket": "a socket",
		} {
			if details[path] != want {
				t.Errorf("%s %s: %q, want %q", name, path, details[path], want)
			}
		}
	}
}

// TestFree: what is free and what files have do not overlap, and are most of the
// volume.
func TestFree(t *testing.T) {
	for _, name := range own(t) {
		img := evidencetest.Image(t, name)
		fs, err := Open(evidencetest.Source(img))
		if err != nil {
			t.Fatal(err)
		}
		free := make([]bool, len(img)/1024+1)
		var total int64
		if err := fs.Free(context.Background(), func(r tutela.Run) error {
			total += r.Length
			for at := r.Offset; at < r.Offset+r.Length; at += 1024 {
				free[at/1024] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if fs.overlay == nil && total != fs.freeTold() {
			t.Errorf("%s: %d bytes are free, the superblock says %d", name, total, fs.freeTold())
		}
		for _, e := range evidencetest.List(t, fs) {
			if e.State != tutela.Allocated {
				continue
			}
			for _, r := range append(e.Runs, e.Slack...) {
				for at := r.Offset; at < r.Offset+r.Length; at += 1024 {
					if free[at/1024] {
						t.Fatalf("%s: %s has byte %d, which is free", name, e.Path, at)
					}
				}
			}
		}
	}
}

// freeTold is what the superblock says is free, in bytes.
func (s *super) freeTold() int64 {
	n := int64(le32(s.raw, 0xc))
	if s.has(s.incompat, incompat64bit) {
		n |= int64(le32(s.raw, 0x158)) << 32
	}
	return n * s.block
}

func TestNotThis(t *testing.T) {
	for _, img := range [][]byte{nil, make([]byte, 100), make([]byte, 1<<20), bytes.Repeat([]byte{0xff}, 1<<20), evidencetest.Image(t, "fslib/fat16.dd"), evidencetest.Image(t, "fslib/ntfs.dd")} {
		if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d bytes: %v", len(img), err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	img := bytes.Clone(evidencetest.Image(t, "testdata/blocks4k.ext2"))
	for feature, name := range map[byte]string{0x01: "compression", 0x08: "journal", 0x20: "incompatible feature 0x20"} {
		img[1024+0x60] = 2 | feature
		if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%#x: %v", feature, err)
		}
	}
}
