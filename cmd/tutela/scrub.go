package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// Verifying asks whether the ledgers are what was signed. Scrubbing asks what has
// become of each file when they are not, and makes it again where the rest allows.

type ledgerScrub struct {
	Exhibit []string `arg:"" optional:"" help:"These exhibits only. Default: all."`
	Rate    float64  `help:"Read at most so many megabytes a second, beside other work. Default: as fast as it goes." placeholder:"MB"`
	Repair  bool     `help:"Make damaged files again where the outcome is what was sealed; the old ones are kept beside them."`
}

func (c *ledgerScrub) Run(a *app) error {
	if c.Rate < 0 || c.Rate > 1e6 {
		return misuse("--rate is in megabytes a second, from 0 to 1000000")
	}
	l, err := c.open(a)
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "reading the ledgers")
	damaged := false
	how := lab.Scrubbing{Exhibits: c.Exhibit, BytesPerSecond: int64(c.Rate * 1e6), Repair: c.Repair}
	err = l.Scrub(a.ctx, how, func(s lab.Scrubbed) error {
		damaged = damaged || len(s.Damage) > 0 && !s.Repaired
		return c.print(a, s)
	})
	stop()
	if errors.Is(err, catalog.ErrNotFound) {
		return hint(err, "tutela exhibit list")
	}
	if err == nil && damaged {
		return errIntegrity
	}
	return err
}

// open opens the lab without its catalogue where something is to be repaired: it
// may lack records that only a repaired ledger can give it.
func (c *ledgerScrub) open(a *app) (*lab.Lab, error) {
	if c.Repair {
		return a.change(lab.Anew)
	}
	return a.read()
}

func (c *ledgerScrub) print(a *app, s lab.Scrubbed) error {
	type file struct {
		Name  string `json:"name"`
		Bytes int64  `json:"bytes"`
	}
	type damage struct {
		File  string `json:"file"`
		Leaf  int64  `json:"leaf"`
		What  string `json:"what"`
		Heals bool   `json:"heals"`
	}
	line := struct {
		Type     string   `json:"message_type"`
		OK       bool     `json:"ok"`
		Exhibit  string   `json:"exhibit"`
		Scan     int      `json:"scan"`
		Run      int      `json:"run"`
		Leaves   uint64   `json:"leaves"`
		Files    []file   `json:"files"`
		Damage   []damage `json:"damage"`
		Hopeless uint64   `json:"hopeless"`
		Repaired bool     `json:"repaired"`
		Cause    string   `json:"cause"`
	}{Type: "scrub", OK: len(s.Damage) == 0, Exhibit: s.Exhibit, Scan: s.Scan, Run: s.Run, Leaves: s.Leaves,
		Files: []file{}, Damage: []damage{}, Hopeless: s.Hopeless, Repaired: s.Repaired, Cause: s.Kept}
	for _, f := range s.Files {
		line.Files = append(line.Files, file(f))
	}
	for _, d := range s.Damage {
		line.Damage = append(line.Damage, damage{d.File, d.Index, d.What, d.Heals})
	}
	return a.print(line, func(w io.Writer) { c.tell(w, s) })
}

func (c *ledgerScrub) tell(w io.Writer, s lab.Scrubbed) {
	name := treeName(s.Exhibit, s.Scan, s.Run)
	for _, d := range s.Damage {
		remedy := "can be healed"
		if !d.Heals {
			remedy = "cannot be healed"
		}
		fmt.Fprintf(w, "DAMAGED: %s: %s; %s\n", name, d, remedy)
	}
	fmt.Fprintf(w, "%s: %s, %s: %s\n", name, leavesOf(s.Leaves), fileSizes(s.Files), c.outcome(s))
}

func (c *ledgerScrub) outcome(s lab.Scrubbed) string {
	switch {
	case len(s.Damage) == 0:
		return "sound."
	case s.Repaired:
		return "repaired; what was damaged is kept beside it, with .damaged behind its name."
	case s.Kept != "":
		return "left as it is: " + s.Kept
	case s.Hopeless > 0:
		return "damaged beyond what can be made again; fetch the files from a backup."
	}
	return "damaged. Repair it: tutela ledger scrub --repair " + tutela.ShellWord(s.Exhibit)
}

func fileSizes(files []lab.FileState) string {
	var parts []string
	for _, f := range files {
		parts = append(parts, f.Name+" "+term.Bytes(f.Bytes))
	}
	return strings.Join(parts, ", ")
}
