package picture

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/pdq"
)

// scene draws an ordinary picture: hills, discs and a little grain.
func scene(width, height int) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, width, height))
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	for y := range height {
		v := float64(y) / float64(height)
		hill := 30*math.Cos(13*v) + 50*math.Sin(3*v*v)
		for x := range width {
			u := float64(x) / float64(width)
			f := 120 + hill + 40*math.Sin(7*u+5*v) + 25*math.Sin(29*u*v+1)
			if math.Hypot(u-0.3, v-0.6) < 0.17 {
				f -= 60
			}
			if math.Hypot(u-0.8, v-0.3) < 0.12 || u > 0.55 && u < 0.7 && v > 0.7 {
				f += 55
			}
			m.Pix[y*width+x] = uint8(min(max(f+r.Float64()*8, 0), 255))
		}
	}
	return m
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func look(t testing.TB, data []byte, ask Ask) View {
	t.Helper()
	v, err := Look(context.Background(), data, ask, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestFastAgainstExact holds every scale to the exact hash of the same bytes.
func TestFastAgainstExact(t *testing.T) {
	for _, test := range []struct{ width, height, scale int }{
		{1023, 1500, 0}, {1024, 1333, 4}, {1500, 1031, 4}, {2048, 2051, 8},
	} {
		data := asJPEG(t, scene(test.width, test.height))
		exact := look(t, data, Ask{Exact: true}).Perceptual
		fast := look(t, data, Ask{}).Perceptual
		if exact.Scale != 0 || fast.Scale != test.scale {
			t.Errorf("%+v: scale %d, exact %d", test, fast.Scale, exact.Scale)
		}
		if d := pdq.Distance(fast.PDQ, exact.PDQ); d > 4 || d > pdq.Margin(fast.Scale) {
			t.Errorf("%+v: %d bits from the exact hash", test, d)
		}
		if fast.Width != test.width || fast.Height != test.height {
			t.Errorf("%+v: %d×%d", test, fast.Width, fast.Height)
		}
		if want := map[int]string{0: "image/jpeg go", 4: "tutela/jpeg 1/4", 8: "tutela/jpeg 1/8"}[test.scale]; !strings.HasPrefix(fast.Decoder, want) {
			t.Errorf("%+v: decoded by %s", test, fast.Decoder)
		}
	}
}

// TestExactIsPerceptual: both entries give the same.
func TestExactIsPerceptual(t *testing.T) {
	for _, name := range []string{"bridge-mods_aaa-orig.jpg", "video-001.png", "video-001.cmyk.jpeg", "yellow_rose.lossy.webp"} {
		want, err := Perceptual(context.Background(), file(t, name), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got := look(t, file(t, name), Ask{Exact: true}).Perceptual
		if got.PDQ != want.PDQ || got.Quality != want.Quality || got.Decoder != want.Decoder || got.Scale != 0 {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// TestDoubtful: the hash of a fine pattern hangs on single pixels, and of a nearly
// flat picture on whether its quality is enough. Both are made exactly.
func TestDoubtful(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 1100, 1100))
	for i := range m.Pix {
		m.Pix[i] = uint8(128 + 100*math.Sin(float64(i%1100)*1.9)*math.Cos(float64(i/1100)*2.3))
	}
	data := asJPEG(t, m)
	if got := look(t, data, Ask{}).Perceptual; got.Scale != 0 || got.PDQ != look(t, data, Ask{Exact: true}).Perceptual.PDQ {
		t.Errorf("a fine pattern was hashed at 1/%d", got.Scale)
	}
}

// TestSalvaged: a JPEG that ends early is hashed as far as it goes.
func TestSalvaged(t *testing.T) {
	for _, size := range []int{300, 1100} {
		data := asJPEG(t, scene(size, size))
		whole := look(t, data, Ask{Exact: true}).Perceptual
		for _, exact := range []bool{false, true} {
			v := look(t, data[:len(data)*95/100], Ask{Exact: exact, Variants: true, Thumbnail: true})
			if len(v.Findings) != 1 || v.Findings[0].Code != tutela.FindingTruncated || v.Findings[0].Detail == "" {
				t.Errorf("%d: findings %v", size, v.Findings)
			}
			if d := pdq.Distance(v.Perceptual.PDQ, whole.PDQ); d > 31 {
				t.Errorf("%d: %d bits from the whole picture", size, d)
			}
			if !strings.HasPrefix(v.Perceptual.Decoder, "tutela/jpeg") || exact && v.Perceptual.Scale != 0 {
				t.Errorf("%d: %s, scale %d", size, v.Perceptual.Decoder, v.Perceptual.Scale)
			}
			if len(v.Thumbnail) == 0 || len(v.Perceptual.Variants) == 0 {
				t.Errorf("%d: thumbnail of %d bytes, %d variants", size, len(v.Thumbnail), len(v.Perceptual.Variants))
			}
		}
	}
}

func TestThumbnailWhenAsked(t *testing.T) {
	data := asJPEG(t, scene(1024, 1100))
	if v := look(t, data, Ask{}); v.Thumbnail != nil {
		t.Error("not asked for")
	}
	for _, exact := range []bool{false, true} {
		c, err := jpeg.DecodeConfig(bytes.NewReader(look(t, data, Ask{Thumbnail: true, Exact: exact}).Thumbnail))
		if err != nil || max(c.Width, c.Height) != thumbnailSide {
			t.Errorf("%v, %d×%d", err, c.Width, c.Height)
		}
	}
}

// framed puts a picture into a larger one.
func framed(m image.Image, size image.Rectangle, at image.Point, shade uint8) *image.Gray {
	out := image.NewGray(size)
	draw.Draw(out, size, image.NewUniform(color.Gray{shade}), image.Point{}, draw.Src)
	draw.Draw(out, m.Bounds().Add(at), m, image.Point{}, draw.Src)
	return out
}

// collage puts a picture over a part of another one.
func collage(m image.Image, width, height int, at image.Point) *image.Gray {
	out := mapped(scene(height, width), width, height, func(x, y int) (int, int) { return y, width - 1 - x })
	draw.Draw(out, m.Bounds().Add(at), m, image.Point{}, draw.Src)
	return out
}

// mapped is a picture whose pixels come from elsewhere in another.
func mapped(m *image.Gray, width, height int, from func(x, y int) (int, int)) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v := from(x, y)
			out.Pix[y*out.Stride+x] = m.GrayAt(u, v).Y
		}
	}
	return out
}

// TestVariantsUndo: a changed picture meets the original by the variant that
// undoes the change, at small and at reduced size.
func TestVariantsUndo(t *testing.T) {
	const w, h = 480, 360
	m := scene(w, h)
	known := look(t, asPNG(t, m), Ask{Exact: true}).Perceptual.PDQ
	sin, cos := math.Sincos(2 * math.Pi / 180)
	for name, changed := range map[string]*image.Gray{
		"rot90":      mapped(m, h, w, func(x, y int) (int, int) { return y, h - 1 - x }),
		"rot180":     mapped(m, w, h, func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }),
		"rot270":     mapped(m, h, w, func(x, y int) (int, int) { return w - 1 - y, x }),
		"flipx":      mapped(m, w, h, func(x, y int) (int, int) { return x, h - 1 - y }),
		"flipy":      mapped(m, w, h, func(x, y int) (int, int) { return w - 1 - x, y }),
		"flipplus1":  mapped(m, h, w, func(x, y int) (int, int) { return y, x }),
		"flipminus1": mapped(m, h, w, func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }),
		"border":     framed(m, image.Rect(0, 0, w+60, h+90), image.Pt(30, 45), 255),
		"caption":    captionedPicture(m),
		"left half":  collage(m, 2*w, h, image.Point{}), "right half": collage(m, 2*w, h, image.Pt(w, 0)),
		"top half": collage(m, w, 2*h, image.Point{}), "bottom half": collage(m, w, 2*h, image.Pt(0, h)),
		"top left quarter":     collage(m, 2*w, 2*h, image.Point{}),
		"top right quarter":    collage(m, 2*w, 2*h, image.Pt(w, 0)),
		"bottom left quarter":  collage(m, 2*w, 2*h, image.Pt(0, h)),
		"bottom right quarter": collage(m, 2*w, 2*h, image.Pt(w, h)),
		"extended 2.5 %":       mapped(m, w-24, h-18, func(x, y int) (int, int) { return x + 12, y + 9 }),
		"tilted left":          mapped(m, w, h, tilted(sin, cos)),
		"tilted right":         mapped(m, w, h, tilted(-sin, cos)),
	} {
		for _, exact := range []bool{false, true} {
			p := look(t, asPNG(t, changed), Ask{Variants: true, Exact: exact}).Perceptual
			if d := pdq.Distance(p.PDQ, known); d <= 31 {
				t.Errorf("%s: needs no variant, %d bits", name, d)
			}
			if d := distanceOf(p, name, known); d > 24 {
				t.Errorf("%s (exact %v): %d bits from the original", name, exact, d)
			}
			if len(p.Variants) > 23 {
				t.Errorf("%d variants", len(p.Variants))
			}
		}
	}
}

