package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/picture"
)

func drawnStill(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../picture/testdata/stills", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shownStill is what libheif made of a file, and its exact hash.
func shownStill(t *testing.T, name string) (image.Image, tutela.Perceptual) {
	t.Helper()
	data := drawnStill(t, "shown/"+name+".jpg")
	p, err := picture.Perceptual(context.Background(), data, picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return m, p
}

// Pictures are those that libheif makes of the same files: hashes at most 4 bits
// apart, of the picture as it was before it was turned, and thumbnails turned.
func TestStillIsWhatLibheifShows(t *testing.T) {
	needFFmpeg(t)
	h := newHost(t, Options{})
	for _, c := range []struct{ name, unturned, coding string }{
		{"single.heic", "single.heic", "hevc"}, {"odd.heic", "odd.heic", "hevc"}, {"grid.heic", "grid.heic", "hevc"},
		{"turned.heic", "grid.heic", "hevc"}, {"mirrored.heic", "grid.heic", "hevc"}, {"both.heic", "grid.heic", "hevc"},
		{"cropped.heic", "", "hevc"},
		{"single.avif", "single.avif", "av1"}, {"deep.avif", "deep.avif", "av1"}, {"grey.avif", "grey.avif", "av1"},
		{"limited.avif", "limited.avif", "av1"}, {"grid.avif", "grid.avif", "av1"}, {"turned.avif", "single.avif", "av1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := h.Look(context.Background(), drawnStill(t, c.name), picture.Ask{Exact: true, Variants: true, Thumbnail: true})
			if !decoderConfined {
				if err == nil || !strings.Contains(err.Error(), "no decoder for ") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(v.Findings) > 0 {
				t.Fatalf("%v %v", err, v.Findings)
			}
			p := v.Perceptual
			if !strings.HasPrefix(p.Decoder, "ffmpeg ") || !strings.HasSuffix(p.Decoder, " "+c.coding) || p.Scale != 0 || len(p.Variants) < 7 {
				t.Errorf("%q at %d with %d variants", p.Decoder, p.Scale, len(p.Variants))
			}
			shown, want := shownStill(t, c.name)
			if c.unturned != "" {
				_, want = shownStill(t, c.unturned)
			} else { // it stands on its head
				want.PDQ, want.Quality = pdq.Hash(luma(upsideDown{shown}))
			}
			d := pdq.Distance(p.PDQ, want.PDQ)
			if d > 4 || p.Width != want.Width || p.Height != want.Height {
				t.Errorf("%d×%d, %d bits away, want %d×%d", p.Width, p.Height, d, want.Width, want.Height)
			}
			alike(t, v.Thumbnail, shown)
			t.Logf("%d bits, quality %d and %d", d, p.Quality, want.Quality)
		})
	}
}

// What ends too early is shown as far as it goes, and what no decoder takes is
// told.
func TestStillIsCut(t *testing.T) {
	needFFmpeg(t)
	if !decoderConfined {
		return
	}
	h := newHost(t, Options{})
	for _, c := range []struct {
		name  string
		bytes int
		want  string // the findings, or part of the error
	}{
		{"grid.heic", 12000, "[truncated: ends before its picture does damaged: 1 of 6 parts of the picture could not be decoded]"},
		{"single.heic", 8000, "[truncated: ends before its picture does]"},
		{"grid.heic", 655, "ends in its picture"},
		{"single.avif", 300, "made nothing"},
		{"grid.heic", 200, "picture not decoded"},
	} {
		v, err := h.Look(context.Background(), drawnStill(t, c.name)[:c.bytes], picture.Ask{Exact: true})
		got := fmt.Sprint(v.Findings)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s of %d bytes: %s", c.name, c.bytes, got)
		}
	}
}

// One child looks at many, also by several at once.
func TestStillsAtOnce(t *testing.T) {
	needFFmpeg(t)
	h := newHost(t, Options{})
	data := drawnStill(t, "odd.heic")
	hashes := make(chan tutela.PDQ)
	for range 4 {
		go func() {
			for range 2 {
				v, err := h.Look(context.Background(), data, picture.Ask{Exact: true})
				if err != nil && decoderConfined {
					t.Error(err)
				}
				hashes <- v.Perceptual.PDQ
			}
		}()
	}
	first := <-hashes
	for range 7 {
		if got := <-hashes; got != first {
			t.Errorf("%v, and %v", first, got)
		}
	}
}

func TestStillIsStopped(t *testing.T) {
	h := newHost(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Look(ctx, drawnStill(t, "grid.heic"), picture.Ask{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestStillWithoutDecoder(t *testing.T) {
	h := newHost(t, Options{FFmpeg: "none"})
	for name, want := range map[string]string{"grid.heic": "no decoder for HEIC here", "single.avif": "no decoder for AVIF here"} {
		if _, err := h.Look(context.Background(), drawnStill(t, name), picture.Ask{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func luma(m image.Image) *pdq.Luma {
	b := m.Bounds()
	p := picture.Picture{Width: b.Dx(), Height: b.Dy(), Image: m}
	return p.Luma()
}

// upsideDown is a picture turned by 180 degrees.
type upsideDown struct{ image.Image }

func (u upsideDown) At(x, y int) color.Color {
	b := u.Bounds()
	return u.Image.At(b.Max.X-1-x+b.Min.X, b.Max.Y-1-y+b.Min.Y)
}

// alike holds a thumbnail against the picture: its shape, and its colours.
func alike(t *testing.T, thumbnail []byte, shown image.Image) {
	t.Helper()
	got, err := jpeg.Decode(bytes.NewReader(thumbnail))
	if err != nil {
		t.Fatal(err)
	}
	data, err := picture.Thumbnail(shown, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := want.Bounds()
	if got.Bounds() != b {
		t.Fatalf("thumbnail of %v, want %v", got.Bounds(), b)
	}
	sum := 0
	for y := range b.Max.Y {
		for x := range b.Max.X {
			r, g, bl, _ := got.At(x, y).RGBA()
			wr, wg, wb, _ := want.At(x, y).RGBA()
			sum += difference(r, wr) + difference(g, wg) + difference(bl, wb)
		}
	}
	if mean := float64(sum) / float64(3*b.Dx()*b.Dy()); mean > 6 {
		t.Errorf("thumbnail differs by %.1f in the mean", mean)
	} else {
		t.Logf("thumbnail %.1f", mean)
	}
}

func difference(a, b uint32) int {
	return max(int(a>>8)-int(b>>8), int(b>>8)-int(a>>8))
}
