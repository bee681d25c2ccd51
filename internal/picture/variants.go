package picture

import (
	"image"
	"slices"

	"tutela"
	"tutela/internal/pdq"
)

// A known picture is often met turned, mirrored, framed, with a caption, a little
// cropped or askew, or in a collage. The hash does not survive that, so at the
// picture at hand every such change is undone, and the result hashed: each hash is
// compared with those of the known pictures, as they are. A variant's name says
// how the picture at hand would have to be changed to be the known one; names
// are written into sealed records and must never change.

// minEntropy keeps views out that are nearly flat: they would all look alike.
const minEntropy = 2.0 // bits, of at most 5

// planeSide is how many pixels the shorter side has at least, if the picture has
// them, of a plane that variants are made from.
const planeSide = 384

// plane is the picture's brightness at about the size that variants need, each
// value the mean of a square. Of a picture in luma and chroma it is the luma.
func (p *Picture) plane() *pdq.Plane {
	pl := &pdq.Plane{Width: p.Width, Height: p.Height, Scale: max(1, min(p.Width, p.Height)/planeSide)}
	width := (p.Width + pl.Scale - 1) / pl.Scale
	pl.Pix = make([]uint8, 0, width*((p.Height+pl.Scale-1)/pl.Scale))
	read, row := rowReader(p.Image), make([]uint8, p.Width)
	sums := make([]uint32, width)
	for y := 0; y < p.Height; y += pl.Scale {
		rows := min(pl.Scale, p.Height-y)
		clear(sums)
		for i := range rows {
			addSquares(sums, read(y+i, row), pl.Scale)
		}
		pl.Pix = appendMeans(pl.Pix, sums, rows, p.Width, pl.Scale)
	}
	return pl
}

// addSquares adds each step values of a row to one sum.
func addSquares(sums []uint32, row []uint8, step int) {
	if step == 1 {
		for x, v := range row {
			sums[x] += uint32(v)
		}
		return
	}
	for i := range sums {
		part := row[i*step : min((i+1)*step, len(row))]
		sum := uint32(0)
		for _, v := range part {
			sum += uint32(v)
		}
		sums[i] += sum
	}
}

// appendMeans divides sums over rows × step pixels, fewer in the last.
func appendMeans(dst []uint8, sums []uint32, rows, width, step int) []uint8 {
	for i, sum := range sums {
		n := uint32(rows * min(step, width-i*step))
		dst = append(dst, uint8((sum+n/2)/n))
	}
	return dst
}

// rowReader gives the brightness of a row of a picture, its own or in scratch.
func rowReader(m image.Image) func(y int, scratch []uint8) []uint8 {
	b := m.Bounds()
	switch m := m.(type) {
	case *image.YCbCr:
		return func(y int, scratch []uint8) []uint8 { return m.Y[m.YOffset(b.Min.X, b.Min.Y+y):][:len(scratch)] }
	case *image.NYCbCrA:
		return func(y int, scratch []uint8) []uint8 { return m.Y[m.YOffset(b.Min.X, b.Min.Y+y):][:len(scratch)] }
	case *image.Gray:
		return func(y int, scratch []uint8) []uint8 { return m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:len(scratch)] }
	case *image.RGBA:
		return ofRGBA(m.Pix, m.Stride)
	case *image.NRGBA:
		return ofRGBA(m.Pix, m.Stride)
	}
	at := brightness(m)
	return func(y int, scratch []uint8) []uint8 {
		for x := range scratch {
			scratch[x] = uint8(at(b.Min.X+x, b.Min.Y+y) + 0.5)
		}
		return scratch
	}
}

