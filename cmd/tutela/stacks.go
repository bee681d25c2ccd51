package main

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"

	"tutela/internal/catalog"
	"tutela/internal/stack"
	"tutela/internal/term"
)

// stackLine is one line of `tutela find --stacks --json`. Other programs read
// it: the names must never change.
type stackLine struct {
	Type    string       `json:"message_type"`
	Size    int          `json:"size"`
	Members []memberLine `json:"members"` // the one that stands for the stack first, then by distance from it
}

type memberLine struct {
	Case     string `json:"case"`
	Exhibit  string `json:"exhibit"`
	Scan     int    `json:"scan"`
	Volume   string `json:"volume"`
	Path     string `json:"path"`
	Leaf     uint64 `json:"leaf"`
	Distance int    `json:"distance"` // bits
}

// printStacks puts pictures that look alike into stacks and prints those of two
// and more, the largest first.
func printStacks(a *app, hits iter.Seq2[catalog.Hit, error], limit int) error {
	stacks, places, err := pile(hits)
	if err != nil {
		return err
	}
	var order []int
	for n := range stacks.Len() {
		if stacks.Size(n) > 1 {
			order = append(order, n)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(stacks.Size(y), stacks.Size(x)) })
	alone := stacks.Len() - len(order)
	if limit > 0 {
		order = order[:min(limit, len(order))]
	}
	shown := 0
	for _, n := range order {
		shown += stacks.Size(n)
		line := lineOfStack(stacks, n, places)
		if err := a.print(line, func(w io.Writer) { printStack(w, line) }); err != nil {
			return err
		}
	}
	a.say("%s of %s that look alike; %s stand alone.", count(uint64(len(order)), "stack"), count(uint64(shown), "picture"), term.Count(alone))
	return nil
}

// pile puts every picture on a stack. A picture's id is its place among places.
func pile(hits iter.Seq2[catalog.Hit, error]) (*stack.Stacks, []memberLine, error) {
	stacks := stack.New()
	var places []memberLine
	for hit, err := range hits {
		if err != nil {
			return nil, nil, err
		}
		p := hit.Record.Picture
		if p == nil {
			continue
		}
		if _, ok := stacks.Add(uint64(len(places)), p.PDQ, p.Quality); ok {
			places = append(places, memberLine{Case: hit.Case, Exhibit: hit.Exhibit, Scan: hit.Number, Volume: hit.Record.Volume, Path: hit.Record.DisplayPath(), Leaf: hit.Leaf})
		}
	}
	return stacks, places, nil
}

func lineOfStack(stacks *stack.Stacks, n int, places []memberLine) stackLine {
	line := stackLine{Type: "stack", Size: stacks.Size(n)}
	medoid := stacks.Medoid(n).ID
	for m := range stacks.Members(n) {
		member := places[m.ID]
		member.Distance = m.Distance
		if m.ID == medoid {
			line.Members = slices.Insert(line.Members, 0, member)
			continue
		}
		line.Members = append(line.Members, member)
	}
	slices.SortStableFunc(line.Members[1:], func(x, y memberLine) int { return cmp.Compare(x.Distance, y.Distance) })
	return line
}

func printStack(w io.Writer, line stackLine) {
	fmt.Fprintf(w, "%s\n", count(uint64(line.Size), "picture"))
	for _, m := range line.Members {
		fmt.Fprintf(w, "    %3d bits  %s%s  %s  leaf %d\n", m.Distance, m.Exhibit, volumeMark(m.Volume), m.Path, m.Leaf)
	}
}
