package authority

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutela"
)

// register is a desk that can be changed while it is used.
type register struct {
	desk
	mu     sync.Mutex
	broken error
}

func (r *register) Authority(ctx context.Context, reference string) (tutela.Authority, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return tutela.Authority{}, r.broken
	}
	return r.desk.Authority(ctx, reference)
}

func (r *register) Authorities(context.Context, string) ([]tutela.Authority, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tutela.Authority(nil), r.authorities...), r.broken
}

func (r *register) Record(ctx context.Context, ev tutela.Event) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.desk.Record(ctx, ev)
}

func (r *register) revoke(reference string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.authorities {
		if r.authorities[i].Reference == reference {
			r.authorities[i].Revoked = noon
		}
	}
}

func child(reference, parent string) tutela.Authority {
	return warrant(func(a *tutela.Authority) { a.Reference, a.Parent = reference, parent })
}

// TestRevocationCascades revokes the root of a chain: what is at its end carries
// nothing from then on, and the grant that was open ends within a second.
func TestRevocationCascades(t *testing.T) {
	r := &register{desk: desk{authorities: []tutela.Authority{child("W-1", ""), child("W-2", "W-1"), child("W-3", "W-2")}}}
	office := NewOffice(r, r, func() time.Time { return noon })
	req := scan
	req.Reference = "W-3"
	grant, err := office.Grant(t.Context(), req)
	if err != nil || grant.Err() != nil {
		t.Fatal(err, grant.Err())
	}
	r.revoke("W-1")
	var refusal *Refusal
	if _, err := office.Grant(t.Context(), req); !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "W-3 rests on W-2") && !strings.Contains(refusal.Reason, "rests on W-1") {
		t.Errorf("after revoking what it rests on: %v", err)
	}
	deadline := time.Now().Add(2 * lookAgain)
	for grant.Err() == nil {
		if time.Now().After(deadline) {
			t.Fatal("an open grant outlives the revocation")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestGrantEndsWhereNobodyCanLook: a register that cannot be read keeps nothing open.
func TestGrantEndsWhereNobodyCanLook(t *testing.T) {
	r := &register{desk: desk{authorities: []tutela.Authority{child("W-1", "")}}}
	grant, err := NewOffice(r, r, func() time.Time { return noon }).Grant(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.broken = errors.New("disk gone")
	r.mu.Unlock()
	if grant.Err() == nil {
		t.Error("it stands though nobody can look")
	}
}

// TestChainsThatLeadNowhere: an authority that rests on itself, or on what is not
// there, carries nothing.
func TestChainsThatLeadNowhere(t *testing.T) {
	for name, all := range map[string][]tutela.Authority{
		"itself":     {child("W-1", "W-1")},
		"each other": {child("W-1", "W-2"), child("W-2", "W-1")},
		"nothing":    {child("W-1", "W-0")},
	} {
		r := &register{desk: desk{authorities: all}}
		if _, err := NewOffice(r, r, func() time.Time { return noon }).Grant(t.Context(), scan); err == nil {
			t.Errorf("rests on %s: granted", name)
		}
	}
}

// TestQuota has many ask for the last acts at once.
func TestQuota(t *testing.T) {
	w := warrant(func(a *tutela.Authority) { a.Queries, a.Used = 10, 3 })
	r := &register{desk: desk{authorities: []tutela.Authority{w}}}
	office := NewOffice(r, r, func() time.Time { return noon })
	var granted atomic.Int64
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if _, err := office.Grant(t.Context(), scan); err == nil {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if granted.Load() != 7 {
		t.Errorf("%d acts were granted of 7 that were left", granted.Load())
	}
	_, err := office.Grant(t.Context(), scan)
	if err == nil || !strings.Contains(err.Error(), "used up") {
		t.Errorf("%v", err)
	}
}

// TestQuotaIsGivenBack: what was not granted in the end is not used.
func TestQuotaIsGivenBack(t *testing.T) {
	r := &register{desk: desk{authorities: []tutela.Authority{warrant(func(a *tutela.Authority) { a.Queries = 1 })}, full: errors.New("full")}}
	office := NewOffice(r, r, func() time.Time { return noon })
	for range 3 {
		if _, err := office.Grant(t.Context(), scan); !errors.Is(err, ErrRecorder) {
			t.Fatal(err)
		}
	}
	r.full = nil
	if _, err := office.Grant(t.Context(), scan); err != nil {
		t.Error(err)
	}
}

// TestClockSetBack: what has ended does not come back.
func TestClockSetBack(t *testing.T) {
	r := &register{desk: desk{authorities: []tutela.Authority{warrant(nil)}}}
	now := noon.Add(2 * time.Hour)
	office := NewOffice(r, r, func() time.Time { return now })
	if _, err := office.Grant(t.Context(), scan); err == nil {
		t.Fatal("granted after its end")
	}
	now = noon
	if _, err := office.Grant(t.Context(), scan); err == nil {
		t.Error("granted again, because the clock was set back")
	}
}

// TestLookGoesIntoTheAccessLedger, refusals too, with what was done and why.
func TestLookGoesIntoTheAccessLedger(t *testing.T) {
	r, reads := &register{desk: desk{authorities: []tutela.Authority{warrant(nil)}}}, &desk{}
	office := NewOffice(r, r, func() time.Time { return noon }).Reading(reads)
	req := Request{Actor: "anna", Roles: []tutela.Role{tutela.RoleExaminer}, Action: tutela.ActionQuery, Exhibit: "7-B", Purpose: "lead 4", Detail: []byte(`{"match":"alert"}`)}
	if _, err := office.Look(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	req.Roles = []tutela.Role{tutela.RoleOversight}
	if _, err := office.Look(t.Context(), req); err == nil {
		t.Fatal("oversight reads content")
	}
	if len(r.events) != 0 || len(reads.events) != 2 {
		t.Fatalf("%d events in the log, %d in the access ledger", len(r.events), len(reads.events))
	}
	ev := reads.events[0]
	if ev.Kind != tutela.EventAccess || ev.Authority != "W-1" || string(ev.Detail) != `{"action":"query","purpose":"lead 4","what":{"match":"alert"}}` {
		t.Errorf("%+v %s", ev, ev.Detail)
	}
	if ev := reads.events[1]; ev.Kind != tutela.EventRefused || !strings.Contains(string(ev.Detail), "a oversight may not query") && !strings.Contains(string(ev.Detail), "may not query") {
		t.Errorf("%+v %s", ev, ev.Detail)
	}
}

// TestPermit: what a role carries by itself is not written down if it is permitted,
// and is if it is refused.
func TestPermit(t *testing.T) {
	r := &register{}
	office := NewOffice(r, r, func() time.Time { return noon })
	req := Request{Actor: "ben", Roles: []tutela.Role{tutela.RoleLegal}, Action: tutela.ActionAuthorityApprove, Case: "2026-17", Proposer: "anna"}
	if err := office.Permit(t.Context(), req); err != nil || len(r.events) != 0 {
		t.Errorf("another's proposal: %v, %d events", err, len(r.events))
	}
	req.Proposer = "ben"
	if err := office.Permit(t.Context(), req); err == nil || !strings.Contains(err.Error(), "own proposal") {
		t.Errorf("own proposal: %v", err)
	}
	if len(r.events) != 1 || r.events[0].Kind != tutela.EventRefused || r.events[0].Case != "2026-17" {
		t.Errorf("written: %+v", r.events)
	}
}
