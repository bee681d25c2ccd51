package catalog

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/pdq"
)

// Query describes locations. Every field that is set must fit; the zero Query
// is every location of the newest scan of every exhibit.
type Query struct {
	Case    string
	Exhibit string
	Scan    int // number of a scan of Exhibit; 0 for the newest of each

	Match   MatchFilter
	State   tutela.State   // 0 for any
	Name    string         // pattern for the last path element, see MatchName
	MIME    string         // "image/png" whole, or "image/" for all that begin so
	SHA256  *tutela.SHA256 // of the content
	Near    *Near
	Finding string // code of a finding it has

	Limit int     // at most so many hits; 0 for all
	After *Cursor // only what comes after; nil from the beginning
}

// Near describes pictures, and videos with a frame, that look alike.
type Near struct {
	PDQ    tutela.PDQ
	Radius int // bits, 0 to MaxRadius; both pictures differ in at most so many
}

// MaxRadius is the largest distance of a near search, in bits: what the PDQ
// authors call a match ends at 31.
const MaxRadius = pdq.MaxRadius

// MinQuality is the PDQ quality below which a picture is never near another:
// flat pictures all look alike.
const MinQuality = pdq.MinQuality

// MatchFilter chooses by what a location met in the match run that is shown.
type MatchFilter string

// The empty filter takes all. A location with matches of several statuses fits
// each of them.
const (
	MatchAlert      MatchFilter = "alert"
	MatchOfInterest MatchFilter = "of-interest"
	MatchKnownGood  MatchFilter = "known-good"
	MatchAny        MatchFilter = "any"
	MatchNone       MatchFilter = "none"
)

// Status is the status the filter asks for, or 0 where it asks for none.
func (f MatchFilter) Status() tutela.Status {
	status, err := tutela.ParseStatus(string(f))
	if err != nil {
		return 0
	}
	return status
}

func (f MatchFilter) fits(matches []tutela.Match) bool {
	switch f {
	case "":
		return true
	case MatchAny:
		return len(matches) > 0
	case MatchNone:
		return len(matches) == 0
	}
	for _, m := range matches {
		if m.Status == f.Status() {
			return true
		}
	}
	return false
}

// Cursor is a place in the order of hits.
type Cursor struct {
	ScanID
	Leaf uint64
}

// Hit is one location: where something lies, what was observed of it and what
// that met.
type Hit struct {
	Case string
	ScanID
	Leaf     uint64
	Record   tutela.Record // as it was loaded, without Runs, Unread and Variants: those stay in the ledger
	Matches  []tutela.Match
	Distance int // bits to Query.Near, 0 if that was not asked
}

// Cursor is the place of the hit: a query After it goes on behind it.
func (h *Hit) Cursor() *Cursor { return &Cursor{h.ScanID, h.Leaf} }

// Check says why a query makes no sense, as an ErrQuery.
func (q *Query) Check() error {
	switch q.Match {
	case "", MatchAlert, MatchOfInterest, MatchKnownGood, MatchAny, MatchNone:
	default:
		return fmt.Errorf("%w: match %q: one of alert, of-interest, known-good, any, none", ErrQuery, q.Match)
	}
	if q.Scan < 0 || q.Scan > 0 && q.Exhibit == "" {
		return fmt.Errorf("%w: scan %d: name the exhibit and a number from 1", ErrQuery, q.Scan)
	}
	if q.Near != nil && (q.Near.Radius < 0 || q.Near.Radius > MaxRadius) {
		return fmt.Errorf("%w: radius %d: 0 to %d bits", ErrQuery, q.Near.Radius, MaxRadius)
	}
	if q.Limit < 0 {
		return fmt.Errorf("%w: limit %d", ErrQuery, q.Limit)
	}
	if _, err := path.Match(q.Name, ""); err != nil {
		return fmt.Errorf("%w: name %q: an unfinished [ or \\", ErrQuery, q.Name)
	}
	return nil
}

// Fits reports whether a hit is what the query describes, leaving aside which
// scans are meant, After and Limit. It is the plain meaning of a query: a store
// may answer in any way that comes to the same.
func (q *Query) Fits(h *Hit) bool {
	r := &h.Record
	return (q.Case == "" || q.Case == h.Case) &&
		(q.Exhibit == "" || q.Exhibit == h.Exhibit) &&
		q.Match.fits(h.Matches) &&
		(q.State == 0 || q.State == r.State) &&
		(q.Name == "" || MatchName(q.Name, r.Path)) &&
		FitsMIME(q.MIME, r.Type) &&
		(q.SHA256 == nil || r.Hashed && r.Digests.SHA256 == *q.SHA256) &&
		(q.Near == nil || q.Near.FitsPicture(r.Picture) || q.Near.FitsVideo(r.Video)) &&
		(q.Finding == "" || hasFinding(r.Findings, q.Finding))
}

// FitsPicture reports whether a picture, which may be nil, looks alike.
func (n *Near) FitsPicture(p *tutela.Perceptual) bool {
	return p != nil && p.Quality >= MinQuality && n.Distance(p.PDQ) <= n.Radius
}

// FitsVideo reports whether a frame of a video, which may be nil, looks alike.
func (n *Near) FitsVideo(v *tutela.Video) bool {
	return v != nil && slices.ContainsFunc(v.Frames, func(f tutela.Frame) bool {
		return f.Quality >= MinQuality && n.Distance(f.PDQ) <= n.Radius
	})
}

// Nearest is the smallest distance, in bits, of what fits in a record; 0 where
// nothing does.
func (n *Near) Nearest(r *tutela.Record) int {
	nearest := n.Radius + 1
	if n.FitsPicture(r.Picture) {
		nearest = n.Distance(r.Picture.PDQ)
	}
	if n.FitsVideo(r.Video) {
		for _, f := range r.Video.Frames {
			if f.Quality >= MinQuality {
				nearest = min(nearest, n.Distance(f.PDQ))
			}
		}
	}
	if nearest > n.Radius {
		return 0
	}
	return nearest
}

// Distance is the number of bits, 0 to 256, in which a hash differs.
func (n *Near) Distance(p tutela.PDQ) int { return pdq.Distance(n.PDQ, p) }

// FitsMIME reports whether a type is the wanted one, or begins with it where
// that ends in a slash. The empty wanted fits all.
func FitsMIME(wanted, mime string) bool {
	return wanted == "" || wanted == mime || strings.HasSuffix(wanted, "/") && strings.HasPrefix(mime, wanted)
}

func hasFinding(findings []tutela.Finding, code string) bool {
	for _, f := range findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// MatchName reports whether the last element of a raw path fits a pattern:
// * any run, ? one character, [a-z] and [^a-z] one of them or none of them, \
// before a character takes it as it is. ASCII letters fit in either case. Bytes
// that are not UTF-8 count as one character each. A broken pattern fits nothing.
func MatchName(pattern string, raw []byte) bool {
	name := raw[bytes.LastIndexByte(raw, '/')+1:]
	ok, err := path.Match(lowerASCII(pattern), lowerASCII(string(name)))
	return ok && err == nil
}

func lowerASCII(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			return lowerFrom([]byte(s), i)
		}
	}
	return s
}

func lowerFrom(b []byte, i int) string {
	for ; i < len(b); i++ {
		if isUpper(b[i]) {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
