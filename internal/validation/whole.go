package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/evidence"
	"tutela/internal/evidence/survey"
	"tutela/internal/hashset"
	"tutela/internal/lab"
	"tutela/internal/scan"
)

// A drive is taken the whole way, as an exhibit is: a lab is made, an authority asked
// for, the image scanned against a hash set, the scan sealed. The image ends early
// and holds a damaged archive, so that something cannot be read.

const (
	label = "DRIVE"
	drive = "drive.img"
)

// whole asks about two scans of the drive, which are made at the first question.
func whole() (all []question, err error) {
	records, err := sortedTable("drive.tsv")
	if err != nil {
		return nil, err
	}
	matches, err := sortedTable("matches.tsv")
	if err != nil {
		return nil, err
	}
	unreadable := strings.Count(records, "\tunreadable\n")
	ask := func(name, source, expected string, of func(*driveScans) (string, error)) {
		all = append(all, question{area: "whole scan", name: name, source: source, expected: expected,
			ask: func(ctx context.Context, s *sitting) (string, error) {
				scans, err := s.scanDrive(ctx)
				if err != nil {
					return "", err
				}
				return of(scans)
			}})
	}
	ask("records of a drive of three volumes", "sha256sum of what was written; what lies behind the end of the image, The Sleuth Kit 4.11.1; the damaged member, unzip", records,
		func(d *driveScans) (string, error) { return joined(relevant(d.records, records)), nil })
	ask("what could not be read is counted, each with a reason", "the same", strconv.Itoa(unreadable)+" with a reason, 0 without",
		func(d *driveScans) (string, error) { return d.unreadable, nil })
	ask("matches against a hash set", "the same; C++ reference of facebook/ThreatExchange, distance counted bit by bit", matches,
		func(d *driveScans) (string, error) { return joined(d.matches), nil })
	ask("the lab's ledger verifies", "RFC 6962: nobody changed anything", "no problems",
		func(d *driveScans) (string, error) { return d.problems, nil })
	ask("a second scan comes to the same root", "RFC 6962: the same leaves", "the same root",
		func(d *driveScans) (string, error) { return d.again, nil })
	return all, nil
}

// driveScans are what two scans of the drive came to.
type driveScans struct {
	records, matches []string // rows
	unreadable       string
	problems         string
	again            string // whether the second came to the root of the first
}

// scanDrive makes the scans once in a sitting.
func (s *sitting) scanDrive(ctx context.Context) (*driveScans, error) {
	if s.drive == nil && s.driveErr == nil {
		s.drive, s.driveErr = s.takeDrive(ctx)
	}
	return s.drive, s.driveErr
}

func (s *sitting) takeDrive(ctx context.Context) (d *driveScans, err error) {
	l, err := s.drivesLab(ctx)
	if err != nil {
		return nil, fmt.Errorf("make a lab: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	first, err := s.scanOnce(ctx, l, 1)
	if err != nil {
		return nil, fmt.Errorf("first scan: %w", err)
	}
	second, err := s.scanOnce(ctx, l, 2)
	if err != nil {
		return nil, fmt.Errorf("second scan: %w", err)
	}
	d = &driveScans{again: "the same root"}
	if first.Root != second.Root {
		d.again = fmt.Sprintf("%s, then %s", first.Root, second.Root)
	}
	return d, errors.Join(d.readRecords(l), d.readMatches(l, first.Run), d.verify(ctx, l))
}

// drivesLab is a lab of its own with a case, the drive, a warrant and a hash set.
func (s *sitting) drivesLab(ctx context.Context) (*lab.Lab, error) {
	dir := filepath.Join(s.dir, "lab")
	if err := lab.Init(ctx, dir, lab.Config{Agency: "Validation", Country: "XX"}, actor); err != nil {
		return nil, err
	}
	l, err := lab.Open(ctx, dir, lab.Write, actor)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.AddExhibitSeed(label), s.fill(ctx, l)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

const actor = "validation"

func (s *sitting) fill(ctx context.Context, l *lab.Lab) error {
	now := time.Now().UTC()
	for _, e := range []struct {
		kind   tutela.EventKind
		about  tutela.Event
		detail any
	}{
		{tutela.EventCaseOpen, tutela.Event{Case: "1"}, tutela.Case{Number: "1", Title: "validation", Status: tutela.CaseOpen, Opened: now}},
		{tutela.EventSeize, tutela.Event{Case: "1", Exhibit: label}, tutela.Exhibit{Label: label, Case: "1", Kind: "drive", Added: now}},
		{tutela.EventAuthorityAdd, tutela.Event{Case: "1", Authority: "V"}, tutela.Authority{Reference: "V", Case: "1", Kind: tutela.StatutoryTask, Issuer: actor, From: now.Add(-time.Hour), Until: now.Add(time.Hour), Added: now}},
	} {
		ev, err := tutela.NewEvent(e.kind, now, actor, e.detail)
		if err != nil {
			return err
		}
		ev.Case, ev.Exhibit, ev.Authority = e.about.Case, e.about.Exhibit, e.about.Authority
		if _, err := l.Record(ctx, ev); err != nil {
			return err
		}
	}
	return s.importAlerts(ctx, l)
}

func (s *sitting) importAlerts(ctx context.Context, l *lab.Lab) error {
	list, err := file("alert.csv")
	if err != nil {
		return err
	}
	name := filepath.Join(s.dir, "alert.csv")
	if err := os.WriteFile(name, list, 0o600); err != nil {
		return err
	}
	_, _, err = l.Sets.Import(ctx, hashset.ImportRequest{Name: "alert", Status: tutela.Alert, Files: []string{name}, Imported: time.Unix(1700000000, 0).UTC()})
	return err
}

func (s *sitting) scanOnce(ctx context.Context, l *lab.Lab, number int) (sum scan.Summary, err error) {
	data, err := file(drive + packed)
	if err != nil {
		return sum, err
	}
	seized, err := survey.Open([]string{drive}, survey.Options{Host: s.host, Storage: medium{drive, data}.place})
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, seized.Close()) }()
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, sets.Close()) }()
	grant, err := permitted(ctx, l, number)
	if err != nil {
		return sum, err
	}
	return scan.Run(ctx, grant, scan.Job{
		ID: catalog.ScanID{Exhibit: label, Number: number}, Desk: l, Catalog: l.Catalog, Sets: sets, Evidence: seized, Host: s.host,
		Profile: scan.Standard, Limits: evidence.DefaultLimits(), SpoolDir: l.JobsDir(), Tool: actor,
	})
}

