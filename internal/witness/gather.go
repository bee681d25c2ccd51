package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/courier"
	"tutela/internal/ledger/check"
)

const (
	// Patience is how long all witnesses together may take.
	Patience = 5 * time.Second
	// grace is how much longer the others may take once there is a quorum: one of
	// them may know of another history.
	grace = 500 * time.Millisecond
	// sideBySide is how many witnesses are asked at a time.
	sideBySide = 16
)

// Source is a log whose heads are cosigned, as [tutela/internal/ledger.LogReader] is
// one. Its methods must return an error for a size that the log does not have yet.
type Source interface {
	// Root is the root of the log when it had size entries.
	Root(ctx context.Context, size uint64) (check.Hash, error)
	// Consistency is the proof of RFC 9162 section 2.1.4.1.
	Consistency(ctx context.Context, from, to uint64) ([]check.Hash, error)
}

// Outcome is what became of asking one witness.
type Outcome struct {
	Names   []string // the policy's, one for each key
	Address string
	Err     error // nil if it cosigned with all its keys
}

// Lied reports whether a witness did what an honest one never does, or knows what we
// do not. Of one that did not answer, or could not, nothing is said.
func (o Outcome) Lied() bool {
	for _, lie := range []error{ErrSignature, ErrOtherKey, ErrClock, ErrRolledBack, ErrForked} {
		if errors.Is(o.Err, lie) {
			return true
		}
	}
	return false
}

// Gathered is a head and who cosigned it.
type Gathered struct {
	check.Checkpoint
	Signed   []byte              // with all cosignatures that hold, in the policy's order
	Cosigned []check.Cosignature // those
	Quorum   bool                // whether they are enough
	Outcomes []Outcome           // of those that were asked; none where nobody had to be
}

// Gather has a head of a log cosigned by the witnesses of a policy, which names the
// log's keys too. Those whose cosignature the head has are not asked again, and
// nobody is if they make a quorum. last is the size of the head that the witnesses
// most probably have; a wrong one costs another exchange.
//
// It returns soon after the quorum is reached, and after [Patience] at the latest.
// What a witness does wrong stands in its outcome and stops nothing. Errors are
// about the head alone.
func Gather(ctx context.Context, p *check.Policy, log Source, head []byte, last uint64) (*Gathered, error) {
	g, err := begin(p, log, head, last)
	if err != nil {
		return nil, fmt.Errorf("gather cosignatures: %w", err)
	}
	if !g.reached() {
		ctx, cancel := context.WithTimeoutCause(ctx, Patience, ErrUnanswered)
		defer cancel()
		g.ask(ctx)
	}
	return g.result()
}

// Cosigned is who has cosigned a head of a log already. Nobody is asked.
func Cosigned(p *check.Policy, head []byte) (*Gathered, error) {
	g, err := begin(p, nil, head, 0)
	if err != nil {
		return nil, fmt.Errorf("read cosignatures: %w", err)
	}
	return g.result()
}

// gathering is one call of Gather.
type gathering struct {
	policy   *check.Policy
	log      Source
	proofs   proofs
	head     check.Checkpoint
	own      []byte // the head as the log signed it
	last     uint64
	clients  []*client
	signed   map[string]signed // by the policy's name of the witness
	outcomes []Outcome
}

func begin(p *check.Policy, log Source, head []byte, last uint64) (*gathering, error) {
	text, err := textOf(head)
	if err != nil {
		return nil, err
	}
	g := &gathering{policy: p, log: log, last: last, signed: map[string]signed{}}
	if g.head, g.own, err = ownHead(p, head); err != nil {
		return nil, err
	}
	g.proofs = proofs{log: log, to: g.head.Size, from: map[uint64]*proof{}}
	for _, w := range p.Named() {
		if one, err := cosignatureOf(w, text, head[len(text)+1:]); err == nil {
			g.signed[w.Name] = one
		}
	}
	return g, nil
}

// ownHead is a head with the signatures of the log alone, all of which must be
// there.
func ownHead(p *check.Policy, head []byte) (check.Checkpoint, []byte, error) {
	keys, err := check.ParseLogKeys(p.LogKeys()...)
	if err != nil {
		return check.Checkpoint{}, nil, err
	}
	c, err := keys.Open(head)
	if err != nil {
		return c, nil, err
	}
	n, err := note.Open(head, keys)
	if err != nil {
		return c, nil, err
	}
	own := []byte(n.Text + "\n")
	for _, s := range n.Sigs {
		own = fmt.Appendf(own, "— %s %s\n", s.Name, s.Base64)
	}
	return c, own, nil
}

