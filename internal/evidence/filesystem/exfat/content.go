package exfat

import (
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

var (
	errCrowded = errors.New("files in use claim more clusters than the volume has: not read")
	errTaken   = errors.New("its first cluster belongs to something else now")
	errTooFew  = errors.New("there are not enough free clusters behind its first one")
	errTooMany = errors.New("deleted files claim too many clusters: not read")
	errNowhere = errors.New("it has a size and no clusters")
)

// giveFile gives out one file.
func (w *walker) giveFile(d *directory, e *entry) error {
	if e.dead {
		if w.ghosts--; w.ghosts < 0 {
			w.dropped++
			return nil
		}
	}
	out := w.entry(d, e)
	out.Size, out.Times = e.size, e.times
	if e.dead && d.state == tutela.Allocated {
		out.State = tutela.Deleted
	}
	if e.dead {
		w.readDead(out, e)
	} else {
		w.readLive(out, e)
	}
	return w.visit(out)
}

// chainOf is where a content in use lies.
func (w *walker) chainOf(e *entry) (out chainOf) {
	switch {
	case e.size == 0 && e.start == 0:
		return out
	case !e.possible || e.size > 0 && e.start == 0:
		out.problem = &tutela.Finding{Code: tutela.FindingDamaged, Detail: errNowhere.Error()}
		return out
	case w.steps <= 0: // a cluster can belong to one file only
		out.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: errCrowded.Error()}
		return out
	case e.straight && e.size >= 0:
		out = w.table.straight(e.start, w.geo.need(e.size))
	default:
		out = w.table.follow(e.start)
	}
	w.steps -= out.clusters
	return out
}

// exactly is where a deleted directory lies, as far as that is certain: in one
// piece, along a chain that fits, or in its first cluster.
func (w *walker) exactly(e *entry) []evidence.Extent {
	need := w.geo.need(e.size)
	w.guesses -= min(need, int64(w.geo.held))
	if !e.straight && need > 1 && w.guesses > 0 {
		if chain := w.followDead(e.start); chain.problem == nil && chain.clusters == need {
			return chain.extents
		}
	}
	if !e.straight || w.guesses <= 0 {
		need = 1
	}
	return w.table.straight(e.start, max(need, 1)).extents
}

// followDead is follow for what is deleted.
func (w *walker) followDead(c uint32) chainOf {
	chain := w.table.follow(c)
	w.guesses -= chain.clusters
	return chain
}

// set makes the extents the content, with zeros behind the valid data length.
func (w *walker) set(out *evidence.Entry, e *entry, extents []evidence.Extent) {
	valid := min(e.valid, e.size)
	src, size := w.fs.src, e.size
	out.Runs = evidence.NewExtents(src, extents, valid).Runs()
	if n := len(out.Runs); n > 0 && out.Runs[n-1].Offset+out.Runs[n-1].Length > src.Size() {
		out.Find(tutela.FindingTruncated, "clusters lie behind the end of the image")
	}
	if valid < size {
		extents = append(cut(extents, valid), evidence.Extent{Offset: evidence.Hole, Length: size - valid})
	}
	out.Open = func() (evidence.Content, error) { return evidence.NewExtents(src, extents, size), nil }
}

// cut is the extents up to size bytes; what is missing of those lies nowhere.
func cut(extents []evidence.Extent, size int64) (out []evidence.Extent) {
	for _, x := range extents {
		x.Length = min(x.Length, size)
		if size -= x.Length; x.Length > 0 {
			out = append(out, x)
		}
	}
	if size > 0 {
		out = append(out, evidence.Extent{Offset: nowhere, Length: size})
	}
	return out
}

// nowhere is behind the end of any source, so that reading there is an error.
const nowhere = 1 << 62

// refuse makes the content unreadable.
func refuse(out *evidence.Entry, code string, err error) {
	out.Find(code, err.Error())
	out.Runs = nil
	out.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("exfat: %w", err) }
}

// readLive makes the content of a file in use readable.
func (w *walker) readLive(out *evidence.Entry, e *entry) {
	if e.doubt != "" {
		out.Find(tutela.FindingDamaged, e.doubt)
	}
	chain := w.chainOf(e)
	need := w.geo.need(e.size)
	if chain.problem != nil {
		if chain.problem.Code == tutela.FindingLimit && chain.clusters == 0 {
			refuse(out, tutela.FindingLimit, errCrowded)
			return
		}
		out.Findings = append(out.Findings, *chain.problem)
	}
	if chain.clusters != need {
		out.Find(tutela.FindingDamaged, fmt.Sprintf("its size needs %d clusters, it has %d", need, chain.clusters))
	}
	if e.valid > e.size {
		out.Find(tutela.FindingDamaged, fmt.Sprintf("%d bytes of %d are valid", e.valid, e.size))
	}
	w.tellClusters(out, &chain)
	w.set(out, e, chain.extents)
	out.Slack = w.slack(chain.extents, min(e.valid, e.size))
}

// tellClusters says what does not hold together about clusters in use.
func (w *walker) tellClusters(out *evidence.Entry, chain *chainOf) {
	var crossed, free int64
	each(w.geo, chain.extents, func(c uint32) bool {
		if w.crossed.has(c) {
			crossed++
		}
		if w.bitmap != nil && !w.bitmap.has(c) {
			free++
		}
		return true
	})
	if crossed > 0 {
		out.Find(tutela.FindingDamaged, fmt.Sprintf("cross-linked: %d of its clusters belong to another file too", crossed))
	}
	if free > 0 {
		out.Find(tutela.FindingDamaged, fmt.Sprintf("%d of its clusters are marked free", free))
	}
}

