package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/term"
	"tutela/match"
)

type matchCommand struct {
	File []string `arg:"" help:"Files to hold against the lab's hash sets."`
}

func (c *matchCommand) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return fmt.Errorf("open the hash sets: %w", err)
	}
	m, err := match.New(sets)
	if err != nil {
		return errors.Join(err, sets.Close())
	}
	defer m.Close()
	unreadable := 0
	for _, name := range c.File {
		answer, err := matchFile(a, m, name)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		if err != nil {
			fmt.Fprintln(a.errs, "tutela: cannot match:", err)
			unreadable++
			continue
		}
		if err := printAnswer(a, name, answer); err != nil {
			return err
		}
	}
	if unreadable > 0 {
		return errUnreadable
	}
	return nil
}

func matchFile(a *app, m *match.Matcher, name string) (*match.Answer, error) {
	f, size, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	answer, err := m.Content(a.ctx, f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return answer, nil
}

// answerLine is one line of `tutela match --json`. Other programs read it: the
// names must never change.
type answerLine struct {
	hashLine
	Known    bool        `json:"known"`
	Matches  []matchLine `json:"matches"`
	Findings []string    `json:"findings"`
	Sets     int         `json:"sets"` // that were asked
}

func printAnswer(a *app, name string, answer *match.Answer) error {
	line := answerLine{hashLine: lineOfAnswer("match", name, answer), Known: len(answer.Matches) > 0, Matches: []matchLine{}, Findings: []string{}, Sets: len(answer.Sets)}
	for _, m := range answer.Matches {
		line.Matches = append(line.Matches, provenanceOf(m))
	}
	for _, f := range answer.Findings {
		line.Findings = append(line.Findings, f.String())
	}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n    %s  %s  sha256 %s\n", line.Path, answer.Type, term.Bytes(answer.Size), short(line.SHA256))
		for _, m := range nearestOf(answer.Matches) {
			fmt.Fprintf(w, "    %s: %s\n", strings.ToUpper(m.Status.String()), explainMatch(m))
		}
		if len(answer.Matches) == 0 {
			fmt.Fprintf(w, "    not in any of %s\n", count(uint64(len(answer.Sets)), "set"))
		}
		for _, f := range line.Findings {
			fmt.Fprintf(w, "    finding: %s\n", f)
		}
	})
}

// nearestOf puts what weighs most first: alerts before the rest, equal before
// alike, near before far.
func nearestOf(matches []tutela.Match) []tutela.Match {
	matches = slices.Clone(matches)
	slices.SortStableFunc(matches, func(a, b tutela.Match) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Distance, b.Distance))
	})
	return matches
}

// lineOfAnswer is what a content is, for JSON.
func lineOfAnswer(kind, name string, a *match.Answer) hashLine {
	line := hashLine{
		Type: kind, Path: tutela.DisplayPath([]byte(name)), Size: a.Size,
		MD5: a.Digests.MD5.String(), SHA1: a.Digests.SHA1.String(), SHA256: a.Digests.SHA256.String(), MIME: a.Type,
	}
	if p := a.Picture; p != nil {
		hash := p.PDQ.String()
		line.PDQ, line.Quality = &hash, &p.Quality
	}
	return line
}
