package hashset

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tutela"
	"tutela/internal/feature"
)

// MinSide is the shorter side, in pixels, from which a picture is worth being
// looked up by places: smaller ones show too few.
const MinSide = 64

// places finds known pictures by places in them. Its index is made when it is
// first asked, from all sets that have features.
type places struct {
	mu    sync.Mutex     // guards all below
	index *feature.Index // nil until it was made; never changed after
	known []knownPicture // by their number in the index
	err   error          // why it could not be made, wholly
}

type knownPicture struct {
	set  *Set
	rows []uint64
}

// Features reports whether pictures can be looked up by [Sets.Places].
func (s *Sets) Features() bool {
	return slices.ContainsFunc(s.sets, func(set *Set) bool { return set.placed() })
}

// placed reports whether the set is matched by places: known-good ones never are.
func (s *Set) placed() bool { return s.Features() > 0 && s.meta.Status != tutela.KnownGood }

// Places finds the known pictures that show the same as a picture in part, or
// mirrored: cut, captioned and turned copies, in order of set, version and row.
// features are a feature.Set of the picture, decoder what gave its pixels. Two
// pictures under one large text match too: each match must be looked at. It is
// meant for pictures that [Sets.Match] does not know. Bytes that are no features
// match nothing.
//
// The first call reads all features, 15 kB of memory a picture; where they are
// damaged [Sets.Damage] says so, and nothing is found in that set.
func (s *Sets) Places(leaf uint64, features []byte, decoder string) (out []tutela.Match) {
	var query feature.Set
	if err := query.UnmarshalBinary(features); err != nil || query.Len() < feature.MinInliers {
		return nil
	}
	index, known := s.indexed()
	for _, hit := range index.Search(query) {
		k := known[hit.Known]
		for _, row := range k.rows {
			m := k.set.matched(leaf, row, tutela.MatchFeature, 0)
			m.Variant, m.QueryShare, m.Decoder = placesText(hit.Evidence), int(100*hit.Share), decoder
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b tutela.Match) int {
		return cmp.Or(strings.Compare(a.Set, b.Set), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Row, b.Row))
	})
	return out
}

func placesText(e feature.Evidence) string {
	text := fmt.Sprintf("%d places agree", e.Inliers)
	if e.Mirrored {
		text += ", mirrored"
	}
	return text
}

// indexed is the index, and whose pictures it holds.
func (s *Sets) indexed() (*feature.Index, []knownPicture) {
	p := &s.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		var sets []feature.Set
		for _, set := range s.sets {
			if set.placed() {
				sets = p.take(sets, set)
			}
		}
		p.index = feature.NewIndex(sets)
	}
	return p.index, p.known
}

// take adds the pictures of a set, all or none.
func (p *places) take(sets []feature.Set, set *Set) []feature.Set {
	before := len(sets)
	err := set.eachFeatures(context.Background(), func(content tutela.SHA256, f feature.Set) {
		if rows := set.rowsOf(content); len(rows) > 0 {
			sets, p.known = append(sets, f), append(p.known, knownPicture{set, rows})
		}
	})
	if err != nil {
		p.err = cmp.Or(p.err, fmt.Errorf("set %s version %d: %w", set.meta.Name, set.meta.Version, err))
		sets, p.known = sets[:before], p.known[:before]
	}
	return sets
}

// damage is why pictures may not have been found.
func (p *places) damage() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
