package oracle

import (
	"context"
	"fmt"

	"tutela"
)

// place is one path of one volume: nearly always one record and one row, and more
// where deleted files had the same name.
type place struct {
	witness witness
	image   string
	volume  tutela.SealedVolume
	ours    []*ours
	theirs  []row
	result  Result
	alone   []row // of theirs, without a record
}

// reading is what the other program gave for a row.
type reading struct {
	sum  tutela.SHA256
	size int64
	err  error
}

// compare pairs every row with the record most like it.
func (p *place) compare(ctx context.Context) {
	p.result.Records, p.result.Rows = uint64(len(p.ours)), uint64(len(p.theirs))
	for i := range p.theirs {
		r := &p.theirs[i]
		got := p.read(ctx, r)
		if best := p.match(r, got); best != nil {
			best.met = true
			p.pair(best, r, got)
		} else {
			p.alone = append(p.alone, *r)
		}
	}
}

func (p *place) differ(k Kind, path, detail string) {
	p.result.Differences = append(p.result.Differences, Difference{k, p.volume.Number, path, detail})
}

// read has the content read, if there is a record to hold it against. Neither side
// may make the other program read more than both say there is.
func (p *place) read(ctx context.Context, r *row) *reading {
	if len(p.ours) == 0 || !r.content() {
		return nil
	}
	limit := r.size
	for _, o := range p.ours {
		limit = max(limit, o.size)
	}
	got := &reading{}
	got.sum, got.size, got.err = p.witness.content(ctx, p.image, p.volume.Offset, r.address, limit)
	return got
}

// match is the record that a row is most like, among those that have no row yet;
// nil if there is none.
func (p *place) match(r *row, got *reading) (best *ours) {
	likeness := -1
	for _, o := range p.ours {
		if o.met {
			continue
		}
		n := 0
		if got != nil && got.err == nil && o.hashed && o.sum == got.sum {
			n += 4
		}
		if r.deleted == (o.state != tutela.Allocated) {
			n += 2
		}
		if o.size == r.size {
			n++
		}
		if n > likeness {
			best, likeness = o, n
		}
	}
	return best
}

// pair tells what is not the same of a record and a row.
func (p *place) pair(o *ours, r *row, got *reading) {
	before := len(p.result.Differences)
	if r.deleted != (o.state != tutela.Allocated) {
		p.differ(State, o.path, fmt.Sprintf("%s for us, %s for tsk", o.state, r.state()))
	}
	same, detail := agree(o, r, got)
	if detail != "" {
		p.differ(Content, o.path, detail+because(o))
	}
	if same {
		p.result.Contents++
	}
	if len(p.result.Differences) == before {
		p.result.Agreed++
	}
}

// agree reports whether both read the same bytes, and in words what is not so.
// Where neither gave bytes there is nothing to say.
func agree(o *ours, r *row, got *reading) (same bool, detail string) {
	switch {
	case got == nil || o.kind != tutela.File:
		return false, ""
	case got.err != nil && o.size == 0 && r.size == 0:
		return false, "" // icat fails on a file that has no content at all
	case got.err != nil && o.hashed:
		return false, fmt.Sprintf("tsk could not read it: %s; we read %d bytes, sha256 %s", reason(got.err), o.size, o.sum)
	case got.err != nil:
		return false, ""
	case !o.hashed && got.size == 0:
		return false, ""
	case !o.hashed:
		return false, fmt.Sprintf("we did not read all of it%s; tsk reads %d bytes, sha256 %s", colon(o.failure), got.size, got.sum)
	case o.sum != got.sum:
		return false, fmt.Sprintf("we read %d bytes, sha256 %s; tsk reads %d bytes, sha256 %s", o.size, o.sum, got.size, got.sum)
	}
	return true, ""
}

func colon(failure string) string {
	if failure == "" {
		return ""
	}
	return ": " + failure
}

// because is what our record says by itself about bytes that may be others'.
func because(o *ours) string {
	if o.doubt == "" {
		return ""
	}
	return "; our record says " + o.doubt
}

// state is what fls says of a name.
func (r *row) state() string {
	switch {
	case r.realloc:
		return "deleted, its inode in use again"
	case r.deleted:
		return "deleted"
	}
	return "allocated"
}
