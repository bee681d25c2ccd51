package feature

import (
	"math"
	"math/bits"
)

const (
	side       = 16       // gradients along each side of a patch
	framed     = side + 2 // samples along each side, so that each gradient has neighbours
	cellSide   = 4        // gradients along each side of a cell
	grid       = side / cellSide
	directions = 8    // of gradients
	bearings   = 32   // of the histogram from which a spot's angle is read
	secondPeak = 0.85 // of the highest, from which a spot has two angles
)

// Samples lie this many sigmas apart: closer for the angle than for the looks.
const (
	angleSpacing = 0.75
	looksSpacing = 0.9
)

// description is how a place looks: one bit for each cell and direction, whether
// more gradients point there than in the next cell, to the right or below. A
// change of brightness or contrast leaves them as they are.
type description [2]uint64

func (d description) distance(e description) int {
	return bits.OnesCount64(d[0]^e[0]) + bits.OnesCount64(d[1]^e[1])
}

// bitOf is the place of a comparison among the 128.
func bitOf(row, column, direction int) int { return (row*grid+column)*directions + direction }

func (d description) bit(i int) uint64 { return d[i/64] >> (i % 64) & 1 }

// mirror is the description of the mirrored place. Its angle is mirrored too, so
// that in the upright patch the rows change sides: directions turn over, and
// what was above the next cell is below it.
func (d description) mirror() (out description) {
	for row := range grid {
		for column := range grid {
			right, below := d.cell(grid-1-row, column), d.cell((2*grid-2-row)%grid, column)
			mask := acrossMask(column)
			out.setCell(row, column, turnedOver(right)&mask|^turnedOver(below)&^mask)
		}
	}
	return out
}

// cell is the eight bits of a cell, one for each direction from the lowest.
func (d description) cell(row, column int) uint8 {
	i := bitOf(row, column, 0)
	return uint8(d[i/64] >> (i % 64))
}

func (d *description) setCell(row, column int, v uint8) {
	i := bitOf(row, column, 0)
	d[i/64] |= uint64(v) << (i % 64)
}

// acrossMask has the bits of a cell that compare it with the one to the right.
func acrossMask(column int) uint8 { return 0b01010101 << (column % 2) }

// turnedOver exchanges each direction with the one that mirrors it at the
// patch's own axis: 1 with 7, 2 with 6, 3 with 5.
func turnedOver(v uint8) uint8 { return bits.RotateLeft8(bits.Reverse8(v), 1) }

// histogram counts the gradients of a patch by cell and direction.
type histogram [grid * grid * directions]float32

func (h *histogram) description() (d description) {
	for row := range grid {
		for column := range grid {
			cell := h.cell(row, column)
			right, below := h.cell(row, (column+1)%grid), h.cell((row+1)%grid, column)
			mask := acrossMask(column)
			d.setCell(row, column, more(cell, right)&mask|more(cell, below)&^mask)
		}
	}
	return d
}

func (h *histogram) cell(row, column int) []float32 {
	return h[bitOf(row, column, 0):][:directions]
}

func more(cell, than []float32) (out uint8) {
	for i, v := range cell {
		if v > than[i] {
			out |= 1 << i
		}
	}
	return out
}

// describe looks at the patch around a spot, turned upright by its angle.
func describe(p plane, s spot, angle float64) description {
	var h histogram
	patch := p.sample(s, angle, looksSpacing)
	for y := range side {
		for x := range side {
			dx, dy := patch.gradient(x, y)
			h.add(x, y, length(dx, dy)*looksWeight[y*side+x], direction(dx, dy))
		}
	}
	return h.description()
}

// add shares a gradient out among the four nearest cells and the two nearest
// directions, so that a small shift changes little.
func (h *histogram) add(x, y int, weight, direction float32) {
	k := int(direction)
	f := direction - float32(k)
	k %= directions
	next := (k + 1) % directions
	for _, r := range shares[y] {
		for _, c := range shares[x] {
			w := weight * r.weight * c.weight
			cell := h.cell(r.cell, c.cell)
			cell[k] += w * (1 - f)
			cell[next] += w * f
		}
	}
}

// share is what of a gradient goes to a cell along one side.
type share struct {
	cell   int
	weight float32
}

// shares lists for each place along a side the cells that it counts for.
var shares = func() (out [side][2]share) {
	for i := range out {
		at := (float64(i)+0.5)/cellSide - 0.5
		low := math.Floor(at)
		out[i] = [2]share{shareOf(int(low), 1-(at-low)), shareOf(int(low)+1, at-low)}
	}
	return out
}()

