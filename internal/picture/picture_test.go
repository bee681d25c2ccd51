package picture

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/pdq"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t testing.TB, data []byte) *Picture {
	t.Helper()
	p, err := Decode(context.Background(), data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNearTheReference decodes with our decoder what the reference decoded with
// libjpeg-turbo.
func TestNearTheReference(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(file(t, "expected.tsv"))), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d vectors, want 6", len(lines))
	}
	for _, line := range lines {
		fields := strings.Split(line, "\t")
		want, err := tutela.ParsePDQ(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := Perceptual(context.Background(), file(t, fields[0]), Limits{})
		if err != nil {
			t.Fatalf("%s: %v", fields[0], err)
		}
		d := pdq.Distance(got.PDQ, want)
		t.Logf("%s: distance %d", fields[0], d)
		if d > 10 || strconv.Itoa(got.Quality) != fields[2] {
			t.Errorf("%s: distance %d, quality %d, want at most 10 and %s", fields[0], d, got.Quality, fields[2])
		}
	}
}

func TestFormats(t *testing.T) {
	for _, test := range []struct {
		name          string
		width, height int
		decoder       string
		like          string // must be within 31 bits
	}{
		{"video-001.png", 150, 103, "image/png go", ""},
		{"video-001.jpeg", 150, 103, "image/jpeg go", "video-001.png"},
		{"video-001.q50.420.progressive.jpeg", 150, 103, "image/jpeg go", "video-001.png"},
		{"video-001.rgb.jpeg", 150, 103, "image/jpeg go", "video-001.png"},
		{"video-001.cmyk.jpeg", 150, 103, "image/jpeg go", "video-001.png"},
		{"video-001.gif", 150, 103, "image/gif go", "video-001.png"},
		{"video-001.interlaced.gif", 150, 103, "image/gif go", "video-001.png"},
		{"video-001.lossy.webp", 150, 103, webpDecoder, "video-001.png"},
		{"video-005.gray.jpeg", 150, 103, "image/jpeg go", ""},
		{"yellow_rose.lossy.webp", 400, 301, webpDecoder, ""},
		{"yellow_rose.lossy-with-alpha.webp", 400, 301, webpDecoder, ""},
		{"gopher-doc.4bpp.lossless.webp", 75, 100, webpDecoder, ""},
		{"gopher-doc.with-alpha.lossless.webp", 75, 100, webpDecoder, ""},
	} {
		got, err := Perceptual(context.Background(), file(t, test.name), Limits{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got.Width != test.width || got.Height != test.height || !strings.HasPrefix(got.Decoder, test.decoder) {
			t.Errorf("%s: %d×%d by %s", test.name, got.Width, got.Height, got.Decoder)
		}
		if test.like == "" {
			continue
		}
		like, err := Perceptual(context.Background(), file(t, test.like), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if d := pdq.Distance(got.PDQ, like.PDQ); d > 31 {
			t.Errorf("%s is %d bits from %s", test.name, d, test.like)
		}
	}
}

// TestWebPDecoderIsNamed holds the name to the module's version.
func TestWebPDecoderIsNamed(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSuffix(strings.Replace(webpDecoder, "/webp ", " ", 1), "\n"); !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not have %q", want)
	}
}

func TestIsPicture(t *testing.T) {
	for mime, want := range map[string]bool{"image/jpeg": true, "image/webp": true, "image/heic": true, "image/tiff": true, "image/svg+xml": false, "text/plain": false, "": false} {
		if IsPicture(mime) != want {
			t.Errorf("IsPicture(%q) = %v", mime, !want)
		}
	}
}

// painted fills a picture with colours of every alpha.
func painted[M interface {
	Set(x, y int, c color.Color)
	Bounds() image.Rectangle
}](m M) M {
	r := rand.New(rand.NewPCG(1, 2))
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			m.Set(x, y, color.NRGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32())})
		}
	}
	return m
}

