package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
)

type authorityCommand struct {
	Add    authorityAdd    `cmd:"" help:"Add a warrant, an order or another legal ground."`
	List   authorityList   `cmd:"" help:"List authorities."`
	Show   authorityShow   `cmd:"" help:"Show one authority."`
	Revoke authorityRevoke `cmd:"" help:"Revoke an authority; nothing can be done under it from then on."`
}

type authorityAdd struct {
	Case      string   `required:"" help:"The case it belongs to."`
	Kind      string   `required:"" help:"search-warrant, production-order, preservation-order, statutory-task, consent, treaty-request or emergency."`
	Reference string   `required:"" help:"As the issuer wrote it; unique in the lab."`
	Issuer    string   `required:"" help:"Who issued it."`
	Until     string   `required:"" help:"Last day it is valid (2026-12-31), or an exact time (2026-12-31T18:00:00Z)." placeholder:"DATE"`
	From      string   `help:"First day it is valid. Default: now." placeholder:"DATE"`
	Exhibit   []string `sep:"none" help:"An exhibit it covers; may be repeated. Default: all of the case." placeholder:"LABEL"`
	Action    []string `sep:"none" help:"An action it covers: scan, rematch, rescan, view, export, disclose; may be repeated. Default: all."`
	Offence   string   `help:"The offence it names."`
	Purpose   string   `help:"The purpose it names."`
	Document  string   `help:"The order itself: its SHA-256 goes into the ledger." type:"existingfile" placeholder:"FILE"`
}

func (c *authorityAdd) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	added, err := c.authority(a, l)
	if err != nil {
		return err
	}
	if _, err := l.Catalog.Authority(a.ctx, c.Reference); err == nil {
		return hint(fmt.Errorf("authority %s is there already", c.Reference), "tutela authority show %s", tutela.ShellWord(c.Reference))
	}
	if err := record(a, l, tutela.EventAuthorityAdd, tutela.Event{Case: c.Case, Authority: c.Reference}, added); err != nil {
		return err
	}
	return a.print(authorityLine(added), func(w io.Writer) {
		fmt.Fprintf(w, "Authority %s (%s by %s) covers %s of %s until %s.\n", added.Reference, added.Kind, added.Issuer,
			orAll(actionNames(added.Actions), "every action"), orAll(added.Exhibits, "every exhibit of the case"), moment(added.Until))
	})
}

func (c *authorityAdd) authority(a *app, l *lab.Lab) (tutela.Authority, error) {
	auth := tutela.Authority{
		Reference: c.Reference, Case: c.Case, Kind: tutela.AuthorityKind(c.Kind), Issuer: c.Issuer,
		Offence: c.Offence, Purpose: c.Purpose, Exhibits: c.Exhibit, Added: now(),
	}
	if !slices.Contains(tutela.AuthorityKinds(), auth.Kind) {
		return auth, misuse("--kind %q: one of %s", c.Kind, joined(tutela.AuthorityKinds()))
	}
	for _, name := range c.Action {
		if !slices.Contains(actions, tutela.Action(name)) {
			return auth, misuse("--action %q: one of %s", name, joined(actions))
		}
		auth.Actions = append(auth.Actions, tutela.Action(name))
	}
	if err := errors.Join(newName("reference", c.Reference), newName("issuer", c.Issuer)); err != nil {
		return auth, err
	}
	if _, err := findCase(a, l, c.Case); err != nil {
		return auth, err
	}
	return auth, errors.Join(c.exhibits(a, l), c.window(&auth), c.document(&auth))
}

// exhibits refuses labels that are not the case's: a slip of the pen would
// cover nothing, and nobody would know until it is needed.
func (c *authorityAdd) exhibits(a *app, l *lab.Lab) error {
	for _, label := range c.Exhibit {
		e, err := findExhibit(a, l, label)
		if err != nil {
			return err
		}
		if e.Case != c.Case {
			return misuse("--exhibit %s: it belongs to case %s", label, e.Case)
		}
	}
	return nil
}

// actions are what an authority may be limited to.
var actions = []tutela.Action{tutela.ActionScan, tutela.ActionRematch, tutela.ActionRescan, tutela.ActionView, tutela.ActionExport, tutela.ActionDisclose, tutela.ActionErase}

// window sets from and until. A date alone means the whole day.
func (c *authorityAdd) window(auth *tutela.Authority) (err error) {
	auth.From = auth.Added
	if c.From != "" {
		if auth.From, err = parseTime(c.From); err != nil {
			return err
		}
	}
	if auth.Until, err = parseTime(c.Until); err != nil {
		return err
	}
	if !strings.ContainsAny(c.Until, "T :") {
		auth.Until = auth.Until.Add(24 * time.Hour)
	}
	if !auth.Until.After(auth.From) {
		return misuse("it would end on %s and begin on %s: no time lies between", moment(auth.Until), moment(auth.From))
	}
	return nil
}

func (c *authorityAdd) document(auth *tutela.Authority) error {
	if c.Document == "" {
		return nil
	}
	f, err := os.Open(c.Document)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", c.Document, err)
	}
	sum := tutela.SHA256(h.Sum(nil))
	auth.Document = &sum
	return nil
}

