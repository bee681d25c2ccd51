package picture

import (
	"image"
	"image/draw"
	"math/rand/v2"
	"testing"

	"tutela/internal/feature"
)

// busy draws a picture with many places: discs of all sizes, a scene for each seed.
func busy(seed uint64, w, h int) *image.Gray {
	r := rand.New(rand.NewPCG(seed, 7))
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(90 + 70*(i%w)/w)
	}
	for range 150 {
		radius := float64(w) * (0.01 + 0.08*r.Float64()*r.Float64())
		cx, cy, shade, flat := r.Float64()*float64(w), r.Float64()*float64(h), uint8(r.IntN(256)), 0.3+r.Float64()
		for y := max(int(cy-radius), 0); y < min(int(cy+radius), h); y++ {
			for x := max(int(cx-radius), 0); x < min(int(cx+radius), w); x++ {
				if dx, dy := float64(x)-cx, (float64(y)-cy)/flat; dx*dx+dy*dy < radius*radius {
					m.Pix[y*w+x] = shade
				}
			}
		}
	}
	return m
}

func featuresIn(t *testing.T, v View) (s feature.Set) {
	t.Helper()
	if err := s.UnmarshalBinary(v.Features); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFeaturesOfReducedPictures holds the features had from reduced planes and
// means against those of all pixels.
func TestFeaturesOfReducedPictures(t *testing.T) {
	for i, test := range []struct{ width, height, scale int }{
		{900, 700, 0}, {1100, 1300, 0}, {2040, 1400, 0}, {2060, 1400, 4}, {2600, 2050, 0}, {4200, 2050, 8},
	} {
		m := busy(uint64(i), test.width, test.height)
		want := feature.Extract(m)
		rgb := image.NewNRGBA(m.Rect)
		draw.Draw(rgb, m.Rect, m, image.Point{}, draw.Src)
		jpeg := asJPEG(t, m)
		fast := look(t, jpeg, Ask{Features: true})
		if fast.Perceptual.Scale != test.scale {
			t.Errorf("%+v: read at scale %d", test, fast.Perceptual.Scale)
		}
		for kind, v := range map[string]View{
			"fast JPEG": fast, "exact JPEG": look(t, jpeg, Ask{Features: true, Exact: true}), "PNG in colour": look(t, asPNG(t, rgb), Ask{Features: true}),
		} {
			got := featuresIn(t, v)
			e, ok := feature.Verify(got, want)
			if !ok || e.Share < 0.5 || got.Len() < 100 {
				t.Errorf("%+v, %s: %d places, %d agree, %.2f of them", test, kind, got.Len(), e.Inliers, e.Share)
			}
		}
	}
}

// TestFeaturesOnlyIfAsked: they cost more than the hash does.
func TestFeaturesOnlyIfAsked(t *testing.T) {
	if v := look(t, asPNG(t, busy(1, 300, 300)), Ask{Exact: true, Variants: true, Thumbnail: true}); v.Features != nil {
		t.Error("features that nobody asked for")
	}
}
