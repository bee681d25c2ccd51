package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/oversight"
	"tutela/internal/term"
	"tutela/verify"
)

type oversightCommand struct {
	Export oversightExport `cmd:"" help:"Write both ledgers, opened, for an overseer who checks them without the lab."`
}

type oversightExport struct {
	To      string `help:"For whom, as the ledger shall say." placeholder:"WHOM"`
	Purpose string `required:"" help:"What for." placeholder:"P"`
	Output  string `short:"o" required:"" help:"A new folder." placeholder:"DIR" type:"path"`
}

// Run records the export before it writes anything, so that it tells of itself.
func (c *oversightExport) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := vacant(c.Output); err != nil {
		return err
	}
	if err := l.Office().Permit(a.ctx, authority.Request{Actor: a.actor, Action: tutela.ActionOversee}); err != nil {
		return err
	}
	if err := quorum(a, l); err != nil {
		return err
	}
	if err := c.record(a, l); err != nil {
		return err
	}
	told, err := c.export(a, l)
	if err != nil {
		return err
	}
	line := struct {
		Type    string `json:"message_type"`
		Format  string `json:"format"`
		Entries uint64 `json:"entries"`
		Reads   uint64 `json:"reads"`
		Path    string `json:"path"`
		Policy  string `json:"policy_sha256"`
	}{"oversight-export", oversight.ExportFormat, told.Entries, told.Reads, c.Output, told.PolicySHA256}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Exported %s of the agency log and %s to %s.\n", count(told.Entries, "entry"), count(told.Reads, "read"), c.Output)
		fmt.Fprintf(w, "  policy    %s\n", told.PolicySHA256)
		fmt.Fprintln(w, "Whoever gets it checks it with: tutela verify --policy KEYS DIR")
		fmt.Fprintln(w, "Give them the file KEYS by another way: it is what tutela ledger keys prints.")
	})
}

func vacant(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return hint(errors.Join(err, fmt.Errorf("%s: %w", dir, oversight.ErrExported)), "choose another place; nothing was written and nothing recorded")
	}
	return nil
}

// record has what was read stand under a root, and then tells of the export.
func (c *oversightExport) record(a *app, l *lab.Lab) error {
	reads, err := l.OpenReads(a.ctx)
	if err == nil {
		err = reads.Close()
	}
	if err != nil {
		return err
	}
	ev, err := tutela.NewEvent(tutela.EventExport, time.Now(), a.actor, tutela.Export{Format: "oversight", To: c.To, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	_, err = l.Record(a.ctx, ev)
	return err
}

func (c *oversightExport) export(a *app, l *lab.Lab) (*oversight.Audit, error) {
	got, err := anchor(a, l)
	if err == nil && !got.Quorum {
		err = hint(errNoQuorum(got), hintQuorum)
	}
	if err != nil {
		return nil, err
	}
	policy, err := l.WitnessPolicy(a.ctx)
	if err != nil {
		return nil, err
	}
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	defer waiting(a, "exporting")()
	source := struct {
		*ledger.LogReader
		*lab.Lab
	}{log, l}
	return oversight.Export(a.ctx, source, oversight.SignedHead{Policy: []byte(policy.Text()), Checkpoint: got.Signed}, c.Output)
}

// verifyExport checks an export for oversight.
func (c *verifyCommand) verifyExport(a *app, o verify.Options) error {
	given := oversight.Given{Policies: o.Policies}
	if c.Reads {
		given.Each = func(s oversight.Seen) error { return a.print(seenLine(s), func(w io.Writer) { printSeen(w, s) }) }
	}
	told, err := oversight.Verify(a.ctx, c.Bundle, given)
	if err != nil {
		return err
	}
	if c.Reads {
		if err := printUses(a, told.Uses); err != nil {
			return err
		}
	}
	line := struct {
		Type      string   `json:"message_type"`
		OK        bool     `json:"ok"`
		Opened    uint64   `json:"opened"`
		Proven    []string `json:"proven"`
		NotProven []string `json:"not_proven"`
		Problems  []string `json:"problems"`
		Notes     []string `json:"notes"`
	}{"verdict", told.OK, told.Entries + told.Reads, filled(told.Proven), filled(told.NotProven), filled(told.Problems), filled(told.Notes)}
	if err := a.print(line, func(w io.Writer) { printAudit(w, told) }); err != nil {
		return err
	}
	if !told.OK {
		return errIntegrity
	}
	return nil
}

func filled(texts []string) []string { return append([]string{}, texts...) }

func printAudit(w io.Writer, told *oversight.Audit) {
	for _, p := range told.Problems {
		fmt.Fprintln(w, "PROBLEM:", tutela.DisplayPath([]byte(p)))
	}
	for _, n := range told.Notes {
		fmt.Fprintln(w, "NOTE:", n)
	}
	if !told.OK {
		fmt.Fprintln(w, "NOT OK: this export does not hold. Believe nothing of it.")
		return
	}
	fmt.Fprintf(w, "OK: %s of the agency log of %s, %s in its access ledgers.\n", count(told.Entries, "entry"), told.Origin, count(told.Reads, "read"))
	facts(w, "Root", told.Root, "Policy", told.PolicySHA256)
	for _, s := range told.Proven {
		fmt.Fprintln(w, "  proven:    ", s)
	}
	for _, s := range told.NotProven {
		fmt.Fprintln(w, "  NOT proven:", s)
	}
}

// printUses lists what each person did, by day, authority and purpose.
func printUses(a *app, uses []oversight.Used) error {
	if a.json {
		return printEach(a, uses, useLine)
	}
	var rows [][]string
	for _, u := range uses {
		rows = append(rows, []string{u.Day, shown(u.Person), shown(u.Authority), shown(u.Action), term.Count(u.Acts), term.Count(u.Refused), shown(u.Purpose)})
	}
	table(a.out, "DAY|PERSON|AUTHORITY|ACTION|ACTS|REFUSED|PURPOSE", rows)
	return nil
}

func useLine(u oversight.Used) any {
	return struct {
		Type      string `json:"message_type"`
		Day       string `json:"day"`
		Person    string `json:"actor"`
		Authority string `json:"authority"`
		Action    string `json:"action"`
		Purpose   string `json:"purpose"`
		Acts      uint64 `json:"acts"`
		Refused   uint64 `json:"refused"`
	}{"use", u.Day, u.Person, u.Authority, u.Action, u.Purpose, u.Acts, u.Refused}
}

// shown is text of others, without what could move a terminal.
func shown(s string) string { return tutela.DisplayPath([]byte(s)) }

// printSeen prints one act on one line.
func printSeen(w io.Writer, s oversight.Seen) {
	where := "log " + strconv.FormatUint(s.Index, 10)
	if s.Period > 0 {
		where = fmt.Sprintf("reads %d/%d", s.Period, s.Index)
	}
	fmt.Fprintf(w, "%s  %s  %s  %s %s  %s %s  %s  %s\n", where, moment(s.Time), shown(s.Actor), s.Kind, shown(string(s.Action)), shown(s.Case), shown(s.Exhibit), shown(s.Authority), shown(s.Purpose))
}
