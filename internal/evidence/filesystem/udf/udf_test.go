package udf

import (
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func openAny(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

// filled are the volumes of testdata/fill.py, and whether they have streams.
var filled = map[string]bool{"hd512": true, "dvd": false, "hd4096": true, "cdrw": true, "cdr": false, "bdr": true, "metadata": true}

func imageOf(t testing.TB, name string) []byte {
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

// rows are the lines of a file of testdata.
func rows(t testing.TB, name string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// same holds the rows found against those wanted.
func same(t *testing.T, what string, found map[string]bool, want []string) {
	t.Helper()
	for _, row := range want {
		if !found[row] {
			t.Errorf("%s: missing: %s", what, row)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%s: %d files, not %d", what, len(found), len(want))
	}
}

func TestTruth(t *testing.T) {
	for name, streams := range filled {
		all := list(t, imageOf(t, name))
		want := rows(t, "truth.tsv")
		if streams {
			want = append(want, rows(t, "streams.tsv")...)
		} else {
			want = without(want, "streamed\t")
		}
		same(t, name, evidencetest.Rows(all, tutela.Allocated), want)
		same(t, name+" deleted", evidencetest.Rows(all, tutela.Deleted, tutela.Orphan), rows(t, "deleted.tsv"))
	}
	all := list(t, imageOf(t, "bridge"))
	same(t, "bridge", evidencetest.Rows(all, tutela.Allocated), rows(t, "bridge.tsv"))
}

func without(all []string, prefix string) (some []string) {
	for _, row := range all {
		if !strings.HasPrefix(row, prefix) {
			some = append(some, row)
		}
	}
	return some
}

func TestGolden(t *testing.T) {
	for name := range filled {
		evidencetest.Golden(t, name, openAny, imageOf(t, name))
	}
	evidencetest.Golden(t, "bridge", openAny, imageOf(t, "bridge"))
}
