package udf

import (
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// deleted gives out what names that are marked as deleted still lead to. What is
// in a deleted directory may bring more of them.
func (w *walker) deleted() error {
	for len(w.ghosts) > 0 {
		ghosts := w.ghosts
		w.ghosts = nil
		for _, g := range ghosts {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if err := w.ghost(g); err != nil {
				return err
			}
		}
	}
	if w.leftOut == 0 {
		return nil
	}
	return w.about("/", "volume", tutela.Finding{
		Code:   tutela.FindingLimit,
		Detail: fmt.Sprintf("more deleted files than the volume has blocks: %d were left out", w.leftOut),
	})
}

// ghost gives out one, if it is still what the name knew.
func (w *walker) ghost(g ghost) error {
	if w.seen[g.name.at.icb()] {
		return nil // renamed, or taken by another file
	}
	f, err := w.fs.file(g.name.at)
	if err != nil || f.badSum || f.tag.location != f.at.block || w.isAnother(f, g.name) {
		return nil
	}
	w.seen[g.name.at.icb()] = true
	if f.isDirectory() {
		sub := w.below(g.dir, g.name, tutela.Deleted)
		sub.file = f
		return w.tree(sub)
	}
	if f.size == 0 {
		return nil // deleting emptied it
	}
	e := w.entry(g.dir.path+"/"+string(g.name.name), g.name.at, tutela.Deleted)
	w.describe(e, f)
	w.checkOverwritten(e)
	if e.Open != nil {
		if w.deletedBytes -= e.Size; w.deletedBytes < 0 {
			w.deletedBytes += e.Size
			refuse(e, tutela.FindingLimit, fmt.Errorf("deleted bytes on this volume are limited to %d times its size: %w", w.limits.DeletedFactor, errLimit))
		}
	}
	return w.emit(e, g.dir.problem)
}

// isAnother reports whether a file entry is not the one that the name knew by
// its number (UDF 2.3.4.3).
func (w *walker) isAnother(f *file, n name) bool {
	return n.at.unique != 0 && f.unique != 0 && uint32(f.unique) != n.at.unique
}

// checkOverwritten holds the blocks of a deleted file against the map of free
// blocks.
func (w *walker) checkOverwritten(e *evidence.Entry) {
	if len(e.Runs) == 0 || len(w.fs.spaces) == 0 {
		return
	}
	if w.free == nil {
		w.free = w.fs.readFree(w.ctx)
	}
	if w.free.problem != nil {
		e.Find(tutela.FindingDamaged, "not known whether it is overwritten: "+w.free.problem.Error())
		return
	}
	var free, all int64
	for _, r := range e.Runs {
		free += w.free.overlap(r)
		all += r.Length
	}
	if free < all {
		e.Find(tutela.FindingOverwritten, fmt.Sprintf("%d of its %d bytes lie in blocks that are in use", all-free, all))
	}
}
