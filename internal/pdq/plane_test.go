package pdq

import (
	"image"
	"math"
	"testing"
)

// scene draws an ordinary picture: soft hills, discs and fine grain.
func scene(width, height int) *Plane {
	p := &Plane{Width: width, Height: height, Scale: 1, Pix: make([]uint8, width*height)}
	x := uint32(width*31 + height)
	for i := range p.Pix {
		u, v := float64(i%width)/float64(width), float64(i/width)/float64(height)
		f := 120 + 50*math.Sin(7*u+3*v*v) + 30*math.Cos(13*v-5*u) + 25*math.Sin(29*u*v+1)
		if math.Hypot(u-0.3, v-0.6) < 0.17 {
			f -= 60
		}
		if math.Hypot(u-0.8, v-0.3) < 0.12 || u > 0.55 && v > 0.7 && u < 0.7 {
			f += 55
		}
		x = x*1664525 + 1013904223
		p.Pix[i] = uint8(min(max(f+float64(x>>28)-8, 0), 255))
	}
	return p
}

// luma is the plane's part as the exact way samples it.
func (p *Plane) luma(part image.Rectangle) *Luma {
	columns, rows := Grid(part.Dx(), part.Dy())
	l := &Luma{Width: len(columns), Height: len(rows)}
	for _, y := range rows {
		for _, x := range columns {
			l.Pix = append(l.Pix, float32(p.Pix[(part.Min.Y+y)*p.Width+part.Min.X+x]))
		}
	}
	return l
}

// reduced is the plane of the means of scale × scale pixels.
func (p *Plane) reduced(scale int) *Plane {
	r := &Plane{Width: p.Width, Height: p.Height, Scale: scale}
	size := r.size()
	for y := range size.Y {
		for x := range size.X {
			sum, n := 0, 0
			for _, at := range p.within(image.Rect(x*scale, y*scale, (x+1)*scale, (y+1)*scale)) {
				sum, n = sum+int(p.Pix[at]), n+1
			}
			r.Pix = append(r.Pix, uint8((sum+n/2)/n))
		}
	}
	return r
}

func (p *Plane) within(r image.Rectangle) (at []int) {
	r = r.Intersect(p.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			at = append(at, y*p.Width+x)
		}
	}
	return at
}

// TestViewIsTheHash: of full planes only rounding differs from the exact way.
func TestViewIsTheHash(t *testing.T) {
	for _, size := range []image.Point{{5, 5}, {7, 300}, {64, 64}, {64, 200}, {65, 64}, {300, 200}, {512, 512}, {513, 100}, {1200, 900}} {
		p := scene(size.X, size.Y)
		parts := []image.Rectangle{p.Bounds()}
		if size.X > 200 {
			parts = append(parts, image.Rect(size.X/2, 0, size.X, size.Y), image.Rect(3, 5, 180, size.Y-6))
		}
		for _, part := range parts {
			want, quality := Hash(p.luma(part))
			got, q := p.View(Cut{Part: part}).Hash()
			if d := Distance(got, want); d > 2 || q < quality-1 || q > quality+1 {
				t.Errorf("%v of %v: %d bits from the exact hash, quality %d, want %d", part, size, d, q, quality)
			}
		}
	}
}

// TestReducedView holds hashes of means to the exact ones of the whole.
func TestReducedView(t *testing.T) {
	for _, size := range []image.Point{{1024, 1365}, {2049, 1366}} {
		p := scene(size.X, size.Y)
		want, quality := Hash(p.luma(p.Bounds()))
		for _, scale := range []int{4, 8} {
			got, q := p.reduced(scale).View(p.Whole()).Hash()
			d := Distance(got, want)
			t.Logf("%v at 1/%d: %d bits, quality %d of %d", size, scale, d, q, quality)
		}
	}
}
