package picture

import (
	"tutela/internal/pdq"
	"tutela/internal/picture/jpeg"
)

// The policy: large JPEG pictures are hashed from reduced luma, which costs a
// small part of decoding them. Such a hash finds; before a match is reported by
// it, or it is handed on, it is made exactly ([Ask].Exact).
//
// Measured on three times 300 pieces of 40 photographs, of 1,024 pixels and more,
// against the exact hash: median 0, p95 2, p99 4 and most 10 bits; `make bench`
// measures it again. That is what is left when the doubtful ones, three in five,
// are made exactly; without that rule fine patterns are 60 bits off, at any
// scale. [pdq.Margin] covers it. It does not cover all variants: halves and
// quarters have fewer pixels, p95 2 to 12 and most 22 bits.

// The shorter side of a picture from which it is read at a scale, in pixels. The
// hash looks at 512 columns and rows: where fewer than four pixels lie between
// them, means of eight blur what it sees.
const (
	eighthFrom  = 2048
	quarterFrom = 1024
)

// The doubt, in bits, up to which a fast hash is taken. At 1/4, with fewer pixels
// between those that the hash looks at, doubt comes true more often. With 6 and
// 3, p99 was 10 bits over pictures other than those it was first tried on.
const (
	eighthDoubt  = 4.0
	quarterDoubt = 1.5
)

// qualityEdge is how near to [pdq.MinQuality] a fast quality may lie to be taken: it is
// up to 5 lower than the exact one.
const qualityEdge = 6

// scaleOf is the scale at which a JPEG of a size is read; 0 if it is hashed
// exactly.
func scaleOf(width, height int) jpeg.Scale {
	switch short := min(width, height); {
	case short >= eighthFrom:
		return 8
	case short >= quarterFrom:
		return 4
	}
	return 0
}

// doubtful reports whether a fast hash is to be made exactly instead.
func doubtful(p *pdq.Plane, v *pdq.View) bool {
	quality := v.Quality()
	if quality > pdq.MinQuality-qualityEdge && quality < pdq.MinQuality+qualityEdge {
		return true
	}
	most := eighthDoubt
	if p.Scale == 4 {
		most = quarterDoubt
	}
	return p.Doubt(v) > most
}
