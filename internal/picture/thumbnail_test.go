package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"math"
	"math/rand/v2"
	"testing"

	"tutela/internal/picture/jpeg"
)

func TestFit(t *testing.T) {
	for full, want := range map[image.Point]image.Point{
		{4000, 3000}: {256, 192}, {3000, 4000}: {192, 256}, {256, 256}: {256, 256}, {100, 7}: {100, 7}, {257, 1}: {256, 1}, {65535, 3}: {256, 1},
	} {
		if got := fit(full); got != want {
			t.Errorf("%v: %v, want %v", full, got, want)
		}
	}
}

// TestMeanAgainstThePlainLoop adds up, for every pixel, every sample's share.
func TestMeanAgainstThePlainLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		w, h := 1+r.IntN(70), 1+r.IntN(70)
		s := samples{w, h, float64(w) - r.Float64(), float64(h) - r.Float64(), make([]uint8, w*h)}
		for i := range s.pix {
			s.pix[i] = uint8(r.Uint32())
		}
		to := image.Pt(1+r.IntN(40), 1+r.IntN(40))
		got := s.mean(to)
		for y := range to.Y {
			for x := range to.X {
				if want := plainMean(s, to, x, y); math.Abs(float64(got[y*to.X+x])-want) > 1 {
					t.Fatalf("%d×%d to %v at %d,%d: %d, want %.2f", w, h, to, x, y, got[y*to.X+x], want)
				}
			}
		}
	}
}

func plainMean(s samples, to image.Point, x, y int) float64 {
	overlap := func(i, n int, length float64, j int) float64 {
		from, until := float64(i)*length/float64(n), float64(i+1)*length/float64(n)
		return max(0, min(until, float64(j+1))-max(from, float64(j)))
	}
	sum, area := 0.0, 0.0
	for j := range s.height {
		for i := range s.width {
			a := overlap(x, to.X, s.across, i) * overlap(y, to.Y, s.down, j)
			sum, area = sum+a*float64(s.pix[j*s.width+i]), area+a
		}
	}
	return sum / area
}

func decoded(t testing.TB, thumbnail []byte, err error) image.Image {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	m, err := stdjpeg.Decode(bytes.NewReader(thumbnail))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestThumbnailOfPlanes is like that of all pixels, in brightness and colours.
func TestThumbnailOfPlanes(t *testing.T) {
	data := file(t, "bridge-mods_aaa-orig.jpg")
	full := decode(t, data).Image
	plain, err := Thumbnail(full, 1)
	want := decoded(t, plain, err)
	if want.Bounds().Size() != image.Pt(256, 161) {
		t.Fatalf("%v", want.Bounds())
	}
	for _, scale := range []jpeg.Scale{1, 4, 8} {
		p, err := jpeg.Read(data, jpeg.Options{Scale: scale, Chroma: true})
		if err != nil {
			t.Fatal(err)
		}
		thumbnail, err := thumbnailOf(p, 1)
		got := decoded(t, thumbnail, err)
		if d := meanDifference(rawYCC(t, got), rawYCC(t, want)); d > 6 { // at 8 it has fewer pixels than the thumbnail
			t.Errorf("scale %d: differs by %.1f in the mean", scale, d)
		}
		if len(thumbnail) > 20_000 {
			t.Errorf("%d bytes", len(thumbnail))
		}
	}
}

func rawYCC(t *testing.T, m image.Image) []byte {
	y, ok := m.(*image.YCbCr)
	if !ok {
		t.Fatalf("%T", m)
	}
	return append(append(bytes.Clone(y.Y), y.Cb...), y.Cr...)
}

// TestThumbnailKinds: every kind of picture gives a thumbnail of the right
// colours.
func TestThumbnailKinds(t *testing.T) {
	r := image.Rect(3, 5, 303, 105)
	blue := color.RGBA{20, 40, 200, 255}
	palette := image.NewPaletted(r, color.Palette{blue})
	clear := image.NewNRGBA(r)
	pictures := []image.Image{image.NewRGBA(r), image.NewRGBA64(r), image.NewNRGBA64(r), image.NewCMYK(r), image.NewYCbCr(r, image.YCbCrSubsampleRatio420), palette, clear}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			for _, m := range pictures {
				if s, ok := m.(interface{ Set(x, y int, c color.Color) }); ok {
					s.Set(x, y, blue)
				}
			}
			clear.SetNRGBA(x, y, color.NRGBA{20, 40, 200, 0}) // invisible and there
		}
	}
	ycc := pictures[4].(*image.YCbCr)
	yy, cb, cr := color.RGBToYCbCr(20, 40, 200)
	for plane, v := range map[*[]uint8]uint8{&ycc.Y: yy, &ycc.Cb: cb, &ycc.Cr: cr} {
		for i := range *plane {
			(*plane)[i] = v
		}
	}
	for _, m := range pictures {
		thumbnail, err := Thumbnail(m, 1)
		got := decoded(t, thumbnail, err)
		if got.Bounds().Size() != image.Pt(256, 85) {
			t.Errorf("%T: %v", m, got.Bounds())
		}
		red, green, b, _ := got.At(100, 50).RGBA()
		if d := math.Abs(float64(red>>8)-20) + math.Abs(float64(green>>8)-40) + math.Abs(float64(b>>8)-200); d > 12 {
			t.Errorf("%T: colour %d %d %d", m, red>>8, green>>8, b>>8)
		}
	}
	grey, err := Thumbnail(image.NewGray(r), 1)
	if _, ok := decoded(t, grey, err).(*image.Gray); !ok {
		t.Error("a grey picture has a thumbnail in colours")
	}
	if _, err := Thumbnail(image.NewGray(image.Rect(0, 0, 0, 5)), 1); err == nil {
		t.Error("a thumbnail of nothing")
	}
}

