package main

import (
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/ledger"
)

// An order to erase ends what can be said about a file: its records can never be
// opened again. That there was a leaf, that it was erased and under which
// authority stays in the ledger.

type ledgerErase struct {
	Exhibit    string   `arg:"" help:"The exhibit's label."`
	Leaf       []uint64 `arg:"" help:"Leaves to erase, as tutela find shows them."`
	Authority  string   `help:"The order to erase. Default: the one that stands longest." placeholder:"R"`
	Reason     string   `required:"" help:"Why, for the ledger."`
	Scan       int      `help:"The scan the leaves are of. Default: the newest sealed one." placeholder:"N"`
	AcceptLoss bool     `help:"Also where records of other scans are lost with them."`
}

func (c *ledgerErase) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := sealedScan(a, l, c.Exhibit, c.Scan)
	if err != nil {
		return err
	}
	grant, err := grantAccess(a, l, *s, tutela.ActionErase, c.Authority)
	if err != nil {
		return err
	}
	erased, err := l.Erase(a.ctx, lab.Erasure{
		Exhibit: s.Exhibit, Scan: s.Number, Leaves: c.Leaf, Case: grant.Exhibit().Case,
		Authority: grant.Reference(), Reason: c.Reason, AcceptLoss: c.AcceptLoss,
	})
	if err != nil {
		return c.explain(err)
	}
	return printErased(a, erased)
}

// explain says what now, where something can be done.
func (c *ledgerErase) explain(err error) error {
	loss, ok := errors.AsType[*lab.LossError](err)
	switch {
	case ok:
		text := ""
		for _, lost := range loss.Lost {
			text += fmt.Sprintf("\n  leaf %d of scan %d, %s", lost.Leaf, lost.Scan, lost.Path)
		}
		return hint(fmt.Errorf("%w%s", err, text), "decide whether these may be lost too, then add --accept-loss")
	case errors.Is(err, ledger.ErrErased):
		return hint(err, "tutela ledger log --exhibit %s", tutela.ShellWord(c.Exhibit))
	}
	return err
}

func printErased(a *app, e tutela.Erase) error {
	line := struct {
		Type string `json:"message_type"`
		tutela.Erase
	}{"erased", e}
	return a.print(line, func(w io.Writer) {
		for _, s := range e.Scans {
			fmt.Fprintf(w, "Erased from scan %d of %s: %s", s.Number, e.Exhibit, count(len(s.Leaves), "record"))
			for _, run := range s.Runs {
				fmt.Fprintf(w, ", %s of run %d", matchesOf(len(run.Leaves)), run.Run)
			}
			fmt.Fprintln(w, ".")
		}
		fmt.Fprintln(w, "Nobody can open them any more. Everything else can still be proven: tutela ledger verify")
		fmt.Fprintln(w, "Copies elsewhere (backups, snapshots, worn cells of a flash drive) are not reached.")
	})
}

func matchesOf(n int) string {
	if n == 1 {
		return "1 match"
	}
	return fmt.Sprintf("%d matches", n)
}
