package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
)

type caseCommand struct {
	Open  caseOpen  `cmd:"" help:"Open a case."`
	List  caseList  `cmd:"" help:"List cases."`
	Show  caseShow  `cmd:"" help:"Show one case with its exhibits and authorities."`
	Close caseClose `cmd:"" help:"Close a case with its outcome."`
}

type caseOpen struct {
	Number string `arg:"" help:"The case's number, as the agency writes it."`
	Title  string `required:"" help:"What it is called."`
	Lead   string `help:"Who leads it."`
}

func (c *caseOpen) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := newName("case number", c.Number); err != nil {
		return err
	}
	if _, err := l.Catalog.Case(a.ctx, c.Number); err == nil {
		return hint(fmt.Errorf("case %s is there already", c.Number), "tutela case show %s", tutela.ShellWord(c.Number))
	}
	opened := tutela.Case{Number: c.Number, Title: c.Title, Lead: c.Lead, Status: tutela.CaseOpen, Opened: now()}
	if err := record(a, l, tutela.EventCaseOpen, tutela.Event{Case: c.Number}, opened); err != nil {
		return err
	}
	return a.print(caseLine(opened), func(w io.Writer) {
		fmt.Fprintf(w, "Case %s is open.\nNext: tutela exhibit add LABEL --case %s\n", c.Number, tutela.ShellWord(c.Number))
	})
}

type caseList struct{}

func (c *caseList) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	cases, err := l.Catalog.Cases(a.ctx)
	if err != nil {
		return err
	}
	if a.json {
		return printEach(a, cases, caseLine)
	}
	if len(cases) == 0 {
		a.say("No case yet. Open one: tutela case open NUMBER --title TITLE")
		return nil
	}
	var rows [][]string
	for _, c := range cases {
		rows = append(rows, []string{c.Number, string(c.Status), moment(c.Opened), c.Title})
	}
	table(a.out, "CASE|STATUS|OPENED|TITLE", rows)
	return nil
}

type caseShow struct {
	Number string `arg:""`
}

func (c *caseShow) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	found, err := findCase(a, l, c.Number)
	if err != nil {
		return err
	}
	exhibits, err := l.Catalog.Exhibits(a.ctx, c.Number)
	if err != nil {
		return err
	}
	authorities, err := l.Catalog.Authorities(a.ctx, c.Number)
	if err != nil {
		return err
	}
	if a.json {
		return errors.Join(a.print(caseLine(found), nil), printEach(a, exhibits, exhibitLine), printEach(a, authorities, authorityLine))
	}
	facts(a.out, "Case", found.Number, "Title", found.Title, "Lead", found.Lead, "Status", string(found.Status),
		"Opened", moment(found.Opened), "Closed", moment(found.Closed), "Outcome", found.Outcome)
	fmt.Fprintln(a.out)
	listExhibits(a.out, exhibits)
	fmt.Fprintln(a.out)
	listAuthorities(a.out, authorities)
	return nil
}

type caseClose struct {
	Number  string `arg:""`
	Outcome string `required:"" help:"What became of it."`
	Status  string `default:"closed" enum:"charged,closed,dismissed" help:"charged, closed or dismissed."`
}

func (c *caseClose) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	found, err := findCase(a, l, c.Number)
	if err != nil {
		return err
	}
	if found.Status == tutela.CaseClosed || found.Status == tutela.CaseDismissed {
		return fmt.Errorf("case %s was closed on %s", c.Number, moment(found.Closed))
	}
	found.Status, found.Outcome, found.Closed = tutela.CaseStatus(c.Status), c.Outcome, now()
	if err := record(a, l, tutela.EventCaseClose, tutela.Event{Case: c.Number}, found); err != nil {
		return err
	}
	return a.print(caseLine(found), func(w io.Writer) { fmt.Fprintf(w, "Case %s: %s, %s.\n", c.Number, c.Status, c.Outcome) })
}

func findCase(a *app, l *lab.Lab, number string) (tutela.Case, error) {
	found, err := l.Catalog.Case(a.ctx, number)
	if errors.Is(err, catalog.ErrNotFound) {
		return found, hint(fmt.Errorf("there is no case %s", number), "tutela case list, or tutela case open %s --title TITLE", tutela.ShellWord(number))
	}
	return found, err
}

func caseLine(c tutela.Case) any {
	return struct {
		Type    string  `json:"message_type"`
		Number  string  `json:"number"`
		Title   string  `json:"title"`
		Lead    string  `json:"lead"`
		Status  string  `json:"status"`
		Outcome string  `json:"outcome"`
		Opened  *string `json:"opened"`
		Closed  *string `json:"closed"`
	}{"case", c.Number, c.Title, c.Lead, string(c.Status), c.Outcome, stamp(c.Opened), stamp(c.Closed)}
}

// now is the time of an event: whole seconds, UTC.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// record checks that an event fits and writes it, with its detail, into the
// ledger.
func record(a *app, l *lab.Lab, kind tutela.EventKind, about tutela.Event, detail any) error {
	ev, err := tutela.NewEvent(kind, now(), a.actor, detail)
	if err != nil {
		return err
	}
	ev.Case, ev.Exhibit, ev.Authority = about.Case, about.Exhibit, about.Authority
	if err := l.Catalog.Check(a.ctx, ev); err != nil {
		return err
	}
	_, err = l.Record(a.ctx, ev)
	return err
}

// printEach prints a JSON line for each.
func printEach[T any](a *app, all []T, line func(T) any) error {
	for _, one := range all {
		if err := a.print(line(one), nil); err != nil {
			return err
		}
	}
	return nil
}

// facts writes pairs of name and value under each other; empty values are left
// out.
func facts(w io.Writer, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%-12s %s\n", pairs[i], pairs[i+1])
		}
	}
}

// newName refuses names that people and terminals would trip over.
func newName(what, name string) error {
	if name == "" || name != strings.TrimSpace(name) || len(name) > 200 || tutela.DisplayPath([]byte(name)) != name {
		return misuse("%s %q: it must be printable text of at most 200 bytes without space around it", what, name)
	}
	return nil
}
