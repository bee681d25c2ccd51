package apfs

import (
	"maps"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// resealed is a source whose structures have right checksums whatever is in
// them: otherwise nearly all damage would end there.
type resealed struct {
	evidence.Source
	blocks map[int64]bool
}

func (r resealed) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Source.ReadAt(p, off)
	if n == len(p) && n >= 4096 && off%4096 == 0 && r.blocks[off/4096] {
		seal(p)
	}
	return n, err
}

// structures are the blocks of an image with a right checksum.
func structures(img []byte) map[int64]bool {
	found := map[int64]bool{}
	for i := int64(0); (i+1)*4096 <= int64(len(img)); i++ {
		if sealed(block(img, uint64(i))) {
			found[i] = true
		}
	}
	return found
}

func reseal(img []byte) evidencetest.Open {
	blocks := structures(img)
	return func(src evidence.Source) (evidence.FileSystem, error) { return opener(resealed{src, blocks}) }
}

// hot are the structures as stretches.
func hot(img []byte) (runs []tutela.Run) {
	for _, i := range slices.Sorted(maps.Keys(structures(img))) {
		runs = append(runs, tutela.Run{Offset: i * 4096, Length: 400}, tutela.Run{Offset: i*4096 + 400, Length: 3696})
	}
	return runs
}

// damageable is a small container with something of all.
func damageable() []byte {
	c, _, _ := rich(4096, 560, nil)
	return c.img
}

func TestMutants(t *testing.T) {
	img := damageable()
	evidencetest.Mutants(t, reseal(img), img, hot(img)...)
	evidencetest.Mutants(t, opener, img, hot(img)...)
}

// FuzzOpen changes the bytes of a whole container. The fuzzer gets the changes:
// which structure, where in it, and a byte.
func FuzzOpen(f *testing.F) {
	img := damageable()
	open := reseal(img)
	places := slices.Sorted(maps.Keys(structures(img)))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 36, 1})
	f.Add([]byte{40, 0, 40, 0x80, 41, 0, 34, 7, 90, 1, 0, 0xff})
	f.Fuzz(func(t *testing.T, changes []byte) {
		for ; len(changes) >= 4; changes = changes[4:] {
			at := places[int(changes[0])%len(places)]*4096 + int64(changes[1])<<8%4096 + int64(changes[2])
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, open, img)
	})
}
