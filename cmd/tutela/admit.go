package main

import (
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// Evidence is often scanned where it is seized, on a laptop that has a lab of its
// own. Its sealed scans become scans of this lab with the roots that were sealed
// there.

type labAdmit struct {
	Lab            string   `arg:"" name:"folder" help:"The other lab's folder." type:"existingdir"`
	PassphraseFile string   `help:"Its first line is the passphrase of the other lab's keys. Default: asked at the terminal, where they are encrypted." placeholder:"FILE" type:"existingfile"`
	Exhibit        []string `help:"These exhibits only; may be repeated. Default: all." placeholder:"LABEL" sep:"none"`
}

func (c *labAdmit) Run(a *app) error {
	key, err := a.unwrap(c.Lab, c.passphrase) // may ask a person: before anything is locked
	if err != nil {
		return err
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "reading both ledgers")
	err = l.Admit(a.ctx, lab.Admission{From: c.Lab, Key: key, Exhibits: c.Exhibit}, func(s lab.Admitted) error { return printAdmitted(a, s) })
	stop()
	return c.explain(err)
}

func (c *labAdmit) passphrase() ([]byte, error) {
	if c.PassphraseFile != "" {
		return readPassphrase(c.PassphraseFile)
	}
	return term.AskSecret("Passphrase of the keys of " + c.Lab + ":")
}

// explain says what now, where something can be done.
func (c *labAdmit) explain(err error) error {
	switch {
	case errors.Is(err, lab.ErrIntegrity):
		return err
	case errors.Is(err, lab.ErrNotAdmissible) && errors.Is(err, catalog.ErrNotFound):
		return hint(err, "open the case here first: tutela case open NUMBER --title TITLE")
	case errors.Is(err, lab.ErrNotAdmissible):
		return hint(err, "nothing was changed here; what the other lab holds: tutela --lab %s exhibit list", tutela.ShellWord(c.Lab))
	case errors.Is(err, catalog.ErrNotFound):
		return hint(err, "tutela --lab %s exhibit list", tutela.ShellWord(c.Lab))
	}
	return err
}

func printAdmitted(a *app, s lab.Admitted) error {
	line := struct {
		Type      string `json:"message_type"`
		Exhibit   string `json:"exhibit"`
		Scan      int    `json:"scan"`
		Records   uint64 `json:"records"`
		Root      string `json:"root"`
		Origin    string `json:"origin"`
		HeadSize  uint64 `json:"head_size"`
		HeadRoot  string `json:"head_root"`
		SealIndex uint64 `json:"seal_index"`
		LogIndex  uint64 `json:"log_index"`
		Print     string `json:"fingerprint"`
		Before    bool   `json:"before"`
	}{"admitted", s.Exhibit, s.Number, s.Seal.Records, s.Seal.Root.String(), s.Origin, s.HeadSize, s.HeadRoot.String(), s.SealIndex, s.LogIndex, s.Fingerprint, s.Before}
	return a.print(line, func(w io.Writer) {
		if s.Before {
			fmt.Fprintf(w, "Scan %d of %s was admitted before: entry %d of the agency log.\n", s.Number, s.Exhibit, s.LogIndex)
			return
		}
		fmt.Fprintf(w, "Scan %d of %s is admitted.\n", s.Number, s.Exhibit)
		facts(w, "  records", term.Count(s.Seal.Records), "  root", s.Seal.Root.String(),
			"  sealed", fmt.Sprintf("%s by %s, entry %d of %s", moment(s.Sealed), tutela.DisplayPath([]byte(s.Actor)), s.SealIndex, s.Origin),
			"  head there", fmt.Sprintf("%d entries, root %s", s.HeadSize, s.HeadRoot),
			"  keys there", s.Fingerprint, "  log entry", term.Count(s.LogIndex))
		fmt.Fprintln(w, "Compare those keys with whoever scanned, over another way: tutela ledger head shows them there.")
	})
}