// ofRGBA weighs colours as pdq.Brightness does, in whole numbers.
func ofRGBA(pix []uint8, stride int) func(y int, scratch []uint8) []uint8 {
	return func(y int, scratch []uint8) []uint8 {
		row := pix[y*stride:][:4*len(scratch)]
		for x := range scratch {
			p := row[4*x:][:3]
			scratch[x] = uint8((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
		}
		return scratch
	}
}

// seeing looks at a cut inside a picture.
type seeing func(pdq.Cut) *pdq.View

// variantsOf are the hashes of a picture undone in every way that is worth it, at
// most 23. Those that are too flat or of too little quality to be matched are left
// out. The plane is of the picture, all its View, and see looks at parts of it.
func variantsOf(p *pdq.Plane, all *pdq.View, see seeing) []tutela.Variant {
	c := &collection{}
	c.plain, _ = all.Hash()
	c.turns(p.Bounds(), all, see)
	bare, ok := withoutBorder(p, border)
	if ok {
		c.add("border", see(pdq.Cut{Part: bare}))
	}
	if inner, ok := withoutBorder(p, captioned); ok && inner != bare {
		c.add("caption", see(pdq.Cut{Part: inner}))
	}
	for _, t := range tiles(p.Width, p.Height) {
		c.add(t.name, see(pdq.Cut{Part: t.part}))
	}
	c.add("extended 2.5 %", p.View(pdq.Cut{Part: extended(p, 0.025)}))
	c.add("extended 5 %", p.View(pdq.Cut{Part: extended(p, 0.05)}))
	tilted := p.Tilted(tilt, -tilt)
	c.add("tilted left", tilted[0])
	c.add("tilted right", tilted[1])
	return c.variants
}

// tilt undoes a picture that hangs askew by 1 to 3 degrees.
const tilt = 2

// extended is more than the picture: what it was before the share of its size was
// cut off at each side. What is missing there is taken to be like what is beside
// it.
func extended(p *pdq.Plane, share float64) image.Rectangle {
	grown := func(n int) int { return int(float64(n)*share/(1-2*share) + 0.5) }
	x, y := grown(p.Width), grown(p.Height)
	return image.Rect(-x, -y, p.Width+x, p.Height+y)
}

// collection takes the variants that are worth comparing.
type collection struct {
	plain    tutela.PDQ
	variants []tutela.Variant
}

// turns are the seven ways to turn and mirror the picture. Unlike those of
// [pdq.Dihedral] they are the hashes of the turned pixels.
func (c *collection) turns(whole image.Rectangle, all *pdq.View, see seeing) {
	if all.Entropy() < minEntropy {
		return
	}
	x := see(pdq.Cut{Part: whole, FlipX: true})
	y := see(pdq.Cut{Part: whole, FlipY: true})
	both := see(pdq.Cut{Part: whole, FlipX: true, FlipY: true})
	for _, t := range []struct {
		variant int
		view    *pdq.View
		hash    func(*pdq.View) tutela.PDQ
	}{
		{pdq.Rotate90, y, (*pdq.View).Transposed},
		{pdq.Rotate180, both, hashAlone},
		{pdq.Rotate270, x, (*pdq.View).Transposed},
		{pdq.FlipX, x, hashAlone},
		{pdq.FlipY, y, hashAlone},
		{pdq.FlipPlus1, all, (*pdq.View).Transposed},
		{pdq.FlipMinus1, both, (*pdq.View).Transposed},
	} {
		c.take(pdq.VariantName(t.variant), t.hash(t.view), t.view.Quality())
	}
}

func hashAlone(v *pdq.View) tutela.PDQ {
	hash, _ := v.Hash()
	return hash
}

func (c *collection) add(name string, v *pdq.View) {
	if v.Quality() >= pdq.MinQuality && v.Entropy() >= minEntropy {
		hash, quality := v.Hash()
		c.take(name, hash, quality)
	}
}

func (c *collection) take(name string, hash tutela.PDQ, quality int) {
	if quality < pdq.MinQuality || hash == c.plain {
		return
	}
	same := func(v tutela.Variant) bool { return v.PDQ == hash }
	if !slices.ContainsFunc(c.variants, same) {
		c.variants = append(c.variants, tutela.Variant{Name: name, PDQ: hash, Quality: quality})
	}
}

// tile is a part of a picture that may be a picture itself.
type tile struct {
	name string
	part image.Rectangle
}

func tiles(width, height int) []tile {
	x, y := width/2, height/2
	r, b := width-x, height-y
	return []tile{
		{"left half", image.Rect(0, 0, x, height)},
		{"right half", image.Rect(r, 0, width, height)},
		{"top half", image.Rect(0, 0, width, y)},
		{"bottom half", image.Rect(0, b, width, height)},
		{"top left quarter", image.Rect(0, 0, x, y)},
		{"top right quarter", image.Rect(r, 0, width, y)},
		{"bottom left quarter", image.Rect(0, b, x, height)},
		{"bottom right quarter", image.Rect(r, b, width, height)},
	}
}
