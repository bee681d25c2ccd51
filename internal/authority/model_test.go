package authority

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tutela"
)

// A small world, explored whole: three authorities that rest on each other in every
// way that a log allows, two people who approve and one who works, a clock that runs
// from before the first authority to after the last. In each state that can be
// reached the real office is asked everything, and held against a plain definition of
// what stands; everything that may happen next leads to the states that follow.

// place is where an authority can be in its life.
type place byte

const (
	absent place = iota
	waiting
	standingPlace
	declinedPlace
	revokedPlace
)

// world is one state. The zero world is the beginning.
type world struct {
	at  [3]place
	by  [3]byte // who proposed: 'b' or 'c'
	now int     // hours after noon
}

// shape says on which authority each one rests, -1 for none. As a log knows only
// what came before, one rests on an earlier one.
type shape [3]int

func shapes() (all []shape) {
	for b := -1; b < 1; b++ {
		for c := -1; c < 2; c++ {
			all = append(all, shape{-1, b, c})
		}
	}
	return all
}

// windows are the hours in which the authorities stand, by themselves.
var windows = [3][2]int{{1, 4}, {1, 3}, {2, 5}}

const lastHour = 5

func name(i int) string { return fmt.Sprintf("W-%d", i) }

// standsPlainly is the definition: approved, in its window, not revoked, and so is
// all that it rests on.
func (w world) standsPlainly(s shape, i int) bool {
	return w.at[i] == standingPlace && windows[i][0] <= w.now && w.now < windows[i][1] && (s[i] < 0 || w.standsPlainly(s, s[i]))
}

// register is the world as the catalogue would tell it.
func (w world) register(s shape) *register {
	r := &register{}
	hour := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	for i, at := range w.at {
		if at == absent {
			continue
		}
		a := tutela.Authority{Reference: name(i), Case: "2026-17", From: hour(windows[i][0]), Until: hour(windows[i][1]), ProposedBy: string(w.by[i])}
		if s[i] >= 0 {
			a.Parent = name(s[i])
		}
		switch at {
		case standingPlace:
			a.ApprovedBy, a.Approved = "other", noon
		case declinedPlace:
			a.Declined = noon
		case revokedPlace:
			a.ApprovedBy, a.Approved, a.Revoked = "other", noon, noon
		}
		r.authorities = append(r.authorities, a)
	}
	return r
}

// TestWorld explores it.
func TestWorld(t *testing.T) {
	states, asked := 0, 0
	for _, s := range shapes() {
		seen, queue := map[world]bool{{}: true}, []world{{}}
		for len(queue) > 0 {
			w := queue[0]
			queue = queue[1:]
			states++
			asked += w.interrogate(t, s)
			for _, next := range w.next(t, s) {
				if !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
	}
	if t.Failed() {
		return
	}
	t.Logf("%d states, %d questions", states, asked)
	if states < 10_000 {
		t.Errorf("only %d states: was the world explored?", states)
	}
}

var sharedRules = newRules()

func (w world) office(r *register) *Office {
	clock := &clock{now: func() time.Time { return noon.Add(time.Duration(w.now) * time.Hour) }}
	return &Office{
		register: r, recorder: r, reads: r, rules: sharedRules, clock: clock,
		quotas: &quotas{used: map[string]uint64{}}, known: &known{register: r, clock: clock, seen: map[string]seen{}},
	}
}

// interrogate asks for an act under each authority, and whether an open grant still
// holds; with a ledger, and with one that cannot be written.
func (w world) interrogate(t *testing.T, s shape) (asked int) {
	r := w.register(s)
	office := w.office(r)
	for i := range w.at {
		want := w.standsPlainly(s, i)
		req := Request{Actor: "anna", Roles: []tutela.Role{tutela.RoleExaminer}, Action: tutela.ActionView, Exhibit: "7-B", Reference: name(i), Event: tutela.EventAccess}
		r.events, r.full = nil, nil
		grant, err := office.Grant(t.Context(), req)
		if got := err == nil && grant.Permits(tutela.ActionView) == nil; got != want {
			t.Errorf("%v %+v: act under %s granted: %v (%v), it stands: %v", s, w, name(i), got, err, want)
		}
		if len(r.events) != 1 || (r.events[0].Kind == tutela.EventRefused) == want {
			t.Errorf("%v %+v: act under %s left %d events", s, w, name(i), len(r.events))
		}
		open := Grant{reference: name(i), action: tutela.ActionView, known: w.office(r).known}
		if got := open.Err() == nil; got != want {
			t.Errorf("%v %+v: a grant under %s is open: %v, it stands: %v", s, w, name(i), got, want)
		}
		r.full = errors.New("full")
		if _, err := office.Grant(t.Context(), req); err == nil || want && !errors.Is(err, ErrRecorder) {
			t.Errorf("%v %+v: granted without a ledger", s, w)
		}
		asked += 3
	}
	return asked
}

// next are the states that follow: a proposal, a decision or a revocation by whoever
// the office lets, or an hour that passes.
func (w world) next(t *testing.T, s shape) (all []world) {
	if w.now < lastHour {
		later := w
		later.now++
		all = append(all, later)
	}
	office := w.office(w.register(s))
	for i, at := range w.at {
		for _, who := range []byte{'b', 'c'} {
			may := func(action tutela.Action, proposer byte) bool {
				req := Request{Actor: string(who), Roles: []tutela.Role{tutela.RoleLegal}, Action: action, Case: "2026-17"}
				if proposer != 0 {
					req.Proposer = string(proposer)
				}
				return office.Permit(t.Context(), req) == nil
			}
			changed := w
			switch {
			case at == absent && (s[i] < 0 || w.at[s[i]] != absent) && may(tutela.ActionAuthorityPropose, 0):
				changed.at[i], changed.by[i] = waiting, who
				all = append(all, changed)
			case at == waiting:
				permitted := may(tutela.ActionAuthorityApprove, w.by[i])
				if permitted == (who == w.by[i]) {
					t.Errorf("%v %+v: %c decides on the proposal of %c: %v", s, w, who, w.by[i], permitted)
				}
				if permitted {
					changed.at[i] = standingPlace
					all = append(all, changed)
					changed.at[i] = declinedPlace
					all = append(all, changed)
				}
			case at == standingPlace && may(tutela.ActionAuthorityRevoke, 0):
				changed.at[i] = revokedPlace
				all = append(all, changed)
			}
		}
	}
	return all
}