// TestLumaIsThatOfRGB holds every shortcut to converting the pixel through the
// picture's own At. Rectangles do not begin at the origin.
func TestLumaIsThatOfRGB(t *testing.T) {
	r := image.Rect(3, 5, 610, 90)
	ycc := image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	ycca := image.NewNYCbCrA(r, image.YCbCrSubsampleRatio422)
	for i, plane := range [][]byte{ycc.Y, ycc.Cb, ycc.Cr, ycca.Y, ycca.Cb, ycca.Cr} {
		rand.NewChaCha8([32]byte{byte(i)}).Read(plane)
	}
	for i := range ycca.A {
		ycca.A[i] = 255
	}
	opaque := func(m *image.RGBA) *image.RGBA {
		for i := 3; i < len(m.Pix); i += 4 {
			m.Pix[i] = 255
		}
		return m
	}
	palette := color.Palette{color.RGBA{9, 8, 7, 255}, color.RGBA{200, 100, 50, 255}, color.RGBA{0, 255, 30, 255}}
	for _, m := range []image.Image{ycc, ycca, opaque(painted(image.NewRGBA(r))), painted(image.NewCMYK(r)),
		painted(image.NewPaletted(r, palette)), painted(image.NewGray(r)), painted(image.NewGray16(r)), image.NewUniform(color.White)} {
		if _, ok := m.(*image.Uniform); ok {
			m = struct{ image.Image }{painted(image.NewCMYK(r))} // a type without a shortcut
		}
		p := &Picture{Width: r.Dx(), Height: r.Dy(), Image: m}
		luma := p.Luma()
		columns, rows := pdq.Grid(p.Width, p.Height)
		for i, got := range luma.Pix {
			c := m.At(r.Min.X+columns[i%luma.Width], r.Min.Y+rows[i/luma.Width])
			red, green, blue, _ := c.RGBA()
			want := pdq.Brightness(uint8(red>>8), uint8(green>>8), uint8(blue>>8))
			switch g := c.(type) {
			case color.Gray:
				want = float32(g.Y)
			case color.Gray16:
				want = float32(g.Y >> 8)
			}
			if got != want {
				t.Fatalf("%T: pixel %d is %v, want %v", m, i, got, want)
			}
		}
	}
}

// TestAlphaIsIgnored: what is invisible is hashed as it is stored.
func TestAlphaIsIgnored(t *testing.T) {
	r := image.Rect(0, 0, 64, 64)
	clear := painted(image.NewNRGBA(r))
	wide := painted(image.NewNRGBA64(r))
	paletted := image.NewPaletted(r, color.Palette{color.NRGBA{10, 200, 30, 0}, color.NRGBA{250, 2, 3, 128}})
	paletted.Pix[1] = 1
	for _, m := range []image.Image{clear, wide, paletted} {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		luma := decode(t, b.Bytes()).Luma()
		for i, got := range luma.Pix {
			var c color.NRGBA
			switch m := m.(type) {
			case *image.NRGBA:
				c = m.NRGBAAt(i%64, i/64)
			case *image.NRGBA64:
				n := m.NRGBA64At(i%64, i/64)
				c = color.NRGBA{uint8(n.R >> 8), uint8(n.G >> 8), uint8(n.B >> 8), 0}
			case *image.Paletted:
				c = m.Palette[m.Pix[i]].(color.NRGBA)
			}
			if want := pdq.Brightness(c.R, c.G, c.B); got != want {
				t.Fatalf("%T: pixel %d is %v, want %v", m, i, got, want)
			}
		}
	}
}

