package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/oracle"
)

// check refuses what no comparison can be made of.
func (c *ledgerRescan) check() error {
	switch {
	case c.Oracle == "":
		return nil
	case c.Oracle != "tsk":
		return misuse("--oracle %s: the only one there is is tsk, The Sleuth Kit", c.Oracle)
	case len(c.Path) != 1:
		return hint(misuse("--oracle tsk compares one image, not %d paths", len(c.Path)), "name the first segment of a split image; the others are found")
	case c.Keys != "":
		return misuse("--oracle tsk reads no encrypted volumes: --keys would not be used")
	}
	info, err := os.Stat(c.Path[0])
	if err != nil {
		return err
	}
	if info.IsDir() {
		return misuse("--oracle tsk compares one image, and %s is a folder", tutela.DisplayPath([]byte(c.Path[0])))
	}
	return nil
}

// consult has another program read the evidence and holds what it finds against
// the ledger. Where they differ, one of the two is wrong, and it is not known
// which: that breaks no seal.
func (c *ledgerRescan) consult(a *app, l *lab.Lab, s catalog.Scan) error {
	if len(s.Seal.Sources) != 1 || s.Seal.Sources[0].Format != "image" {
		return hint(fmt.Errorf("scan %d of %s did not read one image: tsk cannot read the same", s.Number, s.Exhibit), "tutela ledger rescan %s PATH", tutela.ShellWord(s.Exhibit))
	}
	kit, err := oracle.Find(a.ctx)
	if errors.Is(err, oracle.ErrMissing) {
		return hint(err, "apt install sleuthkit")
	}
	if err != nil {
		return err
	}
	grant, err := grantAccess(a, l, s, tutela.ActionRescan, c.Authority)
	if err != nil {
		return err
	}
	if err := grant.Permits(tutela.ActionRescan); err != nil {
		return err
	}
	began := time.Now()
	result, err := c.compare(a, l, s, kit)
	if err != nil {
		return err
	}
	told := comparison(s, kit, result)
	about := tutela.Event{Case: s.Case, Exhibit: s.Exhibit, Authority: grant.Reference()}
	if err := record(a, l, tutela.EventToolValidate, about, told); err != nil {
		return err
	}
	return printConsulted(a, told, result, time.Since(began))
}

func (c *ledgerRescan) compare(a *app, l *lab.Lab, s catalog.Scan, kit *oracle.Kit) (*oracle.Result, error) {
	records, err := l.ReadRecords(s.ScanID)
	if err != nil {
		return nil, err
	}
	defer records.Close()
	stop := waiting(a, "comparing with "+kit.Version)
	defer stop()
	return kit.Compare(a.ctx, c.Path[0], s.Seal.Volumes, records.Records(0))
}

func comparison(s catalog.Scan, kit *oracle.Kit, r *oracle.Result) tutela.ToolValidate {
	return tutela.ToolValidate{
		Exhibit: s.Exhibit, Number: s.Number, Root: s.Seal.Root, Tool: version(), Oracle: kit.Version,
		Records: r.Records, Rows: r.Rows, Agreed: r.Agreed, Contents: r.Contents,
		OnlyOurs: r.Count(oracle.OnlyOurs), OnlyTheirs: r.Count(oracle.OnlyTheirs), Name: r.Count(oracle.Name), Content: r.Count(oracle.Content),
		State: r.Count(oracle.State), Volume: r.Count(oracle.Volume), NotCompared: uint64(len(r.NotCompared)), Differences: r.Digest(),
	}
}

func printConsulted(a *app, told tutela.ToolValidate, r *oracle.Result, took time.Duration) error {
	line := struct {
		Type        string   `json:"message_type"`
		OK          bool     `json:"ok"`
		Exhibit     string   `json:"exhibit"`
		Scan        int      `json:"scan"`
		Records     uint64   `json:"records"`
		Differences []string `json:"differences"`
		Seconds     float64  `json:"seconds"`
		Oracle      string   `json:"oracle"`
		Rows        uint64   `json:"rows"`
		Agreed      uint64   `json:"agreed"`
		Contents    uint64   `json:"contents"`
		NotCompared []string `json:"not_compared"`
		Digest      string   `json:"differences_sha256"`
	}{"rescan", len(r.Differences) == 0 && len(r.NotCompared) == 0, told.Exhibit, told.Number, r.Records, r.Lines(), took.Seconds(),
		told.Oracle, r.Rows, r.Agreed, r.Contents, append([]string{}, r.NotCompared...), told.Differences.String()}
	return a.print(line, func(w io.Writer) {
		for _, d := range line.Differences {
			fmt.Fprintln(w, "DIFFERENT:", d)
		}
		for _, n := range line.NotCompared {
			fmt.Fprintln(w, "NOT COMPARED:", n)
		}
		fmt.Fprintf(w, "%s of scan %d of %s compared with %s of %s: %s, %s read alike.\n", count(r.Records, "record"), told.Number, told.Exhibit,
			count(r.Rows, "name"), told.Oracle, count(len(r.Differences), "difference"), count(r.Contents, "content"))
	})
}
