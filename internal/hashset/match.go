package hashset

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"tutela"
)

// Sets are open sets that are matched together, in order of name and version.
// Its methods but Close are safe for concurrent use.
type Sets struct {
	sets   []*Set
	places places
}

// NewSets takes sets over: Close closes them.
func NewSets(sets ...*Set) *Sets {
	sets = slices.Clone(sets)
	slices.SortStableFunc(sets, func(a, b *Set) int {
		return cmp.Or(strings.Compare(a.meta.Name, b.meta.Name), cmp.Compare(a.meta.Version, b.meta.Version))
	})
	return &Sets{sets: sets}
}

// All gives the sets in order.
func (s *Sets) All() []*Set { return slices.Clone(s.sets) }

// Versions says which sets they are, in order.
func (s *Sets) Versions() []tutela.SetVersion {
	out := make([]tutela.SetVersion, 0, len(s.sets))
	for _, set := range s.sets {
		out = append(out, set.meta)
	}
	return out
}

// Close closes every set.
func (s *Sets) Close() error {
	var errs []error
	for _, set := range s.sets {
		errs = append(errs, set.Close())
	}
	return errors.Join(errs...)
}

// Match says what a record means against the sets: at most one match a row, by
// the strongest digest that agreed, in order of set, version and row. It is nil
// where nothing is known. leaf is the record's index in the exhibit ledger.
//
// Exact digests count only if the whole content was hashed, a PDQ hash only from
// [MinQuality] on. A picture is looked up as it is and in its variants, a video
// by each of its frames and, against known videos, by all of them; of several
// ways to a row the nearest is told. A quick hash is looked up with the margin of
// package pdq, so that nothing is lost that the exact hash of the picture as it
// is could meet; its matches bear its scale. Known-good sets are never matched by
// likeness: a picture that was altered a little is not known.
func (s *Sets) Match(leaf uint64, r *tutela.Record) []tutela.Match {
	var out []tutela.Match
	for _, set := range s.sets {
		out = set.match(out, leaf, r)
	}
	return out
}

func (s *Set) match(out []tutela.Match, leaf uint64, r *tutela.Record) []tutela.Match {
	first := len(out)
	if r.Hashed {
		s.exact(&r.Digests, func(row uint64, kind tutela.MatchKind) bool {
			out = append(out, s.matched(leaf, row, kind, 0))
			return true
		})
	}
	out = s.byPixels(out, first, leaf, r)
	if len(out)-first > 1 {
		slices.SortFunc(out[first:], func(a, b tutela.Match) int { return cmp.Compare(a.Row, b.Row) })
	}
	return out
}

// byPixels adds what the pixels of a record met, but for the rows among
// out[first:], which its digests have met.
func (s *Set) byPixels(out []tutela.Match, first int, leaf uint64, r *tutela.Record) []tutela.Match {
	if s.desc.Holds.PDQ+s.desc.Holds.Videos == 0 || s.meta.Status == tutela.KnownGood {
		return out
	}
	k := likeness{set: s, leaf: leaf}
	if r.Picture != nil {
		k.picture(r.Picture)
	}
	if r.Video != nil {
		k.video(r.Video)
	}
	exact := out[first:]
	for row, m := range k.met {
		if !slices.ContainsFunc(exact, func(e tutela.Match) bool { return e.Row == row }) {
			out = append(out, m)
		}
	}
	return out
}

func (s *Set) matched(leaf, row uint64, kind tutela.MatchKind, distance int) tutela.Match {
	return tutela.Match{
		Leaf: leaf, Set: s.meta.Name, Version: s.meta.Version, Status: s.meta.Status,
		Category: s.categoryOf(row), Kind: kind, Row: row, Distance: distance,
	}
}

// Hit is a row that a person's question led to.
type Hit struct {
	Set       tutela.SetVersion
	Row       uint64
	Kind      tutela.MatchKind
	Distance  int // bits; 0 for exact digests
	Assertion tutela.Assertion
}

// LookupValue finds what is known about a digest in hexadecimal digits: 32 MD5,
// 40 SHA-1, 64 both SHA-256 and, within MaxRadius bits, PDQ. One digest is all
// there is, so rows are found by it whatever else they hold, also by the frames
// of a video. Errors wrap tutela.ErrDigest, or ErrCorrupt where a set is damaged.
func (s *Sets) LookupValue(value string) ([]Hit, error) {
	value = strings.TrimSpace(value)
	switch len(value) {
	case 32:
		d, err := tutela.ParseMD5(value)
		return s.having(tutela.MatchMD5, d[:], err)
	case 40:
		d, err := tutela.ParseSHA1(value)
		return s.having(tutela.MatchSHA1, d[:], err)
	case 64:
		d, err := tutela.ParseSHA256(value)
		hits, err := s.having(tutela.MatchSHA256, d[:], err)
		if err != nil {
			return nil, err
		}
		return s.alike(hits, tutela.PDQ(d)), s.Damage()
	}
	return nil, errDigits(len(value))
}

func (s *Sets) having(kind tutela.MatchKind, digest []byte, err error) ([]Hit, error) {
	if err != nil {
		return nil, err
	}
	var hits []Hit
	for _, set := range s.sets {
		set.having(kind, digest, func(row uint64) {
			hits = append(hits, Hit{set.meta, row, kind, 0, set.Assertion(row)})
		})
	}
	return hits, s.Damage()
}

func (s *Sets) alike(hits []Hit, h tutela.PDQ) []Hit {
	if h == (tutela.PDQ{}) {
		return hits
	}
	for _, set := range s.sets {
		first := len(hits)
		set.nearest(h, func(row uint64, distance int) {
			hits = append(hits, Hit{set.meta, row, tutela.MatchPDQ, distance, set.Assertion(row)})
		})
		slices.SortFunc(hits[first:], func(a, b Hit) int { return cmp.Compare(a.Row, b.Row) })
	}
	return hits
}
