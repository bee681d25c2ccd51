package feature

import "math"

// What counts as the same origin. Decision 16 tells how the numbers were found.
const (
	MinInliers = 10   // places that agree on one map
	MinShare   = 0.2  // of the places that both pictures should show
	MinSpread  = 0.12 // of the area that both pictures should show

	// Many places may be a smaller share: text laid over a picture adds places
	// that the known one lacks.
	ManyInliers  = 20
	MinShareMany = 0.12
)

const (
	maxDistance = 32   // bits in which the looks of one place may differ
	maxRatio    = 0.85 // of the distance to the next best place
	loose       = 18.0 // pixels of the working picture, when a map is guessed
	tight       = 6.0  // pixels of the working picture, when it is fitted
	maxStretch  = 1.5  // by which a map may stretch one axis more than the other
	sizeSlack   = 12   // 1/16 octaves by which a place's size may be off the map
	angleSlack  = 18   // 1/256 turns by which its angle may be off the map
)

// Map carries places of one picture to places of another: u = XX·x + XY·y + X0,
// v = YX·x + YY·y + Y0. Places are counted from the top left, right and down, in
// shares of the longer side.
type Map struct{ XX, XY, X0, YX, YY, Y0 float64 }

// Evidence is why two pictures are, or are not, thought to be of one origin.
type Evidence struct {
	Inliers  int     // places that look alike and agree on Map
	Share    float64 // of the places that both should show under Map, 0 to 1
	Spread   float64 // of the inliers over the area that both should show; 1 if they lie evenly
	Mirrored bool    // the first picture had to be mirrored; Map is from its mirror image
	Map      Map     // from the first picture to the second; zero if there is none
}

// Match says whether the evidence suffices.
func (e Evidence) Match() bool {
	few := e.Inliers >= MinInliers && e.Share >= MinShare
	many := e.Inliers >= ManyInliers && e.Share >= MinShareMany
	return (few || many) && e.Spread >= MinSpread
}

// Verify compares a picture with a known one, as it is and mirrored.
func Verify(query, known Set) (Evidence, bool) {
	e := upright(&query, &known)
	if e.Match() {
		return e, true
	}
	turned := query.Mirror()
	m := upright(&turned, &known)
	if m.Inliers > e.Inliers {
		m.Mirrored = true
		e = m
	}
	return e, e.Match()
}

// upright guesses the map from every link and keeps the guess that most others
// agree with, then fits the map to those. No chance is involved.
func upright(a, b *Set) Evidence {
	links := linked(a, b)
	best := guess(links)
	var m Map
	for range 4 {
		var ok bool
		if m, ok = fitted(best); !ok || !m.plausible() {
			return Evidence{}
		}
		best = m.carry(links, tight, best[:0])
	}
	e := Evidence{Inliers: distinct(best), Map: m}
	e.Share = m.share(a, b, e.Inliers)
	e.Spread = spreadOf(best) / max(m.shared(a, b), 1)
	e.Map.X0, e.Map.Y0 = m.X0/workingSide, m.Y0/workingSide
	return e
}

// link is a pair of places that look alike: (x, y) in one picture, (u, v) in the
// other, in pixels, and by how much the second is larger and turned.
type link struct {
	x, y, u, v float64
	size       int   // 1/16 octaves
	turn       uint8 // 1/256 turns
}

func newLink(p, q *point) link {
	return link{
		float64(p.x) / subpixel, float64(p.y) / subpixel, float64(q.x) / subpixel, float64(q.y) / subpixel,
		int(q.size) - int(p.size), q.angle - p.angle,
	}
}

// nearest is the best of the other picture's points for one, and how far the
// next best elsewhere is.
type nearest struct{ at, distance, next int }

// ignored is a distance from which on a point is neither near enough itself nor
// so near that it could put the best in doubt.
const ignored = 38 // more than maxDistance/maxRatio

