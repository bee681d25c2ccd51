// Package icse reads the semicolon tables that INTERPOL's ICSE exports: MD5,
// SHA1, PhotoDNA, Image ID, …, Series name, …, Baseline.
//
// Call [NewReader]. Promised: the Baseline column becomes a category of the
// scheme "interpol-baseline", 0 and empty meaning none. Not promised: PhotoDNA
// and the counters are not kept.
package icse

import (
	"io"

	"tutela"
	"tutela/internal/hashset/csv"
)

// Baseline is the category scheme of the Baseline column.
const Baseline = "interpol-baseline"

// Reader reads an ICSE export.
type Reader struct {
	table  *csv.Reader
	scheme string
}

// NewReader reads the header line. A scheme other than "" replaces [Baseline].
func NewReader(r io.Reader, scheme string) (*Reader, error) {
	if scheme == "" {
		scheme = Baseline
	}
	table, err := csv.NewReader(r, csv.Options{
		Scheme: scheme,
		Map:    []csv.Mapping{{Column: "MD5", Field: "md5"}, {Column: "Baseline", Field: "category"}},
	})
	if err != nil {
		return nil, err
	}
	return &Reader{table, scheme}, nil
}

// Next is the next assertion, or io.EOF.
func (r *Reader) Next() (tutela.Assertion, error) {
	a, err := r.table.Next()
	if a.Category.Code == "0" {
		a.Category = tutela.Category{}
	}
	return a, err
}

// Scheme is the category scheme of the Baseline column, or what replaced it.
func (r *Reader) Scheme() string { return r.scheme }
