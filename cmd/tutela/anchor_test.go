package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela/internal/ledger/check"
	"tutela/internal/witness"
)

// The head is cosigned as it moves, every half minute at most; the alarm comes after
// a minute without a quorum, once, and so does the word that all is well.
func TestHeadWatch(t *testing.T) {
	var size uint64
	var dead bool
	var asked []int
	var said []string
	second := 0
	say := func(kind string) func(string, ...any) {
		return func(format string, args ...any) {
			said = append(said, fmt.Sprintf("%d %s: ", second, kind)+fmt.Sprintf(format, args...))
		}
	}
	h := &headWatch{
		size: func() (uint64, error) { return size, nil },
		anchor: func() (*witness.Gathered, error) {
			asked = append(asked, second)
			g := &witness.Gathered{Checkpoint: check.Checkpoint{Size: size}, Quorum: !dead}
			if dead {
				g.Outcomes = []witness.Outcome{{Names: []string{"court"}, Address: "http://court.example", Err: witness.ErrUnanswered}}
			}
			return g, nil
		},
		alarm: say("alarm"), note: say("note"),
	}
	start := time.Now()
	moves := map[int]uint64{0: 5, 10: 6, 40: 7, 200: 8, 300: 9}
	for ; second <= 400; second += 10 {
		if n, ok := moves[second]; ok {
			size = n
		}
		dead = second >= 200 && second < 350
		h.tick(start.Add(time.Duration(second) * time.Second))
	}
	if want := []int{0, 30, 60, 200, 230, 260, 290, 320, 350}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v, not %v", asked, want)
	}
	want := []string{
		"260 alarm: no quorum of witnesses has cosigned the head for 1m 00s",
		"260 alarm: witness court at http://court.example: it has not answered",
		"350 note: a quorum of witnesses has cosigned the head again, of 9 entries",
	}
	if !slices.EqualFunc(said, want, strings.HasPrefix) {
		t.Errorf("said %q", said)
	}
}

// Another history of the log is told at once, and once.
func TestHeadWatchOfADivergence(t *testing.T) {
	var said []string
	h := &headWatch{
		size:   func() (uint64, error) { return 5, nil },
		anchor: func() (*witness.Gathered, error) { return nil, &witness.Divergence{Kind: witness.ErrForked} },
		alarm:  func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	start := time.Now()
	h.tick(start)
	h.tick(start.Add(anchorEvery))
	if len(said) != 1 || !strings.HasPrefix(said[0], witness.ErrForked.Error()) {
		t.Errorf("said %q", said)
	}
	h.size = func() (uint64, error) { return 0, errors.New("gone") }
	h.tick(start.Add(2 * anchorEvery))
	if len(said) != 2 {
		t.Errorf("said %q", said)
	}
	(*headWatch)(nil).tick(start) // of a lab without witnesses
}
