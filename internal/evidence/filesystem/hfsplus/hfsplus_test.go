package hfsplus

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func open(src evidence.Source) (evidence.FileSystem, error) { return Open(src) }

func image(t testing.TB, name string) []byte {
	t.Helper()
	return bytes.Clone(evidencetest.Image(t, name))
}

const (
	fslib = "fslib/hfs+.dd"
	dfvfs = "dfvfs/test_data/hfsplus.raw"
)

func TestGolden(t *testing.T) {
	for _, name := range []string{fslib, dfvfs} {
		evidencetest.Golden(t, filepath.Base(name), open, image(t, name))
	}
}

func TestTruth(t *testing.T) {
	var rows []string
	for _, row := range evidencetest.GroundTruth(t) {
		// This file lost its carriage returns on the way into the image's own
		// repository: TestSleuthKit holds it.
		if !strings.HasPrefix(row, "document/Digital forensics.txt\t") {
			rows = append(rows, row)
		}
	}
	evidencetest.Truth(t, rows, open, image(t, fslib))
}

// streams are entries that the other implementation's listing leaves out.
func streams(t *testing.T, img []byte) map[string]string {
	t.Helper()
	except := map[string]string{}
	for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(img))) {
		if bytes.IndexByte(e.Path, ':') >= 0 {
			except[string(e.Path[1:])] = "an attribute"
		}
	}
	return except
}

func TestSleuthKit(t *testing.T) {
	listing, err := os.ReadFile(filepath.Join(evidencetest.Folder(t), "expected/fslib_hfs+.dd.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	img := image(t, fslib)
	evidencetest.SleuthKit(t, string(listing), open, img, streams(t, img))
}
