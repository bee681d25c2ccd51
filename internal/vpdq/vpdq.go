// Package vpdq compares videos by the perceptual hashes of their frames.
//
// Start with Hashes, which takes from the frames of a video those that are worth
// comparing, and call Compare.
//
// Promised: the shares are those of vPDQ as ThreatExchange describes it: the
// frames of a video are a set, in no order; a frame is met if one of the other
// video is no more than a radius away. (The description counts a frame at the
// radius, the C++ code of it does not; here it counts, as it does for pictures.)
// Not promised: that videos with a share of nothing have nothing in common. Two
// recordings of which different moments were hashed meet only where they are
// still, and a single picture of a known video that was inserted into a long one
// is a small share of that, but all of what was known: look at both.
//
// Source: ThreatExchange, vpdq/README.md.
package vpdq

import (
	"tutela"
	"tutela/internal/pdq"
)

// KnownShare is how much of a known video must be met, in percent, for two videos
// to count as alike; ThreatExchange's example asks for no share of the other.
const KnownShare = 80

// Hashes are the hashes of frames, each once, in the order of their first
// appearance. Those of too low a quality are left out: flat pictures all look
// alike.
func Hashes(frames []tutela.Frame) []tutela.PDQ {
	var hashes []tutela.PDQ
	seen := make(map[tutela.PDQ]bool, len(frames))
	for _, f := range frames {
		if f.Quality < pdq.MinQuality || seen[f.PDQ] {
			continue
		}
		seen[f.PDQ] = true
		hashes = append(hashes, f.PDQ)
	}
	return hashes
}

// Share is how many of a video's frames were met.
type Share struct{ Met, Of int }

// Percent is the share, 0 to 100, rounded down, but 1 where anything was met. A
// video without frames has a share of nothing.
func (s Share) Percent() int {
	if s.Met == 0 || s.Of == 0 {
		return 0
	}
	return max(s.Met*100/s.Of, 1)
}

// Comparison is how two videos compare.
type Comparison struct {
	A, B     Share // of the frames of each
	Distance int   // bits between the nearest two; 257 if one video has no frames
	I, J     int   // which those are: the first such of a, and the first of b for it
}

// Compare compares the frames of two videos, each frame with each: len(a) × len(b)
// distances. Radius is in bits, [pdq.MaxRadius] as a rule.
func Compare(a, b []tutela.PDQ, radius int) Comparison {
	c := Comparison{A: Share{Of: len(a)}, B: Share{Of: len(b)}, Distance: 257}
	metB := make([]bool, len(b))
	for i, x := range a {
		met := false
		for j, y := range b {
			d := pdq.Distance(x, y)
			if d < c.Distance {
				c.Distance, c.I, c.J = d, i, j
			}
			if d <= radius {
				met, metB[j] = true, true
			}
		}
		if met {
			c.A.Met++
		}
	}
	for _, met := range metB {
		if met {
			c.B.Met++
		}
	}
	return c
}