// TestTurned follows the corners: Exif 2.32, 4.6.4, says on which side of the
// scene the stored picture's first row and first column are.
func TestTurned(t *testing.T) {
	s := &small{width: 3, height: 2, pix: [3][]uint8{[]uint8("abcdef")}}
	for orientation, want := range map[int]string{
		1: "abc def", 2: "cba fed", 3: "fed cba", 4: "def abc",
		5: "ad be cf", 6: "da eb fc", 7: "fc eb da", 8: "cf be ad", 0: "abc def", 9: "abc def",
	} {
		got, turned := "", s.turned(orientation)
		for y := range turned.height {
			if y > 0 {
				got += " "
			}
			got += string(turned.pix[0][y*turned.width : (y+1)*turned.width])
		}
		if got != want {
			t.Errorf("orientation %d: %q, want %q", orientation, got, want)
		}
	}
}

func TestSubsampling(t *testing.T) {
	for _, test := range []struct {
		pixels, blocks int
		want           float64
	}{{4000, 500, 1}, {4000, 250, 2}, {4000, 125, 4}, {17, 3, 1}, {17, 2, 2}, {1, 1, 1}} {
		if got := subsampling(test.pixels, test.blocks); got != test.want {
			t.Errorf("%d pixels, %d blocks: %v", test.pixels, test.blocks, got)
		}
	}
}

func BenchmarkThumbnail(b *testing.B) {
	large := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for i := range large.Y {
		large.Y[i] = uint8(i*i>>9 ^ i/4000)
	}
	b.Run("image/12MP", func(b *testing.B) {
		for b.Loop() {
			if _, err := Thumbnail(large, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, scale := range []int{4, 8} {
		p := &jpeg.Planes{Width: 4000, Height: 3000, Scale: jpeg.Scale(scale)}
		p.Y = jpeg.Plane{Width: 4000 / scale, Height: 3000 / scale, Pix: large.Y[:4000/scale*3000/scale]}
		p.Cb = jpeg.Plane{Width: 250, Height: 188, Pix: make([]uint8, 250*188)}
		p.Cr = p.Cb
		b.Run(fmt.Sprintf("planes/12MP at %d", scale), func(b *testing.B) {
			for b.Loop() {
				if _, err := thumbnailOf(p, 6); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
