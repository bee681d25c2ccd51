package main

import (
	"image"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
)

// makeScene draws a picture with many places: discs of all sizes.
func makeScene(where string, _ []string) error { return writePNG(where, scene()) }

// makeCaptioned draws the same picture, cut at every side, with a bar below it in
// which bars stand as letters do.
func makeCaptioned(where string, _ []string) error {
	whole := scene()
	cut := whole.Bounds().Inset(50)
	m := image.NewGray(image.Rect(0, 0, cut.Dx(), cut.Dy()+60))
	draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(m, image.Rect(0, 0, cut.Dx(), cut.Dy()), whole, cut.Min, draw.Src)
	for x := 20; x < cut.Dx()-20; x += 14 {
		draw.Draw(m, image.Rect(x, cut.Dy()+15, x+6, cut.Dy()+45), image.Black, image.Point{}, draw.Src)
	}
	return writePNG(where, m)
}

func scene() *image.Gray {
	const width, height = 480, 400
	r := rand.New(rand.NewPCG(4, 7))
	m := image.NewGray(image.Rect(0, 0, width, height))
	for range 160 {
		radius, cx, cy, shade := 4+45*r.Float64()*r.Float64(), width*r.Float64(), height*r.Float64(), uint8(r.IntN(256))
		for i := range m.Pix {
			if dx, dy := float64(i%width)-cx, float64(i/width)-cy; dx*dx+dy*dy < radius*radius {
				m.Pix[i] = shade
			}
		}
	}
	return m
}

func writePNG(where string, m image.Image) error {
	f, err := os.Create(where)
	if err != nil {
		return err
	}
	defer f.Close()
	return png.Encode(f, m)
}
