package btrfs

import (
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func openAny(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

func volume(t testing.TB, name string) []byte {
	t.Helper()
	return evidencetest.Image(t, "testdata/"+name+".img")
}

func list(t testing.TB, img []byte) []evidencetest.Entry {
	t.Helper()
	src := evidencetest.Source(img)
	all := evidencetest.List(t, evidencetest.MustOpen(t, openAny, src))
	evidencetest.InPlace(t, src, all)
	return all
}

// truth are the rows that the kernel listed.
func truth(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/truth.tsv")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

func TestTruth(t *testing.T) {
	want := truth(t)
	for _, name := range []string{"mixed", "zlib", "zstd"} {
		found := evidencetest.Rows(list(t, volume(t, name)), tutela.Allocated)
		for _, row := range want {
			if !found[row] {
				t.Errorf("%s: missing: %s", name, row)
			}
		}
		if len(found) != len(want) {
			t.Errorf("%s: %d files, not %d", name, len(found), len(want))
		}
	}
}
