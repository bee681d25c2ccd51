// Package catalog says what the searchable store of a lab is: who was
// investigated, what was seized, what was found on it and what that meant.
//
// The catalogue is derived. Everything in it comes from three places that
// cannot be rewritten: the agency log's events, given in order to
// [Store.Apply]; the records of a scan's exhibit ledger, given in leaf order to
// a [Loader]; and a match run, given to [Store.LoadMatches]. Read it back with
// [Store.Find] and the methods that return nouns. Package sqlite holds the
// store that a lab on one machine uses; package catalogtest is the suite that
// every store passes.
//
// Promised: the same log, records and newest match runs give the same
// catalogue, whatever the batches, interruptions and interleaving they came in
// ([Dump] writes it out for comparing); strings and paths come back byte for
// byte; memory does not grow with what is stored. Not promised: durability. A
// catalogue that lost its last batches in a power cut says so by Applied and
// Next, and is fed again from there. Nothing may be kept here alone.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"tutela"
)

// Errors that callers may test for.
var (
	ErrNotFound = errors.New("not in the catalogue")
	ErrExists   = errors.New("exists already")
	ErrDetail   = errors.New("the detail does not hold what the kind of event calls for")
	ErrOrder    = errors.New("out of order")
	ErrDiffers  = errors.New("differs from what was applied before; rebuild the catalogue")
	ErrQuery    = errors.New("cannot be asked")
	ErrNewer    = errors.New("the catalogue was written by a newer tutela")
	ErrDamaged  = errors.New("the catalogue is damaged; rebuild it from the ledgers")
)

// Store is a catalogue. It must be safe for concurrent use by many goroutines.
// A method that reads must see all that was applied or committed before it was
// called. Lists are sorted by the bytes of their key.
type Store interface {
	// Apply projects the event at an index of the agency log. The next index
	// is Applied; a later one is ErrOrder. An index that was applied before
	// must change nothing, and is ErrDiffers if the event is not the same.
	//
	// The log cannot be rewritten, so no event may stop the projection: one
	// that does not fit (see Check) changes no noun and is kept in Custody
	// with the reason; one whose Key was applied before is kept as a repeat; a
	// kind that is not known is kept.
	Apply(ctx context.Context, index uint64, ev tutela.Event) error

	// Applied is the index of the next event to apply.
	Applied(ctx context.Context) (next uint64, err error)

	// Check says why an event would not fit, and changes nothing: ErrNotFound
	// if it refers to what is not there, ErrExists if it makes what is there or
	// takes a number that does not rise, ErrDetail. Ask before appending to the
	// log.
	Check(ctx context.Context, ev tutela.Event) error

	// Case, Authority, Exhibit and Scan return one noun or ErrNotFound.
	Case(ctx context.Context, number string) (tutela.Case, error)
	Authority(ctx context.Context, reference string) (tutela.Authority, error)
	Exhibit(ctx context.Context, label string) (tutela.Exhibit, error)
	// Scan returns the newest scan of the exhibit where id.Number is 0.
	Scan(ctx context.Context, id ScanID) (Scan, error)

	// Account returns a person's account or ErrNotFound.
	Account(ctx context.Context, name string) (tutela.Account, error)

	// Cases, Authorities, Exhibits, Scans, Sets and Accounts list them. An empty case
	// number or exhibit label lists all of the lab; one that is not there
	// lists none.
	Cases(ctx context.Context) ([]tutela.Case, error)
	Authorities(ctx context.Context, caseNumber string) ([]tutela.Authority, error)
	Exhibits(ctx context.Context, caseNumber string) ([]tutela.Exhibit, error)
	Scans(ctx context.Context, exhibit string) ([]Scan, error)
	Sets(ctx context.Context) ([]Set, error)
	Accounts(ctx context.Context) ([]tutela.Account, error)

	// Custody tells the applied events about something in the order of the
	// log. After an error it ends.
	Custody(ctx context.Context, about About) iter.Seq2[Entry, error]

	// Loader begins or goes on loading the records of a scan, ErrNotFound if
	// the scan was not started. Whether it is sealed already does not matter.
	Loader(ctx context.Context, id ScanID) (Loader, error)

	// Unload forgets all that was loaded of scans, so that they can be loaded
	// again from their first leaf: the records, what they met, and contents that
	// lie nowhere else. The scans stay. A store that keeps files must not leave
	// the rows in them. ErrNotFound if a scan was not started; then none of them
	// is unloaded.
	Unload(ctx context.Context, ids ...ScanID) error

	// LoadMatches makes a match run what Find shows for a scan, at once and in
	// place of the run before. A run older than the one shown changes nothing;
	// the same run replaces itself. Runs are numbered from 1 and every leaf
	// must have been loaded, else ErrOrder. After an error, also one that matches yields, the run before
	// must stand. The matches must not come from this store, and within one
	// leaf they are shown in the order they came.
	LoadMatches(ctx context.Context, id ScanID, run int, matches iter.Seq2[tutela.Match, error]) error

	// Find tells the locations that a query describes, ordered by exhibit
	// label, scan and leaf. A case, exhibit or scan that is not there is
	// ErrNotFound; a query that makes no sense is ErrQuery. After an error it
	// ends. The store may be used while the answer is read, and what is loaded
	// meanwhile may or may not appear.
	Find(ctx context.Context, q Query) iter.Seq2[Hit, error]

	// Rollup counts what was loaded of a scan, without going through it. The
	// newest scan is meant where id.Number is 0.
	Rollup(ctx context.Context, id ScanID) (Counts, error)

	io.Closer
}

