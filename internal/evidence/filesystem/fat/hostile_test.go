package fat

import (
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// hot are the stretches of an image that hold boot sectors, tables and the first
// directories.
func hot(t testing.TB, image []byte) []tutela.Run {
	fs, err := Open(evidencetest.Source(image))
	if err != nil {
		t.Fatal(err)
	}
	g := &fs.geo
	return []tutela.Run{
		{Offset: 0, Length: 96},
		{Offset: g.table, Length: min(g.tableBytes, 1<<10)},
		{Offset: g.root, Length: g.rootBytes + 4*g.cluster},
		{Offset: g.data, Length: 64 * g.cluster},
	}
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"testdata/full.dd", "testdata/fat12.dd", "testdata/fat16.dd"} {
		image := evidencetest.Image(t, name)
		evidencetest.Mutants(t, open, image, hot(t, image)...)
	}
}

// TestMutants32 has fewer images: each is larger.
func TestMutants32(t *testing.T) {
	image := evidencetest.Image(t, "testdata/fat32.dd")
	evidencetest.Mutants(t, open, image[:4<<20], hot(t, image)...)
}

// FuzzOpen changes the bytes of a whole image. The fuzzer gets the changes, not
// the image: pairs of a place, in 16 bits below 128 KiB, and a byte.
func FuzzOpen(f *testing.F) {
	images := [][]byte{evidencetest.Image(f, "testdata/full.dd"), evidencetest.Image(f, "testdata/fat12.dd"), evidencetest.Image(f, "testdata/fat32.dd")[:4<<20]}
	f.Add(byte(0), []byte{})
	f.Add(byte(0), []byte{13, 0, 8, 0, 17, 0, 2, 0})
	f.Add(byte(1), []byte{0x03, 2, 0, 7, 0x05, 2, 0, 7})
	f.Add(byte(2), []byte{0x2c, 0, 0, 9})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		image := images[int(which)%len(images)]
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0]) | int(changes[1])<<8 | int(changes[2]&1)<<16
			old := image[at]
			defer func() { image[at] = old }()
			image[at] = changes[3]
		}
		evidencetest.Hostile(t, open, image)
	})
}
