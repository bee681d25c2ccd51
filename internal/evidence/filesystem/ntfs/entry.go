package ntfs

import (
	"bytes"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// item is one thing of a file that becomes an entry under each of its names.
type item struct {
	suffix   []byte // ":name" of a stream
	at       string // the attribute, for the chain
	kind     tutela.EntryKind
	size     int64
	clusters int64 // bytes of the volume that it claims
	inRecord bool  // resident
	runs     []tutela.Run
	slack    []tutela.Run
	findings []tutela.Finding
	open     func() (evidence.Content, error)
}

func (it *item) find(code, detail string) {
	it.findings = append(it.findings, tutela.Finding{Code: code, Detail: detail})
}

// refuse makes the content unreadable.
func (it *item) refuse(err error) {
	it.runs, it.slack = nil, nil
	it.open = func() (evidence.Content, error) { return nil, fmt.Errorf("ntfs: %w", err) }
}

// file gives out the entries of one file.
func (w *walker) file(f file) error {
	times := f.standard()
	names := f.names()
	items := w.items(&f)
	if len(names) == 0 {
		if f.isNothing(items) {
			return nil
		}
		return w.nameless(&f, times, items)
	}
	few := len(names)*len(items) <= maxNamedProduct
	if !few {
		f.find(tutela.FindingLimit, fmt.Sprintf("%d names, %d streams: the streams are given under one name", len(names), len(items)))
	}
	for i, name := range names {
		dir := w.tree.find(name.parent)
		for _, it := range items {
			if i > 0 && !few && len(it.suffix) > 0 {
				continue
			}
			if err := w.emit(&f, dir, name.name, it, times); err != nil {
				return err
			}
		}
	}
	return nil
}

// isNothing reports whether a nameless record needs no entry: the reserved ones
// that the format keeps in use, those emptied on deletion, and directories.
func (f *file) isNothing(items []item) bool {
	if len(f.findings) > 0 {
		return false
	}
	if len(f.attributes) == 0 || len(items) == 0 {
		return true
	}
	if !f.inUse() || f.number >= firstUserRecord {
		return false
	}
	for _, it := range items {
		if it.size != 0 {
			return false
		}
	}
	return true
}

func (w *walker) nameless(f *file, times tutela.Times, items []item) error {
	if f.inUse() {
		f.find(tutela.FindingDamaged, "the record is in use and has no name")
	}
	name := fmt.Appendf(nil, "OrphanFile-%d", f.number)
	for _, it := range items {
		if err := w.emit(f, place{path: orphanFolder}, name, it, times); err != nil {
			return err
		}
	}
	return nil
}

// emit gives out one entry.
func (w *walker) emit(f *file, dir place, name []byte, it item, times tutela.Times) error {
	e := &evidence.Entry{
		Path:  w.join(dir.path, name, it.suffix),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("mft %d-%d %s", f.number, f.sequence, it.at)}},
		Kind:  it.kind,
		State: f.state(dir),
		Size:  it.size,
		Times: times,
		Runs:  it.runs,
		Slack: it.slack,
		Open:  it.open,
	}
	e.Findings = append(append(e.Findings, f.findings...), it.findings...)
	if dir.problem != nil {
		e.Findings = append(e.Findings, *dir.problem)
	}
	if f.inUse() && e.State != tutela.Allocated {
		e.Find(tutela.FindingDamaged, "the record is in use and no directory in use leads to it")
	}
	if bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(it.suffix, '/') >= 0 {
		e.Find(tutela.FindingDamaged, "the name contains a slash")
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if !f.inUse() && e.Open != nil && !w.deleted.take(e.Size) {
		e.Find(tutela.FindingLimit, "more deleted bytes than the limit allows: not read")
		it.refuse(fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor))
		e.Runs, e.Slack, e.Open = it.runs, it.slack, it.open
	}
	return w.visit(e)
}

// join makes a path. One that gets too long loses its directories.
func (w *walker) join(dir string, name, suffix []byte) []byte {
	if len(dir)+1+len(name)+len(suffix) > w.limits.NameBytes {
		dir = orphanFolder
	}
	p := make([]byte, 0, len(dir)+1+len(name)+len(suffix))
	p = append(p, dir...)
	p = append(p, '/')
	p = append(p, name...)
	return append(p, suffix...)
}

// state: see "Deleted files" in the package comment.
func (f *file) state(dir place) tutela.State {
	switch {
	case dir.trust == lost, f.inUse() && dir.trust == freed:
		return tutela.Orphan
	case f.inUse():
		return tutela.Allocated
	}
	return tutela.Deleted
}

// items are the contents of f, and the link or directory that it is if
// something must be said about that.
func (w *walker) items(f *file) []item {
	point, isPoint := w.reparse(f)
	var items []item
	var unnamed bool
	for _, parts := range f.contents() {
		it := w.item(f, parts)
		if len(it.suffix) == 0 {
			if isPoint && point.kind() != tutela.File && it.size == 0 {
				continue // a link's empty $DATA: the link itself stands for it
			}
			unnamed = true
			judgeUnnamed(f, &it, point, isPoint)
		}
		items = append(items, it)
	}
	isDirectory := f.flags&flagDirectory != 0
	switch {
	case isPoint && point.kind() != tutela.File:
		items = append(items, link(point))
	case isDirectory && !unnamed && len(f.findings) > 0:
		items = append(items, item{kind: tutela.Directory, at: "directory"})
	case len(items) == 0 && !isDirectory:
		items = append(items, item{kind: tutela.File, at: "no $DATA", open: func() (evidence.Content, error) { return openBytes(nil) }})
	}
	return items
}

func link(p reparsePoint) item {
	it := item{kind: p.kind(), at: "$REPARSE_POINT"}
	it.find(tutela.FindingSpecial, p.describe())
	return it
}

// judgeUnnamed says where the unnamed $DATA is not what a user would read.
func judgeUnnamed(f *file, it *item, p reparsePoint, isPoint bool) {
	if f.flags&flagDirectory != 0 {
		it.find(tutela.FindingDamaged, "a directory with unnamed $DATA")
	}
	if !isPoint {
		return
	}
	reason := p.elsewhere()
	switch {
	case p.kind() != tutela.File:
		it.find(tutela.FindingDamaged, p.describe()+", with content")
		return
	case reason == "" && it.size > 0 && !it.inRecord && it.clusters == 0:
		reason = fmt.Sprintf("placeholder (%s): its content is not on this volume", p.describe())
	case reason == "":
		it.find(tutela.FindingUnsupported, p.describe()+": not interpreted, the content is given as it lies")
		return
	}
	it.find(tutela.FindingUnsupported, reason)
	it.refuse(fmt.Errorf("%s: %w", reason, evidence.ErrUnsupported))
}
