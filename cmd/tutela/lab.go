package main

import (
	"fmt"
	"io"

	"tutela/internal/lab"
	"tutela/internal/term"
)

type labCommand struct {
	Check    labCheck    `cmd:"" help:"Hold the catalogue against one made anew from the ledgers."`
	Admit    labAdmit    `cmd:"" help:"Take over scans that were sealed in another lab, such as one in the field."`
	Rebuild  labRebuild  `cmd:"" help:"Make the catalogue anew from the ledgers."`
	Validate labValidate `cmd:"" help:"Ask this program what is known, and record the answers."`
	Policy   labPolicy   `cmd:"" help:"Show or change what the lab demands of itself: signatures, witnesses, time-stamps."`

	labKeyCommands
}

type labRebuild struct{}

func (c *labRebuild) Run(a *app) error {
	l, err := a.open(lab.Anew)
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "rebuilding the catalogue")
	records, err := l.Rebuild(a.ctx)
	stop()
	if err != nil {
		return err
	}
	line := map[string]any{"message_type": "rebuilt", "records": records}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "The catalogue was made anew from the ledgers: %s records.\n", term.Count(records))
	})
}

type labCheck struct{}

// Run opens to write, which brings the catalogue up to the ledgers, and records
// nothing: nobody need sign.
func (c *labCheck) Run(a *app) error {
	l, err := a.open(lab.Write)
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "holding the catalogue against the ledgers")
	same, err := l.CompareCatalog(a.ctx)
	stop()
	if err != nil {
		return err
	}
	line := map[string]any{"message_type": "check", "ok": same}
	err = a.print(line, func(w io.Writer) {
		if same {
			fmt.Fprintln(w, "OK: the catalogue is what the ledgers say.")
		} else {
			fmt.Fprintln(w, "NOT OK: the catalogue is not what the ledgers say. Make it anew: tutela lab rebuild")
		}
	})
	if err == nil && !same {
		return errIntegrity
	}
	return err
}
