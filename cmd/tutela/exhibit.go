package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/term"
)

type exhibitCommand struct {
	Add      exhibitAdd      `cmd:"" help:"Add a seized thing to a case."`
	List     exhibitList     `cmd:"" help:"List exhibits."`
	Show     exhibitShow     `cmd:"" help:"Show one exhibit with its scans and its custody chain."`
	Transfer exhibitTransfer `cmd:"" help:"Hand an exhibit over to somebody."`
	Receive  exhibitReceive  `cmd:"" help:"Write down that an exhibit came in, and from whom."`
	Image    exhibitImage    `cmd:"" help:"Write down that an image of an exhibit was made, with its digest."`
	Verify   exhibitVerify   `cmd:"" help:"Read an exhibit's images whole and compare them with the digests stored in them."`
}

type exhibitAdd struct {
	Label      string `arg:"" help:"As written on the bag; unique in the lab."`
	Case       string `required:"" help:"The case it belongs to."`
	Kind       string `help:"computer, drive, stick, server, phone, account …"`
	Make       string `help:"Who made it."`
	Model      string `help:"Its model."`
	Serial     string `help:"Its serial number."`
	SeizedAt   string `help:"When it was seized." placeholder:"DATE"`
	SeizedFrom string `help:"Where or from whom."`
	Holder     string `help:"Who has it now. Default: the agency."`
}

func (c *exhibitAdd) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	added, err := c.exhibit(a, l)
	if err != nil {
		return err
	}
	if _, err := l.Catalog.Exhibit(a.ctx, c.Label); err == nil {
		return hint(fmt.Errorf("exhibit %s is there already", c.Label), "tutela exhibit show %s", tutela.ShellWord(c.Label))
	}
	if err := l.AddExhibitSeed(c.Label); err != nil {
		return err
	}
	if err := record(a, l, tutela.EventSeize, tutela.Event{Case: c.Case, Exhibit: c.Label}, added); err != nil {
		return err
	}
	return a.print(exhibitLine(added), func(w io.Writer) {
		fmt.Fprintf(w, "Exhibit %s belongs to case %s.\n", c.Label, c.Case)
		fmt.Fprintf(w, "Next: tutela scan %s PATH (under an authority: tutela authority list --case %s)\n", tutela.ShellWord(c.Label), tutela.ShellWord(c.Case))
	})
}

func (c *exhibitAdd) exhibit(a *app, l *lab.Lab) (tutela.Exhibit, error) {
	e := tutela.Exhibit{
		Label: c.Label, Case: c.Case, Kind: c.Kind, Make: c.Make, Model: c.Model, Serial: c.Serial,
		SeizedFrom: c.SeizedFrom, Holder: c.Holder, Added: now(),
	}
	if e.Holder == "" {
		e.Holder = l.Config.Agency
	}
	if err := newName("label", c.Label); err != nil {
		return e, err
	}
	if _, err := findCase(a, l, c.Case); err != nil {
		return e, err
	}
	var err error
	if c.SeizedAt != "" {
		e.SeizedAt, err = parseTime(c.SeizedAt)
	}
	return e, err
}

type exhibitList struct {
	Case string `help:"Of this case only."`
}

func (c *exhibitList) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	exhibits, err := l.Catalog.Exhibits(a.ctx, c.Case)
	if err != nil {
		return err
	}
	if a.json {
		return printEach(a, exhibits, exhibitLine)
	}
	listExhibits(a.out, exhibits)
	return nil
}

type exhibitShow struct {
	Label string `arg:""`
}

func (c *exhibitShow) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Label)
	if err != nil {
		return err
	}
	scans, err := l.Catalog.Scans(a.ctx, c.Label)
	if err != nil {
		return err
	}
	custody, err := collect(l.Catalog.Custody(a.ctx, catalog.About{Exhibit: c.Label}))
	if err != nil {
		return err
	}
	if a.json {
		return errors.Join(a.print(exhibitLine(e), nil), printEach(a, scans, scanLine), printEach(a, custody, eventLine))
	}
	facts(a.out, "Exhibit", e.Label, "Case", e.Case, "Kind", e.Kind, "Make", e.Make, "Model", e.Model, "Serial", e.Serial,
		"Seized", moment(e.SeizedAt), "From", e.SeizedFrom, "Holder", e.Holder)
	fmt.Fprintln(a.out)
	listScans(a.out, scans)
	fmt.Fprintln(a.out)
	listEvents(a.out, custody)
	return nil
}

type exhibitTransfer struct {
	Label  string `arg:""`
	To     string `required:"" help:"Who takes it."`
	Reason string `required:"" help:"Why."`
}

func (c *exhibitTransfer) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Label)
	if err != nil {
		return err
	}
	detail := tutela.Transfer{To: c.To, Reason: c.Reason}
	if err := record(a, l, tutela.EventTransfer, tutela.Event{Case: e.Case, Exhibit: e.Label}, detail); err != nil {
		return err
	}
	e.Holder = c.To
	return a.print(exhibitLine(e), func(w io.Writer) { fmt.Fprintf(w, "Exhibit %s is now with %s.\n", e.Label, e.Holder) })
}

func findExhibit(a *app, l *lab.Lab, label string) (tutela.Exhibit, error) {
	e, err := l.Catalog.Exhibit(a.ctx, label)
	if errors.Is(err, catalog.ErrNotFound) {
		return e, hint(fmt.Errorf("there is no exhibit %s", label), "tutela exhibit list, or tutela exhibit add %s --case N", tutela.ShellWord(label))
	}
	return e, err
}

func listExhibits(w io.Writer, exhibits []tutela.Exhibit) {
	if len(exhibits) == 0 {
		fmt.Fprintln(w, "No exhibit yet. Add one: tutela exhibit add LABEL --case N")
		return
	}
	var rows [][]string
	for _, e := range exhibits {
		rows = append(rows, []string{e.Label, e.Case, e.Kind, e.Make + " " + e.Model, e.Serial, e.Holder})
	}
	table(w, "EXHIBIT|CASE|KIND|MAKE AND MODEL|SERIAL|HOLDER", rows)
}

func listScans(w io.Writer, scans []catalog.Scan) {
	if len(scans) == 0 {
		fmt.Fprintln(w, "Not scanned yet.")
		return
	}
	var rows [][]string
	for _, s := range scans {
		row := []string{strconv.Itoa(s.Number), string(s.State()), s.Start.Profile, moment(s.Started), "", "", ""}
		if s.Seal != nil {
			row[4], row[5], row[6] = term.Count(s.Seal.Records), term.Bytes(s.Seal.Bytes), s.Seal.Root.String()
		}
		rows = append(rows, row)
	}
	table(w, "SCAN|STATE|PROFILE|STARTED|RECORDS|READ|ROOT", rows)
}

func exhibitLine(e tutela.Exhibit) any {
	return struct {
		Type       string  `json:"message_type"`
		Label      string  `json:"label"`
		Case       string  `json:"case"`
		Kind       string  `json:"kind"`
		Make       string  `json:"make"`
		Model      string  `json:"model"`
		Serial     string  `json:"serial"`
		SeizedAt   *string `json:"seized_at"`
		SeizedFrom string  `json:"seized_from"`
		Holder     string  `json:"holder"`
	}{"exhibit", e.Label, e.Case, e.Kind, e.Make, e.Model, e.Serial, stamp(e.SeizedAt), e.SeizedFrom, e.Holder}
}
