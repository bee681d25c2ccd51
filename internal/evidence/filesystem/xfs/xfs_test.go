package xfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func openAny(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

// made are the volumes of testdata/make.sh.
var made = []string{"v5", "v5-nrext64", "v5-old", "v4", "v4-ftype"}

func volume(t testing.TB, name string) []byte {
	t.Helper()
	return evidencetest.Image(t, "testdata/"+name+".xfs")
}

// rows are the lines of a file of testdata.
func rows(t testing.TB, name string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// TestTruth holds each volume against what the kernel lists when it is mounted.
func TestTruth(t *testing.T) {
	for _, name := range made {
		t.Run(name, func(t *testing.T) {
			img := volume(t, name)
			want := rows(t, "truth.tsv")
			evidencetest.Truth(t, want, openAny, img)
			src := evidencetest.Source(img)
			all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, src))
			evidencetest.InPlace(t, src, all)
			if found := evidencetest.Rows(all, tutela.Allocated); len(found) != len(want) {
				t.Errorf("%d files, not %d", len(found), len(want))
			}
		})
	}
}

// TestDeleted: what the kernel deleted on a volume that was hardly used since
// comes back whole, under its name.
func TestDeleted(t *testing.T) {
	for _, name := range []string{"v5", "v5-nrext64", "v5-old"} {
		all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, evidencetest.Source(volume(t, name))))
		found := evidencetest.Rows(all, tutela.Deleted)
		for _, row := range rows(t, "deleted.tsv") {
			if !found["gone/"+row] {
				t.Errorf("%s: missing: %s", name, row)
			}
		}
		if len(found) != 7 {
			t.Errorf("%s: %d deleted files", name, len(found))
		}
	}
}

// golden holds the listing of an image but for a directory of many like files.
func golden(t *testing.T, name string, img []byte, without string) {
	t.Helper()
	src := evidencetest.Source(img)
	all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, src))
	evidencetest.InPlace(t, src, all)
	var b strings.Builder
	for i := range all {
		if without == "" || !strings.Contains(string(all[i].Path), without) {
			b.WriteString(all[i].Line() + "\n")
		}
	}
	evidencetest.GoldenText(t, name, b.String())
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"v5", "v5-nrext64", "v4"} {
		golden(t, name, volume(t, name), "leaf/")
	}
	golden(t, "dirty", volume(t, "dirty"), "")
	golden(t, "image", evidencetest.Image(t, "xfs/image.xfs"), "_directories/")
}