// shareOf gives nothing to cells beyond the patch.
func shareOf(cell int, weight float64) share {
	if cell < 0 || cell >= grid {
		return share{0, 0}
	}
	return share{cell, float32(weight)}
}

// looksWeight and angleWeight make what lies far from the middle count less.
var looksWeight, angleWeight = bell(8), bell(4)

func bell(sigma float64) (out [side * side]float32) {
	for i := range out {
		dx, dy := float64(i%side)-(side-1)/2.0, float64(i/side)-(side-1)/2.0
		out[i] = float32(math.Exp(-(dx*dx + dy*dy) / (2 * sigma * sigma)))
	}
	return out
}

// orientations are the one or two directions, in radians, into which most of the
// gradients around a spot point.
func orientations(p plane, s spot) []float64 {
	var h [bearings]float32
	patch := p.sample(s, 0, angleSpacing)
	for y := range side {
		for x := range side {
			dx, dy := patch.gradient(x, y)
			d := direction(dx, dy) * (bearings / directions)
			k := int(d)
			f := d - float32(k)
			weight := length(dx, dy) * angleWeight[y*side+x]
			h[k%bearings] += weight * (1 - f)
			h[(k+1)%bearings] += weight * f
		}
	}
	return peaks(smooth(smooth(smooth(h))))
}

func smooth(h [bearings]float32) (out [bearings]float32) {
	for i, v := range h {
		out[i] = (h[(i+bearings-1)%bearings] + v + h[(i+1)%bearings]) / 3
	}
	return out
}

// peaks are the angles at which the histogram is highest, at most two.
func peaks(h [bearings]float32) []float64 {
	var highest float32
	for _, v := range h {
		highest = max(highest, v)
	}
	var out []float64
	for i, v := range h {
		left, right := h[(i+bearings-1)%bearings], h[(i+1)%bearings]
		if len(out) < 2 && v >= secondPeak*highest && v > left && v >= right {
			shift := float64((left - right) / (2 * (left + right - 2*v)))
			out = append(out, (float64(i)+shift)*2*math.Pi/bearings)
		}
	}
	return out
}

// patch is the surroundings of a spot, turned and scaled.
type patch [framed * framed]float32

func (p plane) sample(s spot, angle, spacing float64) *patch {
	sin, cos := math.Sincos(angle)
	alongX, alongY := float32(cos*spacing*s.sigma), float32(sin*spacing*s.sigma)
	const middle = (framed - 1) / 2.0
	left, top := float32(s.x)-middle*(alongX-alongY), float32(s.y)-middle*(alongX+alongY)
	var out patch
	for v := range framed {
		x, y := left-float32(v)*alongY, top+float32(v)*alongX
		for u := range framed {
			out[v*framed+u] = p.at(x, y)
			x, y = x+alongX, y+alongY
		}
	}
	return &out
}

// at interpolates between four pixels. Beyond the edges it is the outermost.
func (p plane) at(x, y float32) float32 {
	x, y = min(max(x, 0), float32(p.w-1)), min(max(y, 0), float32(p.h-1))
	column, row := min(int(x), p.w-2), min(int(y), p.h-2)
	fx, fy := x-float32(column), y-float32(row)
	upper := p.pix[row*p.w+column:][:2]
	lower := p.pix[(row+1)*p.w+column:][:2]
	a, b := upper[0]+fx*(upper[1]-upper[0]), lower[0]+fx*(lower[1]-lower[0])
	return a + fy*(b-a)
}

func (p *patch) gradient(x, y int) (dx, dy float32) {
	i := (y+1)*framed + x + 1
	return p[i+1] - p[i-1], p[i+framed] - p[i-framed]
}

func length(dx, dy float32) float32 { return float32(math.Sqrt(float64(dx*dx + dy*dy))) }

// direction is where a gradient points, 0 to 8 for a whole turn from the right
// over below, within 0.005. (The arc tangent as q·(1 + 0.273·(1-q)·4/π), after
// Rajan and others, "Efficient approximations for the arctangent function", 2006.)
func direction(dx, dy float32) float32 {
	ax, ay := max(dx, -dx), max(dy, -dy)
	larger := max(ax, ay)
	if larger == 0 {
		return 0
	}
	q := min(ax, ay) / larger
	a := q * (1 + 0.3476*(1-q))
	if ay > ax {
		a = 2 - a
	}
	if dx < 0 {
		a = 4 - a
	}
	if dy < 0 {
		a = 8 - a
	}
	return a
}
