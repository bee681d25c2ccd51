package demo

import (
	"encoding/hex"
	"image"
	"math"
	"math/bits"
	"slices"

	"golang.org/x/image/draw"
)

// plainPDQ is the perceptual hash written as plainly as the paper tells it
// (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
// Algorithm", 2019), so that this package's tests stand alone. It is close to
// the reference implementation, not bit for bit the same.
func plainPDQ(img image.Image) (string, int) {
	small := smallLuma(img)
	return hashOf(small), qualityOf(small)
}

// square is a picture's brightness after everything but its gist is gone.
type square [64][64]float64

func smallLuma(img image.Image) square { return decimate(tent(lumaOf(img))) }

// positions is a square in its eight positions: mirrored either way and
// transposed.
func positions(s square) []square {
	out := make([]square, 8)
	for y := range 64 {
		for x := range 64 {
			for p, at := range [4][2]int{{y, x}, {63 - y, x}, {y, 63 - x}, {63 - y, 63 - x}} {
				out[p][at[0]][at[1]] = s[y][x]
				out[4+p][at[1]][at[0]] = s[y][x]
			}
		}
	}
	return out
}

type plane [][]float64

func lumaOf(img image.Image) plane {
	b := img.Bounds()
	size := b.Size()
	if max(size.X, size.Y) > 512 {
		size = image.Pt(512, 512)
	}
	rgba := image.NewRGBA(image.Rectangle{Max: size})
	draw.NearestNeighbor.Scale(rgba, rgba.Rect, img, b, draw.Src, nil)
	out := make(plane, rgba.Rect.Dy())
	for y := range out {
		out[y] = make([]float64, rgba.Rect.Dx())
		for x := range out[y] {
			c := rgba.RGBAAt(x, y)
			out[y][x] = 0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)
		}
	}
	return out
}

// tent is two box filters along each side.
func tent(p plane) plane {
	for range 2 {
		p = boxed(p)
		p = transposed(boxed(transposed(p)))
	}
	return p
}

func transposed(p plane) plane {
	out := make(plane, len(p[0]))
	for x := range out {
		out[x] = make([]float64, len(p))
		for y := range p {
			out[x][y] = p[y][x]
		}
	}
	return out
}

func boxed(p plane) plane {
	half := (len(p[0]) + 127) / 128 / 2
	out := make(plane, len(p))
	for y, row := range p {
		out[y] = make([]float64, len(row))
		for x := range row {
			window := row[max(0, x-half):min(len(row), x+half+1)]
			sum := 0.0
			for _, v := range window {
				sum += v
			}
			out[y][x] = sum / float64(len(window))
		}
	}
	return out
}

func decimate(p plane) (out square) {
	for y := range out {
		for x := range out[y] {
			out[y][x] = p[(2*y+1)*len(p)/128][(2*x+1)*len(p[0])/128]
		}
	}
	return out
}

func qualityOf(p square) int {
	sum := 0
	for y := range 64 {
		for x := range 64 {
			if y < 63 {
				sum += int(math.Abs((p[y][x] - p[y+1][x]) * 100 / 255))
			}
			if x < 63 {
				sum += int(math.Abs((p[y][x] - p[y][x+1]) * 100 / 255))
			}
		}
	}
	return min(sum/90, 100)
}

// basis holds the cosines of frequencies 1 to 16; frequency 0 says nothing but
// how bright the picture is.
var basis = func() (b [16][64]float64) {
	for i := range b {
		for j := range b[i] {
			b[i][j] = math.Cos(math.Pi / 128 * float64((i+1)*(2*j+1)))
		}
	}
	return b
}()

func transform(p square) (out [16][16]float64) {
	var half [16][64]float64
	for i := range 16 {
		for x := range 64 {
			for y := range 64 {
				half[i][x] += basis[i][y] * p[y][x]
			}
		}
	}
	for i := range 16 {
		for j := range 16 {
			for x := range 64 {
				out[i][j] += half[i][x] * basis[j][x]
			}
		}
	}
	return out
}

func hashOf(s square) string {
	var all []float64
	for _, row := range transform(s) {
		all = append(all, row[:]...)
	}
	sorted := slices.Sorted(slices.Values(all))
	hash := make([]byte, 32)
	for k, v := range all {
		if v > sorted[127] {
			hash[31-k/8] |= 1 << (k % 8)
		}
	}
	return hex.EncodeToString(hash)
}

func distance(a, b string) int {
	x, _ := hex.DecodeString(a)
	y, _ := hex.DecodeString(b)
	n := 0
	for i := range x {
		n += bits.OnesCount8(x[i] ^ y[i])
	}
	return n
}
