package fat

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// TestWritten holds each of our own images against what was written to it: every
// file in use and none else, and no deleted content that is wrong and has no
// finding. right is how many deleted ones are found whole; The Sleuth Kit finds
// as many, and none on high.dd.
func TestWritten(t *testing.T) {
	for _, test := range []struct {
		image        string
		right, wrong int // wrong and without a finding
	}{
		{"fat12.dd", 20, 0},
		{"fat16.dd", 10, 0},
		{"fat32.dd", 54, 0},
		{"high.dd", 34, 0},
		{"full.dd", 2, 0},
		// One cluster of a file whose directory was written over since.
		{"sector4096.dd", 4, 1},
	} {
		t.Run(test.image, func(t *testing.T) {
			live, deleted := truth(t, test.image)
			all := evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(evidencetest.Image(t, "testdata/"+test.image))))
			for row := range evidencetest.Rows(all, tutela.Allocated) {
				if !live[row] {
					t.Errorf("not written: %s", row)
				}
				delete(live, row)
			}
			for row := range live {
				t.Errorf("missing: %s", row)
			}
			right, wrong := map[string]bool{}, 0
			for i := range all {
				e := &all[i]
				content := fmt.Sprintf("%d\t%s", e.Size, e.SHA256)
				switch {
				case e.State == tutela.Allocated || e.Failure != nil:
				case deleted[content]:
					right[content] = true
				case len(e.Findings) == 0:
					wrong++
				}
			}
			if len(right) != test.right || wrong != test.wrong {
				t.Errorf("%d deleted contents found, %d wrong without a finding; want %d and %d", len(right), wrong, test.right, test.wrong)
			}
		})
	}
}

// truth is what was written to an image: rows of files in use, and size and
// digest of deleted ones.
func truth(t *testing.T, image string) (live, deleted map[string]bool) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + image + ".truth.tsv")
	if err != nil {
		t.Fatal(err)
	}
	live, deleted = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		state, row, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if _, content, _ := strings.Cut(row, "\t"); state == "D" {
			deleted[content] = true
		} else {
			live[row] = true
		}
	}
	return live, deleted
}
