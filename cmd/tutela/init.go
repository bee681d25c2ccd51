package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tutela"
	"tutela/internal/lab"
)

type initCommand struct {
	Dir     string `arg:"" optional:"" default:"." help:"The folder; it must be empty or absent."`
	Agency  string `required:"" help:"The agency that runs the lab."`
	Country string `required:"" help:"Its country, two letters (ISO 3166-1)."`
	Field   bool   `help:"A lab for the field, whose scans another lab admits: its log has a signed head and no tiles for mirrors."`
}

func (c *initCommand) Run(a *app) error {
	if len(c.Country) != 2 || strings.ToUpper(c.Country) != c.Country {
		return misuse("--country %q: write two capital letters, as in BE", c.Country)
	}
	if strings.TrimSpace(c.Agency) == "" {
		return misuse("--agency must not be empty")
	}
	if a.folder != "" && a.folder != os.Getenv("TUTELA_LAB") {
		return misuse("init takes the folder as its argument, not by --lab: tutela init %s", a.folder)
	}
	err := lab.Init(a.ctx, c.Dir, lab.Config{Agency: c.Agency, Country: c.Country, Field: c.Field}, a.actor)
	if errors.Is(err, lab.ErrNotEmpty) {
		return hint(err, "name a new folder: tutela init DIR --agency %s --country %s", tutela.ShellWord(c.Agency), c.Country)
	}
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	line := map[string]string{"message_type": "lab", "dir": dir, "agency": c.Agency, "country": c.Country}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "A lab for %s (%s) in %s.\n", c.Agency, c.Country, dir)
		fmt.Fprintf(w, "Keep a copy of %s somewhere safe and offline: without it nothing in the ledger can be opened.\n", filepath.Join(dir, "keys"))
		fmt.Fprintf(w, "Next: cd %s && tutela case open NUMBER --title TITLE\n", c.Dir)
	})
}
