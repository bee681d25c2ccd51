package lab

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/build"
)

// underPolicy is a lab whose policy demands a validated program, with an exhibit and
// a warrant.
func underPolicy(t *testing.T) *Lab {
	t.Helper()
	l := openLab(t, newLab(t), Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Title: "test", Status: tutela.CaseOpen})
	now := time.Now().UTC()
	record(t, l, tutela.EventSeize, "A", tutela.Exhibit{Label: "A", Case: "1", Added: now})
	record(t, l, tutela.EventAuthorityAdd, "", tutela.Authority{
		Reference: "W", Case: "1", Kind: tutela.SearchWarrant, Issuer: "court", From: now.Add(-time.Minute), Until: now.Add(time.Hour), Added: now,
	})
	record(t, l, tutela.EventPolicyChange, "", Policy{Validated: true})
	return l
}

func ask(t *testing.T, l *Lab, action tutela.Action) error {
	t.Helper()
	_, err := l.Office().Grant(t.Context(), authority.Request{Actor: "tester", Action: action, Exhibit: "A", Event: tutela.EventAccess, Detail: []byte("{}")})
	return err
}

// A policy lets only a build read evidence whose newest validation in this lab
// passed; each refusal is written down, and other acts are left alone.
func TestPolicyDemandsAValidatedBuild(t *testing.T) {
	t.Parallel()
	l := underPolicy(t)
	program, err := build.This()
	if err != nil {
		t.Fatal(err)
	}
	other := program.Executable
	other[0] ^= 1
	refused := 0
	for _, step := range []struct {
		name    string
		told    *tutela.KnownAnswers
		refusal string
	}{
		{"never validated", nil, "has not been validated here"},
		{"another build validated", &tutela.KnownAnswers{Executable: other, Passed: 9}, "has not been validated here"},
		{"failed", &tutela.KnownAnswers{Executable: program.Executable, Passed: 8, Failed: 1}, "failed 1 of 9 questions"},
		{"asked nothing", &tutela.KnownAnswers{Executable: program.Executable}, "failed 0 of 0 questions"},
		{"passed", &tutela.KnownAnswers{Executable: program.Executable, Passed: 9}, ""},
		{"another build failed", &tutela.KnownAnswers{Executable: other, Failed: 9}, ""},
		{"failed after it had passed", &tutela.KnownAnswers{Executable: program.Executable, Passed: 8, Failed: 1}, "failed 1 of 9 questions"},
	} {
		if step.told != nil {
			if _, err := l.RecordValidation(t.Context(), *step.told, step.name); err != nil {
				t.Fatal(err)
			}
		}
		actions := []tutela.Action{tutela.ActionScan}
		if step.told == nil {
			actions = append(actions, tutela.ActionRescan, tutela.ActionRematch)
		}
		for _, action := range actions {
			err := ask(t, l, action)
			refusal, ok := errors.AsType[*authority.Refusal](err)
			switch {
			case step.refusal == "" && err != nil:
				t.Errorf("%s: %s: %v", step.name, action, err)
			case step.refusal != "" && (!ok || !strings.Contains(refusal.Reason, step.refusal) || refusal.Hint != "tutela lab validate"):
				t.Errorf("%s: %s: error %v, want a refusal that says %q", step.name, action, err, step.refusal)
			}
			if step.refusal != "" {
				refused++
			}
		}
	}
	if err := ask(t, l, tutela.ActionView); err != nil {
		t.Errorf("viewing: %v", err)
	}
	if got := countEvents(t, l, tutela.EventRefused); got != refused {
		t.Errorf("%d refusals are written down, want %d", got, refused)
	}
	record(t, l, tutela.EventPolicyChange, "", Policy{})
	if err := ask(t, l, tutela.ActionScan); err != nil {
		t.Errorf("without the demand: %v", err)
	}
}

func countEvents(t *testing.T, l *Lab, kind tutela.EventKind) (n int) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	for entry, err := range log.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Event.Kind == kind {
			n++
		}
	}
	return n
}

// A report is given out only if it is the one that the log tells of.
func TestReportIsHeldAgainstTheLog(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	sum := tutela.SHA256{1}
	if _, _, err := l.LastValidation(t.Context(), sum); !errors.Is(err, ErrNoReport) {
		t.Errorf("before any validation: %v", err)
	}
	var index uint64
	for _, report := range []string{"first\n", "second\n"} {
		var err error
		if index, err = l.RecordValidation(t.Context(), tutela.KnownAnswers{Executable: sum, Passed: 1}, report); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLab(t, dir, Read)
	v, report, err := l.LastValidation(t.Context(), sum)
	if err != nil || string(report) != "second\n" || v.Index != index || v.Time.IsZero() {
		t.Fatalf("%q of entry %d, %v", report, v.Index, err)
	}
	if err := os.WriteFile(l.ReportPath(index), []byte("Second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, report, err := l.LastValidation(t.Context(), sum); !errors.Is(err, ErrNoReport) || report != nil {
		t.Errorf("a changed report: %v", err)
	}
	if err := os.Remove(l.ReportPath(index)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.LastValidation(t.Context(), sum); !errors.Is(err, ErrNoReport) {
		t.Errorf("a lost report: %v", err)
	}
}