// linked pairs the places of two pictures that are each other's best and by far
// better than the next best.
func linked(a, b *Set) (out []link) {
	forward := make([]nearest, len(a.points))
	back := make([]nearest, len(b.points))
	for j := range back {
		back[j].distance = ignored
	}
	for i := range a.points {
		forward[i] = b.nearest(a.points[i].looks, i, back)
	}
	for i, n := range forward {
		if n.distance <= maxDistance && float64(n.distance) <= maxRatio*float64(n.next) && back[n.at].at == i {
			out = append(out, newLink(&a.points[i], &b.points[n.at]))
		}
	}
	return out
}

// nearest finds the best point for a description, that of point i of the other
// set, and notes in back for which it is the best itself.
func (s *Set) nearest(looks description, i int, back []nearest) nearest {
	n := nearest{0, ignored, ignored}
	for j := range s.points {
		d := looks.distance(s.points[j].looks)
		if d >= ignored {
			continue
		}
		if d < back[j].distance {
			back[j].at, back[j].distance = i, d
		}
		n.offer(j, d, s.points)
	}
	return n
}

// offer takes a point that is nearer than the best or the next best. A second
// description of the best place is no other place.
func (n *nearest) offer(at, distance int, points []point) {
	elsewhere := n.distance < ignored && !close(&points[n.at], &points[at], tight)
	switch {
	case distance < n.distance && elsewhere:
		n.at, n.distance, n.next = at, distance, n.distance
	case distance < n.distance:
		n.at, n.distance = at, distance
	case elsewhere:
		n.next = min(n.next, distance)
	}
}

func close(p, q *point, pixels float64) bool {
	dx, dy := float64(p.x)-float64(q.x), float64(p.y)-float64(q.y)
	return dx*dx+dy*dy <= pixels*pixels*subpixel*subpixel
}

// guess takes each link's own map, of its size and turn, and returns the links
// that agree with the best of them.
func guess(links []link) (best []link) {
	var now []link
	for i := range links {
		now = links[i].similarity().carry(links, loose, now[:0])
		if len(now) > len(best) {
			best, now = now, best
		}
	}
	return best
}

func (l *link) similarity() Map {
	sin, cos := math.Sincos(float64(l.turn) * 2 * math.Pi / 256)
	scale := math.Exp2(float64(l.size) / 16)
	m := Map{XX: scale * cos, XY: -scale * sin, YX: scale * sin, YY: scale * cos}
	u, v := m.apply(l.x, l.y)
	m.X0, m.Y0 = l.u-u, l.v-v
	return m
}

func (m Map) apply(x, y float64) (u, v float64) {
	return m.XX*x + m.XY*y + m.X0, m.YX*x + m.YY*y + m.Y0
}

// carry appends to out the links that the map carries to where they should be,
// within some pixels of the smaller picture.
func (m Map) carry(links []link, pixels float64, out []link) []link {
	scale := math.Sqrt(max(m.XX*m.YY-m.XY*m.YX, 1e-9))
	size := int(math.Round(16 * math.Log2(scale)))
	turn := uint8(int(math.Round(math.Atan2(m.YX-m.XY, m.XX+m.YY) * 256 / (2 * math.Pi))))
	reach := pixels * max(1, scale)
	for _, l := range links {
		u, v := m.apply(l.x, l.y)
		off := int8(l.turn - turn)
		if (u-l.u)*(u-l.u)+(v-l.v)*(v-l.v) <= reach*reach && within(l.size-size, sizeSlack) && within(int(off), angleSlack) {
			out = append(out, l)
		}
	}
	return out
}

func within(v, slack int) bool { return -slack <= v && v <= slack }

// fitted is the map with the least squared error; there is none for fewer than
// three links or for links along one line.
func fitted(links []link) (Map, bool) {
	if len(links) < 3 {
		return Map{}, false
	}
	mean := middle(links)
	var xx, xy, yy, xu, yu, xv, yv float64
	for _, l := range links {
		x, y, u, v := l.x-mean.x, l.y-mean.y, l.u-mean.u, l.v-mean.v
		xx, xy, yy = xx+x*x, xy+x*y, yy+y*y
		xu, yu, xv, yv = xu+x*u, yu+y*u, xv+x*v, yv+y*v
	}
	det := xx*yy - xy*xy
	if det <= 0.0025*(xx+yy)*(xx+yy) {
		return Map{}, false
	}
	m := Map{XX: (xu*yy - yu*xy) / det, XY: (yu*xx - xu*xy) / det, YX: (xv*yy - yv*xy) / det, YY: (yv*xx - xv*xy) / det}
	u, v := m.apply(mean.x, mean.y)
	m.X0, m.Y0 = mean.u-u, mean.v-v
	return m, true
}

