package hfsplus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/decmpfs"
)

var (
	errTooMuch = errors.New("content larger than the volume is not read")
	errCrowded = errors.New("files claim more blocks than the volume has: not read")
)

// protection is the attribute that holds the wrapped key of a file on iOS.
const protection = "com.apple.system.cprotect"

const (
	maxTarget = 4096    // bytes of a symbolic link
	maxPacked = 1 << 20 // bytes of a decmpfs attribute
)

// subject is whose items become entries.
type subject struct {
	dir      place
	name     []byte
	cnid     uint32
	link     string // through which it is seen
	found    string // where the record of a deleted one lies
	times    tutela.Times
	findings []tutela.Finding
}

// item is one thing of a file that becomes an entry.
type item struct {
	suffix   []byte // ":name" of a stream
	at       string // for the chain
	kind     tutela.EntryKind
	size     int64
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
	it.open = func() (evidence.Content, error) { return nil, fmt.Errorf("hfs+: %w", err) }
}

func (w *walker) giveAll(s *subject, items []item) error {
	for _, it := range items {
		if err := w.give(s, it); err != nil {
			return err
		}
	}
	return nil
}

// give gives out one entry.
func (w *walker) give(s *subject, it item) error {
	gone := s.found != ""
	e := &evidence.Entry{
		Path:  w.join(s.dir.path, s.name, it.suffix),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("cnid %d%s %s%s", s.cnid, s.link, it.at, s.found)}},
		Kind:  it.kind,
		State: tutela.Allocated,
		Size:  it.size,
		Times: s.times,
		Runs:  it.runs,
		Slack: it.slack,
		Open:  it.open,
	}
	e.Findings = append(append(e.Findings, s.findings...), it.findings...)
	if s.dir.problem != nil {
		e.Findings = append(e.Findings, *s.dir.problem)
	}
	switch {
	case s.dir.trust == lost:
		e.State = tutela.Orphan
	case gone:
		e.State = tutela.Deleted
	}
	if !gone && s.dir.trust != live {
		e.State = tutela.Orphan
		e.Find(tutela.FindingDamaged, "no directory in use leads to it")
	}
	if bytes.IndexByte(it.suffix, '/') >= 0 {
		e.Find(tutela.FindingDamaged, "the name of the attribute contains a slash")
	}
	if e.State != tutela.Allocated && !w.strays.take(1) {
		return w.tooManyStrays()
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if gone && e.Open != nil && !w.deleted.take(e.Size) {
		e.Find(tutela.FindingLimit, "more deleted bytes than the limit allows: not read")
		it.refuse(fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor))
		e.Runs, e.Slack, e.Open = it.runs, it.slack, it.open
	}
	return w.visit(e)
}

