package pdq

import (
	"image"
	"math"
	"testing"

	"tutela"
)

// turnedPlane is the plane with its pixels moved, as turned does it.
func turnedPlane(p *Plane, variant int) *Plane {
	l := p.luma(p.Bounds())
	l = turned(l, variant)
	out := &Plane{Width: l.Width, Height: l.Height, Scale: 1}
	for _, v := range l.Pix {
		out.Pix = append(out.Pix, uint8(v))
	}
	return out
}

// TestFlippedCuts: unlike the reference's, these are hashes of the turned pixels.
func TestFlippedCuts(t *testing.T) {
	p := scene(301, 222)
	for variant, view := range map[int]*View{
		FlipX:     p.View(Cut{Part: p.Bounds(), FlipX: true}),
		FlipY:     p.View(Cut{Part: p.Bounds(), FlipY: true}),
		Rotate180: p.View(Cut{Part: p.Bounds(), FlipX: true, FlipY: true}),
	} {
		got, _ := view.Hash()
		if want, _ := Hash(turnedPlane(p, variant).luma(turnedPlane(p, variant).Bounds())); Distance(got, want) > 2 {
			t.Errorf("%s: %d bits from the turned pixels", VariantName(variant), Distance(got, want))
		}
	}
	for variant, view := range map[int]*View{
		FlipPlus1:  p.View(p.Whole()),
		Rotate90:   p.View(Cut{Part: p.Bounds(), FlipY: true}),
		Rotate270:  p.View(Cut{Part: p.Bounds(), FlipX: true}),
		FlipMinus1: p.View(Cut{Part: p.Bounds(), FlipX: true, FlipY: true}),
	} {
		q := turnedPlane(p, variant)
		if want, _ := Hash(q.luma(q.Bounds())); Distance(view.Transposed(), want) > 2 {
			t.Errorf("%s: %d bits from the turned pixels", VariantName(variant), Distance(view.Transposed(), want))
		}
	}
}

// TestTilted: by nothing is the picture itself; there and back is near it.
func TestTilted(t *testing.T) {
	p := scene(400, 300)
	want, _ := p.View(p.Whole()).Hash()
	views := p.Tilted(0, 2, -2)
	for i, most := range []int{8, 80, 80} {
		got, quality := views[i].Hash()
		if d := Distance(got, want); d > most || i > 0 && d < 8 || quality < MinQuality {
			t.Errorf("view %d: %d bits, quality %d", i, d, quality)
		}
	}
}

// TestWeightsAddUp: every value is a mean, at any scale and beyond the edges.
func TestWeightsAddUp(t *testing.T) {
	for _, scale := range []int{1, 4, 8} {
		p := &Plane{Width: 1237, Height: 901, Scale: scale}
		size := p.size()
		p.Pix = make([]uint8, size.X*size.Y)
		for i := range p.Pix {
			p.Pix[i] = 77
		}
		for _, part := range []image.Rectangle{p.Bounds(), image.Rect(-60, -50, 1300, 950), image.Rect(100, 7, 105, 900)} {
			for _, row := range p.View(Cut{Part: part}).small {
				for _, v := range row {
					if math.Abs(float64(v)-77) > 0.01 {
						t.Fatalf("1/%d, %v: %v of a flat picture of 77", scale, part, v)
					}
				}
			}
		}
	}
}

func TestDoubtOrdersPictures(t *testing.T) {
	smooth := scene(1024, 1100).reduced(4)
	rough := &Plane{Width: 1024, Height: 1100, Scale: 4, Pix: make([]uint8, len(smooth.Pix))}
	x := uint32(1)
	for i := range rough.Pix {
		x = x*1664525 + 1013904223
		rough.Pix[i] = uint8(x >> 24)
	}
	a, b := smooth.Doubt(smooth.View(smooth.Whole())), rough.Doubt(rough.View(rough.Whole()))
	if a < 0 || a >= b || b > 128 {
		t.Errorf("doubt of a smooth picture %v, of noise %v", a, b)
	}
}

func TestEmptyViews(t *testing.T) {
	for _, p := range []*Plane{{4, 9, 1, make([]uint8, 36)}, {1, 1, 8, make([]uint8, 1)}} {
		v := p.View(p.Whole())
		hash, quality := v.Hash()
		if hash != (tutela.PDQ{}) || quality != 0 || v.Transposed() != hash || p.Tilted(2)[0].Quality() != 0 || p.Doubt(v) != 0 {
			t.Errorf("%d×%d: %v quality %d", p.Width, p.Height, hash, quality)
		}
	}
}

func BenchmarkView(b *testing.B) {
	p := scene(2000, 1500).reduced(4) // as many values as 12 megapixels have at 1/8
	for b.Loop() {
		p.View(p.Whole()).Hash()
	}
}
