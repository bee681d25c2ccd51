// Package authority decides who may do what under which warrant, and writes the
// decision down before anything happens.
//
// An [Office] is asked with [Office.Grant] for acts on evidence, with [Office.Look]
// for reading what is recorded, and with [Office.Permit] for acts that a role carries
// by itself and whose own event follows. Whoever reads content takes the [Grant]
// that the first two return. Who may do what stands in policies.cedar, which is part
// of the program.
//
// Promised: a Grant on evidence exists only if the person's roles carry the act, if an
// authority stands that covers the case, the exhibit and the action, and all that it
// rests on stands too, and if its event is durable; a refusal is written down with its
// reason; if the ledger cannot be written nothing is granted. An authority that was
// seen to have ended does not come back when the clock is set back, as long as the
// process lives. Not promised: that the warrant itself is lawful, and that a Grant
// outlives its authority: long work asks [Grant.Err] again, which sees a revocation
// within a second.
package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tutela"
)

// Register is what the office knows: the lab's exhibits and authorities. What is not
// there is an error.
type Register interface {
	Exhibit(ctx context.Context, label string) (tutela.Exhibit, error)
	Authority(ctx context.Context, reference string) (tutela.Authority, error)
	Authorities(ctx context.Context, caseNumber string) ([]tutela.Authority, error)
}

// Recorder appends an event to a ledger. When it returns nil the event is durable;
// its index is where.
type Recorder interface {
	Record(ctx context.Context, ev tutela.Event) (index uint64, err error)
}

// ErrRecorder means that a ledger could not be written: nothing was granted, and
// nobody can say that it would have been refused.
var ErrRecorder = errors.New("the ledger cannot be written")

// Office grants and refuses. It is safe for concurrent use.
type Office struct {
	register Register
	recorder Recorder // the agency log
	reads    Recorder // the access ledger; the agency log where there is none
	demand   Demand
	rules    *rules
	clock    *clock
	quotas   *quotas
	known    *known
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
	c := &clock{now: now}
	return &Office{
		register: register, recorder: recorder, reads: recorder, rules: newRules(), clock: c,
		quotas: &quotas{used: map[string]uint64{}}, known: &known{register: register, clock: c, seen: map[string]seen{}},
	}
}

// Demanding is an office that also makes a demand. It refuses under an authority
// only; whoever has none is told of that first.
func (o *Office) Demanding(d Demand) *Office {
	demanding := *o
	demanding.demand = d
	return &demanding
}

// Reading is an office that writes what was looked at into a ledger of its own.
func (o *Office) Reading(reads Recorder) *Office {
	reading := *o
	reading.reads = reads
	return &reading
}

// Request asks for one act.
type Request struct {
	Actor     string
	Roles     []tutela.Role // nil: whoever holds the lab's folder, on the command line
	Action    tutela.Action
	Case      string // where the act is about no exhibit
	Exhibit   string
	Reference string // of the authority to act under; empty takes the one that stands longest
	Purpose   string // why, in the person's own words
	Proposer  string // whose proposal would be decided on

	Event  tutela.EventKind // what is written if it is granted
	Detail []byte
	Key    string // idempotency of the event
}

// Grant is proof that one action by one actor was checked and written down before it
// happened. The zero value grants nothing.
type Grant struct {
	reference string
	exhibit   tutela.Exhibit
	action    tutela.Action
	actor     string
	logIndex  uint64
	known     *known
}

// Exhibit is what it was granted on; the zero Exhibit if the act is about none.
func (g Grant) Exhibit() tutela.Exhibit { return g.exhibit }

// Reference names the authority it rests on; "" where a role alone carries the act.
func (g Grant) Reference() string { return g.reference }

// Actor is who may act.
func (g Grant) Actor() string { return g.actor }

// LogIndex is where the ledger holds the event.
func (g Grant) LogIndex() uint64 { return g.logIndex }

// Permits returns nil if the grant is for this action and its authority has not
// run out since; otherwise a [*Refusal].
func (g Grant) Permits(action tutela.Action) error {
	if g.known == nil || g.action != action {
		return &Refusal{Reason: fmt.Sprintf("no grant to %s", action)}
	}
	return g.Err()
}

// Err reports whether the authority behind the grant, or one that it rests on, has
// ended since. It looks anew at most once a second, and refuses where it cannot look.
func (g Grant) Err() error {
	if g.known == nil {
		return &Refusal{Reason: "no grant"}
	}
	if g.reference == "" {
		return nil
	}
	return g.known.err(g.reference)
}

