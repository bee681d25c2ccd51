package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"tutela/internal/actor"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// app is what every command is handed: where to print, who acts, which lab.
type app struct {
	ctx    context.Context
	out    io.Writer
	errs   io.Writer
	json   bool
	folder string
	actor  string
	key    string       // file of the key that whoever acts signs with; "" if none was named
	agent  bool         // the key is in an ssh-agent
	signs  actor.Signer // that key, once it was asked for: see signer
	opens  *[32]byte    // what the lab's keys are encrypted under, once it was asked for: see unlock
	status *term.Status

	unheard  uint64 // entries of the head for which witnesses were asked in vain
	diverged error  // what they know of another history of the log; see anchor
}

func newApp(ctx context.Context, c *commands, out, errs io.Writer) *app {
	return &app{
		ctx: ctx, out: out, errs: errs, json: c.JSON, folder: c.Lab, actor: whoActs(c.Actor), key: c.Key, agent: c.Agent,
		status: term.NewStatus(os.Stderr),
	}
}

func whoActs(named string) string {
	if named != "" {
		return named
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// read opens the lab for looking; the lab may be in use meanwhile.
func (a *app) read() (*lab.Lab, error) { return a.open(lab.Read) }

// write opens the lab for changing it; one process at a time. What is recorded is
// signed by the key that was named, and there must be one where the lab demands
// signatures.
// When it is closed, others vouch for the head of its log if that is due.
func (a *app) write() (*lab.Lab, error) {
	l, err := a.change(lab.Write)
	if err == nil {
		l.BeforeClose(func() { vouched(a, l) })
	}
	return l, err
}

// change opens the lab as write does, in another mode that holds its lock.
func (a *app) change(mode lab.Mode) (*lab.Lab, error) {
	if _, err := lab.Locate(a.folder); err != nil {
		return nil, err
	}
	s, err := a.signer() // may ask a person: before anything is locked
	if err != nil {
		return nil, err
	}
	l, err := a.open(mode)
	if err != nil {
		return nil, err
	}
	if err := a.signWith(l, s); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (a *app) open(mode lab.Mode) (*lab.Lab, error) {
	dir, err := lab.Locate(a.folder)
	if err != nil {
		return nil, err
	}
	key, err := a.unlock(dir) // may ask a person: before anything is locked
	if err != nil {
		return nil, err
	}
	return lab.OpenSealed(a.ctx, dir, mode, a.actor, key)
}

// print writes one JSON line if JSON was asked for, else what people writes.
func (a *app) print(line any, people func(w io.Writer)) error {
	a.status.Clear()
	if !a.json {
		people(a.out)
		return nil
	}
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}

// say prints a sentence for people only.
func (a *app) say(format string, args ...any) {
	if !a.json {
		a.status.Clear()
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// table writes rows of cells under a heading, in columns. Empty cells at the
// end of a row leave no spaces behind.
func table(w io.Writer, heading string, rows [][]string) {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, "|", "\t"))
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// count writes how many there are of something: "1 record", "2,000 records",
// "3 entries".
func count[N ~int | ~int64 | ~uint64](n N, one string) string {
	switch stem, isY := strings.CutSuffix(one, "y"); {
	case n == 1:
	case isY && !strings.HasSuffix(stem, "e"): // entry, and not key
		one = stem + "ies"
	default:
		one += "s"
	}
	return term.Count(n) + " " + one
}

// moment writes a time for people; nothing for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// stamp is a time in JSON; null for the zero time.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}

// parseTime reads a date or an RFC 3339 time. A date alone begins at midnight
// UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, misuse("%q is not a date: write 2026-11-23 or 2026-11-23T14:05:00Z", s)
}