// Loader takes the records of one scan in leaf order. It is for one goroutine.
// It holds what was added since the last Commit in memory (about 400 bytes a
// record), so commit every ten thousand or so; writers elsewhere are only held
// up while Commit works.
type Loader interface {
	// Next is the leaf to add next. In a new Loader it follows the last leaf
	// that was committed, by whatever Loader.
	Next() uint64
	// Add takes the record of a leaf, ErrOrder if that is not Next. It must
	// not keep r or anything in it that can change.
	Add(leaf uint64, r *tutela.Record) error
	// Commit makes what was added part of the catalogue: before it nothing
	// happened, after it all of it did. After an error the Loader must be
	// closed, and a new one says where to go on.
	Commit(ctx context.Context) error
	// Close drops what was not committed. It may be called twice.
	Close() error
}

// ScanID names one scan of an exhibit.
type ScanID struct {
	Exhibit string
	Number  int // from 1
}

func (id ScanID) String() string { return fmt.Sprintf("%s scan %d", id.Exhibit, id.Number) }

// Scan is one reading of an exhibit, as the agency log tells it.
type Scan struct {
	ScanID
	Case      string // the exhibit's
	Authority string // reference it was done under
	Started   time.Time
	Start     tutela.ScanStart

	Sealed   time.Time    // zero while it runs
	Seal     *tutela.Seal // nil while it runs
	LogIndex uint64       // of the seal in the agency log

	Matched time.Time        // zero while there is none
	Run     *tutela.MatchRun // the newest match run that was written down, nil while there is none

	Erased uint64 // records that were erased since
}

// ScanState says whether a scan can still grow.
type ScanState string

// A scan runs until it is sealed, even if nobody goes on with it.
const (
	ScanRunning ScanState = "running"
	ScanSealed  ScanState = "sealed"
)

// State says whether the scan was sealed.
func (s *Scan) State() ScanState {
	if s.Seal == nil {
		return ScanRunning
	}
	return ScanSealed
}

// Set is one version of a hash set, as the agency log tells it. Versions stay
// listed when they are removed: old matches name them.
type Set struct {
	tutela.SetImport
	Imported time.Time
	Removed  time.Time // zero while it is in use
	Reason   string    // why it was removed
}

// About chooses events. Both fields must fit; an empty one always does.
type About struct {
	Case    string
	Exhibit string
}

// Entry is an event at its place in the agency log.
type Entry struct {
	Index uint64
	tutela.Event
	Repeat bool   // its Key was applied before: it changed nothing
	Misfit string // why it changed nothing, empty if it fitted
}

// Counts are kept while records and matches are loaded.
type Counts struct {
	Records    uint64
	Files      uint64 // records of kind file
	Bytes      int64  // of content that was read whole and digested
	Unreadable uint64 // records with a failure
	Contents   uint64 // distinct digested contents within the scan
	States     tutela.StateCounts

	Alerts     uint64 // records with at least one such match
	OfInterest uint64
	KnownGood  uint64
}

// Count adds what one record says by itself; Contents is for the store to keep.
func (c *Counts) Count(r *tutela.Record) {
	c.Records++
	c.States.Add(r.State, 1)
	if r.Kind == tutela.File {
		c.Files++
	}
	if !r.Readable() {
		c.Unreadable++
	}
	if r.Hashed && r.Size > 0 {
		c.Bytes += r.Size
	}
}
