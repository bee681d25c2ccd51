package main

import (
	"encoding/json"
	"io"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/oversight"
)

type ledgerReads struct {
	Limit int `help:"The last so many. Default: all." placeholder:"N"`
}

// Run lists the access ledger: who read what, under what and why.
func (c *ledgerReads) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	var last []lab.Looked // of a limited list
	for read, err := range l.ReadReads(a.ctx) {
		if err != nil {
			return err
		}
		if c.Limit == 0 {
			err = printRead(a, read)
		} else if last = append(last, read); len(last) >= 2*c.Limit {
			last = append(last[:0], last[len(last)-c.Limit:]...)
		}
		if err != nil {
			return err
		}
	}
	for _, read := range last[max(len(last)-c.Limit, 0):] {
		if err := printRead(a, read); err != nil {
			return err
		}
	}
	return nil
}

func printRead(a *app, read lab.Looked) error {
	s := oversight.SeenIn(read.Period, read.Leaf, read.Event)
	return a.print(seenLine(s), func(w io.Writer) { printSeen(w, s) })
}

// seenLine is one act of reading in JSON.
func seenLine(s oversight.Seen) any {
	return struct {
		Type      string           `json:"message_type"`
		Period    int              `json:"period"`
		Index     uint64           `json:"index"`
		Kind      tutela.EventKind `json:"kind"`
		Time      *string          `json:"time"`
		Actor     string           `json:"actor"`
		Case      string           `json:"case"`
		Exhibit   string           `json:"exhibit"`
		Authority string           `json:"authority"`
		Action    tutela.Action    `json:"action"`
		Purpose   string           `json:"purpose"`
		Detail    json.RawMessage  `json:"detail"`
	}{"read", s.Period, s.Index, s.Kind, stamp(s.Time), s.Actor, s.Case, s.Exhibit, s.Authority, s.Action, s.Purpose, detailOf(s.Event)}
}
