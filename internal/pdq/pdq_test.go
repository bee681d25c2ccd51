package pdq

import (
	"encoding/binary"
	"hash/fnv"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tutela"
)

// lumaOf samples and weighs a picture pixel by pixel.
func lumaOf(m image.Image) *Luma {
	b := m.Bounds()
	columns, rows := Grid(b.Dx(), b.Dy())
	l := &Luma{Width: len(columns), Height: len(rows)}
	for _, y := range rows {
		for _, x := range columns {
			r, g, b, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
			l.Pix = append(l.Pix, Brightness(uint8(r>>8), uint8(g>>8), uint8(b>>8)))
		}
	}
	return l
}

func load(t testing.TB, name string) *Luma {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return lumaOf(m)
}

// table reads a file of tab-separated fields.
func table(t testing.TB, name string) (rows [][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		rows = append(rows, strings.Split(strings.TrimSpace(line), "\t"))
	}
	return rows
}

func TestReferenceVectors(t *testing.T) {
	rows := table(t, "expected.tsv")
	if len(rows) != 6 {
		t.Fatalf("%d vectors, want 6", len(rows))
	}
	for _, row := range rows {
		hash, quality := Hash(load(t, row[0]))
		if hash.String() != row[1] || strconv.Itoa(quality) != row[2] {
			t.Errorf("%s: %v quality %d, want %s quality %s", row[0], hash, quality, row[1], row[2])
		}
	}
}

func TestDihedralReferenceVectors(t *testing.T) {
	hashes, quality := Dihedral(load(t, "bridge-mods_aaa-orig.png"))
	if quality != 100 {
		t.Errorf("quality %d", quality)
	}
	for v, row := range table(t, "dihedral.tsv") {
		if VariantName(v) != row[0] || hashes[v].String() != row[1] {
			t.Errorf("%s: %v, want %s %s", VariantName(v), hashes[v], row[0], row[1])
		}
	}
}

// turned is the picture with its pixels moved as the variant's name says.
func turned(l *Luma, variant int) *Luma {
	out := &Luma{Width: l.Width, Height: l.Height, Pix: make([]float32, len(l.Pix))}
	switch variant {
	case Rotate90, Rotate270, FlipPlus1, FlipMinus1:
		out.Width, out.Height = l.Height, l.Width
	}
	right, bottom := l.Width-1, l.Height-1
	for y := range out.Height {
		for x := range out.Width {
			from := [8][2]int{
				{x, y}, {right - y, x}, {right - x, bottom - y}, {y, bottom - x},
				{x, bottom - y}, {right - x, y}, {y, x}, {right - y, bottom - x},
			}[variant]
			out.Pix[y*out.Width+x] = l.Pix[from[1]*l.Width+from[0]]
		}
	}
	return out
}

// TestDihedralMeansWhatItSays turns the pixels and hashes again. On a picture of
// the thumb's size the variants differ by rounding only. On others the thumb
// takes its pixels half a step off the middle, so mirroring the pixels is not
// quite mirroring the thumb, in the reference neither: up to 28 bits here, still
// a match. The hash of another variant is about 128 bits away.
func TestDihedralMeansWhatItSays(t *testing.T) {
	photo, tiny := load(t, "bridge-mods_aaa-orig.png"), load(t, "bridge-mods_shrink-a-lot.png")
	checkTurned(t, photo, 31)
	checkTurned(t, tiny, 31)
	checkTurned(t, thumbOf(photo), 2)
	checkTurned(t, thumbOf(tiny), 2)
}

func checkTurned(t *testing.T, l *Luma, near int) {
	t.Helper()
	hashes, _ := Dihedral(l)
	for v := range hashes {
		again, _ := Hash(turned(l, v))
		for other := range hashes {
			d := Distance(again, hashes[other])
			if other == v && d > near || other != v && d < 80 {
				t.Errorf("pixels of %s are %d bits from hash %s", VariantName(v), d, VariantName(other))
			}
		}
	}
}

func thumbOf(l *Luma) *Luma {
	var small thumb
	small.fill(l)
	out := &Luma{Width: block, Height: block}
	for i := range small {
		out.Pix = append(out.Pix, small[i][:]...)
	}
	return out
}

// slowThumb downsamples as the reference's code reads: four passes over
// everything, then the pixels that are kept.
func slowThumb(l *Luma) *thumb {
	a, b := append([]float32(nil), l.Pix...), make([]float32, len(l.Pix))
	for range 2 {
		for y := range l.Height {
			slowBox(a[y*l.Width:], b[y*l.Width:], l.Width, 1, window(l.Width))
		}
		for x := range l.Width {
			slowBox(b[x:], a[x:], l.Height, l.Width, window(l.Height))
		}
	}
	var t thumb
	for i := range t {
		for j := range t[i] {
			y := int((float64(i) + 0.5) * float64(l.Height) / block)
			x := int((float64(j) + 0.5) * float64(l.Width) / block)
			t[i][j] = a[y*l.Width+x]
		}
	}
	return &t
}

