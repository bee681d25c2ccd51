package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/timestamp"
	"tutela/internal/timestamp/client"
)

const (
	// stampEvery is how often a log that grows is stamped, whatever happens in it.
	stampEvery = time.Hour
	// stampPatience is how long all authorities together may take when nobody waits
	// for them, and when somebody does.
	stampPatience     = 10 * time.Second
	stampPatienceHand = 30 * time.Second
)

// vouchHead has the log's head cosigned and stamped, as far as that is due, and
// returns it. That a quorum is missing is an alarm and no error.
func vouchHead(a *app, l *lab.Lab) ([]byte, error) {
	head, err := anchor(a, l)
	if err != nil {
		return nil, err
	}
	stampHead(a, l, head.Size)
	kept, err := l.Heads().Load(head.Size)
	if errors.Is(err, fs.ErrNotExist) {
		return head.Signed, nil // nobody is asked to vouch for it
	}
	return kept.Signed, err
}

// vouched is [vouchHead] for who needs no head: an error is an alarm, unless it is
// how the program ends.
func vouched(a *app, l *lab.Lab) {
	if _, err := vouchHead(a, l); err != nil && a.diverged == nil && a.ctx.Err() == nil {
		a.alarm("nobody vouches for the head of the log: %v", err)
	}
}

// stampHead has the head of size entries stamped by every time-stamping authority of
// the policy, if it is due: at once after what others rest on (see lab.Standing), and
// hourly where anything happened. The lab must be open for writing and the head kept among its heads,
// or be the log's. A stamp that cannot be got is an alarm and stops nothing: what
// was asked of whom and what came of it is recorded as a clock-check event, which
// itself calls for no stamp.
func stampHead(a *app, l *lab.Lab, size uint64) {
	if err := stampIfDue(a, l, size); err != nil && a.ctx.Err() == nil {
		a.alarm("the head of %s is not stamped: %v", count(size, "entry"), err)
	}
}

func stampIfDue(a *app, l *lab.Lab, size uint64) error {
	standing, err := l.Standing(a.ctx)
	if err != nil || len(standing.Policy.TimeAuthorities) == 0 {
		return err
	}
	if !stampDue(standing, size, time.Now()) {
		return nil
	}
	outcomes, err := stampNow(a, l, size, stampPatience)
	return errors.Join(err, failures(outcomes))
}

// stampDue reports whether the head of size entries calls for a stamp. An attempt
// that failed is repeated after an hour, or when something new calls for one. A
// clock that was set back does not keep stamps away.
func stampDue(s *lab.Standing, size uint64, now time.Time) bool {
	switch {
	case s.Asked >= size || s.Moved <= s.Asked:
		return false
	case s.Weighty > s.Asked && s.Weighty <= size:
		return true
	}
	return s.AskedAt.IsZero() || now.Sub(s.AskedAt).Abs() >= stampEvery
}

// stampNow asks all authorities of the policy, keeps their stamps and records what
// they say of the clock. Errors are about the lab: what went wrong with an authority
// stands in its outcome.
func stampNow(a *app, l *lab.Lab, size uint64, patience time.Duration) ([]client.Outcome, error) {
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return nil, err
	}
	authorities, err := authoritiesOf(standing.Policy)
	if err != nil {
		return nil, err
	}
	signed, err := keptHead(a, l, size)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(a.ctx, patience)
	defer cancel()
	outcomes := client.StampAll(ctx, authorities, signed)
	for i := range outcomes {
		if outcomes[i].Err == nil {
			outcomes[i].Err = l.Heads().AddStamp(size, outcomes[i].Response)
		}
	}
	return outcomes, recordClocks(a.ctx, l, size, outcomes)
}

func authoritiesOf(p lab.Policy) (all []client.Authority, err error) {
	var roots *x509.CertPool
	if p.TimeRoots != "" {
		if roots, err = timestamp.ParseRoots([]byte(p.TimeRoots)); err != nil {
			return nil, fmt.Errorf("the policy's certificates of time-stamping authorities: %w", err)
		}
	}
	for _, address := range p.TimeAuthorities {
		all = append(all, client.Authority{URL: address, Roots: roots})
	}
	return all, nil
}

// keptHead is the signed head of a size, which is kept from now on if it is the
// log's.
func keptHead(a *app, l *lab.Lab, size uint64) ([]byte, error) {
	if kept, err := l.Heads().Load(size); err == nil {
		return kept.Signed, nil
	}
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	head, err := log.Head(a.ctx)
	if err != nil {
		return nil, err
	}
	if head.Size != size {
		return nil, hint(fmt.Errorf("no signed head of %s was kept; the log has %s", count(size, "entry"), count(head.Size, "entry")), "tutela ledger stamps")
	}
	return head.Signed, l.Heads().Save(size, head.Signed)
}

// recordClocks writes down how the lab's clock stands to those of the authorities.
func recordClocks(ctx context.Context, l *lab.Lab, size uint64, outcomes []client.Outcome) error {
	check := tutela.ClockCheck{Head: size, Authorities: []tutela.AuthorityClock{}}
	for _, o := range outcomes {
		check.Authorities = append(check.Authorities, clockOf(o))
	}
	return recordClockCheck(ctx, l, check)
}

