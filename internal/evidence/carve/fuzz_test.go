package carve

import (
	"encoding/binary"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// hostile carves whatever bytes, and holds that the files lie one behind the
// other, each at a sector.
func hostile(t testing.TB, image []byte) {
	t.Helper()
	evidencetest.Hostile(t, whole, image)
	src := evidencetest.Source(image)
	fs, _ := whole(src)
	all := evidencetest.List(t, fs)
	evidencetest.InPlace(t, src, all)
	var last int64
	for i := range all {
		for _, r := range all[i].Runs {
			if r.Offset < last || r.Offset%sector != 0 || end(r) > src.Size() {
				t.Fatalf("%s at %v, behind %d", all[i].Path, r, last)
			}
			last = end(r)
		}
	}
}

// fuzz changes the samples of some formats: pairs of a place (four bytes) and a
// byte. What lies behind is a little noise.
func fuzz(f *testing.F, exts ...string) {
	var seeds [][]byte
	for _, s := range samples(f) {
		if slices.Contains(exts, s.ext) {
			seeds = append(seeds, slices.Concat(s.bytes, noise(2*sector, 1)))
		}
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{4, 0, 0, 0, 1, 20, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		image := slices.Clone(seeds[int(which)%len(seeds)])
		for ; len(changes) >= 5; changes = changes[5:] {
			image[int(binary.LittleEndian.Uint32(changes))%len(image)] = changes[4]
		}
		hostile(t, image)
	})
}

func FuzzJPEG(f *testing.F)     { fuzz(f, "jpg") }
func FuzzPNG(f *testing.F)      { fuzz(f, "png") }
func FuzzGIF(f *testing.F)      { fuzz(f, "gif") }
func FuzzRIFF(f *testing.F)     { fuzz(f, "webp", "avi") }
func FuzzMovie(f *testing.F)    { fuzz(f, "mp4", "mov", "3gp", "heic", "avif") }
func FuzzMatroska(f *testing.F) { fuzz(f, "mkv", "webm") }
func FuzzPDF(f *testing.F)      { fuzz(f, "pdf") }
func FuzzZIP(f *testing.F)      { fuzz(f, "zip", "docx", "odt") }
func FuzzBMP(f *testing.F)      { fuzz(f, "bmp") }
func FuzzTIFF(f *testing.F)     { fuzz(f, "tif") }

// TestMutants damages all samples at once, most where they begin.
func TestMutants(t *testing.T) {
	var d disk
	var hot []tutela.Run
	for _, s := range samples(t) {
		hot = append(hot, tutela.Run{Offset: int64(len(d.bytes)), Length: min(int64(len(s.bytes)), 2<<10)})
		d.put(s, nil)
	}
	evidencetest.MutantsOf(t, d.bytes, hot, func(damaged []byte) { hostile(t, damaged) })
}
