package main

import (
	"errors"
	"fmt"
	"io"

	"tutela/internal/catalog"
	"tutela/internal/lab"
)

// A hash function lasts as long as nobody finds two inputs with one hash. What was
// sealed under SHA-256 alone is given a root under SHA-512 while both are believed.

type ledgerRenew struct {
	Exhibit []string `arg:"" optional:"" help:"These exhibits only. Default: all."`
}

func (c *ledgerRenew) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "reading the ledgers")
	renewed := 0
	err = l.Renew(a.ctx, c.Exhibit, func(r lab.Renewed) error {
		renewed++
		return printRenewed(a, r)
	})
	stop()
	if errors.Is(err, catalog.ErrNotFound) {
		return hint(err, "tutela exhibit list")
	}
	if err != nil {
		return err
	}
	if renewed == 0 {
		a.say("Nothing to renew: every sealed ledger has a second root.")
	}
	return nil
}

func printRenewed(a *app, r lab.Renewed) error {
	line := struct {
		Type     string `json:"message_type"`
		Exhibit  string `json:"exhibit"`
		Scan     int    `json:"scan"`
		Run      int    `json:"run"`
		Leaves   uint64 `json:"leaves"`
		Erased   uint64 `json:"erased"`
		Root     string `json:"root"`
		Root512  string `json:"root_sha512"`
		LogIndex uint64 `json:"log_index"`
	}{"renewed", r.Exhibit, r.Number, r.Run, r.Leaves, r.Erased, r.Root.String(), r.Root512.String(), r.LogIndex}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s read, root %s under SHA-512, entry %d of the agency log.\n", treeName(r.Exhibit, r.Number, r.Run), leavesOf(r.Leaves), r.Root512, r.LogIndex)
		if r.Erased > 0 {
			fmt.Fprintf(w, "  Of %s the hash counts that was noted at erasing: nobody can make it again.\n", erasedOf(r.Erased))
		}
	})
}

func treeName(exhibit string, number, run int) string {
	if run == 0 {
		return fmt.Sprintf("%s scan %d", exhibit, number)
	}
	return fmt.Sprintf("%s scan %d match run %d", exhibit, number, run)
}

func leavesOf(n uint64) string {
	if n == 1 {
		return "1 leaf"
	}
	return fmt.Sprintf("%d leaves", n)
}

func erasedOf(n uint64) string {
	if n == 1 {
		return "1 erased leaf"
	}
	return fmt.Sprintf("%d erased leaves", n)
}