func permitted(ctx context.Context, l *lab.Lab, number int) (grant authority.Grant, err error) {
	detail, err := tutela.EncodeDetail(tutela.ScanStart{Exhibit: label, Number: number, Profile: string(scan.Standard), Paths: []string{drive}, Tool: actor})
	if err != nil {
		return grant, err
	}
	return l.Office().Grant(ctx, authority.Request{
		Actor: actor, Action: tutela.ActionScan, Exhibit: label, Event: tutela.EventScanStart, Detail: detail, Key: fmt.Sprintf("scan-start/%s/%d", label, number),
	})
}

func (d *driveScans) readRecords(l *lab.Lab) error {
	tree, err := l.ReadRecords(catalog.ScanID{Exhibit: label, Number: 1})
	if err != nil {
		return err
	}
	defer tree.Close()
	with, without := 0, 0
	for r, err := range tree.Records(0) {
		if err != nil {
			return err
		}
		if letter, told := letters[r.State]; told && r.Kind == tutela.File {
			d.records = append(d.records, fmt.Sprintf("%s\t%s\t%s\t%d\t%s\n", r.Volume, letter, r.DisplayPath(), r.Size, digestOrNone(r)))
		}
		switch {
		case r.Readable() || r.Kind != tutela.File:
		case len(r.Findings) > 0:
			with++
		default:
			without++
		}
	}
	d.unreadable = fmt.Sprintf("%d with a reason, %d without", with, without)
	return nil
}

func digestOrNone(r *tutela.Record) string {
	if !r.Hashed {
		return "unreadable"
	}
	return r.Digests.SHA256.String()
}

// relevant leaves out rows that nobody asks for; see asksFor.
func relevant(rows []string, answer string) (kept []string) {
	for _, row := range rows {
		_, inVolume, _ := strings.Cut(row, "\t")
		if strings.Contains(answer, row) || asksFor("", inVolume) {
			kept = append(kept, row)
		}
	}
	return kept
}

func (d *driveScans) readMatches(l *lab.Lab, run int) error {
	id := catalog.ScanID{Exhibit: label, Number: 1}
	records, err := l.ReadRecords(id)
	if err != nil {
		return err
	}
	defer records.Close()
	var paths []string // by leaf
	for r, err := range records.Records(0) {
		if err != nil {
			return err
		}
		paths = append(paths, r.Volume+"\t"+r.DisplayPath())
	}
	matches, err := l.ReadMatches(id, run)
	if err != nil {
		return err
	}
	defer matches.Close()
	for m, err := range matches.Matches(0) {
		if err != nil {
			return err
		}
		if m.Leaf >= uint64(len(paths)) {
			return fmt.Errorf("a match of leaf %d of %d", m.Leaf, len(paths))
		}
		d.matches = append(d.matches, fmt.Sprintf("%s\t%s at %d bits\n", paths[m.Leaf], m.Kind, m.Distance))
	}
	return nil
}

func (d *driveScans) verify(ctx context.Context, l *lab.Lab) error {
	v, err := l.Verify(ctx, nil)
	if err != nil {
		return err
	}
	if d.problems = "no problems"; len(v.Problems) > 0 {
		d.problems = v.Problems[0]
	}
	return nil
}
