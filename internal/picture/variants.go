package picture

import (
	"image"

	"tutela"
	"tutela/internal/pdq"
)

// A known picture is often met turned, mirrored, framed or in a collage. The
// hash does not survive that, so the picture at hand is undone in every such way
// and hashed again: each hash is compared with those of the known pictures, as
// they are.

// minEntropy keeps views out that are nearly flat: they would all look alike.
const minEntropy = 2.0 // bits, of at most 5

// planeSide is about how many pixels the shorter side has of a plane that
// variants are made from: two of the hash's grids.
const planeSide = 2 * 512

// plane is the picture's brightness, of every pixel or, in a large one, of one
// pixel in the middle of each square.
func (p *Picture) plane() *pdq.Plane {
	step := max(1, min(p.Width, p.Height)/planeSide)
	pl := &pdq.Plane{Width: p.Width, Height: p.Height, Scale: step}
	at, origin := brightness(p.Image), p.Image.Bounds().Min
	for y := step / 2; y < p.Height+step/2; y += step {
		for x := step / 2; x < p.Width+step/2; x += step {
			v := at(origin.X+min(x, p.Width-1), origin.Y+min(y, p.Height-1))
			pl.Pix = append(pl.Pix, uint8(v+0.5))
		}
	}
	return pl
}

// variantsOf are the hashes of a picture undone in every way that is worth it, at
// most 23. Those that are too flat or of too little quality to be matched are left
// out. The plane is of the picture, all its View, and see looks at parts of it.
func variantsOf(p *pdq.Plane, all *pdq.View, see func(part image.Rectangle) *pdq.View) []tutela.Variant {
	c := &collection{}
	c.plain, _ = all.Hash()
	c.turns(all)
	if inner, ok := withoutBorder(p); ok {
		c.add("border", see(inner))
	}
	for _, t := range tiles(p.Width, p.Height) {
		c.add(t.name, see(t.part))
	}
	return c.variants
}

// collection takes the variants that are worth comparing.
type collection struct {
	plain    tutela.PDQ
	variants []tutela.Variant
}

func (c *collection) turns(v *pdq.View) {
	if v.Entropy() < minEntropy {
		return
	}
	hashes, quality := v.Dihedral()
	for i := pdq.Rotate90; i < len(hashes); i++ {
		c.take(pdq.VariantName(i), hashes[i], quality)
	}
}

func (c *collection) add(name string, v *pdq.View) {
	if v.Entropy() < minEntropy {
		return
	}
	hash, quality := v.Hash()
	c.take(name, hash, quality)
}

func (c *collection) take(name string, hash tutela.PDQ, quality int) {
	if quality >= pdq.MinQuality && hash != c.plain {
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
