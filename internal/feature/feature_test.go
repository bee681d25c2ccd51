package feature

import (
	"image"
	"math/rand/v2"
	"slices"
	"testing"
)

// mirrored is the picture with left and right exchanged.
func mirrored(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	out := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			out.Pix[y*w+x] = g.Pix[y*g.Stride+w-1-x]
		}
	}
	return out
}

func BenchmarkExtract(b *testing.B) {
	g := picture(1, 640, 480)
	for b.Loop() {
		Extract(g)
	}
}

func BenchmarkVerify(b *testing.B) {
	x, y := Extract(picture(1, 640, 480)), Extract(picture(2, 640, 480))
	b.Logf("%d and %d points", x.Len(), y.Len())
	for b.Loop() {
		Verify(x, y)
	}
}

// TestMirrorOfADescription holds the trick with bits against the histogram that
// a mirrored patch would have.
func TestMirrorOfADescription(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		var h, m histogram
		for i := range h {
			h[i] = r.Float32()
		}
		for row := range grid {
			for column := range grid {
				for d := range directions {
					m[bitOf(row, column, d)] = h[bitOf(grid-1-row, column, (directions-d)%directions)]
				}
			}
		}
		if got, want := h.description().mirror(), m.description(); got != want {
			t.Fatalf("%x, want %x", got, want)
		}
	}
}

func TestMirrorIsTheSetOfTheMirroredPicture(t *testing.T) {
	g := picture(3, 500, 400)
	want, got := Extract(mirrored(g)), Extract(g).Mirror()
	same, bits := 0, 0
	for _, p := range got.points {
		for _, q := range want.points {
			if close(&p, &q, 1) && within(int(int8(p.angle-q.angle)), 2) && within(int(p.size)-int(q.size), 1) {
				same, bits = same+1, bits+p.looks.distance(q.looks)
				break
			}
		}
	}
	if same < got.Len()*3/4 || bits > 8*same {
		t.Errorf("%d of %d places are found again, with %d bits changed", same, got.Len(), bits)
	}
	if !slices.Equal(got.Mirror().points, Extract(g).points) {
		t.Error("mirrored twice it is another set")
	}
}
