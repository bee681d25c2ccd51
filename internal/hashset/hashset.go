// Package hashset keeps what others know: sets of assertions about content,
// imported from the formats agencies exchange, compiled into immutable files,
// and looked up by digest, by likeness and by the frames of videos.
//
// Start with [OpenStore] on the lab's folder of sets: [Store.Import] adds a
// version of a set, as a whole list or as what comes to the version in use or
// leaves it; [Store.OpenActive] gives the [Sets] that a scan matches against;
// [Sets.Match] asks what a record means, [Sets.Places] which known pictures show
// the same in part, [Sets.LookupValue] and
// [Sets.LookupAll] what is known about digests alone. Below that, [OpenFile]
// reads a foreign file, [Compile] writes a compiled set from any [Reader], and
// [Open] maps one; [Set.Exact], [Set.ExactAll], [Set.Near] and [Set.Video] ask a
// single set.
//
// Promised: a compiled set never changes, and a row keeps its number in all
// versions that are based on one another; an import is whole or not at all, and
// takes bounded memory; a hit is always confirmed on every digest that both
// sides have; near look-ups find every hash within the radius; the same input
// gives the same bytes; a version that is kept as a difference answers what the
// same rows would, compiled whole. Damage to a file is no silent miss: it is told
// by [Sets.Damage], which must be asked before relying on what was not found.
// Not promised: that what a set asserts is true. A match is a lead, never proof,
// and a category is somebody's, never a property of a hash.
package hashset

import (
	"errors"
	"io"

	"tutela"
	"tutela/internal/hashset/csv"
	"tutela/internal/pdq"
)

// Reader gives the assertions of one source in its order. Next must return
// io.EOF after the last one and only if all of the source was well-formed; any
// other error must name the line or record and ends the reading. An assertion
// without any digest may be given: it is counted, not kept.
type Reader interface {
	Next() (tutela.Assertion, error)
}

// ReadCloser is a Reader that holds a file open.
type ReadCloser interface {
	Reader
	io.Closer
}

// Schemer is a Reader whose source names the category scheme of its codes.
type Schemer interface {
	Scheme() string
}

// Options say how to read a foreign file. The zero value leaves everything to
// the file.
type Options struct {
	Scheme string    // of category codes; "" leaves it to the file, if it says
	Map    []Mapping // columns of a table that are not called by a usual name
}

// Mapping says which column of a table holds which field.
type Mapping = csv.Mapping

// ParseMapping reads COLUMN=FIELD.
func ParseMapping(s string) (Mapping, error) { return csv.ParseMapping(s) }

// Matching rules (PDQ's authors recommend both; ThreatExchange, hashing.pdf).
const (
	MinQuality = pdq.MinQuality // hashes of poorer pictures are not matched
	MaxRadius  = pdq.MaxRadius  // bits within which two pictures are alike
)

// Errors of compiled files.
var (
	ErrCorrupt = errors.New("compiled set is damaged")
	ErrNewer   = errors.New("compiled set was written by a newer tutela")
	ErrOlder   = errors.New("compiled set was written by an older tutela")
)
