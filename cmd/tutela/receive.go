package main

import (
	"fmt"
	"io"

	"tutela"
)

type exhibitReceive struct {
	Label     string `arg:""`
	From      string `required:"" help:"Who brought it."`
	To        string `help:"Who has it now. Default: the agency."`
	Condition string `help:"How bag and seal were found."`
}

func (c *exhibitReceive) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Label)
	if err != nil {
		return err
	}
	detail := tutela.Receipt{From: c.From, To: c.To, Condition: c.Condition}
	if detail.To == "" {
		detail.To = l.Config.Agency
	}
	if err := record(a, l, tutela.EventReceive, tutela.Event{Case: e.Case, Exhibit: e.Label}, detail); err != nil {
		return err
	}
	e.Holder = detail.To
	return a.print(exhibitLine(e), func(w io.Writer) {
		fmt.Fprintf(w, "Exhibit %s came from %s and is now with %s.\n", e.Label, c.From, e.Holder)
	})
}