// slowBox is the mean over in[from:to], a box that is cut off at both ends.
func slowBox(in, out []float32, n, stride, window int) {
	var sum float32
	from, to := 0, 0
	for i := range n {
		for ; to < min(n, i+window/2+1); to++ {
			sum += in[to*stride]
		}
		for ; from < i+window/2+1-window; from++ {
			sum -= in[from*stride]
		}
		out[i*stride] = sum / float32(to-from)
	}
}

// TestFillIsTheSlowWay holds the streamed passes to the plain ones, bit for bit.
func TestFillIsTheSlowWay(t *testing.T) {
	side := rapid.OneOf(rapid.IntRange(smallest, 700), rapid.SampledFrom([]int{5, 63, 64, 65, 127, 128, 129, 512}))
	rapid.Check(t, func(t *rapid.T) {
		l := &Luma{Width: side.Draw(t, "width"), Height: side.Draw(t, "height")}
		if l.Width == block && l.Height == block {
			return // taken as it is
		}
		x := rapid.Uint32().Draw(t, "seed")
		for range l.Width * l.Height {
			x = x*1664525 + 1013904223
			l.Pix = append(l.Pix, Brightness(uint8(x>>24), uint8(x>>16), uint8(x>>8)))
		}
		var fast thumb
		fast.fill(l)
		if fast != *slowThumb(l) {
			t.Errorf("%d×%d: thumbs differ", l.Width, l.Height)
		}
	})
}

// TestBasis holds the cosines against those that glibc's cos gives, so that
// another processor's mathematics is noticed.
func TestBasis(t *testing.T) {
	h := fnv.New32a()
	if err := binary.Write(h, binary.BigEndian, newBasis()); err != nil {
		t.Fatal(err)
	}
	if got := h.Sum32(); got != 0xa3130365 {
		t.Errorf("basis has sum %08x", got)
	}
}

func TestGrid(t *testing.T) {
	for _, test := range []struct{ w, h, columns, rows, lastColumn, lastRow int }{
		{1, 1, 1, 1, 0, 0},
		{512, 512, 512, 512, 511, 511},
		{513, 100, 512, 512, 511, 99},
		{1600, 1004, 512, 512, 1596, 1002},
		{1 << 30, 1, 512, 512, 1<<30 - 1<<21, 0},
	} {
		columns, rows := Grid(test.w, test.h)
		if len(columns) != test.columns || len(rows) != test.rows ||
			columns[len(columns)-1] != test.lastColumn || rows[len(rows)-1] != test.lastRow {
			t.Errorf("Grid(%d, %d) = %d columns to %d, %d rows to %d", test.w, test.h,
				len(columns), columns[len(columns)-1], len(rows), rows[len(rows)-1])
		}
	}
}

func TestTooSmall(t *testing.T) {
	for _, l := range []*Luma{{4, 100, make([]float32, 400)}, {100, 4, make([]float32, 400)}} {
		if hash, quality := Hash(l); hash != (tutela.PDQ{}) || quality != 0 {
			t.Errorf("%d×%d: %v quality %d", l.Width, l.Height, hash, quality)
		}
		if hashes, quality := Dihedral(l); hashes != [8]tutela.PDQ{} || quality != 0 {
			t.Errorf("%d×%d: %v quality %d", l.Width, l.Height, hashes, quality)
		}
	}
}

func TestFlatPictureHasNoQuality(t *testing.T) {
	l := &Luma{200, 300, make([]float32, 200*300)}
	for i := range l.Pix {
		l.Pix[i] = 128
	}
	if _, quality := Hash(l); quality != 0 {
		t.Errorf("quality %d", quality)
	}
}

// TestThumbSizedPicture: a picture of 64×64 is its own thumb.
func TestThumbSizedPicture(t *testing.T) {
	l := &Luma{block, block, make([]float32, block*block)}
	for i := range l.Pix {
		l.Pix[i] = float32(math.Mod(float64(i*i), 251))
	}
	var small thumb
	small.fill(l)
	for i, v := range l.Pix {
		if small[i/block][i%block] != v {
			t.Fatalf("pixel %d: %v, want %v", i, small[i/block][i%block], v)
		}
	}
}

func TestDistance(t *testing.T) {
	var a, b tutela.PDQ
	for i := range b {
		b[i] = 0xff
	}
	if d := Distance(a, b); d != 256 {
		t.Errorf("distance of opposites: %d", d)
	}
	b = tutela.PDQ{0: 0x80, 31: 0x01, 13: 0x18}
	if d := Distance(a, b); d != 4 || Distance(b, a) != d || Distance(b, b) != 0 {
		t.Errorf("distance: %d", d)
	}
}

func BenchmarkHash(b *testing.B) {
	l := load(b, "bridge-mods_aaa-orig.png")
	b.ReportAllocs()
	for b.Loop() {
		Hash(l)
	}
}

func BenchmarkDihedral(b *testing.B) {
	l := load(b, "bridge-mods_aaa-orig.png")
	for b.Loop() {
		Dihedral(l)
	}
}
