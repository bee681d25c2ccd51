package fat

import (
	"os"
	"path/filepath"
	"testing"

	"tutela"
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

// TestTruth holds the public images against what was written to them.
func TestTruth(t *testing.T) {
	truth := evidencetest.GroundTruth(t)
	for _, image := range []string{"fslib/fat16.dd", "fslib/fat32.dd"} {
		evidencetest.Truth(t, truth, open, evidencetest.Image(t, image))
	}
	const start, size = 128 * 512, 34816 * 512 // of the first partition
	disk := evidencetest.Image(t, "fslib/mbr_fat16.dd")
	evidencetest.Truth(t, truth, open, disk[start:start+size])
}

func TestGolden(t *testing.T) {
	for name, image := range map[string]string{
		"fslib_fat16":     "fslib/fat16.dd",
		"fslib_fat32":     "fslib/fat32.dd",
		"velocidex_fat12": "velocidex/fat12.dd",
		"velocidex_fat16": "velocidex/fat16.dd",
	} {
		t.Run(name, func(t *testing.T) { evidencetest.Golden(t, name, open, evidencetest.Image(t, image)) })
	}
}

var _ = tutela.Allocated