// middle is the mean of the places in both pictures.
func middle(links []link) (mean link) {
	n := float64(len(links))
	for _, l := range links {
		mean.x, mean.y, mean.u, mean.v = mean.x+l.x/n, mean.y+l.y/n, mean.u+l.u/n, mean.v+l.v/n
	}
	return mean
}

// plausible says whether the map is what is done to pictures: up to seven in
// size either way, never mirrored, and stretched but little.
func (m Map) plausible() bool {
	keeps, flips := math.Hypot(m.XX+m.YY, m.YX-m.XY)/2, math.Hypot(m.XX-m.YY, m.YX+m.XY)/2
	larger, smaller := keeps+flips, keeps-flips
	return smaller > 1/7.0 && larger < 7 && larger < maxStretch*smaller
}

// distinct counts the links that have both ends apart from those before them. A
// place with two angles counts once.
func distinct(links []link) (n int) {
	for i := range links {
		if !repeats(&links[i], links[:i]) {
			n++
		}
	}
	return n
}

func repeats(l *link, before []link) bool {
	const same = 2 * 2 // pixels, squared
	for i := range before {
		b := &before[i]
		if (l.x-b.x)*(l.x-b.x)+(l.y-b.y)*(l.y-b.y) < same || (l.u-b.u)*(l.u-b.u)+(l.v-b.v)*(l.v-b.v) < same {
			return true
		}
	}
	return false
}

// share is what part the inliers are of the places that lie in both pictures
// under the map: of the picture that has fewer of them.
func (m Map) share(a, b *Set, inliers int) float64 {
	inverse := m.inverse()
	shown := min(m.shown(a, b), inverse.shown(b, a))
	return min(1, float64(inliers)/float64(max(shown, 1)))
}

func (m Map) shown(from, in *Set) (n int) {
	for i := range from.points {
		u, v := m.apply(float64(from.points[i].x)/subpixel, float64(from.points[i].y)/subpixel)
		if in.frames(u, v) {
			n++
		}
	}
	return n
}

// spreadOf is the area in the second picture, in square pixels, over which links
// would lie evenly if they lay in a rectangle: that of the same second moments.
// Links on one letter or one logo that two pictures have in common lie close.
func spreadOf(links []link) float64 {
	mean, n := middle(links), float64(len(links))
	var uu, uv, vv float64
	for _, l := range links {
		u, v := l.u-mean.u, l.v-mean.v
		uu, uv, vv = uu+u*u/n, uv+u*v/n, vv+v*v/n
	}
	return 12 * math.Sqrt(max(uu*vv-uv*uv, 0))
}

// shared is the area of the second picture, in square pixels, that the first one
// shows as well, counted on a grid.
func (m Map) shared(a, b *Set) float64 {
	const steps = 16
	inverse, n := m.inverse(), 0
	for i := range steps * steps {
		x, y := inverse.apply((float64(i%steps)+0.5)*float64(b.width)/steps, (float64(i/steps)+0.5)*float64(b.height)/steps)
		if a.frames(x, y) {
			n++
		}
	}
	return float64(n*b.width*b.height) / (steps * steps)
}

// frames says whether a place lies within the picture.
func (s *Set) frames(x, y float64) bool {
	return x >= 0 && y >= 0 && x < float64(s.width) && y < float64(s.height)
}

// inverse is the way back. The map must be plausible.
func (m Map) inverse() Map {
	det := m.XX*m.YY - m.XY*m.YX
	out := Map{XX: m.YY / det, XY: -m.XY / det, YX: -m.YX / det, YY: m.XX / det}
	x, y := out.apply(m.X0, m.Y0)
	out.X0, out.Y0 = -x, -y
	return out
}
