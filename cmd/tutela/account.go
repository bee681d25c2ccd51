package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
	"tutela/internal/pdq"
	"tutela/internal/report"
)

// What a report says is taken from the agency log and the trees it names. The
// catalogue, which proves nothing, is asked for the case and its authorities.

// account is a report in the making.
type account struct {
	a       *app
	l       *lab.Lab
	history []ledger.Entry // events about the exhibits
	report.Data
}

// measured is what docs/reference/robustness.md says of perceptual hashes.
var measured = report.ErrorRates{
	Threshold: pdq.MaxRadius, MinQuality: pdq.MinQuality, Comparisons: 1_490_262, FalseMatches: 0,
	Pictures: 204, Alterations: 28, Plain: 40.6, Variants: 82.3, Source: "docs/reference/robustness.md of tutela, measured by make bench",
}

// newAccount begins with what is not about one exhibit.
func newAccount(a *app, l *lab.Lab, number string, issued time.Time) (*account, error) {
	c := &account{a: a, l: l, Data: report.Data{Agency: l.Config.Agency, Issued: issued, Officer: a.actor, Likeness: measured}}
	var err error
	if c.Case, err = findCase(a, l, number); err != nil {
		return nil, err
	}
	if c.Authorities, err = l.Catalog.Authorities(a.ctx, number); err != nil {
		return nil, err
	}
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range standing.Validations {
		c.Validations = append(c.Validations, validationOf(v))
	}
	return c, nil
}

// validationOf tells of the questions whose answers are known.
func validationOf(v lab.Validation) report.Validation {
	k := v.Answers
	return report.Validation{
		Index: v.Index, Time: v.Time, Tool: strings.TrimSpace("tutela "+k.Version) + " (" + k.Platform + ")",
		Against: "questions whose answers other programs and standards give",
		Result:  fmt.Sprintf("%d of %s answered as they do.", k.Passed, count(k.Passed+k.Failed, "question")),
	}
}

// under says which head of the log the account rests on, and which keys sign it:
// policy is C2SP tlog-policy.
func (c *account) under(head check.Checkpoint, policy string) {
	c.Log = report.Log{Origin: head.Origin, Size: head.Size, Root: tutela.SHA256(head.Root)}
	groups := map[string]string{}
	for line := range strings.Lines(policy) {
		switch f := strings.Fields(line); {
		case len(f) > 1 && f[0] == "log":
			c.Log.Keys = append(c.Log.Keys, f[1])
		case len(f) > 2 && f[0] == "witness":
			c.Log.Witnesses = append(c.Log.Witnesses, f[2])
			groups[f[1]] = f[1]
		case len(f) > 2 && f[0] == "group":
			groups[f[1]] = fmt.Sprintf("%s of %s", f[2], strings.Join(f[3:], ", "))
		case len(f) == 2 && f[0] == "quorum":
			c.Log.Quorum = cmp.Or(groups[f[1]], "none")
		}
	}
}

// exhibit adds an exhibit with its history and scans; items are added after it.
func (c *account) exhibit(label string) (*report.Exhibit, error) {
	e, err := findExhibit(c.a, c.l, label)
	if err != nil {
		return nil, err
	}
	told := report.Exhibit{Exhibit: e}
	for _, entry := range c.history {
		if entry.Event.Exhibit != label {
			continue
		}
		told.Custody = append(told.Custody, report.Entry{Index: entry.Index, Event: entry.Event})
		if err := c.take(&told, entry); err != nil {
			return nil, fmt.Errorf("entry %d of the agency log: %w", entry.Index, err)
		}
	}
	c.Exhibits = append(c.Exhibits, told)
	return &c.Exhibits[len(c.Exhibits)-1], nil
}

// take follows what an event says of a scan.
func (c *account) take(e *report.Exhibit, entry ledger.Entry) error {
	switch ev := entry.Event; ev.Kind {
	case tutela.EventScanStart:
		var start tutela.ScanStart
		err := tutela.DecodeDetail(ev.Detail, &start)
		e.Scans = append(e.Scans, report.Scan{Number: start.Number, Profile: start.Profile, Authority: ev.Authority, Started: ev.Time})
		return err
	case tutela.EventSeal:
		var seal tutela.Seal
		if err := tutela.DecodeDetail(ev.Detail, &seal); err != nil {
			return err
		}
		if s := scanOf(e, seal.Number); s != nil {
			s.Seal, s.Sealed, s.SealIndex, s.Root512 = &seal, ev.Time, entry.Index, ev.Fact(tutela.FactRecords512).Value
		}
		c.tool(seal.Tool, "read the exhibits, computed digests, compared with hash sets")
	case tutela.EventMatchRun:
		var run tutela.MatchRun
		if err := tutela.DecodeDetail(ev.Detail, &run); err != nil {
			return err
		}
		if s := scanOf(e, run.Number); s != nil {
			s.Run, s.Matched, s.RunIndex = &run, ev.Time, entry.Index
		}
		c.sets(run.Sets)
	case tutela.EventRenew:
		var renewed tutela.Renew
		if err := tutela.DecodeDetail(ev.Detail, &renewed); err != nil {
			return err
		}
		if s := scanOf(e, renewed.Number); s != nil && renewed.Run == 0 {
			s.Root512 = ev.Fact(tutela.FactRecords512).Value
		}
	case tutela.EventToolValidate:
		return c.compared(entry)
	}
	return nil
}

func scanOf(e *report.Exhibit, number int) *report.Scan {
	for i := range e.Scans {
		if e.Scans[i].Number == number {
			return &e.Scans[i]
		}
	}
	return nil
}

