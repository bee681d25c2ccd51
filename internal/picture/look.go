package picture

import (
	"context"

	"tutela"
)

// Ask says what [Look] is to find out.
type Ask struct {
	Exact     bool // hash from all pixels; the zero value hashes large JPEG from reduced ones
	Variants  bool // also hash the picture turned, mirrored, cropped and cut
	Thumbnail bool // also make a small JPEG of it
}

// View is what [Look] found.
type View struct {
	Perceptual tutela.Perceptual
	Thumbnail  []byte // JPEG of at most 256 pixels a side; nil if not asked for or not possible
	Findings   []tutela.Finding
}

// Look hashes a picture, in one pass over its bytes.
func Look(ctx context.Context, data []byte, ask Ask, limits Limits) (View, error) {
	p, err := Decode(ctx, data, limits)
	if err != nil {
		return View{}, err
	}
	v := View{Perceptual: p.perceptual()}
	if ask.Variants {
		v.Perceptual.Variants = p.Variants()
	}
	return v, nil
}
