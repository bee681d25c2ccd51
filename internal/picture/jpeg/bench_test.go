package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	standard "image/jpeg"
	"os/exec"
	"testing"
)

// twelve is a drawn picture of 12 megapixels, about 4 MB at quality 90.
func twelve(b *testing.B, quality int) []byte { return encoded(b, drawn(4000, 3000, 2), quality) }

func BenchmarkRead(b *testing.B) {
	for _, quality := range []int{75, 90} {
		data := twelve(b, quality)
		for _, scale := range scales {
			b.Run(fmt.Sprintf("baseline/quality%d/scale%d", quality, scale), func(b *testing.B) { measure(b, data, scale) })
		}
		b.Run(fmt.Sprintf("standard/quality%d", quality), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := standard.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func measure(b *testing.B, data []byte, scale Scale) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		whole(b, data, Options{Scale: scale})
	}
}

// A small picture must not pay for the tables of a large one.
func BenchmarkSmall(b *testing.B) { measure(b, bridge, 8) }

func BenchmarkTables(b *testing.B) {
	dc, ac := usual(0, 0), usual(1, 0)
	for b.Loop() {
		newSkips(dc, ac)
	}
}

// The standard library writes no progressive pictures: cjpeg makes it.
func BenchmarkProgressive(b *testing.B) {
	cjpeg, err := exec.LookPath("cjpeg")
	if err != nil {
		b.Skip("no cjpeg here to make a progressive picture")
	}
	var ppm bytes.Buffer
	m := drawn(4000, 3000, 2)
	fmt.Fprintf(&ppm, "P6\n4000 3000\n255\n")
	for i := range 4000 * 3000 {
		c := m.(*image.YCbCr).YCbCrAt(i%4000, i/4000)
		r, g, bl := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		ppm.Write([]byte{r, g, bl})
	}
	c := exec.Command(cjpeg, "-progressive", "-quality", "85")
	c.Stdin = &ppm
	data, err := c.Output()
	if err != nil {
		b.Fatal(err)
	}
	for _, scale := range scales {
		b.Run(fmt.Sprintf("scale%d", scale), func(b *testing.B) { measure(b, data, scale) })
	}
}
