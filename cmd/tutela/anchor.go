package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
	"tutela/internal/term"
	"tutela/internal/witness"
)

// anchorEvery is how often witnesses are asked while a scan moves the log.
const anchorEvery = 30 * time.Second

const (
	hintQuorum   = "the policy's witnesses must cosign the head first, tutela lab policy names them; ask them again: tutela ledger anchor"
	hintDiverged = "change nothing; keep a copy of the lab's folder, and of what the witnesses have, and find out who changed the log: by hand, or by putting an old copy of the lab back"
)

// anchor has the log's head cosigned by the witnesses of the policy, keeps what came
// of it among the heads, and sounds the alarm if that is no quorum. Who reached a
// quorum is not asked again, nor is anybody in this process for a head that was
// asked for in vain. It takes [witness.Patience] at most. Where the policy names no
// witnesses, nobody is asked and the head is not kept.
//
// Errors are about the lab. That the log was rolled back or has another history is
// one: shown by a witness, or claimed by one while there is no quorum without it. It
// ends the program with exit code 4, however the command itself ends.
func anchor(a *app, l *lab.Lab) (*witness.Gathered, error) {
	head, policy, err := headAndPolicy(a, l)
	if err != nil {
		return nil, err
	}
	switch {
	case policy.Witnesses() == 0 || a.unheard == head.Size:
		return witness.Cosigned(policy, head.Signed)
	case a.diverged != nil:
		return nil, a.diverged
	}
	stop := waiting(a, "asking the witnesses")
	got, err := gather(a, l, policy, head)
	stop()
	if err != nil {
		return nil, err
	}
	if !got.Quorum {
		a.unheard = head.Size
	}
	sound(a, got)
	return got, nil
}

// headAndPolicy are the log's head with the signatures that others gave it before,
// and the policy that it is held against.
func headAndPolicy(a *app, l *lab.Lab) (ledger.Head, *check.Policy, error) {
	log, err := l.ReadLog()
	if err != nil {
		return ledger.Head{}, nil, err
	}
	head, err := log.Head(a.ctx)
	if err != nil {
		return head, nil, err
	}
	policy, err := l.WitnessPolicy(a.ctx)
	return head, policy, err
}

// gather asks the witnesses, and keeps their cosignatures.
func gather(a *app, l *lab.Lab, policy *check.Policy, head ledger.Head) (*witness.Gathered, error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	last, err := keptBefore(a, l, &head)
	if err != nil {
		return nil, err
	}
	got, err := witness.Gather(a.ctx, policy, log, head.Signed, last)
	if err != nil {
		return nil, err
	}
	if d := got.Diverged(); d != nil && (d.Shown != nil || !got.Quorum) {
		return nil, diverged(a, d)
	}
	if len(got.Cosigned) == 0 {
		return got, nil
	}
	return got, l.Heads().Save(got.Size, got.Signed)
}

// keptBefore puts the signatures that were kept to a head, and returns the size of
// the newest head before it. A head that is kept and is not the log's says
// as much as a witness would.
func keptBefore(a *app, l *lab.Lab, head *ledger.Head) (last uint64, err error) {
	sizes, err := l.Heads().Sizes()
	if err != nil {
		return 0, err
	}
	for _, n := range sizes {
		switch {
		case n > head.Size:
			return 0, diverged(a, fmt.Errorf("%w: a head of %s was kept, the log has %s", witness.ErrRolledBack, count(n, "entry"), count(head.Size, "entry")))
		case n < head.Size:
			last = n
			continue
		}
		if err := l.Heads().Save(n, head.Signed); err != nil {
			return 0, err
		}
		kept, err := l.Heads().Load(n)
		if err != nil {
			return 0, err
		}
		head.Signed = kept.Signed
	}
	return last, nil
}

// diverged is the error that the log is not what it was.
func diverged(a *app, err error) error {
	a.diverged = &hinted{err, hintDiverged, exitIntegrity}
	return a.diverged
}

// atLast is how a command ended, in the light of what the witnesses said meanwhile:
// that the log is not what it was outweighs everything.
func (a *app) atLast(err error) error {
	switch {
	case a.diverged == nil || errors.Is(err, a.diverged):
		return err
	case err == nil:
		return a.diverged
	}
	return &hinted{fmt.Errorf("%w; and %w", err, a.diverged), hintDiverged, exitIntegrity}
}

// sound is the alarm that there is no quorum, and of witnesses that lie.
func sound(a *app, got *witness.Gathered) {
	if a.ctx.Err() != nil {
		return
	}
	for _, line := range complaints(got) {
		a.alarm("%s", line)
	}
	if !got.Quorum {
		a.alarm("%v", errNoQuorum(got))
	}
}

// complaints say what witnesses did wrong: of those that only did not answer, if
// they were needed.
func complaints(got *witness.Gathered) []string {
	lines := []string{}
	for _, o := range got.Outcomes {
		switch d, diverges := errors.AsType[*witness.Divergence](o.Err); {
		case diverges:
			lines = append(lines, d.Error())
		case o.Err != nil && (!got.Quorum || o.Lied()):
			lines = append(lines, fmt.Sprintf("witness %s at %s: %s", strings.Join(o.Names, ", "), o.Address, shortened(o.Err.Error())))
		}
	}
	return lines
}

func errNoQuorum(got *witness.Gathered) error {
	return fmt.Errorf("no quorum of witnesses has cosigned the head of %s", count(got.Size, "entry"))
}