// Refusal is why something may not be done. Hint says what now.
type Refusal struct {
	Reason string
	Hint   string
}

func (r *Refusal) Error() string { return "not permitted: " + r.Reason }

// Grant checks a request about an exhibit and writes it into the agency log. A
// refusal is a [*Refusal]; any other error means that it could not be checked or
// written, and nothing was granted.
func (o *Office) Grant(ctx context.Context, req Request) (Grant, error) {
	return o.grant(ctx, o.recorder, req)
}

// Look checks a request to read and writes it into the access ledger, as Grant does.
// Its event has the detail [tutela.Look].
func (o *Office) Look(ctx context.Context, req Request) (Grant, error) {
	detail, err := tutela.EncodeDetail(tutela.Look{Action: req.Action, Purpose: req.Purpose, What: req.Detail})
	if err != nil {
		return Grant{}, err
	}
	req.Event, req.Detail = tutela.EventAccess, detail
	return o.grant(ctx, o.reads, req)
}

// Permit checks a request that a role carries by itself. Nothing is written if it is
// permitted: the event of the act follows. A refusal is written into the agency log.
func (o *Office) Permit(ctx context.Context, req Request) error {
	if needsAuthority(req.Action) {
		panic("internal error: " + string(req.Action) + " needs an authority")
	}
	exhibit, err := o.about(ctx, req)
	if err != nil {
		return err
	}
	refusal, err := o.judge(req, exhibit, choice{standing: none})
	if err != nil || refusal == nil {
		return err
	}
	return o.refuse(ctx, o.recorder, req, exhibit, refusal)
}

// Allows reports whether roles carry an action, an authority granted where it needs
// one. It is for showing people what they can do, and is no permission.
func (o *Office) Allows(roles []tutela.Role, action tutela.Action) bool {
	q := question{roles: roles, action: action, authority: stands}
	if needsAuthority(action) {
		q.exhibit = "any"
	}
	permitted, _, err := o.rules.decide(q)
	return permitted && err == nil
}

// grant is the one way to a Grant.
func (o *Office) grant(ctx context.Context, into Recorder, req Request) (Grant, error) {
	exhibit, err := o.about(ctx, req)
	if err != nil {
		return Grant{}, err
	}
	chosen, release, err := o.choose(ctx, req, exhibit)
	if err != nil {
		return Grant{}, err
	}
	refusal, err := o.judge(req, exhibit, chosen)
	if err == nil && refusal == nil && chosen.Reference != "" {
		refusal, err = o.asDemanded(ctx, req)
	}
	if err != nil {
		release()
		return Grant{}, err
	}
	if refusal != nil {
		release()
		return Grant{}, o.refuse(ctx, into, req, exhibit, refusal)
	}
	index, err := into.Record(ctx, o.event(req, exhibit, chosen.Reference))
	if err != nil {
		release()
		return Grant{}, fmt.Errorf("write the grant into the ledger: %w: %w", ErrRecorder, err)
	}
	return Grant{reference: chosen.Reference, exhibit: exhibit, action: req.Action, actor: req.Actor, logIndex: index, known: o.known}, nil
}

// about is the exhibit that a request is about, or its case alone.
func (o *Office) about(ctx context.Context, req Request) (tutela.Exhibit, error) {
	if req.Exhibit == "" && !needsAuthority(req.Action) {
		return tutela.Exhibit{Case: req.Case}, nil
	}
	return o.register.Exhibit(ctx, req.Exhibit)
}

// judge asks the policies, and tells a refusal in words.
func (o *Office) judge(req Request, exhibit tutela.Exhibit, chosen choice) (*Refusal, error) {
	own := req.Proposer != "" && req.Proposer == req.Actor
	permitted, why, err := o.rules.decide(question{
		actor: req.Actor, roles: req.Roles, action: req.Action, exhibit: exhibit.Label, authority: chosen.standing, own: own,
	})
	switch {
	case err != nil:
		return nil, err
	case permitted:
		return nil, nil
	case own && slices.Contains(why, "nobody-decides-on-their-own-proposal"):
		return &Refusal{Reason: "nobody decides on their own proposal", Hint: "ask another person who approves authorities"}, nil
	case len(why) > 0 || !o.Allows(req.Roles, req.Action):
		return &Refusal{Reason: fmt.Sprintf("%s may not %s", rolesText(req.Roles), req.Action), Hint: "ask whose role carries it"}, nil
	}
	return &Refusal{Reason: explain(req, exhibit, chosen.why), Hint: hint(req, exhibit)}, nil
}