// tooManyStrays says once that there are more than a volume can have.
func (w *walker) tooManyStrays() error {
	if w.strayed {
		return nil
	}
	w.strayed = true
	e := &evidence.Entry{
		Path:  []byte(orphanFolder),
		Chain: []tutela.Locator{{Layer: layerName, At: "volume"}},
		Kind:  tutela.Directory,
		State: tutela.Allocated,
	}
	e.Find(tutela.FindingLimit, "more deleted and lost files than the volume has blocks: the others are left out")
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

// forkItem makes a fork readable. With claim it takes its blocks from what all
// forks in use together may have.
func (w *walker) forkItem(a allocated, at string, claim bool) item {
	it := item{kind: tutela.File, at: at, size: a.size}
	content := a.content(w.fs.src)
	it.runs = content.Runs()
	it.open = func() (evidence.Content, error) { return a.content(w.fs.src), nil }
	if a.problem != "" {
		it.find(tutela.FindingDamaged, a.problem)
	} else {
		it.slack = a.slack()
	}
	if a.missing(w.fs.src) > 0 {
		it.find(tutela.FindingTruncated, "blocks lie behind the end of the image")
	}
	switch {
	case a.bytes() > w.fs.header.bytes():
		it.find(tutela.FindingLimit, errTooMuch.Error())
		it.refuse(errTooMuch)
	case claim && !w.claimed.take(a.bytes()-a.missing(w.fs.src)):
		it.find(tutela.FindingLimit, errCrowded.Error())
		it.refuse(errCrowded)
	}
	return it
}

// fileItems are the content, the resource fork and the attributes of a file in
// use. One with several names claims its blocks under the first.
func (w *walker) fileItems(f *file, claim bool) []item {
	packed := f.owner&ownerPacked != 0 && f.data.size == 0
	resource := w.fs.resolve(f.resource, f.cnid, resourceFork)
	var main item
	kind := f.entryKind()
	switch {
	case kind != tutela.File:
		packed = false
		main = w.special(f, kind)
	case packed:
		main, packed = w.packed(f, resource, claim)
	default:
		main = w.forkItem(w.fs.resolve(f.data, f.cnid, dataFork), "data fork", claim)
	}
	attributes, findings := w.attributeItems(f.cnid, packed, claim)
	main.findings = append(main.findings, findings...)
	items := []item{main}
	if resource.size > 0 && !packed {
		it := w.forkItem(resource, "resource fork", claim)
		it.suffix = []byte(":rsrc")
		items = append(items, it)
	}
	return append(items, attributes...)
}

// special is a link, a device, a socket or a pipe.
func (w *walker) special(f *file, kind tutela.EntryKind) item {
	it := item{kind: kind, at: kind.String()}
	switch kind {
	case tutela.Symlink:
		it.at, it.size = "data fork", int64(min(f.data.size, 1<<62))
		target, err := w.symlinkTarget(f)
		if err != nil {
			it.find(tutela.FindingDamaged, "symlink: "+err.Error())
			return it
		}
		it.find(tutela.FindingSpecial, "symlink to "+tutela.DisplayPath(target))
	case tutela.Device:
		it.find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", f.special>>24, f.special&0xffffff))
	default:
		it.find(tutela.FindingSpecial, kind.String())
	}
	return it
}

func (w *walker) symlinkTarget(f *file) ([]byte, error) {
	a := w.fs.resolve(f.data, f.cnid, dataFork)
	if a.size > maxTarget {
		return nil, fmt.Errorf("a target of %d bytes", a.size)
	}
	b := make([]byte, a.size)
	err := readFull(a.content(w.fs.src), b, 0)
	return b, err
}

// packed is the content of a compressed file. It reports whether the resource
// fork belongs to it.
func (w *walker) packed(f *file, resource allocated, claim bool) (it item, whole bool) {
	it = item{kind: tutela.File, at: "decmpfs", size: -1}
	fail := func(code string, err error) (item, bool) {
		it.find(code, err.Error())
		it.refuse(err)
		return it, false
	}
	value, err := w.packedAttribute(f.cnid)
	if err != nil {
		return fail(tutela.FindingDamaged, err)
	}
	h, err := decmpfs.Parse(value)
	if err != nil {
		return fail(tutela.FindingDamaged, err)
	}
	it.at, it.size = h.String(), h.Size
	if err := h.Supported(); err != nil {
		return fail(tutela.FindingUnsupported, err)
	}
	if h.InFork() && (resource.bytes() > w.fs.header.bytes() || claim && !w.claimed.take(resource.bytes()-resource.missing(w.fs.src))) {
		return fail(tutela.FindingLimit, errCrowded)
	}
	it.open = func() (evidence.Content, error) {
		c, err := decmpfs.New(h, value, resource.content(w.fs.src), resource.size)
		if err != nil {
			return nil, fmt.Errorf("hfs+: %w", err)
		}
		return c, nil
	}
	return it, true
}

func (w *walker) packedAttribute(cnid uint32) ([]byte, error) {
	all, err := w.attributes.of(w.fs, cnid)
	for i := range all {
		if string(evidence.WTF8(all[i].name, binary.BigEndian)) == decmpfs.Attribute {
			value, err := all[i].bytes(w.fs.src, maxPacked)
			return bytes.Clone(value), err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("a compressed file: %w", err)
	}
	return nil, fmt.Errorf("a compressed file without its %s attribute", decmpfs.Attribute)
}

// attributeItems are the extended attributes of a file or folder. That of a
// compressed file is left out, where it is one.
func (w *walker) attributeItems(cnid uint32, packed, claim bool) (items []item, findings []tutela.Finding) {
	all, err := w.attributes.of(w.fs, cnid)
	if err != nil {
		findings = append(findings, tutela.Finding{Code: tutela.FindingDamaged, Detail: "extended attributes: " + err.Error()})
	}
	for i := range all {
		a := &all[i]
		name := evidence.WTF8(a.name, binary.BigEndian)
		if string(name) == protection {
			findings = append(findings, tutela.Finding{Code: tutela.FindingEncrypted, Detail: "per-file encryption (" + protection + "): if it was not undone, the bytes are cipher text"})
		}
		if packed && string(name) == decmpfs.Attribute {
			continue
		}
		it := w.attributeItem(a, claim)
		it.suffix = append([]byte{':'}, name...)
		items = append(items, it)
	}
	return items, findings
}

func (w *walker) attributeItem(a *attribute, claim bool) item {
	const at = "attribute"
	if a.fork != nil {
		if a.fork.problem == "" && a.fork.bytes() < a.fork.size {
			a.fork.problem = fmt.Sprintf("extents for %d of %d bytes", a.fork.bytes(), a.fork.size)
		}
		return w.forkItem(*a.fork, at, claim)
	}
	value := bytes.Clone(a.value)
	return item{
		kind: tutela.File, at: at, size: int64(len(value)),
		open: func() (evidence.Content, error) { return evidence.Bytes(value), nil },
	}
}
