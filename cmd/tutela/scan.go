package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/evidence"
	"tutela/internal/evidence/survey"
	"tutela/internal/lab"
	"tutela/internal/scan"
	"tutela/internal/term"
)

type scanCommand struct {
	Exhibit   string   `arg:"" help:"The exhibit's label."`
	Path      []string `arg:"" help:"Folders, disk images or files: where the exhibit's bytes are. An image may lie in an object store: s3://bucket/disk.E01."`
	Profile   string   `help:"triage: digests of live files. standard: also deleted files, pictures, archives. full: also bytes that no volume claims. Default: standard."`
	Authority string   `help:"The authority to act under. Default: the one that stands longest." placeholder:"R"`
	Keys      string   `help:"A file with a key on each line, for what is encrypted: passphrases, BitLocker recovery passwords." placeholder:"FILE" type:"path"`
	Restart   bool     `help:"Begin a new scan, where an interrupted one would be continued."`
	Workers   int      `help:"Readers side by side. Default: one for each processor." hidden:""`
}

// AfterApply is called by kong once the arguments are known.
func (c *scanCommand) AfterApply() error { return absolute(c.Path) }

func (c *scanCommand) Run(a *app) error {
	profile, err := scan.ParseProfile(c.Profile)
	if err != nil {
		return misuse("%v", err)
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	exhibit, err := findExhibit(a, l, c.Exhibit)
	if err != nil {
		return err
	}
	start, continues, err := c.plan(a, l, exhibit, profile)
	if err != nil {
		return err
	}
	seized, err := openEvidence(a.ctx, c.Path, scan.Profile(start.Profile), c.Keys)
	if err != nil {
		return err
	}
	defer seized.Close()
	return c.scan(a, l, seized, start, continues)
}

// plan decides between beginning and continuing: an exhibit's newest scan is
// continued unless it is sealed and matched, or --restart was given.
func (c *scanCommand) plan(a *app, l *lab.Lab, exhibit tutela.Exhibit, profile scan.Profile) (start tutela.ScanStart, continues bool, err error) {
	scans, err := l.Catalog.Scans(a.ctx, exhibit.Label)
	if err != nil {
		return start, false, err
	}
	number := 1
	if len(scans) > 0 {
		last := scans[len(scans)-1]
		if !c.Restart && (last.Seal == nil || last.Run == nil) {
			if c.Profile != "" && last.Start.Profile != string(profile) {
				return start, false, hint(misuse("scan %d of %s was begun with profile %s", last.Number, exhibit.Label, last.Start.Profile),
					"leave --profile away to continue it, or begin anew with --restart")
			}
			return last.Start, true, nil
		}
		number = last.Number + 1
	}
	start = tutela.ScanStart{Exhibit: exhibit.Label, Number: number, Profile: string(profile), Restart: c.Restart, Tool: version()}
	for _, path := range c.Path {
		start.Paths = append(start.Paths, tutela.DisplayPath([]byte(path)))
	}
	return start, false, nil
}

func (c *scanCommand) scan(a *app, l *lab.Lab, seized *seized, start tutela.ScanStart, continues bool) (err error) {
	grant, err := c.grant(a, l, start, continues)
	if err != nil {
		return err
	}
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return fmt.Errorf("open the hash sets: %w", err)
	}
	defer sets.Close()
	job := job(l, catalog.ScanID{Exhibit: start.Exhibit, Number: start.Number}, sets)
	job.Profile, job.Workers = scan.Profile(start.Profile), c.Workers
	seized.hand(&job)
	if job.Profile != scan.Triage {
		thumbs, err := l.OpenThumbs()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, thumbs.Close()) }()
		job.Thumbs = thumbs
	}
	job.Sources, job.Volumes = describe(seized.Survey)
	// A scan makes much garbage and keeps little: collecting it less often
	// costs some 100 MB and saves a tenth of the time on small files.
	debug.SetGCPercent(300)
	began := time.Now()
	watch := watchScan(a, job)
	unwatch := watchClock(a, l)
	sum, err := scan.Run(a.ctx, grant, job)
	watch.stop()
	unwatch()
	if err != nil {
		if a.ctx.Err() != nil {
			return &hinted{err: err, hint: fmt.Sprintf("nothing is lost; continue with: tutela scan %s %s", tutela.ShellWord(start.Exhibit), tutela.ShellWord(c.Path[0])), code: exitInterrupted}
		}
		return err
	}
	if sum.NotKept != nil {
		fmt.Fprintf(a.errs, "tutela: note: not every thumbnail could be kept: %v\n", sum.NotKept)
	}
	return c.summarise(a, start, sum, time.Since(began))
}

