// Package report writes what a laboratory hands to a court: a report of the
// examination, a draft of a certificate, and the same facts in CASE/UCO for
// other programs.
//
// Fill a [Data] and call [PDF] or [HTML] for the report, [Certificate] or
// [CertificateHTML] for the draft of a certificate under Rule 902(14) of the US
// Federal Rules of Evidence, and [CASE] for JSON-LD.
//
// Promised: what is written follows from Data alone, byte for byte, whatever the
// machine, its clock and its time zone. Every fact stands in a numbered
// paragraph that says where in the ledger it is recorded; opinion stands apart.
// All times are UTC. A name from the evidence is shown so that nothing of it is
// lost and nothing in it acts: see [Shown] for what is written in place of
// characters that cannot be shown. HTML holds no script and asks for nothing
// from anywhere.
//
// Not promised: that Data is true, which only the ledger shows; that a court
// accepts the form of the report or of the certificate, which counsel must
// check; that the PDF is tagged for screen readers, for whom the HTML is meant.
package report

import (
	"time"

	"tutela"
)

// Data is what a report says. Nothing in it is looked up or computed from
// elsewhere: the caller takes it from the ledger. Lists are shown in the order
// they have.
type Data struct {
	Agency string
	Case   tutela.Case

	To      string    // for whom it is, "" if not told
	Purpose string    // "" if not told
	Issued  time.Time // what the report is dated; the clock is never asked
	Officer string    // who answers for it

	Instructions string // what the examiner was asked to do; paragraphs are parted by empty lines
	Authorities  []tutela.Authority
	Exhibits     []Exhibit
	Sets         []tutela.SetVersion // that scans were matched against
	Tools        []Tool

	Validations []Validation
	Likeness    ErrorRates
	Limitations []string // beside those that every report has
	Opinion     string   // "": that none is given is said

	Log Log
}

// Exhibit is a seized thing, what was done with it and what was found on it.
type Exhibit struct {
	tutela.Exhibit
	Custody []Entry // from seizure on, in the order of the log
	Scans   []Scan
	Items   []Item
	Left    uint64 // items that fit and are not among Items
}

// Entry is an event at its place in the agency log.
type Entry struct {
	Index uint64
	tutela.Event
}

// Scan is one reading of an exhibit.
type Scan struct {
	Number    int
	Profile   string
	Authority string // reference
	Started   time.Time
	Sealed    time.Time         // zero if it was not finished
	Seal      *tutela.Seal      // nil if it was not finished
	SealIndex uint64            // entry of the agency log
	Root512   []byte            // of the same leaves under SHA-512; nil if there is none
	Matched   time.Time         // zero if it was matched against nothing
	Run       *tutela.MatchRun  // the newest match run, nil if there is none
	RunIndex  uint64            // entry of the agency log
	Findings  []tutela.Finding  // of the scan as a whole
	Counts    map[string]uint64 // records with a finding, by its code
}

// Item is a record that the report describes.
type Item struct {
	Scan    int
	Leaf    uint64 // of the scan's record tree
	Record  tutela.Record
	Matches []tutela.Match
	Grade   string // what a person said of it, "" if nobody did
	Content string // where its bytes lie in the bundle, "" if they do not
}

// Tool is a program that had a part in the results.
type Tool struct {
	Name, Version string
	Role          string // what it did, for people
}

// Validation is a test of the tool that the ledger tells of.
type Validation struct {
	Index   uint64 // entry of the agency log
	Time    time.Time
	Tool    string // what was tested, name and version
	Against string // what it was held against
	Result  string // one sentence with its numbers
}

// ErrorRates is what was measured of perceptual hashes.
type ErrorRates struct {
	Threshold    int     // bits, of 256; two hashes at most so far apart are a match
	MinQuality   int     // 0 to 100; hashes below are not matched
	Comparisons  uint64  // of pictures that do not show the same; 0: nothing was measured
	FalseMatches uint64  // among them
	Pictures     int     // that were altered
	Alterations  int     // kinds
	Plain        float64 // percent of altered copies found by the hash of the file as it is
	Variants     float64 // percent found with variants
	Source       string  // where the measurement is described
}

// Log is the head of the agency log that the report rests on.
type Log struct {
	Origin    string
	Size      uint64 // entries
	Root      tutela.SHA256
	Keys      []string // C2SP vkeys of the log; all of them sign each head
	Witnesses []string // C2SP vkeys of those who cosign
	Quorum    string   // how many of them must, in words; "" if nobody does
}
