package apfs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
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

// TestEmpty reads what another program made: a container of one empty volume
// whose names are compared as they are.
func TestEmpty(t *testing.T) {
	image := evidencetest.Image(t, "testdata/mkapfs.img")
	fs, err := Open(evidencetest.Source(image))
	if err != nil {
		t.Fatal(err)
	}
	if v := fs.volumes[0]; string(v.name) != "Empty one" || v.hashed() || v.encrypted() {
		t.Errorf("volume %+v", v)
	}
	if all := evidencetest.List(t, fs); len(all) != 0 {
		t.Errorf("entries:\n%s", evidencetest.Listing(all))
	}
	var blocks []tutela.Run
	if err := fs.Free(t.Context(), func(r tutela.Run) error {
		blocks = append(blocks, tutela.Run{Offset: r.Offset / 4096, Length: r.Length / 4096})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []tutela.Run{{Offset: 0x1751, Length: 0x4e20 - 0x1751}, {Offset: 0x4e28, Length: 0x5208 - 0x4e28}, {Offset: 0x5221, Length: 0x8200 - 0x5221}}
	if !slices.Equal(blocks, want) {
		t.Errorf("free: %#x", blocks)
	}
}
