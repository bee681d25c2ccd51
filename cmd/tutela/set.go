package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/hashset"
	"tutela/internal/lab"
	"tutela/internal/term"
)

type setCommand struct {
	Import setImport `cmd:"" help:"Import a hash list as the next version of a set."`
	List   setList   `cmd:"" help:"List sets."`
	Show   setShow   `cmd:"" help:"Show one set and its versions."`
	Lookup setLookup `cmd:"" help:"Ask what is known about digests."`
	Export setExport `cmd:"" help:"Write a set as a list."`
	Remove setRemove `cmd:"" help:"Take a set out of use; old matches stay provable."`
}

type setImport struct {
	File   []string `arg:"" type:"existingfile" help:"Files; all become one version."`
	Name   string   `required:"" help:"The set's name."`
	Status string   `required:"" help:"alert, of-interest or known-good."`
	Format string   `help:"Default: told from the content."`
	Scheme string   `help:"The category scheme of its codes. Default: what the file says."`
	Map    []string `help:"A column of a table and what it holds, as COLUMN=FIELD; may be repeated." sep:"none"`
}

func (c *setImport) Run(a *app) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "importing "+c.Name)
	version, report, err := l.Sets.Import(a.ctx, request)
	stop()
	if errors.Is(err, hashset.ErrName) {
		return misuse("%v", err)
	}
	if err != nil {
		return err
	}
	if err := c.record(a, l, version, report); err != nil {
		return err
	}
	if hashset.Format(version.Format).KnownGood() && version.Status != tutela.KnownGood {
		fmt.Fprintf(a.errs, "tutela: note: %s lists files that are known and harmless; as %s, each of them will be reported\n", version.Format, version.Status)
	}
	return c.print(a, version, report)
}

func (c *setImport) request() (r hashset.ImportRequest, err error) {
	r = hashset.ImportRequest{Name: c.Name, Files: c.File, Imported: now(), Options: hashset.Options{Scheme: c.Scheme}}
	if r.Status, err = tutela.ParseStatus(c.Status); err != nil {
		return r, misuse("--status: %v", err)
	}
	if c.Format != "" {
		if r.Format, err = hashset.ParseFormat(c.Format); err != nil {
			return r, misuse("--format: %v", err)
		}
	}
	for _, m := range c.Map {
		mapping, err := hashset.ParseMapping(m)
		if err != nil {
			return r, misuse("--map: %v", err)
		}
		r.Options.Map = append(r.Options.Map, mapping)
	}
	return r, nil
}

func (c *setImport) record(a *app, l *lab.Lab, version tutela.SetVersion, report hashset.Report) error {
	set, err := l.Sets.Open(version.Name, version.Version)
	if err != nil {
		return err
	}
	defer set.Close()
	detail := tutela.SetImport{Set: version, Refused: uint64(report.NoDigest + report.Refused)}
	for i, s := range set.Sources() {
		if i == 0 {
			detail.Digest = s.SHA256
		}
		detail.Source = strings.TrimPrefix(detail.Source+", "+s.Name, ", ")
	}
	return record(a, l, tutela.EventSetImport, tutela.Event{}, detail)
}

func (c *setImport) print(a *app, version tutela.SetVersion, report hashset.Report) error {
	line := struct {
		setLine
		Read     int64 `json:"read"`
		Merged   int64 `json:"merged"`
		NoDigest int64 `json:"no_digest"`
		Refused  int64 `json:"refused"`
		Trivial  int64 `json:"trivial"`
	}{lineOfSet(version), report.Read, report.Merged, report.NoDigest, report.Refused, report.Trivial}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Set %s version %d (%s): %s from %s.\n", version.Name, version.Version, version.Status, count(version.Count, "row"), version.Format)
		said(w, report.Merged, "repeated rows merged")
		said(w, report.NoDigest, "rows without a digest that can be looked up were left out")
		said(w, report.Refused, "rows left out: they name nothing but empty files or blocks of zeros")
		for _, u := range report.Unlisted {
			said(w, u.Count, fmt.Sprintf("rows have category %s, which the scheme does not list; kept", u.Category))
		}
		fmt.Fprintln(w, "Next: tutela rematch, to hold what was scanned already against it")
	})
}

func said(w io.Writer, n int64, what string) {
	if n > 0 {
		fmt.Fprintf(w, "  %s %s\n", term.Count(n), what)
	}
}

// waiting shows on a terminal that something is under way, until stop.
func waiting(a *app, what string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				a.status.Clear()
				return
			case <-time.After(time.Second):
				a.status.Show(fmt.Sprintf("%s  %s", what, term.Span(time.Since(began))))
			}
		}
	}()
	return func() { close(done); <-ended }
}

type setList struct{}

func (c *setList) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	listed, err := l.Sets.List()
	if err != nil {
		return err
	}
	return listSets(a, listed)
}

func listSets(a *app, listed []hashset.Listed) error {
	if a.json {
		return printEach(a, listed, func(s hashset.Listed) any { return listedLine(s) })
	}
	if len(listed) == 0 {
		a.say("No hash set yet. Import one: tutela set import FILE --name NAME --status alert")
		return nil
	}
	var rows [][]string
	for _, s := range listed {
		use := "in use"
		switch {
		case s.Err != nil:
			use = "cannot be used: " + s.Err.Error()
		case s.Removed != nil:
			use = "removed " + moment(s.Removed.At) + ": " + s.Removed.Why
		}
		rows = append(rows, []string{s.Name, strconv.Itoa(s.Version), s.Status.String(), term.Count(s.Count), s.Format, moment(s.Imported), use})
	}
	table(a.out, "SET|VERSION|STATUS|ROWS|FORMAT|IMPORTED|USE", rows)
	return nil
}

