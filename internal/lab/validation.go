package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/build"
	"tutela/internal/durable"
)

// A lab remembers which builds of the program answered the questions to which the
// answers are known: as tool-validate events, and the report of each under
// validation/INDEX.txt, INDEX being that of the event, which holds the report's
// SHA-256. Its policy may demand that nothing is scanned by any other build.

// ErrNoReport means that the report of a validation is not there, or is not the one
// that the log tells of.
var ErrNoReport = errors.New("no report of the validation")

// Validation is what the log tells of one.
type Validation struct {
	Index   uint64 // of its event
	Time    time.Time
	Answers tutela.KnownAnswers
}

// takeValidation follows a tool-validate event. Those that name an exhibit tell of
// another program's reading of it.
func (s *Standing) takeValidation(index uint64, ev tutela.Event) error {
	if ev.Exhibit != "" {
		return nil
	}
	v := Validation{Index: index, Time: ev.Time}
	if err := tutela.DecodeDetail(ev.Detail, &v.Answers); err != nil {
		return err
	}
	s.Validations[v.Answers.Executable] = v
	return nil
}

// RecordValidation records a validation and keeps its report. The event comes first:
// if the report cannot be kept, the validation has happened, and validating again
// makes the same report.
func (l *Lab) RecordValidation(ctx context.Context, told tutela.KnownAnswers, report string) (index uint64, err error) {
	told.Report = sha256.Sum256([]byte(report))
	ev, err := tutela.NewEvent(tutela.EventToolValidate, time.Now(), l.actor, told)
	if err != nil {
		return 0, err
	}
	if index, err = l.Record(ctx, ev); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(l.validationDir(), 0o700); err != nil {
		return index, fmt.Errorf("keep the report: %w", err)
	}
	if err := durable.WriteFile(l.ReportPath(index), []byte(report), 0o600); err != nil {
		return index, fmt.Errorf("keep the report: %w", err)
	}
	return index, nil
}

// LastValidation is the newest validation of an executable and its report, held
// against what the log says of it. The error wraps ErrNoReport if there is no report
// or it is another one.
func (l *Lab) LastValidation(ctx context.Context, executable tutela.SHA256) (v Validation, report []byte, err error) {
	standing, err := l.Standing(ctx)
	if err != nil {
		return v, nil, err
	}
	v, ok := standing.Validations[executable]
	if !ok {
		return v, nil, fmt.Errorf("%w: this build has not been validated in this lab", ErrNoReport)
	}
	report, err = os.ReadFile(l.ReportPath(v.Index))
	if errors.Is(err, os.ErrNotExist) {
		return v, nil, fmt.Errorf("%w: entry %d of the agency log tells of one", ErrNoReport, v.Index)
	}
	if err != nil {
		return v, nil, err
	}
	if sha256.Sum256(report) != v.Answers.Report {
		return v, nil, fmt.Errorf("%w: the file is not the one that entry %d of the agency log tells of", ErrNoReport, v.Index)
	}
	return v, report, nil
}

func (l *Lab) validationDir() string { return filepath.Join(l.Dir, "validation") }

// ReportPath is where the report of the validation at an index of the log lies.
func (l *Lab) ReportPath(index uint64) string {
	return filepath.Join(l.validationDir(), fmt.Sprintf("%d.txt", index))
}

// Office grants and refuses in this lab: under its authorities, and by what its
// policy demands of the program.
func (l *Lab) Office() *authority.Office {
	return authority.NewOffice(l.Catalog, l, nil).Demanding(l.demand)
}

// demand refuses to read or interpret evidence with a program that the policy does
// not let do so.
func (l *Lab) demand(ctx context.Context, req authority.Request) error {
	standing, err := l.Standing(ctx)
	if err != nil || !standing.Policy.Validated || !readsEvidence(req.Action) {
		return err
	}
	program, err := build.This()
	if err != nil {
		return err
	}
	if reason := unfit(standing, program.Executable); reason != "" {
		return &authority.Refusal{Reason: reason, Hint: "tutela lab validate"}
	}
	return nil
}

func readsEvidence(a tutela.Action) bool {
	return a == tutela.ActionScan || a == tutela.ActionRescan || a == tutela.ActionRematch
}

// unfit says why a program may not read evidence; empty if it may.
func unfit(s *Standing, executable tutela.SHA256) string {
	v, ok := s.Validations[executable]
	switch {
	case !ok:
		return "the lab's policy demands a validated program, and this build has not been validated here"
	case v.Answers.Failed > 0 || v.Answers.Passed == 0:
		return fmt.Sprintf("the lab's policy demands a validated program, and this build failed %d of %d questions (entry %d of the agency log)",
			v.Answers.Failed, v.Answers.Failed+v.Answers.Passed, v.Index)
	}
	return ""
}
