package validation

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela/internal/confine"
)

func TestMain(m *testing.M) {
	confine.Child()
	os.Exit(m.Run())
}

// Every question is answered as other programs and standards answer it, and every
// report of one program is the same.
func TestKnownAnswers(t *testing.T) {
	r, err := Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cases {
		if !c.OK {
			t.Errorf("%s: %s (answer from %s)\n expected %s\n got      %s", c.Area, c.Name, c.Source, c.Expected, c.Got)
		}
		if c.Source == "" || c.Area == "" || c.Name == "" || c.Expected == "" {
			t.Errorf("%+v lacks something", c)
		}
	}
	if r.Passed != len(r.Cases) || r.Failed != 0 || r.Passed < 140 {
		t.Errorf("%d passed, %d failed of %d", r.Passed, r.Failed, len(r.Cases))
	}
	text := r.Text()
	if len(text) > 1<<20 || strings.ContainsAny(text, "\r\t") {
		t.Error("the report is too long, or holds other white space than line feeds and spaces")
	}
	if again, err := Run(t.Context()); err != nil || again.Text() != text {
		t.Errorf("two reports of one program differ (%v)", err)
	}
}

// No area can fall out of the corpus unseen.
func TestEveryAreaIsAskedAbout(t *testing.T) {
	all, err := questions()
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	for _, q := range all {
		r.take(Case{Area: q.area, Name: q.name, OK: true})
	}
	got := map[string]int{}
	for _, a := range r.Areas() {
		if got[a.Name] > 0 {
			t.Errorf("area %s comes twice", a.Name)
		}
		got[a.Name] = a.Passed
	}
	for area, least := range map[string]int{"digest": 50, "picture": 2, "image": 7, "file system": 15, "archive": 8, "hash set": 16, "ledger": 36, "whole scan": 5} {
		if got[area] < least {
			t.Errorf("area %s has %d questions, want at least %d", area, got[area], least)
		}
	}
}

func asked(t *testing.T, all ...question) Result {
	t.Helper()
	var r Result
	if err := r.ask(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return r
}

func answers(text string) func(context.Context, *sitting) (string, error) {
	return func(context.Context, *sitting) (string, error) { return text, nil }
}

// A wrong answer, none and a panic fail, are named, and show what was expected and
// what came; what follows is asked all the same.
func TestWrongAnswersAreNamed(t *testing.T) {
	r := asked(t,
		question{area: "a", name: "right", source: "s", expected: "1", ask: answers("1")},
		question{area: "a", name: "wrong", source: "s", expected: "1\n2\n3\n", ask: answers("1\n5\n3\n")},
		question{area: "a", name: "short", source: "s", expected: "1\n2\n", ask: answers("1\n")},
		question{area: "b", name: "none", source: "s", expected: "1", ask: func(context.Context, *sitting) (string, error) { return "1", errors.New("no bytes") }},
		question{area: "b", name: "panic", source: "s", expected: "1", ask: func(context.Context, *sitting) (string, error) { panic("gone") }},
		question{area: "b", name: "last", source: "s", expected: "2", ask: answers("2")},
	)
	if r.Passed != 2 || r.Failed != 4 {
		t.Fatalf("%d passed, %d failed", r.Passed, r.Failed)
	}
	for i, want := range []string{"1 1", "2 5", "2 (nothing)", "1 error: no bytes", "1 error: panic: gone", "2 2"} {
		if got := r.Cases[i].Expected + " " + r.Cases[i].Got; got != want {
			t.Errorf("%s: %q, want %q", r.Cases[i].Name, got, want)
		}
	}
	for _, want := range []string{"passed 2\nfailed 4\n", "\npassed a: right\n", "\nFAILED a: wrong\n  answer from  s\n  expected     2\n  got          5\n"} {
		if text := r.Text(); !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}

// One broken answer in the whole corpus is found, and changes the corpus's digest.
func TestABrokenAnswerIsFound(t *testing.T) {
	all, err := questions()
	if err != nil {
		t.Fatal(err)
	}
	before := corpusDigest(all)
	i := slices.IndexFunc(all, func(q question) bool { return q.area == "digest" })
	broken := []byte(all[i].expected)
	broken[0] ^= 1
	all[i].expected = string(broken)
	if corpusDigest(all) == before {
		t.Error("the corpus has the same digest with another answer")
	}
	r := asked(t, all[i])
	if r.Failed != 1 || r.Cases[0].OK || r.Cases[0].Expected != string(broken) || r.Cases[0].Got == "" {
		t.Errorf("%+v", r.Cases)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