func (g *gathering) reached() bool {
	names := map[string]bool{}
	for name := range g.signed {
		names[name] = true
	}
	return g.policy.Reached(names)
}

// missing are the witnesses whose cosignatures the head lacks, by address.
func (g *gathering) missing(by *courier.Courier) (all []*client) {
	at := map[string]*client{}
	for _, w := range g.policy.Named() {
		if _, has := g.signed[w.Name]; has {
			continue
		}
		address := strings.TrimSuffix(w.Address, "/")
		if at[address] == nil {
			at[address] = &client{address: address, by: by, now: time.Now}
			all = append(all, at[address])
		}
		at[address].keys = append(at[address].keys, w)
	}
	return all
}

// answered is what one witness answered.
type answered struct {
	client int
	signed []signed
	err    error
}

// ask asks all that are missing, until they make a quorum or the time is over.
func (g *gathering) ask(ctx context.Context) {
	by := courier.New(courier.Direct)
	defer by.Close()
	g.clients = g.missing(by)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	settled, enough := false, func() bool { return true } // enough stops the grace
	defer func() { enough() }()
	for a := range g.askAll(ctx) {
		for _, s := range a.signed {
			g.signed[s.Witness] = s
		}
		g.outcomes[a.client].Err = a.err
		if !settled && g.reached() {
			settled = true
			enough = time.AfterFunc(grace, func() { cancel(ErrUnanswered) }).Stop
		}
	}
}

// askAll asks side by side, and closes the channel once all have answered.
func (g *gathering) askAll(ctx context.Context) <-chan answered {
	answers, turns := make(chan answered), make(chan struct{}, sideBySide)
	var asked sync.WaitGroup
	for i, c := range g.clients {
		g.outcomes = append(g.outcomes, Outcome{Names: names(c.keys), Address: c.address})
		asked.Go(func() {
			turns <- struct{}{}
			signed, err := g.askOne(ctx, c)
			<-turns
			if _, diverges := errors.AsType[*Divergence](err); err != nil && ctx.Err() != nil && !diverges {
				err = context.Cause(ctx)
			}
			answers <- answered{i, signed, err}
		})
	}
	go func() { asked.Wait(); close(answers) }()
	return answers
}

func names(keys []check.Witness) (all []string) {
	for _, k := range keys {
		all = append(all, k.Name)
	}
	return all
}

// askOne asks a witness, again if it has a head of another size, and finds out what
// lies behind a complaint.
func (g *gathering) askOne(ctx context.Context, c *client) ([]signed, error) {
	if c.address == "" {
		return nil, errors.New("the policy does not say where it is to be asked")
	}
	old := min(g.last, g.head.Size)
	for range attempts {
		path, err := g.proofs.of(ctx, old)
		if err != nil {
			return nil, err
		}
		signed, err := c.addCheckpoint(ctx, Request{Old: old, Proof: path, Checkpoint: g.own})
		other, differs := errors.AsType[*conflict](err)
		switch {
		case errors.Is(err, errInconsistent):
			return nil, g.judge(ctx, c, &Divergence{Witness: c.String(), Kind: ErrForked, Ours: g.head.Size, Theirs: old})
		case differs && other.size > g.head.Size:
			return nil, g.judge(ctx, c, &Divergence{Witness: c.String(), Kind: ErrRolledBack, Ours: g.head.Size, Theirs: other.size})
		case !differs:
			return signed, err
		}
		old = other.size
	}
	return nil, fmt.Errorf("%w: it names another size each time", ErrAnswer)
}

func (g *gathering) result() (*Gathered, error) {
	out := &Gathered{Checkpoint: g.head, Signed: bytes.Clone(g.own), Quorum: g.reached(), Outcomes: g.outcomes}
	for _, w := range g.policy.Named() {
		if s, ok := g.signed[w.Name]; ok {
			out.Signed = append(out.Signed, s.line...)
			out.Cosigned = append(out.Cosigned, s.Cosignature)
		}
	}
	if !out.Quorum {
		return out, nil
	}
	_, _, err := g.policy.Open(out.Signed, check.OthersRefused)
	return out, err
}

// proofs are made once for each size, however many witnesses have it.
type proofs struct {
	log  Source
	to   uint64
	mu   sync.Mutex // guards from
	from map[uint64]*proof
}

type proof struct {
	once sync.Once
	path []check.Hash
	err  error
}

func (p *proofs) of(ctx context.Context, size uint64) ([]check.Hash, error) {
	p.mu.Lock()
	one := p.from[size]
	if one == nil {
		one = new(proof)
		p.from[size] = one
	}
	p.mu.Unlock()
	one.once.Do(func() { one.path, one.err = p.log.Consistency(ctx, size, p.to) })
	return one.path, one.err
}
