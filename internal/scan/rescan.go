package scan

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/ledger"
)

// Difference is one place where the evidence read again is not what the ledger
// says. One of the two records is nil where only one side has it.
type Difference struct {
	Leaf           uint64
	Ledger, Reread *tutela.Record
}

// String tells the difference in words.
func (d Difference) String() string {
	switch {
	case d.Reread == nil:
		return fmt.Sprintf("leaf %d %s: in the ledger, not found again", d.Leaf, d.Ledger.DisplayPath())
	case d.Ledger == nil:
		return fmt.Sprintf("%s: found now, not in the ledger", d.Reread.DisplayPath())
	case d.Ledger.Digests != d.Reread.Digests:
		return fmt.Sprintf("leaf %d %s: its content is another now: sha256 %s, the ledger says %s", d.Leaf, d.Ledger.DisplayPath(), d.Reread.Digests.SHA256, d.Ledger.Digests.SHA256)
	}
	return fmt.Sprintf("leaf %d %s: what was observed besides its content is another now", d.Leaf, d.Ledger.DisplayPath())
}

// Rescan reads the evidence again, independently of what was recorded, and
// tells every place where the records differ, in the order of the ledger. It
// changes nothing. differ may stop it by returning an error.
func Rescan(ctx context.Context, grant authority.Grant, job Job, differ func(Difference) error) (compared uint64, err error) {
	if err := grant.Permits(tutela.ActionRescan); err != nil {
		return 0, err
	}
	if job.Watch == nil {
		job.Watch = new(Watch)
	}
	records, err := job.Desk.ReadRecords(job.ID)
	if err != nil {
		return 0, err
	}
	defer records.Close()
	next, stop := iter.Pull2(records.Records(0))
	defer stop()
	c := &comparison{next: next, differ: differ, recorded: waiting{}, reread: waiting{}}
	o := newObserver(&job, &job.Watch.progress, nil, new(thumbs))
	if err := observe(ctx, job.Evidence, o, job.workers(), Cursor{}, c.take); err != nil {
		return c.leaf, ended(ctx, err)
	}
	return c.leaf, c.rest()
}

// comparison holds records read again against those of the ledger, in step.
// Where only one side has a record the other runs ahead by one from there on:
// what has not met its counterpart yet waits, so that one file more or less is
// one difference and not as many as there are files behind it.
type comparison struct {
	next         func() (*tutela.Record, error, bool)
	leaf         uint64 // of the next record of the ledger
	recorded     waiting
	reread       waiting
	ledger, read []byte
	differ       func(Difference) error
}

// waiting holds one side's records that have not met their counterpart, by the
// place where they lie.
type waiting map[string][]waitingRecord

type waitingRecord struct {
	leaf   uint64
	record *tutela.Record
}

func place(r *tutela.Record) string {
	return r.Volume + "\x00" + r.State.String() + "\x00" + string(r.Path)
}

// take removes the first record that waits at a place.
func (w waiting) take(at string) (found waitingRecord, ok bool) {
	all := w[at]
	if len(all) == 0 {
		return found, false
	}
	if len(all) == 1 {
		delete(w, at)
	} else {
		w[at] = all[1:]
	}
	return all[0], true
}

func (c *comparison) take(_ Cursor, reread *tutela.Record) error {
	if err := c.advance(); err != nil {
		return err
	}
	at := place(reread)
	if recorded, ok := c.recorded.take(at); ok {
		return c.compare(recorded.leaf, recorded.record, reread)
	}
	c.reread[at] = append(c.reread[at], waitingRecord{record: reread})
	return nil
}

// advance takes the next record of the ledger, if there is one.
func (c *comparison) advance() error {
	recorded, err, more := c.next()
	if err != nil || !more {
		return err
	}
	leaf, at := c.leaf, place(recorded)
	c.leaf++
	if reread, ok := c.reread.take(at); ok {
		return c.compare(leaf, recorded, reread.record)
	}
	c.recorded[at] = append(c.recorded[at], waitingRecord{leaf, recorded})
	return nil
}

func (c *comparison) compare(leaf uint64, recorded, reread *tutela.Record) error {
	c.ledger = ledger.AppendRecord(c.ledger[:0], recorded)
	c.read = ledger.AppendRecord(c.read[:0], reread)
	if bytes.Equal(c.ledger, c.read) {
		return nil
	}
	return c.differ(Difference{Leaf: leaf, Ledger: recorded, Reread: reread})
}

// rest tells what has met no counterpart when the evidence has ended.
func (c *comparison) rest() error {
	for before := c.leaf - 1; before != c.leaf; {
		before = c.leaf
		if err := c.advance(); err != nil {
			return err
		}
	}
	for _, w := range c.recorded.inOrder() {
		if err := c.differ(Difference{Leaf: w.leaf, Ledger: w.record}); err != nil {
			return err
		}
	}
	for _, w := range c.reread.inOrder() {
		if err := c.differ(Difference{Reread: w.record}); err != nil {
			return err
		}
	}
	return nil
}

func (w waiting) inOrder() []waitingRecord {
	var all []waitingRecord
	for _, at := range slices.Sorted(maps.Keys(w)) {
		all = append(all, w[at]...)
	}
	slices.SortStableFunc(all, func(a, b waitingRecord) int { return cmp.Compare(a.leaf, b.leaf) })
	return all
}