// grant asks for permission. Continuing is an access of its own to the
// evidence, so it is asked for and written down too.
func (c *scanCommand) grant(a *app, l *lab.Lab, start tutela.ScanStart, continues bool) (granted authority.Grant, err error) {
	detail, err := tutela.EncodeDetail(start)
	if err != nil {
		return granted, err
	}
	req := authority.Request{
		Actor: a.actor, Action: tutela.ActionScan, Exhibit: start.Exhibit, Reference: c.Authority,
		Event: tutela.EventScanStart, Detail: detail, Key: fmt.Sprintf("scan-start/%s/%d", start.Exhibit, start.Number),
	}
	if continues {
		req.Event, req.Key = tutela.EventAccess, ""
		a.say("Continuing scan %d of %s.", start.Number, start.Exhibit)
	}
	return l.Office().Grant(a.ctx, req)
}

// job is what scanning, rematching and rescanning have in common.
func job(l *lab.Lab, id catalog.ScanID, sets scan.Matcher) scan.Job {
	return scan.Job{
		ID: id, Desk: l, Catalog: l.Catalog, Sets: sets, Limits: evidence.DefaultLimits(),
		SpoolDir: l.JobsDir(), Tool: version(), Watch: new(scan.Watch),
	}
}

func (c *scanCommand) summarise(a *app, start tutela.ScanStart, sum scan.Summary, took time.Duration) error {
	line := struct {
		Type       string  `json:"message_type"`
		Exhibit    string  `json:"exhibit"`
		Scan       int     `json:"scan"`
		Files      uint64  `json:"files"`
		Bytes      int64   `json:"bytes"`
		Unreadable uint64  `json:"unreadable"`
		Alerts     uint64  `json:"alerts"`
		OfInterest uint64  `json:"of_interest"`
		KnownGood  uint64  `json:"known_good"`
		Root       string  `json:"root"`
		LogIndex   uint64  `json:"log_index"`
		Seconds    float64 `json:"seconds"`
	}{"summary", start.Exhibit, start.Number, sum.Records, sum.Bytes, sum.Unreadable, sum.Alerts, sum.OfInterest, sum.KnownGood, sum.Root.String(), sum.LogIndex, took.Seconds()}
	err := a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Scan %d of %s is sealed.\n", start.Number, start.Exhibit)
		facts(w, "Items", term.Count(sum.Records), "Read", term.Bytes(sum.Bytes)+" in "+term.Span(took),
			"Alerts", term.Count(sum.Alerts), "Of interest", term.Count(sum.OfInterest), "Known good", term.Count(sum.KnownGood),
			"Unreadable", term.Count(sum.Unreadable), "Root", sum.Root.String(), "Log entry", term.Count(sum.LogIndex))
		if sum.Alerts > 0 {
			fmt.Fprintf(w, "Next: tutela find --exhibit %s --match alert\n", tutela.ShellWord(start.Exhibit))
		}
		if sum.Unreadable > 0 {
			fmt.Fprintf(w, "What could not be read: tutela find --exhibit %s --finding unreadable (or read-error, damaged, truncated, unsupported, encrypted, bomb, limit, crashed, stalled)\n", tutela.ShellWord(start.Exhibit))
		}
	})
	if err == nil && sum.Unreadable > 0 {
		return errUnreadable
	}
	return err
}

// describe writes the sources and volumes of the evidence for the seal.
func describe(seized *survey.Survey) (sources []tutela.SealedSource, volumes []tutela.SealedVolume) {
	sources, volumes = []tutela.SealedSource{}, []tutela.SealedVolume{}
	for _, s := range seized.Describe() {
		sources = append(sources, tutela.SealedSource{Path: tutela.DisplayPath([]byte(s.Path)), Format: s.Kind, Size: s.Size})
		for _, v := range s.Volumes {
			volumes = append(volumes, tutela.SealedVolume{Number: volumeNumber(v.Number), Filesystem: v.FileSystem, Offset: v.Offset, Length: v.Length})
		}
	}
	return sources, volumes
}