// TestFirstFrame: a GIF whose first frame is smaller than its screen is its
// first frame.
func TestFirstFrame(t *testing.T) {
	palette := color.Palette{color.Black, color.White}
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{
		Image: []*image.Paletted{
			painted(image.NewPaletted(image.Rect(10, 20, 40, 60), palette)),
			image.NewPaletted(image.Rect(0, 0, 100, 100), palette),
		},
		Delay:  []int{1, 1},
		Config: image.Config{Width: 100, Height: 100, ColorModel: palette},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := decode(t, b.Bytes())
	if p.Width != 30 || p.Height != 40 {
		t.Errorf("%d×%d", p.Width, p.Height)
	}
	if l := p.Luma(); l.Width != 30 || l.Height != 40 || len(l.Pix) != 1200 {
		t.Errorf("luma %d×%d", l.Width, l.Height)
	}
}

func TestTruncatedIsDamaged(t *testing.T) {
	for _, name := range []string{"video-001.png", "video-001.jpeg", "video-001.gif", "video-001.lossy.webp", "gopher-doc.4bpp.lossless.webp"} {
		data := file(t, name)
		for _, n := range []int{13, 20, len(data) / 2, len(data) - 20} {
			if _, err := Decode(context.Background(), data[:n], Limits{}); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	data := file(t, "video-001.png")
	for _, limits := range []Limits{{Pixels: 150*103 - 1}, {Memory: 150 * 103}} {
		if _, err := Decode(context.Background(), data, limits); !errors.Is(err, ErrTooLarge) || !errors.Is(err, ErrNotDecoded) {
			t.Errorf("%+v: %v", limits, err)
		}
	}
	if _, err := Decode(context.Background(), data, Limits{Pixels: 150 * 103, Memory: 1 << 20}); err != nil {
		t.Error(err)
	}
}

func TestNotAPicture(t *testing.T) {
	for _, data := range []string{"", "hello", "BM\x00\x00", "RIFF\x00\x00\x00\x00WAVE"} {
		if _, err := Decode(context.Background(), []byte(data), Limits{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestContextEndsDecoding(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range []string{"video-001.png", "video-001.jpeg", "video-001.gif", "video-001.lossy.webp"} {
		_, err := Decode(ctx, file(t, name), Limits{})
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotDecoded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPanicIsAnError stands in for decoders' bugs, which come and go.
func TestPanicIsAnError(t *testing.T) {
	f := formats()[0]
	f.decode = func(io.Reader) (image.Image, error) { panic("index out of range") }
	if _, err := f.open(context.Background(), file(t, "video-001.jpeg"), Limits{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("panic became %v", err)
	}
	f.config = func(io.Reader) (image.Config, error) { panic("index out of range") }
	if _, err := f.open(context.Background(), file(t, "video-001.jpeg"), Limits{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("panic became %v", err)
	}
}

// TestLyingDecoder: a decoder that sees another size than we do is stopped
// before it allocates.
func TestLyingDecoder(t *testing.T) {
	f := formats()[0]
	f.config = func(io.Reader) (image.Config, error) { return image.Config{Width: 60000, Height: 60000}, nil }
	f.decode = func(io.Reader) (image.Image, error) { t.Error("decoder was called"); return nil, io.EOF }
	if _, err := f.open(context.Background(), file(t, "video-001.jpeg"), Limits{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if data := file(f, filepath.Base(name)); len(data) < 30_000 {
			f.Add(data)
		}
	}
	for _, h := range hostile {
		f.Add(h.data)
	}
	limits := Limits{Pixels: 1 << 20, Memory: 8 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Perceptual(context.Background(), data, limits)
		switch {
		case err != nil && !errors.Is(err, ErrNotDecoded):
			t.Errorf("error of no class: %v", err)
		case err == nil && int64(got.Width)*int64(got.Height) > limits.Pixels:
			t.Errorf("%d×%d got past the limits", got.Width, got.Height)
		case err == nil && (got.Quality < 0 || got.Quality > 100 || got.Width < 1 || got.Height < 1):
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkPerceptual(b *testing.B) {
	large := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	src := decode(b, file(b, "bridge-mods_aaa-orig.jpg")).Image
	for y := range 3000 {
		for x := range 4000 {
			large.Set(x, y, src.At(x*1600/4000, y*1004/3000))
		}
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, large, &jpeg.Options{Quality: 85}); err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"1.6MP": file(b, "bridge-mods_aaa-orig.jpg"), "12MP": photo.Bytes(), "small": file(b, "video-001.jpeg")} {
		b.Run("decode/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				decode(b, data)
			}
		})
		p := decode(b, data)
		b.Run("hash/"+name, func(b *testing.B) {
			for b.Loop() {
				pdq.Hash(p.Luma())
			}
		})
	}
}