type setShow struct {
	Name string `arg:""`
}

func (c *setShow) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	versions, err := versionsOf(l, c.Name)
	if err != nil {
		return err
	}
	return listSets(a, versions)
}

// versionsOf lists every version of a set, of which there must be one.
func versionsOf(l *lab.Lab, name string) (versions []hashset.Listed, err error) {
	all, err := l.Sets.List()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Name == name {
			versions = append(versions, s)
		}
	}
	if len(versions) == 0 {
		return nil, noSet(name)
	}
	return versions, nil
}

func noSet(name string) error { return hint(fmt.Errorf("there is no set %s", name), "tutela set list") }

type setLookup struct {
	Value []string `arg:"" help:"MD5, SHA-1, SHA-256 or PDQ, in hexadecimal digits."`
}

func (c *setLookup) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return err
	}
	defer sets.Close()
	for _, value := range c.Value {
		hits, err := sets.LookupValue(value)
		if err != nil {
			return misuse("%s: %v", value, err)
		}
		if err := printLookup(a, value, hits); err != nil {
			return err
		}
	}
	return nil
}

func printLookup(a *app, value string, hits []hashset.Hit) error {
	matches := []matchLine{}
	for _, h := range hits {
		matches = append(matches, lineOfMatch(matchOf(h)))
	}
	line := struct {
		Type    string      `json:"message_type"`
		Value   string      `json:"value"`
		Known   bool        `json:"known"`
		Matches []matchLine `json:"matches"`
	}{"lookup", value, len(hits) > 0, matches}
	return a.print(line, func(w io.Writer) {
		if len(hits) == 0 {
			fmt.Fprintf(w, "%s: not in any set\n", value)
		}
		for _, h := range hits {
			m := matchOf(h)
			fmt.Fprintf(w, "%s: %s: %s\n", value, strings.ToUpper(m.Status.String()), explainMatch(m))
		}
	})
}

// matchOf is a look-up's hit in the words of a match.
func matchOf(h hashset.Hit) tutela.Match {
	return tutela.Match{
		Set: h.Set.Name, Version: h.Set.Version, Status: h.Set.Status, Category: h.Assertion.Category,
		Kind: h.Kind, Row: h.Row, Distance: h.Distance,
	}
}

type setExport struct {
	Name    string `arg:""`
	Version int    `name:"set-version" help:"Default: the one in use."`
	Format  string `default:"csv" help:"csv, hashdeep, md5, sha1, sha256 or pdq."`
	Output  string `short:"o" help:"The file to write. Default: standard output." placeholder:"FILE"`
}

func (c *setExport) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	set, err := l.Sets.Open(c.Name, c.Version)
	if errors.Is(err, hashset.ErrNoSet) {
		return noSet(c.Name)
	}
	if err != nil {
		return err
	}
	defer set.Close()
	written, left, err := c.export(a, set)
	if err == nil && left > 0 {
		fmt.Fprintf(a.errs, "tutela: %s rows written, %s left out: they lack the digest that %s lists\n", term.Count(written), term.Count(left), c.Format)
	}
	return err
}

func (c *setExport) export(a *app, set *hashset.Set) (written, left uint64, err error) {
	if c.Output == "" {
		return set.Export(a.out, hashset.Export(c.Format))
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, err
	}
	written, left, err = set.Export(f, hashset.Export(c.Format))
	return written, left, errors.Join(err, f.Close())
}

type setRemove struct {
	Name   string `arg:""`
	Reason string `required:"" help:"Why."`
}

func (c *setRemove) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	versions, err := versionsOf(l, c.Name)
	if err != nil {
		return err
	}
	err = record(a, l, tutela.EventSetRemove, tutela.Event{}, tutela.SetRemove{Name: c.Name, Reason: c.Reason})
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	for _, v := range versions {
		if err := l.Sets.Remove(c.Name, v.Version, hashset.Removal{At: now(), Why: c.Reason}); err != nil {
			return err
		}
	}
	line := map[string]string{"message_type": "removed", "set": c.Name, "reason": c.Reason}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Set %s is out of use. Matches made with it stay provable; tutela rematch shows items without it.\n", c.Name)
	})
}

type setLine struct {
	Type     string  `json:"message_type"`
	Name     string  `json:"name"`
	Version  int     `json:"version"`
	Status   string  `json:"status"`
	Scheme   string  `json:"scheme"`
	Format   string  `json:"format"`
	Imported *string `json:"imported"`
	Count    int64   `json:"count"`
	SHA256   string  `json:"sha256"`
}

func lineOfSet(s tutela.SetVersion) setLine {
	return setLine{"set", s.Name, s.Version, s.Status.String(), s.Scheme, s.Format, stamp(s.Imported), s.Count, s.Digest.String()}
}

func listedLine(s hashset.Listed) any {
	line := struct {
		setLine
		Removed *string `json:"removed"`
		Reason  string  `json:"reason"`
		Error   string  `json:"error,omitempty"`
	}{setLine: lineOfSet(s.SetVersion)}
	if s.Removed != nil {
		line.Removed, line.Reason = stamp(s.Removed.At), s.Removed.Why
	}
	if s.Err != nil {
		line.Error = s.Err.Error()
	}
	return line
}