func recordClockCheck(ctx context.Context, l *lab.Lab, check tutela.ClockCheck) error {
	ev := tutela.Event{Kind: tutela.EventClockCheck}
	var err error
	if ev.Detail, err = tutela.EncodeDetail(check); err != nil {
		return err
	}
	_, err = l.Record(ctx, ev)
	return err
}

func clockOf(o client.Outcome) tutela.AuthorityClock {
	clock := tutela.AuthorityClock{Address: o.URL}
	if u, err := url.Parse(o.URL); err == nil {
		clock.Address = u.Redacted()
	}
	if o.Err != nil {
		clock.Failed = shortened(o.Err.Error())
		return clock
	}
	low, high := floorMilliseconds(o.Clock.Low), -floorMilliseconds(-o.Clock.High)
	clock.Low, clock.High, clock.Verified = &low, &high, o.Verified
	return clock
}

// floorMilliseconds rounds down, so that bounds only widen.
func floorMilliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond > d {
		ms--
	}
	return ms
}

// shortened is what a stranger said, fit to be written down.
func shortened(text string) string {
	const most = 300 // characters
	runes := []rune(tutela.DisplayPath([]byte(text)))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

// failures joins what went wrong with each authority.
func failures(outcomes []client.Outcome) error {
	var errs []string
	for _, o := range outcomes {
		if o.Err != nil {
			errs = append(errs, shortened(o.Err.Error()))
		}
	}
	if errs == nil {
		return nil
	}
	return errors.New(strings.Join(errs, "; "))
}

// ledgerStamp has a head stamped by hand, or anchored in Bitcoin.
type ledgerStamp struct {
	Size     uint64 `arg:"" optional:"" help:"Entries of the head, if it is not the log's: one that was kept."`
	Calendar string `help:"Have an OpenTimestamps calendar anchor the head, instead of time-stamping authorities." placeholder:"URL"`
	Upgrade  bool   `help:"With --calendar: ask it what became of all its promises."`
}

func (c *ledgerStamp) Run(a *app) error {
	if c.Upgrade && (c.Calendar == "" || c.Size != 0) {
		return misuse("--upgrade asks one calendar about all heads: --calendar URL, and no size")
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if c.Upgrade {
		return upgradeAnchors(a, l, c.Calendar)
	}
	size, err := c.size(a, l)
	if err != nil {
		return err
	}
	if c.Calendar != "" {
		return anchorHead(a, l, size, c.Calendar)
	}
	return c.stamp(a, l, size)
}

func (c *ledgerStamp) size(a *app, l *lab.Lab) (uint64, error) {
	if c.Size != 0 {
		return c.Size, nil
	}
	log, err := l.ReadLog()
	if err != nil {
		return 0, err
	}
	head, err := log.Head(a.ctx)
	return head.Size, err
}

func (c *ledgerStamp) stamp(a *app, l *lab.Lab, size uint64) error {
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return err
	}
	if len(standing.Policy.TimeAuthorities) == 0 {
		return hint(errors.New("the lab's policy names no time-stamping authority"), "tutela lab policy --time-authority URL --time-roots FILE")
	}
	stop := waiting(a, "asking for time-stamps")
	outcomes, err := stampNow(a, l, size, stampPatienceHand)
	stop()
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Err == nil {
			if err := printStamped(a, size, o); err != nil {
				return err
			}
		}
	}
	return failures(outcomes)
}

// printStamped says what an authority answered.
func printStamped(a *app, size uint64, o client.Outcome) error {
	clock := clockOf(o)
	line := struct {
		Type     string  `json:"message_type"`
		Size     uint64  `json:"size"`
		Address  string  `json:"address"`
		Time     *string `json:"time"`
		Verified bool    `json:"verified"`
		Low      int64   `json:"low_ms"`
		High     int64   `json:"high_ms"`
	}{"stamped", size, clock.Address, stamp(o.Stamp.Time), o.Verified, *clock.Low, *clock.High}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "The head of %s is stamped: %s by %s%s.\n", count(size, "entry"), moment(o.Stamp.Time), tutela.DisplayPath([]byte(o.Stamp.Authority)), unverified(o.Verified))
		fmt.Fprintf(w, "  the lab's clock is ahead of it by %s to %s\n", time.Duration(*clock.Low)*time.Millisecond, time.Duration(*clock.High)*time.Millisecond)
	})
}

func unverified(verified bool) string {
	if verified {
		return ""
	}
	return ", not verified: the policy names no root certificate"
}

// alarm says on standard error what somebody has to look after, and work goes on.
func (a *app) alarm(format string, args ...any) {
	a.status.Clear()
	fmt.Fprintf(a.errs, "tutela: alarm: "+format+"\n", args...)
}

// note says on standard error what somebody may want to know.
func (a *app) note(format string, args ...any) {
	a.status.Clear()
	fmt.Fprintf(a.errs, "tutela: note: "+format+"\n", args...)
}