// TestFree holds what is free against what each group says it has.
func TestFree(t *testing.T) {
	for _, name := range made {
		fs, err := Open(evidencetest.Source(volume(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		var want, got int64
		for group := range fs.sb.groups {
			b, err := fs.groupHeader(group, 1, freeMagic, 216)
			if err != nil {
				t.Fatal(err)
			}
			want += int64(binary.BigEndian.Uint32(b[52:])) << fs.sb.blockLog
		}
		err = fs.Free(context.Background(), func(r tutela.Run) error {
			got += r.Length
			return nil
		})
		if err != nil || got != want || got == 0 {
			t.Errorf("%s: %d bytes are free, the groups say %d: %v", name, got, want, err)
		}
	}
}

// TestBackup: a volume whose first superblock is gone is listed all the same.
func TestBackup(t *testing.T) {
	for _, name := range []string{"v5", "v5-nrext64", "v4", "v4-ftype"} {
		img := volume(t, name)
		clear(img[:512])
		all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, evidencetest.Source(img)))
		found := evidencetest.Rows(all, tutela.Allocated)
		if want := rows(t, "truth.tsv"); len(found) != len(want) || all[0].Findings[0].Code != tutela.FindingBackupTable {
			t.Errorf("%s: %d files, first: %s", name, len(found), all[0].Line())
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		image string
		at    int
		put   []byte
		want  error
	}{
		"another number":        {"v4", 0, []byte("XFSC"), evidence.ErrNotThis},
		"directories version 1": {"v4", 100, []byte{0x84, 0x84}, evidence.ErrUnsupported},
		"an unheard-of feature": {"v5", 216, []byte{0x80}, evidence.ErrUnsupported},
	} {
		img := volume(t, c.image)[:1<<20]
		copy(img[c.at:], c.put)
		if _, err := Open(evidencetest.Source(img)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// find is the entry at a path.
func find(t *testing.T, all []evidencetest.Entry, path string) *evidencetest.Entry {
	t.Helper()
	for i := range all {
		if string(all[i].Path) == path {
			return &all[i]
		}
	}
	t.Fatalf("no %s", path)
	return nil
}

func list(t *testing.T, img []byte) []evidencetest.Entry {
	t.Helper()
	return evidencetest.List(t, evidencetest.MustOpen(t, openAny, evidencetest.Source(img)))
}

func hasFinding(e *evidencetest.Entry, code string) bool {
	for _, f := range e.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// offsetOf is where the inode of a file lies.
func offsetOf(t *testing.T, img []byte, number uint64) int64 {
	t.Helper()
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	at, err := fs.inodeOffset(number)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// inodeOf is the number in the chain of an entry.
func inodeOf(t *testing.T, e *evidencetest.Entry) (number uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(e.Chain[0].At, "inode %d", &number); err != nil {
		t.Fatal(err)
	}
	return number
}

func TestChecksum(t *testing.T) {
	img := volume(t, "v5")
	at := offsetOf(t, img, inodeOf(t, find(t, list(t, img), "/text")))
	img[at+8] ^= 1 // the owner
	if e := find(t, list(t, img), "/text"); !hasFinding(e, tutela.FindingDamaged) || e.Failure != nil {
		t.Error(e.Line())
	}
}

// TestLostDirectory: where a directory is gone, what was in it is an orphan.
func TestLostDirectory(t *testing.T) {
	img := volume(t, "v4")
	for i, e := range list(t, img) {
		if strings.HasPrefix(string(e.Path), "/short/") && e.Kind == tutela.File && i > 0 {
			fs, err := Open(evidencetest.Source(img))
			if err != nil {
				t.Fatal(err)
			}
			root, err := fs.inode(fs.sb.root)
			if err != nil {
				t.Fatal(err)
			}
			budget := int64(1 << 20)
			l := listing{fs: fs, dir: root, budget: &budget}
			l.give = func(r record) error {
				if string(r.name) == "short" {
					at, err := fs.inodeOffset(r.inode)
					clear(img[at : at+256])
					return err
				}
				return nil
			}
			if err := l.read(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	all := list(t, img)
	var orphans int
	for i := range all {
		if all[i].State == tutela.Orphan && all[i].Kind == tutela.File && all[i].Failure == nil {
			orphans++
		}
	}
	if e := find(t, all, "/short"); !hasFinding(e, tutela.FindingDamaged) || orphans != 13 {
		t.Errorf("%d orphans, %s", orphans, e.Line())
	}
}

func TestRealtime(t *testing.T) {
	img := volume(t, "v4")
	at := offsetOf(t, img, inodeOf(t, find(t, list(t, img), "/text")))
	img[at+91] |= flagRealtime
	if e := find(t, list(t, img), "/text"); !hasFinding(e, tutela.FindingUnsupported) || !errors.Is(e.Failure, evidence.ErrUnsupported) {
		t.Error(e.Line())
	}
}

// TestSharedBlocks: of two deleted files that list the same blocks, neither is
// taken for whole.
func TestSharedBlocks(t *testing.T) {
	img := volume(t, "v5-old")
	all := list(t, img)
	from := offsetOf(t, img, inodeOf(t, find(t, all, "/gone/deleted-0")))
	to := offsetOf(t, img, inodeOf(t, find(t, all, "/gone/deleted-2")))
	copy(img[to+coreBytes3:to+coreBytes3+extentBytes], img[from+coreBytes3:])
	all = list(t, img)
	for _, path := range []string{"/gone/deleted-0", "/gone/deleted-1", "/gone/deleted-2"} {
		e := find(t, all, path)
		if told := strings.Contains(e.Line(), "another deleted file"); told != (path != "/gone/deleted-1") {
			t.Error(e.Line())
		}
	}
}

func TestDoubled(t *testing.T) {
	got := doubled([]tutela.Run{{Offset: 50, Length: 10}, {Offset: 0, Length: 20}, {Offset: 10, Length: 30}, {Offset: 15, Length: 2}, {Offset: 35, Length: 10}})
	if want := []tutela.Run{{Offset: 10, Length: 10}, {Offset: 35, Length: 5}}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// hot are the headers of the groups, the inodes and the blocks of directories
// and trees.
func hot(t testing.TB, img []byte) (runs []tutela.Run) {
	t.Helper()
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	runs = append(runs, tutela.Run{Length: 264})
	for group := range fs.sb.groups {
		runs = append(runs, tutela.Run{Offset: fs.sb.offset(group, 0), Length: 4*fs.sb.sector + 4*fs.sb.blockBytes()})
		err := fs.eachChunk(group, func(c inodeChunk) error {
			at, err := fs.inodeOffset(c.first)
			runs = append(runs, tutela.Run{Offset: at, Length: 64 * int64(fs.sb.inodeBytes)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for at := int64(0); at < int64(len(img)); at += fs.sb.blockBytes() {
		switch binary.BigEndian.Uint32(img[at:]) {
		case dirBlock4, dirBlock5, dirData4, dirData5, linkMagic, extentTree.magic4, extentTree.magic5:
			runs = append(runs, tutela.Run{Offset: at, Length: 256})
		}
	}
	return runs
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"v5-old", "v4"} {
		t.Run(name, func(t *testing.T) {
			img := volume(t, name)
			evidencetest.Mutants(t, openAny, img, hot(t, img)...)
		})
	}
}

// FuzzOpen changes bytes of whole volumes: pairs of a place where the structures
// lie and a byte.
func FuzzOpen(f *testing.F) {
	images := [][]byte{volume(f, "v5-old"), volume(f, "v4")}
	places := [][]tutela.Run{hot(f, images[0]), hot(f, images[1])}
	f.Add(byte(0), []byte{0, 1, 0, 1})
	f.Add(byte(1), []byte{3, 100, 0, 0x80, 3, 5, 1, 7})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		n := int(which) % len(images)
		img := images[n]
		for ; len(changes) >= 4; changes = changes[4:] {
			r := places[n][int(changes[0])%len(places[n])]
			at := r.Offset + (int64(changes[1])|int64(changes[2])<<8)%r.Length
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, openAny, img)
	})
}
