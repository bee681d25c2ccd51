package apfs

import (
	"os"
	"strings"
	"testing"

	"tutela/internal/evidence"
	partitions "tutela/internal/evidence/volume"
	"tutela/internal/evidencetest"
)

// opener makes Open fit the shared tests.
func opener(src evidence.Source) (evidence.FileSystem, error) {
	fs, err := Open(src)
	if err != nil {
		return nil, err
	}
	return fs, nil
}

// partition is the APFS partition of fslib/gpt_apfs.dd.
func partition(t testing.TB) []byte {
	t.Helper()
	disk := evidencetest.Image(t, "fslib/gpt_apfs.dd")
	table, err := partitions.Read(evidencetest.Source(disk))
	if err != nil || len(table.Partitions) != 1 {
		t.Fatalf("no partition: %v", err)
	}
	p := table.Partitions[0]
	return disk[p.Start : p.Start+p.Length]
}

func TestGolden(t *testing.T) {
	evidencetest.Golden(t, "fslib", opener, partition(t))
	evidencetest.Golden(t, "dfvfs", opener, evidencetest.Image(t, "dfvfs/test_data/apfs.raw"))
}

// TestGroundTruth leaves out what the tree got after the image was made.
func TestGroundTruth(t *testing.T) {
	var rows []string
	for _, row := range evidencetest.GroundTruth(t) {
		if !strings.HasPrefix(row, "folder/") && !strings.HasPrefix(row, "document/Digital forensics.txt\t") {
			rows = append(rows, row)
		}
	}
	if len(rows) != 11 {
		t.Errorf("%d rows", len(rows))
	}
	evidencetest.Truth(t, rows, opener, partition(t))
}

// TestSleuthKit leaves out attributes: fls does not list them.
func TestSleuthKit(t *testing.T) {
	for name, image := range map[string][]byte{
		"fslib": partition(t),
		"dfvfs": evidencetest.Image(t, "dfvfs/test_data/apfs.raw"),
	} {
		except := map[string]string{}
		for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, opener, evidencetest.Source(image))) {
			if strings.Contains(e.Chain[0].At, " attribute ") {
				except[string(e.Path[1:])] = "an attribute"
			}
		}
		evidencetest.SleuthKit(t, text(t, "testdata/"+name+".tsk.tsv"), opener, image, except)
	}
}

func text(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
