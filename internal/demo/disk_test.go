package demo

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend"
	diskfile "github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"www.velocidex.com/golang/go-ntfs/parser"
)

func openDisk(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// ntfsReader is the oracle: a reader that shares nothing with the writer.
type ntfsReader struct{ *parser.NTFSContext }

func openNTFS(t *testing.T, disk string) ntfsReader {
	t.Helper()
	volume := io.NewSectionReader(openDisk(t, disk), ntfsFirst*sectorSize, ntfsSectors*sectorSize)
	context, err := parser.GetNTFSContext(volume, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(context.Close)
	return ntfsReader{context}
}

func (r ntfsReader) read(t *testing.T, path string) []byte {
	t.Helper()
	name, stream, _ := strings.Cut(path, ":")
	return r.content(t, r.entry(t, name), stream)
}

func (r ntfsReader) entry(t *testing.T, path string) *parser.MFT_ENTRY {
	t.Helper()
	root, err := r.GetMFT(recordRoot)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := root.Open(r.NTFSContext, path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return entry
}

func (r ntfsReader) content(t *testing.T, entry *parser.MFT_ENTRY, stream string) []byte {
	t.Helper()
	data, err := parser.OpenStream(r.NTFSContext, entry, parser.ATTR_TYPE_DATA, parser.WILDCARD_STREAM_ID, stream)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, parser.RangeSize(data))
	if _, err := data.ReadAt(content, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return content
}

// deletedEntry finds the record of a deleted file by the path its $FILE_NAME
// leads to.
func (r ntfsReader) deletedEntry(t *testing.T, path string) *parser.MFT_ENTRY {
	t.Helper()
	for id := int64(firstFile); ; id++ {
		entry, err := r.GetMFT(id)
		if err != nil {
			t.Fatalf("%s: no such record: %v", path, err)
		}
		if !entry.Flags().IsSet("ALLOCATED") && r.pathOf(t, entry) == path {
			return entry
		}
	}
}

func (r ntfsReader) pathOf(t *testing.T, entry *parser.MFT_ENTRY) string {
	t.Helper()
	path := ""
	for entry.Record_number() != recordRoot {
		names := entry.FileName(r.NTFSContext)
		if len(names) == 0 {
			return ""
		}
		path = "/" + names[0].Name() + path
		parent, err := r.GetMFT(int64(names[0].MftReference()))
		if err != nil || parent.Sequence_value() != names[0].Seq_num() {
			t.Fatalf("%s: parent is gone: %v", path, err)
		}
		entry = parent
	}
	return path
}

func (r ntfsReader) deleted(t *testing.T, path string) []byte {
	t.Helper()
	return r.content(t, r.deletedEntry(t, path), "")
}

// The clusters of a deleted file are free; those of a live one are not.
func TestBitmapKnowsWhatIsDeleted(t *testing.T) {
	home := openNTFS(t, plan(t).Disk)
	bitmap := home.read(t, "/$Bitmap")
	count := func(entry *parser.MFT_ENTRY) (used, all int) {
		data, err := entry.GetAttribute(home.NTFSContext, parser.ATTR_TYPE_DATA, -1, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range data.RunList() {
			for c := r.Offset; c < r.Offset+r.Length; c++ {
				used += int(bitmap[c/8] >> (c % 8) & 1)
				all++
			}
		}
		return used, all
	}
	if used, all := count(home.deletedEntry(t, "/Users/sam/Pictures/gone.jpg")); all == 0 || used != 0 {
		t.Errorf("deleted: %d of %d clusters are in use", used, all)
	}
	if used, all := count(home.entry(t, "/Users/sam/Documents/long.txt")); all == 0 || used != all {
		t.Errorf("live: %d of %d clusters are in use", used, all)
	}
}

// Nothing lies on the volume that is not planted, but for the file system's own.
func TestNTFSHoldsWhatIsPlanted(t *testing.T) {
	home := openNTFS(t, plan(t).Disk)
	root, err := home.GetMFT(recordRoot)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	home.walk(t, root, "", &found)
	var want []string
	for _, p := range plan(t).Planted {
		if p.Volume == "1" && p.State == 1 && !strings.Contains(p.Path, ":") {
			want = append(want, p.Path)
		}
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("found %q\nwant %q", found, want)
	}
}

func (r ntfsReader) walk(t *testing.T, dir *parser.MFT_ENTRY, path string, found *[]string) {
	t.Helper()
	for _, child := range dir.Dir(r.NTFSContext) {
		name := path + "/" + child.File().Name()
		if strings.HasPrefix(name, "/$") || name == "/." {
			continue
		}
		entry, err := r.GetMFT(int64(child.MftReference()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if entry.IsDir(r.NTFSContext) {
			r.walk(t, entry, name, found)
			continue
		}
		*found = append(*found, name)
	}
}

// The mapping pairs that the Linux-NTFS documentation takes as its examples.
func TestMappingPairs(t *testing.T) {
	for _, c := range []struct {
		runs []run
		want string
	}{
		{[]run{{0x5634, 0x18}}, "\x21\x18\x34\x56\x00"},
		{[]run{{0x342573, 0x38}, {0x363758, 0x114}, {0x393802, 0x42}}, "\x31\x38\x73\x25\x34\x32\x14\x01\xe5\x11\x02\x31\x42\xaa\x00\x03\x00"},
		{[]run{{0x60, 0x30}, {0x160, 0x10}, {0x140, 0x20}}, "\x11\x30\x60\x21\x10\x00\x01\x11\x20\xe0\x00"},
		{[]run{{0x11, 0x30}, {-1, 0x60}}, "\x11\x30\x11\x01\x60\x00"},
		{[]run{{0x80, 0x80}}, "\x22\x80\x00\x80\x00\x00"},
	} {
		if got := encodeRuns(c.runs); string(got) != c.want {
			t.Errorf("%v: % x, want % x", c.runs, got, c.want)
		}
	}
}

func TestPartitionTable(t *testing.T) {
	disk := openDisk(t, plan(t).Disk)
	table, err := gpt.Read(disk, sectorSize, sectorSize)
	if err != nil {
		t.Fatal(err)
	}
	if table.RecoveredFromBackup {
		t.Error("the primary table is not sound")
	}
	if err := table.Verify(disk, diskSectors*sectorSize); err != nil {
		t.Error(err)
	}
	got := table.Partitions
	if got[0].Start != ntfsFirst || got[0].End != gapFirst-1 || got[0].Name != "home" ||
		got[1].Start != isoFirst || got[1].End != isoFirst+isoSectors-1 || got[1].Name != "disc" {
		t.Errorf("partitions %v, %v", got[0], got[1])
	}
}

func openISO(t *testing.T, disk string) fs.FS {
	t.Helper()
	disc, err := iso9660.Read(backend.Sub(diskfile.New(openDisk(t, disk), true), isoFirst*sectorSize, isoSectors*sectorSize), isoSectors*sectorSize, 0, isoSector)
	if err != nil {
		t.Fatal(err)
	}
	return disc
}

// Names of the Rock Ridge kind, and nothing that is not planted.
func TestISOHoldsWhatIsPlanted(t *testing.T) {
	var found, want []string
	err := fs.WalkDir(openISO(t, plan(t).Disk), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, "/"+name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plan(t).Planted {
		if p.Volume == "2" && !strings.Contains(p.Path, "!/") {
			want = append(want, p.Path)
		}
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("found %q\nwant %q", found, want)
	}
}

// The gap is not empty, or a reader that skips it would look right.
func TestGapHoldsBytes(t *testing.T) {
	gap := make([]byte, (isoFirst-gapFirst)*sectorSize)
	if _, err := openDisk(t, plan(t).Disk).ReadAt(gap, gapFirst*sectorSize); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(gap, []byte("These bytes lie between")) {
		t.Error("nothing lies in the gap")
	}
}