// compared tells of another program's reading of an exhibit.
func (c *account) compared(entry ledger.Entry) error {
	var v tutela.ToolValidate
	if err := tutela.DecodeDetail(entry.Event.Detail, &v); err != nil {
		return err
	}
	c.Validations = append(c.Validations, report.Validation{
		Index: entry.Index, Time: entry.Event.Time, Tool: v.Tool, Against: v.Oracle + " on exhibit " + v.Exhibit,
		Result: fmt.Sprintf("Of %s that the other program listed, %d agreed; %s read by both alike; %d only here, %d only there.",
			count(v.Rows, "entry"), v.Agreed, count(v.Contents, "content"), v.OnlyOurs, v.OnlyTheirs),
	})
	return nil
}

func (c *account) tool(name, role string) {
	program, version, _ := strings.Cut(name, " ")
	tool := report.Tool{Name: program, Version: version, Role: role}
	if name != "" && !slices.Contains(c.Tools, tool) {
		c.Tools = append(c.Tools, tool)
	}
}

func (c *account) sets(sets []tutela.SetVersion) {
	for _, set := range sets {
		if !slices.ContainsFunc(c.Sets, func(s tutela.SetVersion) bool { return s.Name == set.Name && s.Version == set.Version }) {
			c.Sets = append(c.Sets, set)
		}
	}
}

// item adds a record to an exhibit, and what turned it into pixels to the tools.
func (c *account) item(e *report.Exhibit, item report.Item) {
	e.Items = append(e.Items, item)
	const role = "turned pictures or videos into pixels for perceptual hashes"
	if p := item.Record.Picture; p != nil {
		c.tool(p.Decoder, role)
	}
	if v := item.Record.Video; v != nil {
		c.tool(v.Decoder, role)
	}
}

// finish puts in order what came from several places.
func (c *account) finish() *report.Data {
	slices.SortFunc(c.Validations, func(a, b report.Validation) int { return cmp.Compare(a.Index, b.Index) })
	slices.SortFunc(c.Sets, func(a, b tutela.SetVersion) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return &c.Data
}

// accountOf tells a case as it stands in the log now.
func accountOf(a *app, l *lab.Lab, number string, exhibits []string) (*account, error) {
	c, err := newAccount(a, l, number, now())
	if err != nil {
		return nil, err
	}
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	head, err := log.Head(a.ctx)
	if err != nil {
		return nil, err
	}
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return nil, err
	}
	c.under(head.Checkpoint, "log "+strings.Join(l.LogKeys(), "\nlog ")+"\n"+standing.Policy.Witnesses)
	for entry, err := range log.Events(a.ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read the agency log: %w", err)
		}
		if entry.Index < head.Size && slices.Contains(exhibits, entry.Event.Exhibit) {
			c.history = append(c.history, entry)
		}
	}
	for _, label := range exhibits {
		e, err := c.exhibit(label)
		if err != nil {
			return nil, err
		}
		if err := c.alerts(e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// alerts adds the records of the newest sealed scan that met a set of status
// alert, as the newest match run says, each held against the root in the log.
func (c *account) alerts(e *report.Exhibit) error {
	for _, s := range slices.Backward(e.Scans) {
		if s.Seal == nil {
			continue
		}
		id := catalog.ScanID{Exhibit: e.Label, Number: s.Number}
		met, err := c.met(id, s.Run)
		if err != nil {
			return fmt.Errorf("matches of %s: %w", id, err)
		}
		if err := c.records(e, id, scanOf(e, s.Number), met); err != nil {
			return fmt.Errorf("records of %s: %w", id, err)
		}
		return nil
	}
	return nil
}

// met reads the matches of a run, by leaf, of leaves with an alert.
func (c *account) met(id catalog.ScanID, run *tutela.MatchRun) (map[uint64][]tutela.Match, error) {
	met, alerts := map[uint64][]tutela.Match{}, map[uint64]bool{}
	if run == nil {
		return met, nil
	}
	tree, err := c.l.ReadMatches(id, run.Run)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	if tutela.SHA256(tree.Root()) != run.Root {
		return nil, fmt.Errorf("%w: root %s, the log says %s", lab.ErrIntegrity, tree.Root(), run.Root)
	}
	for m, err := range tree.Matches(0) {
		if err != nil {
			return nil, err
		}
		met[m.Leaf] = append(met[m.Leaf], *m)
		alerts[m.Leaf] = alerts[m.Leaf] || m.Status == tutela.Alert
	}
	for leaf, alert := range alerts {
		if !alert {
			delete(met, leaf)
		}
	}
	return met, nil
}

// records reads all records of a scan: it takes those that met a set, and counts
// what must be known of the others. Each body is held against its leaf, and the
// leaves that are taken against the root.
func (c *account) records(e *report.Exhibit, id catalog.ScanID, s *report.Scan, met map[uint64][]tutela.Match) error {
	tree, err := c.l.ReadRecords(id)
	if err != nil {
		return err
	}
	defer tree.Close()
	if tutela.SHA256(tree.Root()) != s.Seal.Root {
		return fmt.Errorf("%w: root %s, the log says %s", lab.ErrIntegrity, tree.Root(), s.Seal.Root)
	}
	s.Counts = map[string]uint64{}
	var leaves []uint64
	leaf := uint64(0)
	for r, err := range tree.Records(0) {
		leaf++
		if err := errors.Join(err, c.a.ctx.Err()); err != nil {
			return err
		}
		for _, f := range r.Findings {
			s.Counts[f.Code]++
		}
		if matches := met[leaf-1]; matches != nil {
			leaves = append(leaves, leaf-1)
			c.item(e, report.Item{Scan: id.Number, Leaf: leaf - 1, Record: *r, Matches: matches})
		}
	}
	if len(leaves) > 0 {
		_, err = tree.ProveMany(leaves)
	}
	return err
}
