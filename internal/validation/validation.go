// Package validation asks the program questions to which the answers are known, and
// says which of them it answered.
//
// Call [Run]; [Result.Text] is its report. The questions and their answers are part
// of the program: test vectors of standards, and drawn images of disks, archives and
// pictures whose contents other programs have told. Each answer says where it is from.
//
// Promised: the same program asks the same questions in the same order, and its report
// is the same text; what reads hostile bytes is asked as a scan asks it, in children.
// Whoever calls Run calls confine.Child first thing in main. Not promised: that a
// program which answers all of them reads everything rightly. It shows that this
// build, on this machine, still does what it did for these few.
package validation

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tutela"
	"tutela/internal/build"
	"tutela/internal/confine"
)

// Result is what came out of one validation.
type Result struct {
	Build  build.Build
	Corpus tutela.SHA256 // over every question, every file that is asked about, and every answer
	Cases  []Case        // in the order in which they were asked
	Passed int
	Failed int
}

// Case is one question.
type Case struct {
	Area     string // "digest", "file system" …
	Name     string
	Source   string // where the answer is from
	OK       bool
	Expected string // one line
	Got      string // one line; begins with "error: " if there was no answer
}

// Area is how many questions of an area passed and failed.
type Area struct {
	Name           string
	Passed, Failed int
}

// Areas counts the cases by area, in the order in which areas were asked about.
func (r Result) Areas() (all []Area) {
	for _, c := range r.Cases {
		if len(all) == 0 || all[len(all)-1].Name != c.Area {
			all = append(all, Area{Name: c.Area})
		}
		if last := &all[len(all)-1]; c.OK {
			last.Passed++
		} else {
			last.Failed++
		}
	}
	return all
}

// question has an answer that is known.
type question struct {
	area, name, source string
	expected           string // one line, or rows
	ask                func(ctx context.Context, s *sitting) (string, error)
}

// sitting is what the questions of one validation share.
type sitting struct {
	host *confine.Host
	dir  string // for files; of the sitting alone

	drive    *driveScans // once they were made
	driveErr error       // why they could not be
}

// Run asks everything. A question that is not answered, or answered wrongly, is a
// failed case and no error; an error means that nobody could be asked.
func Run(ctx context.Context) (Result, error) {
	b, err := build.This()
	if err != nil {
		return Result{}, err
	}
	r := Result{Build: b}
	all, err := questions()
	if err != nil {
		return r, err
	}
	r.Corpus = corpusDigest(all)
	return r, r.ask(ctx, all)
}

func (r *Result) ask(ctx context.Context, all []question) (err error) {
	s, err := sit()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.rise()) }()
	for _, q := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.take(q.put(ctx, s))
	}
	return ctx.Err()
}

func sit() (*sitting, error) {
	host, err := confine.New(confine.Options{FFmpeg: "none"})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tutela-validate-")
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return &sitting{host: host, dir: dir}, nil
}

func (s *sitting) rise() error {
	return errors.Join(s.host.Close(), os.RemoveAll(s.dir))
}

func (r *Result) take(c Case) {
	r.Cases = append(r.Cases, c)
	if c.OK {
		r.Passed++
	} else {
		r.Failed++
	}
}

// put asks the question. What panics has not answered.
func (q question) put(ctx context.Context, s *sitting) (c Case) {
	c = Case{Area: q.area, Name: q.name, Source: q.source}
	defer func() {
		if p := recover(); p != nil {
			c.OK, c.Expected, c.Got = false, summary(q.expected), fmt.Sprintf("error: panic: %v", p)
		}
	}()
	got, err := q.ask(ctx, s)
	if err != nil {
		c.Expected, c.Got = summary(q.expected), oneLine("error: "+err.Error())
		return c
	}
	if c.OK = got == q.expected; c.OK {
		c.Expected, c.Got = summary(q.expected), summary(got)
		return c
	}
	c.Expected, c.Got = difference(q.expected, got)
	return c
}
