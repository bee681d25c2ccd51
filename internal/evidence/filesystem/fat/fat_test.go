package fat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func open(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

// TestSleuthKit holds the public images against listings made with fls and icat.
func TestSleuthKit(t *testing.T) {
	for image, listing := range map[string]string{
		"fslib/fat16.dd":     "expected/fslib_fat16.dd.tsv",
		"fslib/fat32.dd":     "expected/fslib_fat32.dd.tsv",
		"velocidex/fat12.dd": "expected/velocidex_fat12.dd.tsv",
		"velocidex/fat16.dd": "expected/velocidex_fat16.dd.tsv",
	} {
		t.Run(image, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(evidencetest.Folder(t), listing))
			if err != nil {
				t.Fatal(err)
			}
			evidencetest.SleuthKit(t, string(want), open, evidencetest.Image(t, image), nil)
		})
	}
}

// TestTruth holds the public images against what was written to them, but for a
// text that lost its carriage returns where the truth was kept, and a folder that
// the disk does not have.
func TestTruth(t *testing.T) {
	truth := slices.DeleteFunc(evidencetest.GroundTruth(t), func(row string) bool {
		return strings.HasPrefix(row, "document/Digital forensics.txt")
	})
	for _, image := range []string{"fslib/fat16.dd", "fslib/fat32.dd"} {
		evidencetest.Truth(t, truth, open, evidencetest.Image(t, image))
	}
	truth = slices.DeleteFunc(truth, func(row string) bool { return strings.HasPrefix(row, "folder/") })
	evidencetest.Truth(t, truth, open, partition(t))
}

// partition is the first one of a disk, written by Windows.
func partition(t *testing.T) []byte {
	const start, size = 128 * 512, 34816 * 512
	return evidencetest.Image(t, "fslib/mbr_fat16.dd")[start : start+size]
}

// TestGolden holds whole listings, findings, runs and slack included.
func TestGolden(t *testing.T) {
	for name, image := range map[string]string{
		"fslib_fat16":     "fslib/fat16.dd",
		"fslib_fat32":     "fslib/fat32.dd",
		"velocidex_fat12": "velocidex/fat12.dd",
		"fat12":           "testdata/fat12.dd",
		"fat32":           "testdata/fat32.dd",
		"high":            "testdata/high.dd",
		"sector4096":      "testdata/sector4096.dd",
		"full":            "testdata/full.dd",
	} {
		t.Run(name, func(t *testing.T) { evidencetest.Golden(t, name, open, evidencetest.Image(t, image)) })
	}
	t.Run("mbr_fat16", func(t *testing.T) { evidencetest.Golden(t, "mbr_fat16", open, partition(t)) })
}
