package exfat

import (
	"os"
	"path/filepath"
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

func TestGolden(t *testing.T) {
	evidencetest.Golden(t, "fslib_exfat", open, evidencetest.Image(t, "fslib/exfat.dd"))
}
