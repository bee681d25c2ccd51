package scan

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"tutela"
	"tutela/internal/digest"
	"tutela/internal/evidence"
)

// Evidence is what a scan walks; survey.Survey is one. Its Walk must keep the
// promises of evidence.FileSystem.
type Evidence = evidence.FileSystem

// orderAhead is how many units may be ahead of the one the ledger waits for:
// while one worker reads a large file, the others go on for this long.
const orderAhead = 16384

// streamsAhead is how many opened entries wait for a lane of the hashers.
const streamsAhead = 48

// taking receives the records in the order of the walk. at is the cursor with
// the record taken: a scan continued from it begins with the next record.
type taking func(at Cursor, r *tutela.Record) error

// observe reads the evidence with all workers and hands every record, in the
// order of the walk, to take. It is the whole of a scan but for what is done
// with the records.
func observe(ctx context.Context, ev Evidence, o *observer, workers int, from Cursor, take taking) error {
	group, ctx := errgroup.WithContext(ctx)
	p := &pipeline{
		ctx:       ctx,
		observer:  o,
		work:      make(chan *unit, streamsAhead),
		order:     make(chan *unit, orderAhead),
		streams:   make(chan *digest.Stream, streamsAhead),
		expanding: newSlots(workers),
	}
	group.Go(func() error {
		defer close(p.order)
		defer close(p.work)
		return walk(ctx, ev, o.options.Limits, o.profile.visits, from, p.work, p.order)
	})
	group.Go(func() error { return p.openAll(workers) })
	for range workers {
		group.Go(func() error { return digest.NewHasher().Run(ctx, p.streams, p.done) })
	}
	group.Go(func() error { return inOrder(ctx, p.order, from, take) })
	err := group.Wait()
	p.expanding.wait()
	p.closeLeft()
	return err
}

// pipeline is the way of the units from the walk to the ledger: opened, read,
// looked into, put in order.
type pipeline struct {
	ctx       context.Context
	observer  *observer
	work      chan *unit          // from the walk to the openers
	streams   chan *digest.Stream // from the openers to the hashers
	order     chan *unit          // from the walk to the ledger
	expanding *slots
}

// openAll opens entries ahead of the hashers, so that a free lane never waits
// for the file system. Entries that have nothing to read are finished here.
func (p *pipeline) openAll(openers int) error {
	defer close(p.streams)
	var group errgroup.Group
	for range openers {
		group.Go(func() error {
			for u := range p.work {
				if err := p.open(u); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (p *pipeline) open(u *unit) error {
	r, rec := p.observer.open(u.entry)
	if r == nil {
		u.records <- rec
		close(u.records)
		return nil
	}
	r.unit = u
	select {
	case p.streams <- &digest.Stream{R: r.salvage, Tee: r.see, Tag: r}:
		return nil
	case <-p.ctx.Done():
		r.content.Close()
		return context.Cause(p.ctx)
	}
}

// closeLeft closes what was opened and never read because the scan ended.
func (p *pipeline) closeLeft() {
	for s := range p.streams {
		s.Tag.(*reading).content.Close()
	}
}

// done turns a stream that has ended into its record. Videos are watched, and
// what others lie in is gone into, beside the other work.
func (p *pipeline) done(s *digest.Stream) {
	r := s.Tag.(*reading)
	rec := r.record(s.Sum, s.Size, s.Err)
	r.look(p.ctx, rec)
	if r.wants&wantVideo != 0 && rec.Hashed {
		p.expanding.run(p.ctx, r.unit, func() {
			r.watch(p.ctx, rec)
			r.finish(rec)
		})
		return
	}
	if r.wants&wantArchive == 0 || !rec.Hashed {
		r.finish(rec)
		return
	}
	r.unit.records <- rec
	p.expanding.run(p.ctx, r.unit, func() { p.expand(r) })
}

// finish hands over the only record of a unit.
func (r *reading) finish(rec *tutela.Record) {
	r.unit.records <- rec
	r.drop()
	close(r.unit.records)
}

func (p *pipeline) expand(r *reading) {
	defer close(r.unit.records)
	defer r.drop()
	emit := func(rec *tutela.Record) error {
		select {
		case r.unit.records <- rec:
			return nil
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	if err := p.tryExpand(r, emit); err != nil && p.ctx.Err() == nil {
		emit(p.observer.embeddedFailure(r.entry, err))
	}
}

// tryExpand makes a panic in a decoder of archives a failure of this archive.
func (p *pipeline) tryExpand(r *reading, emit func(*tutela.Record) error) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("reader failed: %v", bug)
		}
	}()
	return p.observer.expand(p.ctx, r, emit)
}

// inOrder takes the units' records in the order of the walk.
func inOrder(ctx context.Context, order <-chan *unit, from Cursor, take taking) error {
	at, skip := from, from.Within
	at.Within, at.Inside = 0, 0
	for {
		u, err := nextUnit(ctx, order)
		if u == nil {
			return err
		}
		close(u.turn)
		if at, err = takeUnit(ctx, u, at, skip, take); err != nil {
			return err
		}
		skip = 0
	}
}

func nextUnit(ctx context.Context, order <-chan *unit) (*unit, error) {
	select {
	case u := <-order:
		return u, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// takeUnit takes all records of one unit but for the first skip, which an
// earlier part of the scan has taken. The last record completes the unit, so
// each is held back until it is known whether another follows.
func takeUnit(ctx context.Context, u *unit, at Cursor, skip uint64, take taking) (Cursor, error) {
	complete := Cursor{Units: u.number, Names: uint64(trail(at.Names).add(u.entry))}
	var held *tutela.Record
	var taken uint64
	flush := func(c Cursor) error {
		if held == nil || taken <= skip {
			return nil
		}
		return take(c, held)
	}
	for {
		select {
		case r, more := <-u.records:
			// What ends because the scan ends is neither complete nor true.
			if ctx.Err() != nil {
				return at, context.Cause(ctx)
			}
			if !more && taken < skip {
				return at, fmt.Errorf("%w: %s holds less than then", ErrEvidenceChanged, tutela.DisplayPath(u.entry.Path))
			}
			if !more {
				return complete, flush(complete)
			}
			if err := flush(Cursor{Units: at.Units, Within: taken, Names: at.Names, Inside: complete.Names}); err != nil {
				return at, err
			}
			held = r
			taken++
		case <-ctx.Done():
			return at, context.Cause(ctx)
		}
	}
}

// ended tells an interruption by a person or by the authority's end from a
// failure.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("scan interrupted: %w", cause)
	}
	return err
}