// volumeNumber writes a partition's number as a record does.
func volumeNumber(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

type rematchCommand struct {
	Exhibit   []string `arg:"" optional:"" help:"Labels. Default: every exhibit with a sealed scan."`
	Authority string   `help:"The authority to act under." placeholder:"R"`
}

func (c *rematchCommand) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return fmt.Errorf("open the hash sets: %w", err)
	}
	defer sets.Close()
	scans, err := c.scans(a, l)
	if err != nil {
		return err
	}
	if len(scans) == 0 {
		a.say("No sealed scan yet: nothing to match again.")
	}
	for _, s := range scans {
		if err := c.rematch(a, l, s, sets); err != nil {
			return fmt.Errorf("rematch %s: %w", s.Exhibit, err)
		}
	}
	return nil
}

// scans are the newest sealed scans of the exhibits that were named, or of all.
func (c *rematchCommand) scans(a *app, l *lab.Lab) ([]catalog.Scan, error) {
	labels := c.Exhibit
	if len(labels) == 0 {
		exhibits, err := l.Catalog.Exhibits(a.ctx, "")
		if err != nil {
			return nil, err
		}
		for _, e := range exhibits {
			labels = append(labels, e.Label)
		}
	}
	var newest []catalog.Scan
	for _, label := range labels {
		if _, err := findExhibit(a, l, label); err != nil {
			return nil, err
		}
		scans, err := l.Catalog.Scans(a.ctx, label)
		if err != nil {
			return nil, err
		}
		if s := lastSealed(scans); s != nil {
			newest = append(newest, *s)
		} else if len(c.Exhibit) > 0 {
			return nil, hint(fmt.Errorf("exhibit %s has no sealed scan", label), "tutela scan %s PATH", tutela.ShellWord(label))
		}
	}
	return newest, nil
}

func lastSealed(scans []catalog.Scan) *catalog.Scan {
	for i := len(scans) - 1; i >= 0; i-- {
		if scans[i].Seal != nil {
			return &scans[i]
		}
	}
	return nil
}

// access is the detail of an access event: what was done with which scan.
type access struct {
	Action string `json:"action"`
	Number int    `json:"number"`
}

// grantAccess asks for permission to do something with a scan that is there.
func grantAccess(a *app, l *lab.Lab, s catalog.Scan, action tutela.Action, reference string) (granted authority.Grant, err error) {
	detail, err := tutela.EncodeDetail(access{string(action), s.Number})
	if err != nil {
		return granted, err
	}
	return l.Office().Grant(a.ctx, authority.Request{
		Actor: a.actor, Action: action, Exhibit: s.Exhibit, Reference: reference, Event: tutela.EventAccess, Detail: detail,
	})
}

func (c *rematchCommand) rematch(a *app, l *lab.Lab, s catalog.Scan, sets scan.Matcher) error {
	grant, err := grantAccess(a, l, s, tutela.ActionRematch, c.Authority)
	if err != nil {
		return err
	}
	run, err := scan.Rematch(a.ctx, grant, job(l, s.ScanID, sets))
	if err != nil {
		return err
	}
	line := struct {
		Type       string `json:"message_type"`
		Exhibit    string `json:"exhibit"`
		Scan       int    `json:"scan"`
		Run        int    `json:"run"`
		Matches    uint64 `json:"matches"`
		Alerts     uint64 `json:"alerts"`
		OfInterest uint64 `json:"of_interest"`
		KnownGood  uint64 `json:"known_good"`
		Root       string `json:"root"`
	}{"rematch", s.Exhibit, s.Number, run.Run, run.Matches, run.Alerts, run.OfInterest, run.KnownGood, run.Root.String()}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "%s: match run %d: %s, %s of interest, %s known good.\n", s.Exhibit, run.Run,
			count(run.Alerts, "alert"), term.Count(run.OfInterest), term.Count(run.KnownGood))
	})
}

// watching shows how a scan goes until it is stopped.
type watching struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *watching) stop() {
	w.cancel()
	<-w.done
}

// watchScan prints the status: every second on a terminal or as JSON, and once
// when the process is asked by signal.
func watchScan(a *app, j scan.Job) *watching {
	ctx, cancel := context.WithCancel(a.ctx)
	w := &watching{cancel: cancel, done: make(chan struct{})}
	m := &meter{app: a, job: j, began: time.Now()}
	if a.json || term.IsTerminal(os.Stderr) {
		go m.estimate(ctx)
	}
	go func() {
		defer close(w.done)
		m.run(ctx)
		a.status.Clear()
	}()
	return w
}