// slack is what of the extents lies behind size bytes, as far as the source has
// it.
func (w *walker) slack(extents []evidence.Extent, size int64) []tutela.Run {
	var rest []evidence.Extent
	for _, x := range extents {
		skip := min(size, x.Length)
		size -= skip
		x.Offset, x.Length = x.Offset+skip, x.Length-skip
		x.Length = min(x.Length, w.fs.src.Size()-x.Offset)
		rest = append(rest, x)
	}
	return evidence.RunsOf(rest)
}

// readDead finds the content of a deleted file: see "Deleted files" in the
// package comment.
func (w *walker) readDead(out *evidence.Entry, e *entry) {
	if e.doubt != "" {
		out.Find(tutela.FindingAssumed, e.doubt)
	}
	switch {
	case e.size == 0:
		w.set(out, e, nil)
		return
	case e.size > w.deleted:
		refuse(out, tutela.FindingLimit, fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor))
		return
	case e.start == 0 || !e.possible:
		refuse(out, tutela.FindingDamaged, errNowhere)
		return
	case !w.geo.holds(e.start):
		refuse(out, tutela.FindingTruncated, errors.New("its first cluster does not exist, or lies behind the end of the image"))
		return
	}
	w.deleted -= e.size
	g := w.guess(e)
	switch {
	case g.code == tutela.FindingOverwritten: // nothing is left: that is no failure to read
		out.Find(g.code, g.err.Error())
		return
	case g.err != nil:
		refuse(out, g.code, g.err)
		return
	}
	out.Findings = append(append(out.Findings, g.told...), w.doubts(g.extents)...)
	w.set(out, e, g.extents)
}

// guessed is where the content of a deleted file lies or most likely lies.
type guessed struct {
	extents []evidence.Extent
	told    []tutela.Finding
	code    string // why nothing can be said
	err     error
}

func (w *walker) guess(e *entry) (g guessed) {
	need := w.geo.need(e.size)
	if w.guesses -= min(need, int64(w.geo.held)); w.guesses <= 0 {
		return guessed{code: tutela.FindingLimit, err: errTooMany}
	}
	if w.claimed.has(e.start) {
		return guessed{code: tutela.FindingOverwritten, err: errTaken}
	}
	if e.straight || need == 1 {
		chain := w.table.straight(e.start, need)
		if chain.problem != nil {
			g.told = append(g.told, *chain.problem)
		}
		return w.upTo(g, chain.extents, need)
	}
	if chain := w.followDead(e.start); chain.problem == nil && chain.clusters == need {
		g.told = append(g.told, tutela.Finding{Code: tutela.FindingAssumed, Detail: "its clusters are those of the chain that is left in the table"})
		return w.upTo(g, chain.extents, need)
	}
	return w.nextFree(e.start, need)
}

// upTo is g with the extents up to the first cluster that a file in use has.
func (w *walker) upTo(g guessed, extents []evidence.Extent, need int64) guessed {
	var chain chainOf
	var taken, lost int64
	each(w.geo, extents, func(c uint32) bool {
		switch {
		case w.claimed.has(c):
			taken++
		case taken == 0:
			chain.push(w.geo, c)
		}
		if w.bitmap != nil && w.bitmap.has(c) {
			lost++
		}
		return true
	})
	g.extents = chain.extents
	if taken > 0 {
		g.told = append(g.told, tutela.Finding{Code: tutela.FindingOverwritten, Detail: fmt.Sprintf("%d of %d clusters belong to other files now: the first %d can be read", taken, need, chain.clusters)})
	}
	if lost > taken {
		g.told = append(g.told, tutela.Finding{Code: tutela.FindingAssumed, Detail: fmt.Sprintf("%d of its clusters are marked as used, by no file that is listed", lost-taken)})
	}
	return g
}

// nextFree takes the content to go on in the next free clusters.
func (w *walker) nextFree(start uint32, need int64) guessed {
	var chain chainOf
	var passed, others int64
	for c := start; chain.clusters < need; c++ {
		if w.guesses--; w.guesses <= 0 {
			return guessed{code: tutela.FindingLimit, err: errTooMany}
		}
		switch {
		case !w.geo.holds(c):
			return guessed{code: tutela.FindingOverwritten, err: errTooFew}
		case w.claimed.has(c) || c != start && w.bitmap != nil && w.bitmap.has(c):
			passed++
			continue
		case c != start && w.begins.has(c):
			others++
		}
		if !chain.push(w.geo, c) {
			return guessed{code: tutela.FindingLimit, err: errTooMany}
		}
	}
	why := fmt.Sprintf("only its first cluster is known, the other %d are taken to be the next free ones", need-1)
	if passed > 0 {
		why += fmt.Sprintf("; %d in use were passed over", passed)
	}
	if others > 0 {
		why += fmt.Sprintf("; %d other deleted files begin among them", others)
	}
	return guessed{extents: chain.extents, told: []tutela.Finding{{Code: tutela.FindingAssumed, Detail: why}}}
}

// doubts tells of clusters that another deleted content would have too.
func (w *walker) doubts(extents []evidence.Extent) []tutela.Finding {
	var shared int64
	each(w.geo, extents, func(c uint32) bool {
		if w.both.has(c) {
			shared++
		}
		return true
	})
	if shared == 0 {
		return nil
	}
	return []tutela.Finding{{Code: tutela.FindingAssumed, Detail: fmt.Sprintf("%d of its clusters may be those of another deleted file", shared)}}
}
