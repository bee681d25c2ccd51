package scan

import (
	"context"
	"errors"
	"fmt"
	"math"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/ledger"
)

// Rematch holds the records of a sealed scan against the sets of today, without
// the evidence, in a match run of its own. The runs before it stay provable; the
// catalogue shows the new one. Where the newest run was already made against
// these sets, it is finished if need be and shown again.
func Rematch(ctx context.Context, grant authority.Grant, job Job) (tutela.MatchRun, error) {
	if err := grant.Permits(tutela.ActionRematch); err != nil {
		return tutela.MatchRun{}, err
	}
	records, err := job.Desk.ReadRecords(job.ID)
	if err != nil {
		return tutela.MatchRun{}, err
	}
	defer records.Close()
	run, m, err := openRun(ctx, job)
	if err != nil {
		return tutela.MatchRun{}, err
	}
	err = m.catchUp(ctx, records)
	if err := errors.Join(err, m.tree.Close()); err != nil {
		return tutela.MatchRun{}, ended(ctx, err)
	}
	detail, matched, err := completeRun(ctx, grant, job, records, run, &m.state)
	if err != nil {
		return detail, err
	}
	_, err = job.Desk.RecordAll(ctx, matched)
	return detail, err
}

// completeRun makes a match run over records what the catalogue shows, and the
// event that says so.
func completeRun(ctx context.Context, grant authority.Grant, job Job, records *ledger.Reader, run int, s *matchState) (detail tutela.MatchRun, ev tutela.Event, err error) {
	tree, err := job.Desk.ReadMatches(job.ID, run)
	if err != nil {
		return detail, ev, err
	}
	defer tree.Close()
	if err := job.Desk.ShowMatches(ctx, job.Catalog, job.ID, run, math.MaxUint64); err != nil {
		return detail, ev, err
	}
	detail = tutela.MatchRun{
		Exhibit: job.ID.Exhibit, Number: job.ID.Number, Run: run, Root: tutela.SHA256(tree.Root()), Matches: tree.Size(),
		Sets: append([]tutela.SetVersion{}, job.Sets.Versions()...), Alerts: s.Alerts, OfInterest: s.OfInterest, KnownGood: s.KnownGood,
	}
	facts, err := job.Desk.RootFacts(ctx, tutela.FactMatches, tree)
	if err != nil {
		return detail, ev, ended(ctx, err)
	}
	ev, err = event(grant, tutela.EventMatchRun, fmt.Sprintf("match-run/%s/%d/%d", job.ID.Exhibit, job.ID.Number, run), detail)
	ev.Facts = append(facts, rootOf(tutela.FactRecords, records.Size(), tutela.SHA256(records.Root())))
	return detail, ev, err
}
