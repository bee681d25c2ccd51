package exfat

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

// TestSleuthKit holds the public image against a listing made with fls and icat.
func TestSleuthKit(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(evidencetest.Folder(t), "expected/fslib_exfat.dd.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	evidencetest.SleuthKit(t, string(want), open, evidencetest.Image(t, "fslib/exfat.dd"), map[string]string{
		"MyExFAT (Volume Label Entry)": "the label is not a file",
		"._image":                      "its cluster belongs to README.md now, whose bytes fls gives",
	})
}

// TestGolden holds whole listings, findings, runs and slack included.
func TestGolden(t *testing.T) {
	for name, image := range map[string]string{
		"fslib_exfat": "fslib/exfat.dd",
		"small":       "testdata/small.dd",
		"sector4096":  "testdata/sector4096.dd",
		"full":        "testdata/full.dd",
	} {
		t.Run(name, func(t *testing.T) { evidencetest.Golden(t, name, open, evidencetest.Image(t, image)) })
	}
}

// TestTruth holds the public image against what was written to it, but for a text
// that lost its carriage returns where the truth was kept.
func TestTruth(t *testing.T) {
	truth := slices.DeleteFunc(evidencetest.GroundTruth(t), func(row string) bool {
		return strings.HasPrefix(row, "document/Digital forensics.txt")
	})
	evidencetest.Truth(t, truth, open, evidencetest.Image(t, "fslib/exfat.dd"))
}