type authorityList struct {
	Case string `help:"Of this case only."`
}

func (c *authorityList) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	authorities, err := l.Catalog.Authorities(a.ctx, c.Case)
	if err != nil {
		return err
	}
	if a.json {
		return printEach(a, authorities, authorityLine)
	}
	listAuthorities(a.out, authorities)
	return nil
}

type authorityShow struct {
	Reference string `arg:""`
}

func (c *authorityShow) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	auth, err := findAuthority(a, l, c.Reference)
	if err != nil {
		return err
	}
	return a.print(authorityLine(auth), func(w io.Writer) {
		document := ""
		if auth.Document != nil {
			document = "sha256 " + auth.Document.String()
		}
		facts(w, "Authority", auth.Reference, "Case", auth.Case, "Kind", string(auth.Kind), "Issuer", auth.Issuer,
			"Offence", auth.Offence, "Purpose", auth.Purpose, "From", moment(auth.From), "Until", moment(auth.Until),
			"Exhibits", orAll(auth.Exhibits, "all of the case"), "Actions", orAll(actionNames(auth.Actions), "all"),
			"Document", document, "Revoked", moment(auth.Revoked), "Reason", auth.Reason)
	})
}

type authorityRevoke struct {
	Reference string `arg:""`
	Reason    string `required:"" help:"Why."`
}

func (c *authorityRevoke) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	auth, err := findAuthority(a, l, c.Reference)
	if err != nil {
		return err
	}
	if !auth.Revoked.IsZero() {
		return fmt.Errorf("authority %s was revoked on %s", c.Reference, moment(auth.Revoked))
	}
	detail := tutela.Revocation{Reference: c.Reference, Reason: c.Reason}
	if err := record(a, l, tutela.EventAuthorityRevoke, tutela.Event{Case: auth.Case, Authority: c.Reference}, detail); err != nil {
		return err
	}
	line := map[string]string{"message_type": "revoked", "reference": c.Reference, "reason": c.Reason}
	return a.print(line, func(w io.Writer) { fmt.Fprintf(w, "Authority %s is revoked: %s.\n", c.Reference, c.Reason) })
}

func findAuthority(a *app, l *lab.Lab, reference string) (tutela.Authority, error) {
	auth, err := l.Catalog.Authority(a.ctx, reference)
	if errors.Is(err, catalog.ErrNotFound) {
		return auth, hint(fmt.Errorf("there is no authority %s", reference), "tutela authority list")
	}
	return auth, err
}

func listAuthorities(w io.Writer, authorities []tutela.Authority) {
	if len(authorities) == 0 {
		fmt.Fprintln(w, "No authority yet. Add one: tutela authority add --case N --kind search-warrant --reference R --issuer COURT --until DATE")
		return
	}
	var rows [][]string
	for _, auth := range authorities {
		rows = append(rows, []string{auth.Reference, auth.Case, string(auth.Kind), standing(auth), orAll(auth.Exhibits, "all"), orAll(actionNames(auth.Actions), "all"), auth.Issuer})
	}
	table(w, "AUTHORITY|CASE|KIND|STANDING|EXHIBITS|ACTIONS|ISSUER", rows)
}

func standing(auth tutela.Authority) string {
	t := time.Now()
	switch {
	case !auth.Revoked.IsZero():
		return "revoked " + moment(auth.Revoked)
	case t.Before(auth.From):
		return "from " + moment(auth.From)
	case !t.Before(auth.Until):
		return "ended " + moment(auth.Until)
	}
	return "until " + moment(auth.Until)
}

func authorityLine(auth tutela.Authority) any {
	var document *string
	if auth.Document != nil {
		s := auth.Document.String()
		document = &s
	}
	return struct {
		Type      string   `json:"message_type"`
		Reference string   `json:"reference"`
		Case      string   `json:"case"`
		Kind      string   `json:"kind"`
		Issuer    string   `json:"issuer"`
		Offence   string   `json:"offence"`
		Purpose   string   `json:"purpose"`
		From      *string  `json:"from"`
		Until     *string  `json:"until"`
		Exhibits  []string `json:"exhibits"`
		Actions   []string `json:"actions"`
		Document  *string  `json:"document"`
		Revoked   *string  `json:"revoked"`
		Reason    string   `json:"reason"`
	}{"authority", auth.Reference, auth.Case, string(auth.Kind), auth.Issuer, auth.Offence, auth.Purpose, stamp(auth.From), stamp(auth.Until),
		append([]string{}, auth.Exhibits...), append([]string{}, actionNames(auth.Actions)...), document, stamp(auth.Revoked), auth.Reason}
}

func actionNames(actions []tutela.Action) []string {
	var names []string
	for _, action := range actions {
		names = append(names, string(action))
	}
	return names
}

func orAll(names []string, all string) string {
	if len(names) == 0 {
		return all
	}
	return strings.Join(names, ", ")
}

func joined[S ~string](names []S) string {
	var out []string
	for _, name := range names {
		out = append(out, string(name))
	}
	return strings.Join(out, ", ")
}
