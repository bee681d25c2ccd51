// Package feature finds what a perceptual hash of a whole picture cannot: that
// a picture is a cut, a turned or an overwritten version of a known one. It
// describes a picture by some two hundred places in it, and two pictures are of
// one origin if many of these places look alike and lie alike.
//
// Start with Extract, which makes a Set of a picture. Verify compares two sets.
// An Index holds the sets of many known pictures and its Search finds those that
// a picture may be of. Sets are kept as bytes by AppendBinary and UnmarshalBinary.
//
// Promised: two pictures match only if at least MinInliers places agree on one
// and the same plane map between them, nearly a similarity, and if these are at
// least MinShare of the places, and lie over MinSpread of the area, that both
// pictures should show under that map; a smaller share is enough if they are
// many. A mirrored picture is found as well. The same pixels lead to the same
// answer on one kind of processor.
//
// Not promised: that a match is the same picture. Two photographs of one object
// match, and so can two pictures under one and the same large text; a match is a
// reason to look, and its Evidence says where. That every copy is found: flat
// pictures have few places, and small cuts keep too few. The same bits on every
// processor: compilers may fuse the arithmetic, and some bit may differ.
//
// The known side needs the known picture itself, once: lists of hashes that
// others share carry no features. A set tells where a picture has edges and
// corners and how they look. It is more sensitive than a perceptual hash and
// never leaves the lab.
//
// A picture costs some 13 ms of one core and at most 4,407 bytes; to hold two
// sets against each other costs a tenth of a millisecond.
//
// Places and descriptions follow Lowe, "Distinctive Image Features from
// Scale-Invariant Keypoints", 2004; the descriptions are cut down to one bit for
// each comparison of neighbouring numbers.
package feature

import (
	"image"
	"math"
)

const (
	workingSide = 384 // pixels of the longer side on which all work is done
	maxPoints   = 200 // places that a set holds at most
	subpixel    = 64  // units of a place per pixel
)

// Set is what is kept of a picture. The zero Set is that of a picture without
// any place worth keeping; it matches nothing.
type Set struct {
	width, height int // of the working picture
	points        []point
}

// Len is the number of places described, at most 200.
func (s Set) Len() int { return len(s.points) }

// point is one place: where, how large, how turned, and how it looks.
type point struct {
	x, y  uint16 // 1/64 pixels of the working picture
	size  uint8  // 16·log2 of the blob's sigma in pixels
	angle uint8  // 1/256 turns
	looks description
}

// Extract describes a picture of any size. A picture whose shorter side is less
// than a 24th of its longer one gives the zero Set. Reading every pixel is what a
// large picture costs beyond the rest; one scaled down to 384 pixels or more
// before, by means over areas, serves as well.
func Extract(g *image.Gray) Set {
	if g.Rect.Empty() || !sound(g.Rect.Dx(), g.Rect.Dy()) {
		return Set{}
	}
	p := working(g)
	set := Set{width: p.w, height: p.h}
	octaves := pyramid(p)
	for _, s := range spread(detect(octaves), p) {
		o := &octaves[s.octave]
		for _, angle := range orientations(o.blurs[s.step], s) {
			if len(set.points) == maxPoints {
				return set
			}
			set.points = append(set.points, o.point(s, angle))
		}
	}
	return set
}

// sound says whether the shorter side of the working picture will have the
// pixels that the first octave needs.
func sound(w, h int) bool { return int64(min(w, h))*workingSide >= int64(max(w, h))*minSide }

func (o *octave) point(s spot, angle float64) point {
	return point{
		x:     uint16(min(max(s.x*o.scale*subpixel, 0), workingSide*subpixel)),
		y:     uint16(min(max(s.y*o.scale*subpixel, 0), workingSide*subpixel)),
		size:  uint8(min(max(16*math.Log2(s.sigma*o.scale)+0.5, 0), 255)),
		angle: uint8(int(math.Floor(angle*256/(2*math.Pi) + 0.5))),
		looks: describe(o.blurs[s.step], s, angle),
	}
}

// Mirror is the set of the picture mirrored left to right. It is had without the
// picture: places, angles and bits only change their order.
func (s Set) Mirror() Set {
	out := Set{s.width, s.height, make([]point, len(s.points))}
	last := uint16(max(s.width-1, 0) * subpixel)
	for i, p := range s.points {
		out.points[i] = point{last - min(p.x, last), p.y, p.size, 128 - p.angle, p.looks.mirror()}
	}
	return out
}
