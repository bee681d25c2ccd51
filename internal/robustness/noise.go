package robustness

import "math"

// noise is smooth randomness over the plane: random values at whole coordinates,
// and between them what lies between.
type noise uint64

// at is the noise at a point, 0 to 1.
func (n noise) at(x, y float64) float64 {
	left, top := math.Floor(x), math.Floor(y)
	u, v := ease(x-left), ease(y-top)
	i, j := int64(left), int64(top)
	upper := mix(n.corner(i, j), n.corner(i+1, j), u)
	lower := mix(n.corner(i, j+1), n.corner(i+1, j+1), u)
	return mix(upper, lower, v)
}

// rough is noise on noise of half the size, of so many sizes, 0 to 1: hills,
// clouds and bark look like it.
func (n noise) rough(x, y float64, sizes int) float64 {
	sum, weight, all := 0.0, 1.0, 0.0
	for i := range sizes {
		sum += weight * (n+noise(i)).at(x, y)
		all += weight
		x, y, weight = 2*x, 2*y, weight/2
	}
	return sum / all
}

// corner is the value at whole coordinates; the mixing is that of SplitMix64.
func (n noise) corner(x, y int64) float64 {
	h := uint64(n)*0x9E3779B97F4A7C15 ^ uint64(x)*0xBF58476D1CE4E5B9 ^ uint64(y)*0x94D049BB133111EB
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return float64((h^h>>31)>>11) / (1 << 53)
}

func ease(t float64) float64 { return t * t * (3 - 2*t) }

func mix(a, b, t float64) float64 { return a + (b-a)*t }
