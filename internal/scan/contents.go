package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/evidence"
)

// ErrNoContent means that the content of a record cannot be had from the evidence.
var ErrNoContent = errors.New("its content is not to be had")

// errComplete ends a walk that has found all.
var errComplete = errors.New("all were found")

// Contents reads the contents of records from the evidence again, for who may
// disclose them, and hands each to take with the record's index in wanted, in the
// order of the walk. What take was handed is the record's if Contents goes on to
// another or returns nil: at one place there may be several files, and then take is
// called again. One that is not found as it was recorded, lies inside another file
// or was not read whole is an error that wraps ErrNoContent.
func Contents(ctx context.Context, grant authority.Grant, ev Evidence, limits evidence.Limits, wanted []*tutela.Record, take func(i int, content io.Reader) error) error {
	if err := grant.Permits(tutela.ActionDisclose); err != nil {
		return err
	}
	s := &search{take: take, records: wanted, at: map[string][]int{}}
	for i, r := range wanted {
		if !r.Hashed || r.State == tutela.Embedded {
			return fmt.Errorf("%s: %w: it lies inside another file, or was not read", r.DisplayPath(), ErrNoContent)
		}
		s.at[place(r)] = append(s.at[place(r)], i)
	}
	err := ev.Walk(ctx, limits, func(e *evidence.Entry) error { return s.visit(ctx, e) })
	if err != nil && !errors.Is(err, errComplete) {
		return ended(ctx, err)
	}
	return s.missing()
}

// search is for the contents of some records.
type search struct {
	take    func(i int, content io.Reader) error
	records []*tutela.Record
	at      map[string][]int // records that are still wanted, by place
}

func (s *search) visit(ctx context.Context, e *evidence.Entry) error {
	at := place(recordOf(e))
	if len(s.at[at]) == 0 || e.Open == nil {
		return ctx.Err()
	}
	var left []int
	for _, i := range s.at[at] { // scans of the same evidence have the same records
		same, err := s.read(e, i)
		if err != nil {
			return err
		}
		if !same {
			left = append(left, i)
		}
	}
	if s.at[at] = left; len(left) == 0 {
		delete(s.at, at)
	}
	if len(s.at) == 0 {
		return errComplete
	}
	return ctx.Err()
}

// read hands over one content, and reports whether it was the record's. One that
// cannot be read is not.
func (s *search) read(e *evidence.Entry, i int) (same bool, err error) {
	content, err := e.Open()
	if err != nil {
		return false, nil
	}
	defer content.Close()
	digest := sha256.New()
	watched := &failing{r: io.TeeReader(content, digest)}
	if err := s.take(i, watched); err != nil && watched.err == nil {
		return false, err
	}
	want := s.records[i].Digests.SHA256
	return watched.err == nil && tutela.SHA256(digest.Sum(nil)) == want, nil
}

// failing tells a reader that failed from a taker that did.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (s *search) missing() error {
	for i, r := range s.records {
		for _, left := range s.at[place(r)] {
			if left == i {
				return fmt.Errorf("%s: %w: the evidence does not hold what was recorded", r.DisplayPath(), ErrNoContent)
			}
		}
	}
	return nil
}
