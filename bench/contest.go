package main

import (
	"fmt"
	"os/exec"
	"time"
)

// contestant is one way of doing the work. Its turn is prepared outside the
// time: ready returns the process to measure, and after, which judges what the
// process printed and clears up behind it.
type contestant struct {
	name  string
	ready func() (cmd *exec.Cmd, after func(stdout []byte) error, err error)
}

// cost is what one process took, as the operating system tells.
type cost struct {
	wall time.Duration
	cpu  time.Duration // user and system, of all its threads
	peak int64         // bytes of resident memory
}

// result is a contestant's turns, in the order of the rounds.
type result struct {
	name  string
	costs []cost
}

func (r result) walls() []float64 {
	return r.each(func(c cost) float64 { return c.wall.Seconds() })
}

func (r result) each(of func(cost) float64) []float64 {
	out := make([]float64, len(r.costs))
	for i, c := range r.costs {
		out[i] = of(c)
	}
	return out
}

// contest lets the contestants take turns: all of them once in each round.
func (b *bench) contest(rounds int, contestants ...contestant) ([]result, error) {
	results := make([]result, len(contestants))
	for round := range rounds {
		for i, c := range contestants {
			cost, err := b.turn(c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			b.tell("  round %d: %-24s %7.3f s, %7.3f s of processors, %4d MB", round+1, c.name, cost.wall.Seconds(), cost.cpu.Seconds(), cost.peak/1e6)
			results[i].name = c.name
			results[i].costs = append(results[i].costs, cost)
		}
	}
	for _, r := range results {
		b.out.took = append(b.out.took, took{b.out.title, r})
	}
	return results, nil
}

func (b *bench) turn(c contestant) (cost, error) {
	cmd, after, err := c.ready()
	if err != nil {
		return cost{}, err
	}
	settleDisk() // so that nobody pays for what another has written
	cost, stdout, err := runMeasured(cmd)
	if judged := after(stdout); err == nil {
		err = judged
	}
	return cost, err
}

// fastest is the result with the smallest median.
func fastest(results []result) result {
	best := results[0]
	for _, r := range results[1:] {
		if median(r.walls()) < median(best.walls()) {
			best = r
		}
	}
	return best
}
