package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
)

// When the journal commits, and when it lets the agency log know.
const (
	commitRecords   = 16384
	commitInterval  = 2 * time.Second
	interimRecords  = 10_000_000
	interimInterval = 5 * time.Minute
)

// journal takes records in the order of the walk and makes them last. Three
// things follow one another, each caught up from the one before when a scan
// goes on:
//
//  1. the record tree: its commit frame is the commit point of the scan, and
//     the frame's cursor is where the scan goes on
//  2. the match tree: never ahead of the records
//  3. the catalogue: never ahead of either
type journal struct {
	ctx     context.Context
	grant   authority.Grant
	desk    Desk
	id      catalog.ScanID
	records *ledger.Tree
	matches *matching
	follow  *follower
	thumbs  *thumbs

	batch    int // records that are committed together
	state    state
	pending  []*tutela.Record // taken since the last commit
	body     []byte           // room for one encoded record
	last     time.Time        // of the last commit
	interim  time.Time        // of the last interim root
	interimN uint64
	progress *progress
}

// state is what the commit frame carries beside the tree itself.
type state struct {
	Cursor Cursor         `json:"cursor"`
	Counts catalog.Counts `json:"counts"` // of all records so far
	Unread int64          `json:"unread"` // bytes of their contents that could not be read
}

// openState reads the state of a tree that may be new.
func openState(t *ledger.Tree) (s state, err error) {
	raw := t.Cursor()
	if len(raw) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read the journal's cursor: %w", err)
	}
	return s, nil
}

// take appends one record. It is lost by a crash until the next commit, and
// read again then.
func (j *journal) take(at Cursor, r *tutela.Record) error {
	j.body = ledger.AppendRecord(j.body[:0], r)
	if err := j.records.Append(j.body); err != nil {
		return err
	}
	j.state.Cursor = at
	j.state.Counts.Count(r)
	for _, run := range r.Unread {
		j.state.Unread += run.Length
	}
	j.pending = append(j.pending, r)
	j.progress.take(r)
	if len(j.pending) < j.batch && time.Since(j.last) < commitInterval {
		return nil
	}
	return j.commit()
}

// commit makes everything taken so far last, and stops the scan if its
// authority has ended meanwhile.
func (j *journal) commit() error {
	cursor, err := json.Marshal(j.state)
	if err != nil {
		return err
	}
	j.thumbs.sync()
	first := j.records.Size() - uint64(len(j.pending))
	if err := j.records.Commit(cursor); err != nil {
		return fmt.Errorf("commit the records: %w", err)
	}
	batch := j.pending
	j.pending = make([]*tutela.Record, 0, len(batch))
	j.last = time.Now()
	if err := j.matches.take(first, batch); err != nil {
		return err
	}
	j.progress.match(&j.matches.state)
	if err := j.follow.send(first, batch); err != nil {
		return err
	}
	if err := j.tellInterim(); err != nil {
		return err
	}
	return j.grant.Err()
}

// Interim is the detail of an interim event: how far a running scan has come.
type Interim struct {
	Exhibit string        `json:"exhibit"`
	Number  int           `json:"number"`
	Records uint64        `json:"records"`
	Root    tutela.SHA256 `json:"root"`
}

// tellInterim writes the root so far into the agency log now and then, so that
// a long scan cannot be rewritten before it is sealed.
func (j *journal) tellInterim() error {
	if time.Since(j.interim) < interimInterval && j.records.Size()-j.interimN < interimRecords {
		return nil
	}
	root, err := j.records.Root()
	if err != nil {
		return err
	}
	key := fmt.Sprintf("interim/%s/%d/%d", j.id.Exhibit, j.id.Number, j.records.Size())
	ev, err := event(j.grant, tutela.EventInterim, key, Interim{j.id.Exhibit, j.id.Number, j.records.Size(), tutela.SHA256(root)})
	if err != nil {
		return err
	}
	ev.Facts = []tutela.Fact{rootOf(tutela.FactRecords, j.records.Size(), tutela.SHA256(root))}
	if _, err := j.desk.RecordAll(j.ctx, ev); err != nil {
		return fmt.Errorf("write an interim root: %w", err)
	}
	j.interim, j.interimN = time.Now(), j.records.Size()
	return nil
}
