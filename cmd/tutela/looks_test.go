package main

import (
	"context"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"tutela"
	"tutela/internal/lab"
)

// lookAround is `looks PERSON EXHIBIT TIMES PURPOSE`: somebody views an exhibit in
// pages so often, under W-1, and once where it is refused.
func lookAround(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: looks PERSON EXHIBIT TIMES PURPOSE")
	}
	times, err := strconv.Atoi(args[2])
	ts.Check(err)
	ctx := context.Background()
	l, err := lab.Open(ctx, ts.Getenv("TUTELA_LAB"), lab.Write, args[0])
	ts.Check(err)
	defer l.Close()
	reads, err := l.OpenReads(ctx)
	ts.Check(err)
	detail, err := tutela.EncodeDetail(tutela.Look{Action: tutela.ActionView, Purpose: args[3]})
	ts.Check(err)
	ev := tutela.Event{Kind: tutela.EventAccess, Actor: args[0], Case: "2026-17", Exhibit: args[1], Authority: "W-1", Detail: detail}
	for range times {
		_, err := reads.Record(ctx, ev)
		ts.Check(err)
	}
	ev.Kind = tutela.EventRefused
	_, err = reads.Record(ctx, ev)
	ts.Check(err)
	ts.Check(reads.Close())
}
