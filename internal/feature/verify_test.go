package feature

import (
	"image"
	"image/draw"
	"math"
	"testing"
)

// cut is a part of a picture, in shares of its sides.
func cut(g *image.Gray, x0, y0, x1, y1 float64) *image.Gray {
	w, h := float64(g.Rect.Dx()), float64(g.Rect.Dy())
	return g.SubImage(image.Rect(int(x0*w), int(y0*h), int(x1*w), int(y1*h))).(*image.Gray)
}

// tilted turns a picture around its middle, clockwise; the corners are black.
func tilted(g *image.Gray, degrees float64) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	from := plane{w, h, make([]float32, w*h)}
	for i, v := range g.Pix {
		from.pix[i] = float32(v)
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	out := image.NewGray(g.Rect)
	for y := range h {
		for x := range w {
			dx, dy := float64(x)-float64(w)/2, float64(y)-float64(h)/2
			u, v := cos*dx+sin*dy+float64(w)/2, -sin*dx+cos*dy+float64(h)/2
			if u >= 0 && v >= 0 && u < float64(w) && v < float64(h) {
				out.Pix[y*w+x] = uint8(from.at(float32(u), float32(v)))
			}
		}
	}
	return out
}

// barred lies on a larger white sheet.
func barred(g *image.Gray) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, g.Rect.Dx(), g.Rect.Dy()*6/5))
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(out, g.Rect, g, g.Rect.Min, draw.Src)
	return out
}

func darker(g *image.Gray) *image.Gray {
	out := image.NewGray(g.Rect)
	for i, v := range g.Pix {
		out.Pix[i] = uint8(30 + int(v)/3)
	}
	return out
}

func TestAlteredCopiesMatch(t *testing.T) {
	original := picture(7, 640, 480)
	known := Extract(original)
	for _, c := range []struct {
		name     string
		copy     *image.Gray
		mirrored bool
	}{
		{"itself", original, false},
		{"a part of 60 %", cut(original, 0.1, 0.3, 0.7, 0.9), false},
		{"turned by 10°", tilted(original, 10), false},
		{"turned by 137°", tilted(original, 137), false},
		{"with a bar below", barred(original), false},
		{"darker and flatter", darker(original), false},
		{"mirrored", mirrored(original), true},
		{"a mirrored part", cut(mirrored(original), 0.1, 0.1, 0.9, 0.9), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, ok := Verify(Extract(c.copy), known)
			if !ok || e.Mirrored != c.mirrored {
				t.Errorf("match %v: %+v", ok, e)
			}
		})
	}
}

// TestMapTellsWhereAPartLies holds the map against the cut that was made: from
// (160, 120), of half the size, so that the part is shown twice as large.
func TestMapTellsWhereAPartLies(t *testing.T) {
	original := picture(8, 640, 480)
	e, ok := Verify(Extract(cut(original, 0.25, 0.25, 0.75, 0.75)), Extract(original))
	if !ok {
		t.Fatalf("no match: %+v", e)
	}
	got := [...]float64{e.Map.XX, e.Map.XY, e.Map.X0, e.Map.YX, e.Map.YY, e.Map.Y0}
	want := [...]float64{0.5, 0, 160 / 640.0, 0, 0.5, 120 / 640.0}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 0.01 {
			t.Errorf("map %v, want %v", got, want)
			break
		}
	}
}

func TestOtherPicturesDoNotMatch(t *testing.T) {
	var sets []Set
	for i := range 24 {
		sets = append(sets, Extract(picture(uint64(100+i), 480, 360)))
	}
	for i, a := range sets {
		for _, b := range sets[:i] {
			if e, ok := Verify(a, b); ok {
				t.Errorf("%+v", e)
			}
		}
	}
}

// TestACommonLogoIsNoMatch pastes one and the same detail into two pictures.
func TestACommonLogoIsNoMatch(t *testing.T) {
	logo := picture(50, 170, 140)
	a, b := picture(51, 640, 480), picture(52, 640, 480)
	draw.Draw(a, logo.Rect.Add(image.Pt(450, 30)), logo, image.Point{}, draw.Src)
	draw.Draw(b, logo.Rect.Add(image.Pt(430, 320)), logo, image.Point{}, draw.Src)
	e, ok := Verify(Extract(a), Extract(b))
	if ok || e.Inliers < 8 {
		t.Errorf("the logo must be seen and not suffice: match %v: %+v", ok, e)
	}
}

func TestPicturesWithoutPlaces(t *testing.T) {
	flat := image.NewGray(image.Rect(0, 0, 300, 200))
	for _, g := range []*image.Gray{flat, image.NewGray(image.Rect(0, 0, 1, 1)), image.NewGray(image.Rect(0, 0, 5000, 3)), {}} {
		s := Extract(g)
		if s.Len() != 0 {
			t.Errorf("%v has %d places", g.Rect, s.Len())
		}
		if _, ok := Verify(s, s); ok {
			t.Errorf("%v matches", g.Rect)
		}
	}
}

func TestSmallAndOddSizes(t *testing.T) {
	for _, size := range [][2]int{{16, 16}, {17, 31}, {384, 16}, {16, 384}, {1000, 42}, {31, 700}} {
		if s := Extract(picture(5, size[0], size[1])); s.Len() > maxPoints {
			t.Errorf("%v: %d places", size, s.Len())
		}
	}
}