// tilted turns about the middle of 480×360.
func tilted(sin, cos float64) func(x, y int) (int, int) {
	return func(x, y int) (int, int) {
		u, v := float64(x)-239.5, float64(y)-179.5
		return int(240 + u*cos + v*sin), int(180 - u*sin + v*cos)
	}
}

func captionedPicture(m *image.Gray) *image.Gray {
	out := framed(m, image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()+60), image.Pt(0, 60), 250)
	for x := 40; x < m.Rect.Dx()-40; x++ {
		for y := 20; y < 40; y++ {
			if x/7%2 == 0 { // letters, of a kind
				out.Pix[y*out.Stride+x] = 10
			}
		}
	}
	return out
}

func distanceOf(p tutela.Perceptual, name string, known tutela.PDQ) int {
	for _, v := range p.Variants {
		if v.Name == name {
			return pdq.Distance(v.PDQ, known)
		}
	}
	return 256
}

// TestVariantsOfReducedLuma: also a large JPEG is undone, and its variants are
// near those made from all pixels.
func TestVariantsOfReducedLuma(t *testing.T) {
	m := scene(2600, 2100)
	data := asJPEG(t, framed(m, image.Rect(0, 0, 2701, 2203), image.Pt(49, 53), 0))
	fast, exact := look(t, data, Ask{Variants: true}).Perceptual, look(t, data, Ask{Variants: true, Exact: true}).Perceptual
	if fast.Scale != 8 {
		t.Fatalf("scale %d", fast.Scale)
	}
	known := look(t, asJPEG(t, m), Ask{Exact: true}).Perceptual.PDQ
	if d := distanceOf(fast, "border", known); d > 10 {
		t.Errorf("without its border: %d bits from the original", d)
	}
	for _, v := range exact.Variants {
		if d := distanceOf(fast, v.Name, v.PDQ); d > 16 {
			t.Errorf("%s: %d bits from the exact variant", v.Name, d)
		}
	}
}

// TestFlatPicturesHaveNoVariants: they would all be alike.
func TestFlatPicturesHaveNoVariants(t *testing.T) {
	flat := framed(image.NewGray(image.Rect(0, 0, 1, 1)), image.Rect(0, 0, 300, 200), image.Pt(10, 10), 200)
	gradient := image.NewGray(image.Rect(0, 0, 300, 200))
	for i := range gradient.Pix {
		gradient.Pix[i] = uint8(i % 300 / 2)
	}
	for name, m := range map[string]*image.Gray{"flat": flat, "gradient": gradient} {
		if v := look(t, asPNG(t, m), Ask{Variants: true}).Perceptual.Variants; len(v) != 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"12MP", 4000, 3000}, {"2MP", 1600, 1200}} {
		data := asJPEG(b, scene(size.width, size.height))
		for name, ask := range map[string]Ask{"fast": {}, "variants": {Variants: true}, "thumbnail": {Thumbnail: true}, "exact": {Exact: true}} {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					look(b, data, ask)
				}
			})
		}
	}
}
