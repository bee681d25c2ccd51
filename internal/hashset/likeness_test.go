package hashset

import (
	"testing"
	"time"

	"tutela"
)

// alikeSet holds a picture at distance 0 from the base, and a video of four
// frames far from it and from one another.
func alikeSet(t *testing.T) *Sets {
	t.Helper()
	video := tutela.Assertion{Size: -1, Category: tutela.Category{Code: "v"}}
	for i := range 4 {
		video.Frames = append(video.Frames, frameHash(i))
	}
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{withPDQ(tutela.Assertion{Size: -1, Category: tutela.Category{Code: "p"}}, 0), video})
	return NewSets(set)
}

func frameHash(i int) (h tutela.PDQ) {
	for k := range h {
		h[k] = byte(k*37+i*91) ^ byte(i<<4)
	}
	return h
}

func only(t *testing.T, s *Sets, r *tutela.Record) tutela.Match {
	t.Helper()
	got := s.Match(7, r)
	if len(got) != 1 || got[0].Leaf != 7 || s.Damage() != nil {
		t.Fatalf("%d matches: %+v, %v", len(got), got, s.Damage())
	}
	return got[0]
}

// far is a picture that looks like nothing in the set.
func far(quality int) *tutela.Perceptual {
	return &tutela.Perceptual{PDQ: frameHash(50), Quality: quality, Decoder: "d"}
}

// A variant is told by its name; of several the nearest is told.
func TestVariantsAreLookedUp(t *testing.T) {
	sets, p := alikeSet(t), far(100)
	p.Variants = []tutela.Variant{{Name: "rot90", PDQ: pdqAt(20), Quality: 60}, {Name: "border", PDQ: pdqAt(3), Quality: 60}, {Name: "left half", PDQ: pdqAt(1), Quality: MinQuality - 1}}
	m := only(t, sets, &tutela.Record{Picture: p})
	if m.Variant != "border" || m.Distance != 3 || m.Decoder != "d" || m.Kind != tutela.MatchPDQ || m.Scale != 0 {
		t.Errorf("met %+v", m)
	}
	p.Quality, p.PDQ = MinQuality-1, pdqAt(0)
	if m := only(t, sets, &tutela.Record{Picture: p}); m.Variant != "border" {
		t.Errorf("a poor picture met %+v", m)
	}
}

// What a quick hash could turn out to be is met as well, and bears its scale;
// an exact hash gets no such margin.
func TestQuickHashesHaveAMargin(t *testing.T) {
	sets := alikeSet(t)
	for _, c := range []struct {
		distance, scale int
		met             bool
	}{{31, 0, true}, {32, 0, false}, {32, 8, true}, {36, 4, true}} {
		p := &tutela.Perceptual{PDQ: pdqAt(c.distance), Quality: 90, Scale: c.scale}
		got := sets.Match(0, &tutela.Record{Picture: p})
		if (len(got) == 1) != c.met || c.met && (got[0].Scale != c.scale || got[0].Distance != c.distance) {
			t.Errorf("%d bits at scale %d: %+v", c.distance, c.scale, got)
		}
	}
}

func framesOf(hashes ...tutela.PDQ) *tutela.Video {
	v := &tutela.Video{Decoder: "f"}
	for i, h := range hashes {
		v.Frames = append(v.Frames, tutela.Frame{At: time.Duration(i) * 1500 * time.Millisecond, PDQ: h, Quality: 80})
	}
	return v
}

// A frame that looks like a known picture, a clip of a known video, a video that
// holds a known one, and what shares too little with it.
func TestVideosAreLookedUp(t *testing.T) {
	sets, other := alikeSet(t), func(i int) tutela.PDQ { return frameHash(20 + i) }
	if m := only(t, sets, &tutela.Record{Video: framesOf(other(0), pdqAt(9))}); m.Kind != tutela.MatchPDQ || m.Variant != "frame at 0:01.5" || m.Distance != 9 || m.Decoder != "f" {
		t.Errorf("a frame met %+v", m)
	}
	if m := only(t, sets, &tutela.Record{Video: framesOf(frameHash(2))}); m.Kind != tutela.MatchVPDQ || m.QueryShare != 100 || m.KnownShare != 25 {
		t.Errorf("a clip met %+v", m)
	}
	long := framesOf(frameHash(0), other(1), other(2), frameHash(1), other(3), frameHash(2), frameHash(3), other(4))
	if m := only(t, sets, &tutela.Record{Video: long}); m.Kind != tutela.MatchVPDQ || m.QueryShare != 50 || m.KnownShare != 100 || m.Distance != 0 {
		t.Errorf("a longer video met %+v", m)
	}
	if got := sets.Match(0, &tutela.Record{Video: framesOf(frameHash(0), other(0), other(1))}); got != nil {
		t.Errorf("a third of one and a quarter of the other met %+v", got)
	}
}

// A picture that looks like a frame of a known video is told so.
func TestStillOfAKnownVideo(t *testing.T) {
	p := &tutela.Perceptual{PDQ: frameHash(1), Quality: 90}
	if m := only(t, alikeSet(t), &tutela.Record{Picture: p}); m.Kind != tutela.MatchPDQ || m.Variant != "a frame of the known video" {
		t.Errorf("a still met %+v", m)
	}
}
