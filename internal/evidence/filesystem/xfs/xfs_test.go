package xfs

import (
	"os"
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
