package main

import (
	"context"
	"time"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/timestamp"
)

const (
	// clockLook is how often the clocks are read while a scan runs, and clockJump how
	// far they may part in between: what NTP does by steering is far less.
	clockLook = 10 * time.Second
	clockJump = time.Second
)

// watchClock records, until it is stopped, when the clock of this machine is set
// while work goes on: as a clock-check event with the jump. On Linux the machine
// waking up looks the same. It also has the log cosigned and stamped meanwhile.
func watchClock(a *app, l *lab.Lab) (stop func()) {
	ctx, cancel := context.WithCancel(a.ctx)
	tick := time.NewTicker(clockLook)
	done := make(chan struct{})
	heads := watchHead(a, l)
	go func() {
		defer close(done)
		defer tick.Stop()
		followClock(ctx, timestamp.SystemClock(), tick.C, func() { heads.tick(time.Now()); stampHourly(a, l) }, func(jump time.Duration) {
			a.alarm("the clock of this machine was set %s while work went on", describeJump(jump))
			err := recordClockCheck(ctx, l, tutela.ClockCheck{Authorities: []tutela.AuthorityClock{}, Jump: jump.Milliseconds()})
			if err != nil && ctx.Err() == nil {
				a.alarm("that could not be recorded: %v", err)
			}
		})
	}()
	return func() { cancel(); <-done }
}

// stampHourly has the head stamped when the last time was long enough ago.
func stampHourly(a *app, l *lab.Lab) {
	standing, err := l.Standing(a.ctx)
	if err == nil && len(standing.Policy.TimeAuthorities) > 0 && time.Since(standing.AskedAt).Abs() >= stampEvery {
		vouched(a, l)
	}
}

// followClock looks at the clock with every tick, tells of jumps in between, and then
// does what else is due.
func followClock(ctx context.Context, clock func() timestamp.Reading, ticks <-chan time.Time, due func(), jumped func(time.Duration)) {
	w := timestamp.Watch{Tolerance: clockJump}
	w.Observe(clock())
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			if jump := w.Observe(clock()); jump != 0 {
				jumped(jump)
			}
			due()
		}
	}
}

func describeJump(jump time.Duration) string {
	if jump < 0 {
		return "back by " + (-jump).Round(time.Millisecond).String()
	}
	return "forward by " + jump.Round(time.Millisecond).String()
}