func rolesText(roles []tutela.Role) string {
	if len(roles) == 0 {
		return "who has no role"
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return "a " + strings.Join(names, " and ")
}

func (o *Office) asDemanded(ctx context.Context, req Request) (*Refusal, error) {
	if o.demand == nil {
		return nil, nil
	}
	err := o.demand(ctx, req)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal, nil
	}
	return nil, err
}

func (o *Office) event(req Request, exhibit tutela.Exhibit, reference string) tutela.Event {
	return tutela.Event{
		Kind: req.Event, Time: o.clock.read().UTC(), Actor: req.Actor, Case: exhibit.Case, Exhibit: exhibit.Label,
		Authority: reference, Detail: req.Detail, Key: req.Key,
	}
}

// Refused is the detail of a refused event.
type Refused struct {
	Action  tutela.Action `json:"action"`
	Reason  string        `json:"reason"`
	Purpose string        `json:"purpose,omitempty"`
}

// refuse writes the refusal down and returns it: who tried what is as much a
// matter of record as who did.
func (o *Office) refuse(ctx context.Context, into Recorder, req Request, exhibit tutela.Exhibit, refusal *Refusal) error {
	detail, err := tutela.EncodeDetail(Refused{req.Action, refusal.Reason, req.Purpose})
	if err != nil {
		return errors.Join(refusal, err)
	}
	ev := o.event(req, exhibit, req.Reference)
	ev.Kind, ev.Key, ev.Detail = tutela.EventRefused, "", detail
	if _, err := into.Record(ctx, ev); err != nil {
		return errors.Join(refusal, fmt.Errorf("write the refusal into the ledger: %w: %w", ErrRecorder, err))
	}
	return refusal
}

// choice is the authority to act under, or why there is none.
type choice struct {
	tutela.Authority
	standing standing
	why      []string
}

// choose picks the authority to act under: the named one, or of those that carry the
// act the one that stands longest. One act of its quota is taken until release.
func (o *Office) choose(ctx context.Context, req Request, exhibit tutela.Exhibit) (c choice, release func(), err error) {
	c, release = choice{standing: none}, func() {}
	if !needsAuthority(req.Action) {
		return c, release, nil
	}
	all, err := o.register.Authorities(ctx, exhibit.Case)
	if err != nil {
		return c, release, fmt.Errorf("look up the authorities of case %s: %w", exhibit.Case, err)
	}
	longest := func(a, b tutela.Authority) int { return b.Until.Compare(a.Until) }
	for _, a := range slices.SortedStableFunc(slices.Values(all), longest) {
		if req.Reference != "" && a.Reference != req.Reference {
			continue
		}
		how, why, err := o.fit(ctx, a, req, all)
		if err != nil {
			return c, release, err
		}
		if how == stands {
			if release, how, why = o.quotas.take(a); how == stands {
				return choice{Authority: a, standing: stands}, release, nil
			}
		}
		c.standing, c.why = how, append(c.why, why)
	}
	return c, release, nil
}

// fit says how an authority stands for a request, by itself and by all that it rests
// on.
func (o *Office) fit(ctx context.Context, a tutela.Authority, req Request, all []tutela.Authority) (standing, string, error) {
	now := o.clock.read()
	if how, why := stand(a, now); how != stands {
		return how, why, nil
	}
	if !a.Covers(req.Exhibit, req.Action) {
		return uncovered, fmt.Sprintf("%s does not cover %s of exhibit %s", a.Reference, req.Action, req.Exhibit), nil
	}
	of := func(_ context.Context, reference string) (tutela.Authority, error) {
		for _, other := range all { // what it rests on is of the same case
			if other.Reference == reference {
				return other, nil
			}
		}
		return o.register.Authority(ctx, reference)
	}
	return chain(ctx, a, now, of)
}

