package ext

import (
	"bytes"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

var hostile = []string{"testdata/undelete.ext2", "testdata/open.ext4", "testdata/inlinedeleted.ext4", "testdata/groups.ext4"}

// hot is where a volume keeps its structure: the superblock, descriptors, maps
// and inode tables of its first groups, the journal and the directories.
func hot(t testing.TB, img []byte) (runs []tutela.Run) {
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	add := func(block, n int64) { runs = append(runs, tutela.Run{Offset: block * fs.block, Length: n * fs.block}) }
	runs = append(runs, tutela.Run{Offset: superOffset, Length: superBytes})
	add(fs.descriptorBlock(0), 1)
	for _, g := range fs.group[:min(4, len(fs.group))] {
		add(g.blockBitmap, 1)
		add(g.inodeBitmap, 1)
		add(g.table, min(4, fs.tableBlocks()))
	}
	if fs.log != nil {
		for _, r := range fs.log.places {
			add(r.physical, min(r.n, 200))
		}
	}
	for n := fs.firstInode; n < fs.firstInode+60; n++ {
		in, err := fs.inode(n)
		if err != nil || in.kind() != modeDir || in.is(flagInline) {
			continue
		}
		for _, r := range (mapper{fs: fs, read: fs.readBlock, budget: &budget{1000}}).of(in).runs {
			add(r.physical, r.n)
		}
	}
	return runs
}

func TestMutants(t *testing.T) {
	for _, name := range hostile {
		t.Run(name, func(t *testing.T) {
			img := evidencetest.Image(t, name)
			evidencetest.Mutants(t, open, img, hot(t, img)...)
		})
	}
}

// TestMutantsUnchecked damages what checksums would give away: a reader that
// believes them stops looking there.
func TestMutantsUnchecked(t *testing.T) {
	img := bytes.Clone(evidencetest.Image(t, "testdata/open.ext4"))
	runs := hot(t, img)
	img[superOffset+0x65] &^= roMetadataCRC >> 8
	evidencetest.Mutants(t, open, img, runs...)
}

// FuzzOpen changes the bytes of a whole image. The fuzzer gets the changes, not
// the image: pairs of a place, most of them where the structure lies, and a byte.
func FuzzOpen(f *testing.F) {
	var images [][]byte
	var places [][]tutela.Run
	for _, name := range hostile {
		img := bytes.Clone(evidencetest.Image(f, name))
		images, places = append(images, img), append(places, hot(f, img))
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(0), []byte{0, 0x58, 0, 0xff})
	f.Add(byte(1), []byte{1, 0x10, 0, 7, 3, 0x31, 2, 7})
	f.Add(byte(2), []byte{5, 0x40, 0, 'B', 6, 0x41, 0, 1})
	f.Add(byte(3), []byte{9, 0x0c, 0, 0x80})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		img, runs := images[int(which)%len(images)], places[int(which)%len(images)]
		for ; len(changes) >= 4; changes = changes[4:] {
			run := runs[int(changes[0])%len(runs)]
			at := run.Offset + (int64(changes[1])|int64(changes[2])<<8)%run.Length
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, func(src evidence.Source) (evidence.FileSystem, error) { return open(src) }, img)
	})
}