// quorum demands that a quorum of witnesses has cosigned the log's head, and asks
// them: nothing leaves a lab before.
func quorum(a *app, l *lab.Lab) error {
	got, err := anchor(a, l)
	if err == nil && !got.Quorum {
		err = hint(errNoQuorum(got), hintQuorum)
	}
	return err
}

// ledgerAnchor has the head cosigned by hand.
type ledgerAnchor struct{}

func (c *ledgerAnchor) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	policy, err := l.WitnessPolicy(a.ctx)
	if err != nil {
		return err
	}
	if policy.Witnesses() == 0 {
		return hint(errors.New("the lab's policy names no witnesses"), "tutela lab policy --witnesses FILE")
	}
	got, err := anchor(a, l)
	if err != nil {
		return err
	}
	if err := printCosigned(a, got); err != nil {
		return err
	}
	if !got.Quorum {
		return hint(errNoQuorum(got), "see to the witnesses; work goes on meanwhile, and nothing leaves the lab")
	}
	return nil
}

// cosignature is one in JSON.
type cosignature struct {
	Witness string  `json:"witness"`
	Time    *string `json:"time"`
}

func cosignatures(got *witness.Gathered) []cosignature {
	all := []cosignature{}
	for _, c := range got.Cosigned {
		all = append(all, cosignature{c.Witness, stamp(c.Time)})
	}
	return all
}

func printCosigned(a *app, got *witness.Gathered) error {
	line := struct {
		Type     string        `json:"message_type"`
		Size     uint64        `json:"size"`
		Root     string        `json:"root"`
		Cosigned []cosignature `json:"cosigned"`
		Quorum   bool          `json:"quorum"`
		Failed   []string      `json:"failed"`
	}{"cosigned", got.Size, got.Root.String(), cosignatures(got), got.Quorum, complaints(got)}
	return a.print(line, func(w io.Writer) {
		facts(w, "Entries", term.Count(got.Size), "Root", line.Root, "Cosigned", cosignedBy(got))
		if got.Quorum {
			fmt.Fprintln(w, "A quorum has cosigned the head.")
		}
	})
}

// cosignedBy lists the cosignatures of a head for people.
func cosignedBy(got *witness.Gathered) string {
	var lines []string
	for _, c := range got.Cosigned {
		lines = append(lines, tutela.DisplayPath([]byte(c.Witness))+", "+moment(c.Time))
	}
	return orNone(lines)
}

// cosignedSoFar is who has cosigned the log's head, as far as was kept.
func cosignedSoFar(a *app, l *lab.Lab, head ledger.Head) (*witness.Gathered, error) {
	policy, err := l.WitnessPolicy(a.ctx)
	if err != nil {
		return nil, err
	}
	if kept, err := l.Heads().Load(head.Size); err == nil {
		if got, err := witness.Cosigned(policy, kept.Signed); err == nil && got.Checkpoint == head.Checkpoint {
			return got, nil
		}
	}
	return witness.Cosigned(policy, head.Signed)
}

// headWatch has the head cosigned while work goes on, and tells if that does not
// succeed for too long.
type headWatch struct {
	size   func() (uint64, error)            // entries of the log now
	anchor func() (*witness.Gathered, error) // says nothing itself
	alarm  func(format string, args ...any)
	note   func(format string, args ...any)

	told  bool              // that the log has another history
	last  *witness.Gathered // what the witnesses said last
	tried time.Time         // when they were last asked
	watch witness.Watch
}

// watchHead makes the watch of a lab; nil where the policy names no witnesses.
func watchHead(a *app, l *lab.Lab) *headWatch {
	policy, err := l.WitnessPolicy(a.ctx)
	if err != nil || policy.Witnesses() == 0 {
		return nil
	}
	return &headWatch{
		size: func() (uint64, error) {
			head, _, err := headAndPolicy(a, l)
			return head.Size, err
		},
		anchor: func() (*witness.Gathered, error) {
			head, policy, err := headAndPolicy(a, l)
			if err != nil {
				return nil, err
			}
			return gather(a, l, policy, head)
		},
		alarm: func(format string, args ...any) {
			if a.ctx.Err() == nil { // who stops the program breaks off what it asks
				a.alarm(format, args...)
			}
		},
		note: a.note,
	}
}

// tick asks the witnesses if the head moved, every [anchorEvery] at most.
func (h *headWatch) tick(now time.Time) {
	if h == nil {
		return
	}
	size, err := h.size()
	if err != nil {
		h.alarm("the head of the log cannot be read: %v", err)
		return
	}
	covered := h.last != nil && h.last.Quorum && h.last.Size == size
	if !covered && (h.tried.IsZero() || now.Sub(h.tried) >= anchorEvery) {
		h.tried = now
		covered = h.ask()
	}
	switch h.watch.Observe(now, covered) {
	case witness.Lost:
		h.alarm("no quorum of witnesses has cosigned the head for %s; work goes on, and nothing can leave the lab", term.Span(h.watch.Lacking(now)))
		for _, line := range h.complaints() {
			h.alarm("%s", line)
		}
	case witness.Found:
		h.note("a quorum of witnesses has cosigned the head again, of %s", count(h.last.Size, "entry"))
	}
}

func (h *headWatch) complaints() []string {
	if h.last == nil {
		return nil
	}
	return complaints(h.last)
}

// ask asks the witnesses, and reports whether they made a quorum.
func (h *headWatch) ask() bool {
	got, err := h.anchor()
	if err != nil {
		if !h.told {
			h.alarm("%v", err)
		}
		h.told = true
		return false
	}
	h.last = got
	return got.Quorum
}