// chain says how the authorities stand that one rests on.
func chain(ctx context.Context, a tutela.Authority, now time.Time, of func(context.Context, string) (tutela.Authority, error)) (standing, string, error) {
	met := map[string]bool{a.Reference: true}
	for child := a; child.Parent != ""; {
		if met[child.Parent] {
			return revoked, fmt.Sprintf("%s rests on itself", a.Reference), nil
		}
		met[child.Parent] = true
		parent, err := of(ctx, child.Parent)
		if err != nil {
			return revoked, "", fmt.Errorf("look up authority %s, on which %s rests: %w", child.Parent, child.Reference, err)
		}
		if how, why := stand(parent, now); how != stands {
			return how, fmt.Sprintf("%s rests on %s: %s", child.Reference, parent.Reference, why), nil
		}
		child = parent
	}
	return stands, "", nil
}

// stand says how an authority stands by itself, with the reason if it does not.
func stand(a tutela.Authority, now time.Time) (standing, string) {
	switch {
	case a.Waits():
		return waits, fmt.Sprintf("%s waits for approval by another person than %s", a.Reference, a.ProposedBy)
	case !a.Declined.IsZero():
		return declined, fmt.Sprintf("%s was declined on %s", a.Reference, day(a.Declined))
	case !a.Revoked.IsZero(): // whatever the clock says: the log has it
		return revoked, fmt.Sprintf("%s was revoked on %s", a.Reference, day(a.Revoked))
	case now.Before(a.From):
		return early, fmt.Sprintf("%s begins on %s", a.Reference, day(a.From))
	case !now.Before(a.Until):
		return ended, fmt.Sprintf("%s ended on %s", a.Reference, day(a.Until))
	}
	return stands, ""
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

// clock is the machine's, but never goes back: what has ended stays ended.
type clock struct {
	now func() time.Time

	mu     sync.Mutex // guards latest
	latest time.Time
}

func (c *clock) read() time.Time {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.latest) {
		c.latest = now
	}
	return c.latest
}

// quotas count how often authorities were acted under, beyond what the register
// knew when it was first asked.
type quotas struct {
	mu   sync.Mutex // guards used
	used map[string]uint64
}

// take takes one act under an authority, until release gives it back.
func (q *quotas) take(a tutela.Authority) (release func(), how standing, why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	used, met := q.used[a.Reference]
	if !met {
		used = a.Used
	}
	used = max(used, a.Used)
	if a.Queries > 0 && used >= a.Queries {
		return func() {}, spent, fmt.Sprintf("%s was for %d acts, and they are used up", a.Reference, a.Queries)
	}
	q.used[a.Reference] = used + 1
	return func() {
		q.mu.Lock()
		q.used[a.Reference]--
		q.mu.Unlock()
	}, stands, ""
}

// known is how authorities were seen to stand in the last second.
type known struct {
	register Register
	clock    *clock

	mu   sync.Mutex // guards seen
	seen map[string]seen
}

type seen struct {
	at    time.Time // monotonic
	until time.Time // it stands until then at most, by the office's clock
	err   error
}

// lookAgain is how old a look may be.
const lookAgain = time.Second

// err is why an authority does not stand any more, nil if it does.
func (k *known) err(reference string) error {
	k.mu.Lock()
	s, ok := k.seen[reference]
	k.mu.Unlock()
	if ok && time.Since(s.at) < lookAgain && (s.err != nil || k.clock.read().Before(s.until)) {
		return s.err
	}
	s = k.look(reference)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) > 10000 {
		clear(k.seen)
	}
	k.seen[reference] = s
	return s.err
}

func (k *known) look(reference string) seen {
	ctx, cancel := context.WithTimeout(context.Background(), lookAgain)
	defer cancel()
	s, now := seen{at: time.Now()}, k.clock.read()
	a, err := k.register.Authority(ctx, reference)
	if err != nil {
		s.err = &Refusal{Reason: fmt.Sprintf("it cannot be told whether authority %s still stands", reference)}
		return s
	}
	s.until = a.Until
	how, why := stand(a, now)
	if how == stands {
		how, why, err = chain(ctx, a, now, func(ctx context.Context, parent string) (tutela.Authority, error) {
			p, err := k.register.Authority(ctx, parent)
			if p.Until.Before(s.until) {
				s.until = p.Until
			}
			return p, err
		})
	}
	switch {
	case err != nil:
		s.err = &Refusal{Reason: fmt.Sprintf("it cannot be told whether authority %s still stands", reference)}
	case how != stands:
		s.err = &Refusal{Reason: "authority " + why}
	}
	return s
}
