package main

import (
	"fmt"
	"io"

	"tutela"
	"tutela/internal/build"
	"tutela/internal/lab"
	"tutela/internal/validation"
)

// Whoever is asked in court how they know that the tool works points to a record of
// the lab, not to a web page: this build, on this machine, was asked what is known,
// and answered so.

type labValidate struct {
	All bool `help:"Print every question, not only what failed."`
}

func (c *labValidate) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "asking what is known")
	result, err := validation.Run(a.ctx)
	stop()
	if err != nil {
		return err
	}
	index, err := l.RecordValidation(a.ctx, knownAnswers(result), result.Text())
	if err != nil {
		return err
	}
	if err := c.print(a, l, result, index); err != nil {
		return err
	}
	if result.Failed > 0 {
		return errIntegrity
	}
	return nil
}

func knownAnswers(r validation.Result) tutela.KnownAnswers {
	return tutela.KnownAnswers{
		Version: r.Build.Version, Revision: r.Build.Revision, Modified: r.Build.Modified, Go: r.Build.Go, Platform: platform(r.Build),
		Executable: r.Build.Executable, Corpus: r.Corpus, Passed: r.Passed, Failed: r.Failed,
	}
}

func platform(b build.Build) string { return b.System + "/" + b.Processor }

// validationLine is what `tutela lab validate --json` prints last. Other programs
// read it: the names must never change.
type validationLine struct {
	Type       string `json:"message_type"`
	OK         bool   `json:"ok"`
	Passed     int    `json:"passed"`
	Failed     int    `json:"failed"`
	Version    string `json:"version"`
	Revision   string `json:"revision"`
	Modified   bool   `json:"modified"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Executable string `json:"executable"`
	Corpus     string `json:"corpus"`
	LogIndex   uint64 `json:"log_index"`
}

// questionLine is one question, before it.
type questionLine struct {
	Type     string `json:"message_type"`
	OK       bool   `json:"ok"`
	Area     string `json:"area"`
	Name     string `json:"name"`
	Source   string `json:"source"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
}

func (c *labValidate) print(a *app, l *lab.Lab, r validation.Result, index uint64) error {
	for _, q := range r.Cases {
		if a.json {
			if err := a.print(questionLine{"question", q.OK, q.Area, q.Name, q.Source, q.Expected, q.Got}, nil); err != nil {
				return err
			}
		}
	}
	line := validationLine{"validation", r.Failed == 0, r.Passed, r.Failed, r.Build.Version, r.Build.Revision, r.Build.Modified, r.Build.Go,
		platform(r.Build), r.Build.Executable.String(), r.Corpus.String(), index}
	return a.print(line, func(w io.Writer) {
		c.tell(w, r)
		facts(w, "Build", fmt.Sprintf("%s, %s, %s", r.Build.Version, r.Build.Go, line.Platform), "Executable", line.Executable, "Corpus", line.Corpus,
			"Log entry", fmt.Sprint(index), "Report", l.ReportPath(index))
	})
}

// tell prints a row for each area, what failed, and the verdict.
func (c *labValidate) tell(w io.Writer, r validation.Result) {
	var rows [][]string
	for _, area := range r.Areas() {
		rows = append(rows, []string{area.Name, fmt.Sprint(area.Passed), fmt.Sprint(area.Failed)})
	}
	table(w, "AREA|PASSED|FAILED", rows)
	for _, q := range r.Cases {
		switch {
		case !q.OK:
			fmt.Fprintf(w, "FAILED: %s: %s\n    expected %s (from %s)\n    got      %s\n", q.Area, q.Name, q.Expected, q.Source, q.Got)
		case c.All:
			fmt.Fprintf(w, "passed: %s: %s (answer from %s)\n", q.Area, q.Name, q.Source)
		}
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "NOT OK: %d of %s answered wrongly. Do not read evidence with this build.\n", r.Failed, count(len(r.Cases), "question"))
		return
	}
	fmt.Fprintf(w, "OK: %s answered as other programs and standards answer them.\n", count(len(r.Cases), "question"))
}
