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
		w.readDead(out, d, e)
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
func (w *walker) readDead(out *evidence.Entry, d *directory, e *entry) {
	restored := w.restoreStart(d, e)
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
	switch {
	case err == errTooMany:
		out.Find(tutela.FindingLimit, err.Error())
		refuse(out, err)
		return
	case err != nil: // nothing is left: that is no failure to read
		out.Find(tutela.FindingOverwritten, err.Error())
		return
	}
	for _, why := range append(assumed, w.doubts(e, extents, restored)...) {
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
		if w.guesses--; w.guesses < 0 {
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
	return chain.extents, assumed, nil
}

// doubts are about every deleted content.
func (w *walker) doubts(e *entry, extents []evidence.Extent, restored string) (all []string) {
	var shared int64
	for _, x := range extents {
		first := w.geo.clusterAt(x.Offset)
		for i := range uint32(x.Length / w.geo.cluster) {
			if w.both.has(first + i) {
				shared++
			}
		}
	}
	if shared > 0 {
		all = append(all, fmt.Sprintf("%d of its clusters may be those of another deleted file", shared))
	}
	if restored != "" {
		all = append(all, restored)
	}
	return all
}

// halved reports whether the upper half of the first cluster's number may be
// missing: Windows clears it on deletion.
func (w *walker) halved(e *entry) bool {
	return w.geo.bits == 32 && e.slot.deleted() && e.start > 0 && e.start < 1<<16 && w.geo.clusters > 1<<16
}

// restoreStart puts the upper half of the first cluster's number in its place
// where it may be missing, and says so. A number whose cluster is free is kept as
// it is; otherwise the half of the directory's number is taken if that cluster is
// free, or the only half that gives a free one.
func (w *walker) restoreStart(d *directory, e *entry) string {
	if !w.halved(e) || w.guesses < 0 {
		return ""
	}
	if w.geo.holds(e.start) && !w.table.used.has(e.start) {
		return "the upper half of its first cluster's number may have been cleared: it may have been elsewhere"
	}
	var free []uint32
	for c := e.start; w.geo.holds(c); c += 1 << 16 {
		if w.guesses--; !w.table.used.has(c) {
			free = append(free, c)
		}
		if !w.table.used.has(c) && c>>16 == d.start>>16 {
			free = []uint32{c}
			break
		}
	}
	if len(free) != 1 {
		return ""
	}
	e.start = free[0]
	return fmt.Sprintf("the upper half of its first cluster's number is missing: it is taken to be cluster %d", e.start)
}

// lostChain is the content of a deleted file whose chain is still there and
// belongs to no file in use.
func (w *walker) lostChain(e *entry) ([]evidence.Extent, []string, error) {
	if w.claimed.has(e.start) {
		return nil, nil, errTaken
	}
	if w.guesses < 0 {
		return nil, nil, errTooMany
	}
	var taken int64
	chain := w.table.follow(e.start, func(c uint32) {
		w.guesses--
		if w.claimed.has(c) {
			taken++
		}
	})
	if taken > 0 || chain.problem != nil || chain.clusters != w.geo.need(e.size) {
		return nil, nil, errTaken
	}
	why := "its clusters are still marked as used, by no file that is listed"
	return chain.extents, []string{why}, nil
}
