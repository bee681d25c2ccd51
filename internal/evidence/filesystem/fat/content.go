package fat

import (
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

var (
	errCrowded = errors.New("files in use claim more clusters than the volume has: not read")
	errNoStart = errors.New("it has a size and no first cluster")
	errTaken   = errors.New("its first cluster belongs to something else now")
	errTooFew  = errors.New("there are not enough free clusters behind its first one")
	errTooMany = errors.New("deleted files claim too many clusters: not read")
)

// giveFile gives out one file.
func (w *walker) giveFile(d *directory, e *entry) error {
	if e.dead {
		if w.ghosts--; w.ghosts < 0 {
			w.dropped++
			return nil
		}
	}
	out := w.entry(d, e.name, e.at, e.start)
	out.Size, out.Times = e.size, e.slot.times()
	if e.dead && d.state == tutela.Allocated {
		out.State = tutela.Deleted
	}
	switch {
	case e.dead:
		w.readDead(out, e)
	default:
		w.readLive(out, e)
	}
	return w.visit(out)
}

// set makes the extents the content.
func (w *walker) set(out *evidence.Entry, extents []evidence.Extent) {
	x := evidence.NewExtents(w.fs.src, extents, out.Size)
	out.Runs = x.Runs()
	src, size := w.fs.src, out.Size
	out.Open = func() (evidence.Content, error) { return evidence.NewExtents(src, extents, size), nil }
	if n := len(out.Runs); n > 0 && out.Runs[n-1].Offset+out.Runs[n-1].Length > src.Size() {
		out.Find(tutela.FindingTruncated, "clusters lie behind the end of the image")
	}
}

// refuse makes the content unreadable.
func refuse(out *evidence.Entry, err error) {
	out.Runs = nil
	out.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("fat: %w", err) }
}

// readLive follows the chain of a file in use.
func (w *walker) readLive(out *evidence.Entry, e *entry) {
	if e.start == 0 {
		if w.set(out, nil); e.size > 0 {
			out.Find(tutela.FindingDamaged, errNoStart.Error())
		}
		return
	}
	if !w.affordable() {
		out.Find(tutela.FindingLimit, errCrowded.Error())
		refuse(out, errCrowded)
		return
	}
	var crossed int64
	chain := w.table.follow(e.start, func(c uint32) {
		w.steps--
		if w.crossed.has(c) {
			crossed++
		}
	})
	if chain.problem != nil {
		out.Findings = append(out.Findings, *chain.problem)
	}
	need := w.geo.need(e.size)
	switch {
	case chain.clusters < need:
		out.Find(tutela.FindingDamaged, fmt.Sprintf("its size needs %d clusters, its chain has %d", need, chain.clusters))
	case chain.clusters > need:
		out.Find(tutela.FindingDamaged, fmt.Sprintf("its size needs %d clusters, its chain has %d: the rest is slack", need, chain.clusters))
	}
	if crossed > 0 {
		out.Find(tutela.FindingDamaged, fmt.Sprintf("cross-linked: %d of its clusters belong to another file too", crossed))
	}
	w.set(out, chain.extents)
	out.Slack = w.slack(chain.extents, e.size)
}

// slack is what of the extents lies behind size bytes, as far as the source has
// it.
func (w *walker) slack(extents []evidence.Extent, size int64) []tutela.Run {
	var rest []evidence.Extent
	for _, e := range extents {
		skip := min(size, e.Length)
		size -= skip
		e.Offset, e.Length = e.Offset+skip, e.Length-skip
		e.Length = min(e.Length, w.fs.src.Size()-e.Offset)
		rest = append(rest, e)
	}
	return evidence.RunsOf(rest)
}

// readDead finds the content of a deleted file: see "Deleted files" in the
// package comment.
func (w *walker) readDead(out *evidence.Entry, e *entry) {
	switch {
	case e.size == 0:
		w.set(out, nil)
		return
	case e.size > w.deleted:
		err := fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor)
		out.Find(tutela.FindingLimit, err.Error())
		refuse(out, err)
		return
	case !w.geo.holds(e.start):
		w.refuseDead(out, e)
		return
	}
	w.deleted -= e.size
	extents, assumed, err := w.guess(e)
	if err != nil {
		code := tutela.FindingOverwritten
		if err == errTooMany {
			code = tutela.FindingLimit
		}
		out.Find(code, err.Error())
		refuse(out, err)
		return
	}
	for _, why := range assumed {
		out.Find(tutela.FindingAssumed, why)
	}
	w.set(out, extents)
}

func (w *walker) refuseDead(out *evidence.Entry, e *entry) {
	switch {
	case e.start == 0:
		out.Find(tutela.FindingDamaged, errNoStart.Error())
		refuse(out, errNoStart)
	default:
		err := errors.New("its first cluster lies behind the end of the image")
		out.Find(tutela.FindingTruncated, err.Error())
		refuse(out, err)
	}
}

// guess is where the content of a deleted file most likely lies, and what of
// that is not known.
func (w *walker) guess(e *entry) (extents []evidence.Extent, assumed []string, err error) {
	if w.table.used.has(e.start) {
		return w.lostChain(e)
	}
	var chain chainOf
	var passed, others int64
	for c := e.start; chain.clusters < w.geo.need(e.size); c++ {
		if w.steps--; !w.affordable() {
			return nil, nil, errTooMany
		}
		switch {
		case !w.geo.holds(c):
			return nil, nil, errTooFew
		case w.table.used.has(c):
			passed++
			continue
		case c != e.start && w.begins.has(c):
			others++
		}
		if !chain.push(w.geo, c) {
			return nil, nil, errTooMany
		}
	}
	if chain.clusters > 1 {
		why := fmt.Sprintf("only its first cluster is known, the other %d are taken to be the next free ones", chain.clusters-1)
		if passed > 0 {
			why += fmt.Sprintf("; %d in use were passed over", passed)
		}
		if others > 0 {
			why += fmt.Sprintf("; %d other deleted files begin among them", others)
		}
		assumed = append(assumed, why)
	}
	return chain.extents, append(assumed, w.doubts(e)...), nil
}

// doubts are about the first cluster.
func (w *walker) doubts(e *entry) (all []string) {
	if w.both.has(e.start) {
		all = append(all, "another deleted file begins in its first cluster too")
	}
	if e.slot.deleted() && w.geo.bits == 32 && e.start < 1<<16 && w.geo.clusters > 1<<16 {
		all = append(all, "the upper half of its first cluster's number may have been cleared: it may have been elsewhere")
	}
	return all
}

// lostChain is the content of a deleted file whose chain is still there and
// belongs to no file in use.
func (w *walker) lostChain(e *entry) ([]evidence.Extent, []string, error) {
	if w.claimed.has(e.start) {
		return nil, nil, errTaken
	}
	var taken int64
	chain := w.table.follow(e.start, func(c uint32) {
		w.steps--
		if w.claimed.has(c) {
			taken++
		}
	})
	if taken > 0 || chain.problem != nil || chain.clusters != w.geo.need(e.size) {
		return nil, nil, errTaken
	}
	why := "its clusters are still marked as used, by no file that is listed"
	return chain.extents, append([]string{why}, w.doubts(e)...), nil
}
