package hashset

import (
	"fmt"
	"time"

	"tutela"
	"tutela/internal/pdq"
)

// likeness gathers what the pixels of a record met in one set: of each row the
// nearest meeting, and of those that lie equally near the first.
type likeness struct {
	set  *Set
	leaf uint64
	met  map[uint64]tutela.Match // by row; nil until something is met
}

// keep takes a meeting of a row.
func (k *likeness) keep(m tutela.Match) {
	if before, ok := k.met[m.Row]; ok && better(before, m) {
		return
	}
	if k.met == nil {
		k.met = map[uint64]tutela.Match{}
	}
	k.met[m.Row] = m
}

// better reports whether a stays where m comes later: two videos compare as a
// whole, which says more than one frame does.
func better(a, m tutela.Match) bool {
	if a.Kind != m.Kind {
		return a.Kind > m.Kind
	}
	return a.Distance <= m.Distance
}

// picture looks a picture up: as it is, with the margin that a quick hash needs,
// then each of its variants.
func (k *likeness) picture(p *tutela.Perceptual) {
	if p.Quality >= MinQuality {
		scale := p.Scale
		if scale == 1 {
			scale = 0 // of the variants alone
		}
		k.hash(p.PDQ, MaxRadius+pdq.Margin(scale), "", p.Decoder, scale)
	}
	for i := range p.Variants {
		if v := &p.Variants[i]; v.Quality >= MinQuality {
			k.hash(v.PDQ, MaxRadius, v.Name, p.Decoder, p.Scale)
		}
	}
}

func (k *likeness) hash(h tutela.PDQ, radius int, variant, decoder string, scale int) {
	k.set.Alike(h, radius, func(a Alike) {
		m := k.set.matched(k.leaf, a.Row, tutela.MatchPDQ, a.Distance)
		m.Variant, m.Decoder, m.Scale = variant, decoder, scale
		if a.Frame {
			m.Variant = joined(variant, "a frame of the known video")
		}
		k.keep(m)
	})
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// enoughShare is how much of a known video, or of the video itself, must meet the
// other, in percent, for the two to match. One of them may be a part of the
// other.
const enoughShare = 80

// video looks the frames of a video up: among known pictures each for itself,
// and among known videos together.
func (k *likeness) video(v *tutela.Video) {
	var frames []tutela.PDQ
	for i := range v.Frames {
		f := &v.Frames[i]
		if f.Quality < MinQuality {
			continue
		}
		frames = append(frames, f.PDQ)
		k.set.Alike(f.PDQ, MaxRadius, func(a Alike) {
			if a.Frame {
				return // known videos are compared as a whole
			}
			m := k.set.matched(k.leaf, a.Row, tutela.MatchPDQ, a.Distance)
			m.Variant, m.Decoder = "frame at "+clock(f.At), v.Decoder
			k.keep(m)
		})
	}
	if len(frames) == 0 {
		return
	}
	k.set.Video(frames, func(row uint64, queryShare, knownShare, distance int) {
		if max(queryShare, knownShare) < enoughShare {
			return
		}
		m := k.set.matched(k.leaf, row, tutela.MatchVPDQ, distance)
		m.Decoder, m.QueryShare, m.KnownShare = v.Decoder, queryShare, knownShare
		k.keep(m)
	})
}

// clock writes a time from the beginning as 1:02:03.5 or 2:03.5.
func clock(at time.Duration) string {
	s := at.Seconds()
	h, m := int(s)/3600, int(s)/60%60
	s -= float64(3600*h + 60*m)
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%04.1f", h, m, s)
	}
	return fmt.Sprintf("%d:%04.1f", m, s)
}
