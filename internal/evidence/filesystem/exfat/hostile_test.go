package exfat

import (
	"encoding/binary"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// openMended opens an image whose boot region is given a right checksum first,
// so that damage to it is not caught there.
func openMended(src evidence.Source) (evidence.FileSystem, error) { return Open(mended{src}) }

// mended gives the first boot region a right checksum.
type mended struct{ evidence.Source }

func (m mended) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.Source.ReadAt(p, off)
	const sums = 11 * 512
	if off > sums || off+int64(n) < sums+4 {
		return n, err
	}
	region := make([]byte, sums)
	if readFull(m.Source, region, 0) == nil {
		binary.LittleEndian.PutUint32(p[sums-off:], regionSum(region))
	}
	return n, err
}

// hot are the boot region, the table, and the first clusters.
func hot(t testing.TB, image []byte) []tutela.Run {
	fs, err := Open(evidencetest.Source(image))
	if err != nil {
		t.Fatal(err)
	}
	g := &fs.geo
	return []tutela.Run{
		{Offset: 64, Length: 50},
		{Offset: g.table, Length: 1 << 10},
		{Offset: g.offset(g.root), Length: 2 * g.cluster},
		{Offset: g.heap, Length: 64 * g.cluster},
	}
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"testdata/small.dd", "testdata/full.dd"} {
		image := evidencetest.Image(t, name)
		evidencetest.Mutants(t, openMended, image, hot(t, image)...)
	}
	image := evidencetest.Image(t, "testdata/sector4096.dd")
	evidencetest.Mutants(t, open, image, hot(t, image)...)
}

// FuzzOpen changes the bytes of a whole image. The fuzzer gets the changes, not
// the image: pairs of a place, in 18 bits, and a byte.
func FuzzOpen(f *testing.F) {
	images := [][]byte{evidencetest.Image(f, "testdata/small.dd"), evidencetest.Image(f, "testdata/full.dd")}
	f.Add(byte(0), []byte{})
	f.Add(byte(0), []byte{109, 0, 3, 0, 96, 0, 9, 0})
	f.Add(byte(1), []byte{0x03, 2, 0, 7, 0x05, 2, 0, 7})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		image := images[int(which)%len(images)]
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0]) | int(changes[1])<<8 | int(changes[2]&3)<<16
			old := image[at]
			defer func() { image[at] = old }()
			image[at] = changes[3]
		}
		evidencetest.Hostile(t, openMended, image)
	})
}
