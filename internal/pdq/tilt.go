package pdq

import "math"

// fine is how many values a side has of the picture that is tilted: twice those
// of the thumb, so that reading between them blurs little.
const fine = 2 * block

// Tilted looks at the whole picture turned by small angles about its middle, in
// degrees counter-clockwise. What comes in at the corners is the picture
// mirrored.
func (p *Plane) Tilted(degrees ...float64) []*View {
	views := make([]*View, len(degrees))
	if p.Width < smallest || p.Height < smallest {
		for i := range views {
			views[i] = &View{}
		}
		return views
	}
	var s sheet
	p.sample(p.columns(p.Whole(), fine), p.rows(p.Whole(), fine), func(i int, row []float32) { copy(s[i][:], row) })
	for i, d := range degrees {
		views[i] = s.tilted(d, float64(p.Width)/float64(p.Height))
	}
	return views
}

// sheet is a picture blurred for the thumb, but kept more finely.
type sheet [fine][fine]float32

// tilted reads the thumb from the sheet. The aspect is width over height.
func (s *sheet) tilted(degrees, aspect float64) *View {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	v := &View{any: true}
	for i := range block {
		y := (float64(i)+0.5)/block - 0.5
		for j := range block {
			x := ((float64(j)+0.5)/block - 0.5) * aspect
			v.small[i][j] = s.between((x*cos-y*sin)/aspect, x*sin+y*cos)
		}
	}
	return v
}

// between reads the sheet at a place from -0.5 to 0.5, or a little outside.
func (s *sheet) between(x, y float64) float32 {
	u, v := (x+0.5)*fine-0.5, (y+0.5)*fine-0.5
	left, top := math.Floor(u), math.Floor(v)
	a, b := float32(u-left), float32(v-top)
	x0, x1 := mirror(int(left), fine), mirror(int(left)+1, fine)
	y0, y1 := mirror(int(top), fine), mirror(int(top)+1, fine)
	above := float32(s[y0][x0]*(1-a)) + float32(s[y0][x1]*a)
	below := float32(s[y1][x0]*(1-a)) + float32(s[y1][x1]*a)
	return float32(above*(1-b)) + float32(below*b)
}
