package main

import (
	"bytes"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/disclosure"
	"tutela/internal/durable"
	"tutela/internal/report"
)

type exportCommand struct {
	Exhibit   string `arg:"" help:"The exhibit's label."`
	Format    string `required:"" help:"case: CASE/UCO 1.4.0 as JSON-LD."`
	Authority string `help:"The authority to act under. Default: the one that stands longest." placeholder:"R"`
	Output    string `short:"o" required:"" help:"A new file." placeholder:"FILE" type:"path"`
}

// Run writes the exhibit, its history and its alerts for another program.
func (c *exportCommand) Run(a *app) error {
	if c.Format != "case" {
		return misuse("--format %s: this version writes case alone", c.Format)
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Exhibit)
	if err != nil {
		return err
	}
	if err := disclosure.Vacant(c.Output); err != nil {
		return explainDisclosure(err)
	}
	if err := quorum(a, l); err != nil {
		return err
	}
	if err := exports(a, l, e.Label, c.Authority, tutela.Export{Format: c.Format}); err != nil {
		return err
	}
	told, err := accountOf(a, l, e.Case, []string{e.Label})
	if err != nil {
		return err
	}
	data := told.finish()
	var text bytes.Buffer
	if err := report.CASE(&text, data); err != nil {
		return err
	}
	if err := durable.WriteFile(c.Output, text.Bytes(), 0o600); err != nil {
		return err
	}
	line := struct {
		Type    string `json:"message_type"`
		Exhibit string `json:"exhibit"`
		Format  string `json:"format"`
		Items   int    `json:"items"`
		Path    string `json:"path"`
	}{"export", e.Label, c.Format, len(data.Exhibits[0].Items), c.Output}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Exported %s of %s to %s.\n", count(line.Items, "item"), e.Label, c.Output)
	})
}
