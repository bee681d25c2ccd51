package authority

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tutela"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type desk struct {
	authorities []tutela.Authority
	events      []tutela.Event
	full        error
}

func (d *desk) Exhibit(_ context.Context, label string) (tutela.Exhibit, error) {
	if label != "7-B" && label != "7-C" {
		return tutela.Exhibit{}, errors.New("no exhibit " + label)
	}
	return tutela.Exhibit{Label: label, Case: "2026-17"}, nil
}

func (d *desk) Authorities(context.Context, string) ([]tutela.Authority, error) {
	return d.authorities, nil
}

func (d *desk) Authority(_ context.Context, reference string) (tutela.Authority, error) {
	for _, a := range d.authorities {
		if a.Reference == reference {
			return a, nil
		}
	}
	return tutela.Authority{}, errors.New("no authority " + reference)
}

func (d *desk) Record(_ context.Context, ev tutela.Event) (uint64, error) {
	if d.full != nil {
		return 0, d.full
	}
	d.events = append(d.events, ev)
	return uint64(len(d.events) - 1), nil
}

func warrant(change func(*tutela.Authority)) tutela.Authority {
	a := tutela.Authority{Reference: "W-1", Case: "2026-17", Kind: tutela.SearchWarrant, From: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
	if change != nil {
		change(&a)
	}
	return a
}

var scan = Request{Actor: "examiner", Action: tutela.ActionScan, Exhibit: "7-B", Event: tutela.EventScanStart}

func TestGrant(t *testing.T) {
	for _, c := range []struct {
		name    string
		warrant func(*tutela.Authority)
		request func(*Request)
		refused string // what the reason must say; empty if granted
	}{
		{"plain", nil, nil, ""},
		{"named", nil, func(r *Request) { r.Reference = "W-1" }, ""},
		{"another's name", nil, func(r *Request) { r.Reference = "W-2" }, "no authority W-2"},
		{"begins exactly now", func(a *tutela.Authority) { a.From = noon }, nil, ""},
		{"begins later", func(a *tutela.Authority) { a.From = noon.Add(1) }, nil, "begins on"},
		{"ended exactly now", func(a *tutela.Authority) { a.Until = noon }, nil, "ended on"},
		{"revoked", func(a *tutela.Authority) { a.Revoked = noon }, nil, "was revoked"},
		{"revoked by a clock that was ahead", func(a *tutela.Authority) { a.Revoked = noon.Add(time.Minute) }, nil, "was revoked"},
		{"names the exhibit", func(a *tutela.Authority) { a.Exhibits = []string{"7-B"} }, nil, ""},
		{"names another exhibit", func(a *tutela.Authority) { a.Exhibits = []string{"7-C"} }, nil, "does not cover scan of exhibit 7-B"},
		{"names the action", func(a *tutela.Authority) { a.Actions = []tutela.Action{"scan"} }, nil, ""},
		{"names another action", func(a *tutela.Authority) { a.Actions = []tutela.Action{"export"} }, nil, "does not cover scan"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &desk{authorities: []tutela.Authority{warrant(c.warrant)}}
			req := scan
			if c.request != nil {
				c.request(&req)
			}
			grant, err := NewOffice(d, d, func() time.Time { return noon }).Grant(t.Context(), req)
			if len(d.events) != 1 {
				t.Fatalf("%d events written, want one for grant or refusal", len(d.events))
			}
			if c.refused == "" {
				wantGranted(t, grant, err, d.events[0])
				return
			}
			wantRefused(t, grant, err, d.events[0], c.refused)
		})
	}
}

func wantGranted(t *testing.T, grant Grant, err error, ev tutela.Event) {
	t.Helper()
	if err != nil || grant.Permits(tutela.ActionScan) != nil {
		t.Fatalf("refused: %v, %v", err, grant.Permits(tutela.ActionScan))
	}
	if ev.Kind != tutela.EventScanStart || ev.Authority != "W-1" || ev.Exhibit != "7-B" || ev.Case != "2026-17" {
		t.Errorf("written: %+v", ev)
	}
	if grant.Permits(tutela.ActionExport) == nil {
		t.Error("a grant to scan permits export")
	}
}

func wantRefused(t *testing.T, grant Grant, err error, ev tutela.Event, reason string) {
	t.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, reason) {
		t.Fatalf("%v does not say %q", err, reason)
	}
	if !strings.Contains(refusal.Hint, "tutela authority add --case 2026-17") {
		t.Errorf("hint %q does not show the command", refusal.Hint)
	}
	if grant.Permits(tutela.ActionScan) == nil {
		t.Error("a refusal came with a grant that permits")
	}
	if ev.Kind != tutela.EventRefused {
		t.Errorf("written: %+v", ev)
	}
}

func TestNoAuthorityAtAll(t *testing.T) {
	d := &desk{}
	_, err := NewOffice(d, d, nil).Grant(t.Context(), scan)
	var refusal *Refusal
	if !errors.As(err, &refusal) || len(d.events) != 1 {
		t.Fatalf("%v with %d events", err, len(d.events))
	}
}

// If the ledger cannot be written, nothing is granted, and a refusal stays one.
func TestFailsClosed(t *testing.T) {
	d := &desk{authorities: []tutela.Authority{warrant(nil)}, full: errors.New("disk full")}
	office := NewOffice(d, d, func() time.Time { return noon })
	grant, err := office.Grant(t.Context(), scan)
	if err == nil || grant.Permits(tutela.ActionScan) == nil {
		t.Fatal("granted without a ledger")
	}
	d.authorities = nil
	var refusal *Refusal
	if _, err := office.Grant(t.Context(), scan); !errors.As(err, &refusal) || !errors.Is(err, d.full) {
		t.Fatalf("refusal with a full disk: %v", err)
	}
}

func TestGrantRunsOut(t *testing.T) {
	now := noon
	d := &desk{authorities: []tutela.Authority{warrant(nil)}}
	grant, err := NewOffice(d, d, func() time.Time { return now }).Grant(t.Context(), scan)
	if err != nil || grant.Err() != nil {
		t.Fatal(err, grant.Err())
	}
	now = noon.Add(time.Hour)
	if grant.Err() == nil {
		t.Error("the grant outlives its authority")
	}
}

func TestLongestStandingAuthorityIsTaken(t *testing.T) {
	longer := warrant(func(a *tutela.Authority) { a.Reference, a.Until = "W-9", noon.Add(48*time.Hour) })
	d := &desk{authorities: []tutela.Authority{warrant(nil), longer}}
	grant, err := NewOffice(d, d, func() time.Time { return noon }).Grant(t.Context(), scan)
	if err != nil || grant.Reference() != "W-9" {
		t.Fatalf("under %q, %v", grant.Reference(), err)
	}
}

func TestZeroGrantPermitsNothing(t *testing.T) {
	if (Grant{}).Permits(tutela.ActionScan) == nil || (Grant{}).Err() == nil {
		t.Error("the zero grant permits")
	}
}
