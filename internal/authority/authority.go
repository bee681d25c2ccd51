// Package authority decides who may do what under which warrant, and writes the
// decision down before anything happens.
//
// An [Office] is asked with [Office.Grant]; whoever reads content takes the
// [Grant] it returns. Promised: a Grant exists only if an active authority
// covers the case, the exhibit and the action, and if its event is durable in
// the ledger; a refusal is written down too; if the ledger cannot be written
// nothing is granted. Not promised: that the warrant itself is lawful, and that
// a Grant outlives its authority: long work asks [Grant.Err] again.
package authority

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tutela"
)

// Register is what the office knows: the lab's exhibits and authorities. An
// unknown label is an error.
type Register interface {
	Exhibit(ctx context.Context, label string) (tutela.Exhibit, error)
	Authorities(ctx context.Context, caseNumber string) ([]tutela.Authority, error)
}

// Recorder appends an event to the agency log. When it returns nil the event is
// durable; its index is where.
type Recorder interface {
	Record(ctx context.Context, ev tutela.Event) (index uint64, err error)
}

// Office grants and refuses.
type Office struct {
	register Register
	recorder Recorder
	now      func() time.Time
	demand   Demand
}

// Demand is what must hold beside an authority: it returns a [*Refusal] if the
// request may not be granted whatever order there is, nil if it may, and any other
// error if that could not be told.
type Demand func(ctx context.Context, req Request) error

// NewOffice joins a register and a recorder. now may be nil for the clock of
// the machine.
func NewOffice(register Register, recorder Recorder, now func() time.Time) *Office {
	if now == nil {
		now = time.Now
	}
	return &Office{register: register, recorder: recorder, now: now}
}

// Demanding is an office that also makes a demand. It refuses under an authority
// only; whoever has none is told of that first.
func (o *Office) Demanding(d Demand) *Office {
	demanding := *o
	demanding.demand = d
	return &demanding
}

// Request asks for one act.
type Request struct {
	Actor     string
	Action    tutela.Action
	Exhibit   string
	Reference string // of the authority to act under; empty takes the one that stands longest

	Event  tutela.EventKind // what is written if it is granted
	Detail []byte
	Key    string // idempotency of the event
}

// Grant is proof that one action by one actor on one exhibit was checked and
// written down before it happened. The zero value grants nothing.
type Grant struct {
	authority tutela.Authority
	exhibit   tutela.Exhibit
	action    tutela.Action
	actor     string
	logIndex  uint64
	now       func() time.Time
}

// Exhibit is what it was granted on.
func (g Grant) Exhibit() tutela.Exhibit { return g.exhibit }

// Reference names the authority it rests on.
func (g Grant) Reference() string { return g.authority.Reference }

// Actor is who may act.
func (g Grant) Actor() string { return g.actor }

// LogIndex is where the agency log holds the event.
func (g Grant) LogIndex() uint64 { return g.logIndex }

// Permits returns nil if the grant is for this action and its authority has not
// run out since; otherwise a [*Refusal].
func (g Grant) Permits(action tutela.Action) error {
	if g.now == nil || g.action != action {
		return &Refusal{Reason: fmt.Sprintf("no grant to %s", action)}
	}
	return g.Err()
}

// Err reports whether the authority behind the grant has run out since.
func (g Grant) Err() error {
	if g.now == nil {
		return &Refusal{Reason: "no grant"}
	}
	if !g.authority.ActiveAt(g.now()) {
		return &Refusal{Reason: fmt.Sprintf("authority %s ended on %s", g.authority.Reference, day(g.authority.Until))}
	}
	return nil
}

// Refusal is why something may not be done. Hint says what now.
type Refusal struct {
	Reason string
	Hint   string
}

func (r *Refusal) Error() string { return "not permitted: " + r.Reason }

// Grant checks the request and writes it down. A refusal is a [*Refusal]; any
// other error means that it could not be checked or written, and nothing was
// granted.
func (o *Office) Grant(ctx context.Context, req Request) (Grant, error) {
	exhibit, err := o.register.Exhibit(ctx, req.Exhibit)
	if err != nil {
		return Grant{}, err
	}
	all, err := o.register.Authorities(ctx, exhibit.Case)
	if err != nil {
		return Grant{}, fmt.Errorf("look up the authorities of case %s: %w", exhibit.Case, err)
	}
	chosen, refusal := choose(all, req, exhibit, o.now())
	if refusal != nil {
		return Grant{}, o.refuse(ctx, req, exhibit, refusal)
	}
	if err := o.asDemanded(ctx, req, exhibit); err != nil {
		return Grant{}, err
	}
	index, err := o.recorder.Record(ctx, o.event(req, exhibit, chosen.Reference))
	if err != nil {
		return Grant{}, fmt.Errorf("write the grant into the ledger: %w", err)
	}
	return Grant{authority: chosen, exhibit: exhibit, action: req.Action, actor: req.Actor, logIndex: index, now: o.now}, nil
}

