package tutela

import (
	"fmt"
	"strings"
	"time"
)

// Status says what a hash set is for. It decides what a match does to the order
// of work; it never decides what a picture is.
type Status uint8

// The values are written into compiled sets and match runs: they must never
// change.
const (
	Alert      Status = 1 // a person must see this first
	OfInterest Status = 2
	KnownGood  Status = 3 // nobody needs to look at this again
)

var statusNames = [...]string{Alert: "alert", OfInterest: "of-interest", KnownGood: "known-good"}

func (s Status) String() string {
	if int(s) < len(statusNames) && statusNames[s] != "" {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus is the inverse of Status.String.
func ParseStatus(name string) (Status, error) {
	for s, n := range statusNames {
		if n == name && n != "" {
			return Status(s), nil
		}
	}
	return 0, fmt.Errorf("unknown status %q: one of %s", name, strings.Join(statusNames[1:], ", "))
}

// Category is somebody's classification in a national or own scheme. Codes are
// only comparable within one scheme; the zero Category means uncategorised.
type Category struct {
	Scheme string // a name from the scheme registry, "" if none
	Code   string
}

func (c Category) String() string {
	if c.Scheme == "" {
		return c.Code
	}
	return c.Scheme + ":" + c.Code
}

// Assertion is one row of a hash set: somebody says something about a content.
// At least one of the digests is present.
type Assertion struct {
	MD5      *MD5
	SHA1     *SHA1
	SHA256   *SHA256
	PDQ      *PDQ
	Frames   []PDQ // of a known video: the hashes of its frames
	Size     int64 // bytes, -1 where not told
	Category Category
	Series   string
}

// SetVersion names one immutable version of a hash set.
type SetVersion struct {
	Name     string
	Version  int // from 1
	Status   Status
	Scheme   string // default category scheme of its assertions
	Format   string // what it was imported from
	Imported time.Time
	Count    int64  // assertions
	Digest   SHA256 // of the compiled file
}

// MatchKind says by which digest a record met an assertion.
type MatchKind uint8

// The values are written into sealed match runs: they must never change.
const (
	MatchMD5     MatchKind = 1
	MatchSHA1    MatchKind = 2
	MatchSHA256  MatchKind = 3
	MatchPDQ     MatchKind = 4
	MatchVPDQ    MatchKind = 5 // by the frames of two videos
	MatchFeature MatchKind = 6 // by places in two pictures that look and lie alike
)

var matchKindNames = [...]string{MatchMD5: "md5", MatchSHA1: "sha1", MatchSHA256: "sha256", MatchPDQ: "pdq", MatchVPDQ: "vpdq", MatchFeature: "feature"}

func (k MatchKind) String() string {
	if int(k) < len(matchKindNames) && matchKindNames[k] != "" {
		return matchKindNames[k]
	}
	return fmt.Sprintf("match(%d)", uint8(k))
}

// Match is a record that met an assertion: a lead, never proof.
type Match struct {
	Leaf     uint64 // the record's index in the exhibit ledger
	Set      string
	Version  int
	Status   Status
	Category Category
	Kind     MatchKind // the strongest digest that agreed
	Row      uint64    // the assertion's index in the compiled set
	Distance int       // bits; 0 for exact matches; of the nearest frames for videos
	Variant  string    // which variant of the picture, or which frame, met it; "" for the picture as it is
	Decoder  string    // what turned bytes into the pixels that were compared; "" for exact matches
	// Scale is that of the hash that was compared. Where it is not 0 the match
	// is not confirmed: the exact hash may lie a few bits nearer or farther.
	Scale int
	// Shares of a video, in percent: how many of its frames met one of the
	// known video, and how many of the known video's met one of its. For a match
	// by places QueryShare is how many of those that both pictures should show
	// agree. 0 for all other matches.
	QueryShare, KnownShare int
}