func (o *Office) asDemanded(ctx context.Context, req Request, exhibit tutela.Exhibit) error {
	if o.demand == nil {
		return nil
	}
	err := o.demand(ctx, req)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return o.refuse(ctx, req, exhibit, refusal)
	}
	return err
}

func (o *Office) event(req Request, exhibit tutela.Exhibit, reference string) tutela.Event {
	return tutela.Event{
		Kind: req.Event, Time: o.now().UTC(), Actor: req.Actor, Case: exhibit.Case, Exhibit: exhibit.Label,
		Authority: reference, Detail: req.Detail, Key: req.Key,
	}
}

// Refused is the detail of a refused event.
type Refused struct {
	Action tutela.Action `json:"action"`
	Reason string        `json:"reason"`
}

// refuse writes the refusal down and returns it: who tried what is as much a
// matter of record as who did.
func (o *Office) refuse(ctx context.Context, req Request, exhibit tutela.Exhibit, refusal *Refusal) error {
	detail, err := tutela.EncodeDetail(Refused{req.Action, refusal.Reason})
	if err != nil {
		return errors.Join(refusal, err)
	}
	ev := o.event(req, exhibit, req.Reference)
	ev.Kind, ev.Key, ev.Detail = tutela.EventRefused, "", detail
	if _, err := o.recorder.Record(ctx, ev); err != nil {
		return errors.Join(refusal, fmt.Errorf("write the refusal into the ledger: %w", err))
	}
	return refusal
}

// choose picks the authority to act under: the named one, or of those that
// cover the act the one that stands longest.
func choose(all []tutela.Authority, req Request, exhibit tutela.Exhibit, now time.Time) (best tutela.Authority, refusal *Refusal) {
	var why []string
	for _, a := range all {
		if req.Reference != "" && a.Reference != req.Reference {
			continue
		}
		if reason := unfit(&a, req, now); reason != "" {
			why = append(why, reason)
			continue
		}
		if best.Reference == "" || a.Until.After(best.Until) {
			best = a
		}
	}
	if best.Reference != "" {
		return best, nil
	}
	return best, &Refusal{Reason: explain(req, exhibit, why), Hint: hint(req, exhibit)}
}

// unfit says why an authority does not carry the request; empty if it does.
func unfit(a *tutela.Authority, req Request, now time.Time) string {
	switch {
	case !a.Revoked.IsZero() && !now.Before(a.Revoked):
		return fmt.Sprintf("%s was revoked on %s", a.Reference, day(a.Revoked))
	case now.Before(a.From):
		return fmt.Sprintf("%s begins on %s", a.Reference, day(a.From))
	case !now.Before(a.Until):
		return fmt.Sprintf("%s ended on %s", a.Reference, day(a.Until))
	case !a.Covers(req.Exhibit, req.Action):
		return fmt.Sprintf("%s does not cover %s of exhibit %s", a.Reference, req.Action, req.Exhibit)
	}
	return ""
}

func explain(req Request, exhibit tutela.Exhibit, why []string) string {
	switch {
	case len(why) > 0:
		return fmt.Sprintf("no active authority covers %s of exhibit %s: %s", req.Action, req.Exhibit, strings.Join(why, "; "))
	case req.Reference != "":
		return fmt.Sprintf("case %s has no authority %s", exhibit.Case, req.Reference)
	default:
		return fmt.Sprintf("case %s has no authority that covers %s of exhibit %s", exhibit.Case, req.Action, req.Exhibit)
	}
}

func hint(req Request, exhibit tutela.Exhibit) string {
	return fmt.Sprintf("tutela authority add --case %s --kind search-warrant --reference REF --issuer COURT --until DATE --exhibit %s --action %s",
		tutela.ShellWord(exhibit.Case), tutela.ShellWord(req.Exhibit), req.Action)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
