package apfs

import (
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/decmpfs"
)

// Attributes that the file system itself gives a meaning.
const (
	attributeLink = "com.apple.fs.symlink"
	attributeFork = "com.apple.ResourceFork"
)

// maxAttribute is how much of an attribute is read that says how a file is
// compressed, in bytes. macOS keeps it in the record, below 4 KiB.
const maxAttribute = 1 << 20

var (
	errEncrypted   = fmt.Errorf("content is encrypted: %w", evidence.ErrUnsupported)
	errOverwritten = errors.New("deleted, and its blocks are in use now: not read")
	errTooMuch     = errors.New("content larger than the volume is not read")
	errCrowded     = errors.New("files claim many times the blocks that the volume has: not read")
)

// item is one thing of a file that becomes an entry under each of its names.
type item struct {
	suffix   []byte // ":name" of a stream
	at       string // the stream, for the chain
	kind     tutela.EntryKind
	size     int64
	runs     []tutela.Run
	slack    []tutela.Run
	findings []tutela.Finding
	open     func() (evidence.Content, error)
	gone     bool // overwritten: there is nothing to open, which is no failure to read
}

func (it *item) find(code, format string, args ...any) {
	it.findings = append(it.findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// refuse makes the content unreadable.
func (it *item) refuse(err error) {
	it.runs = nil
	it.open = func() (evidence.Content, error) { return nil, fmt.Errorf("apfs: %w", err) }
}

// items are the contents of f and the link or device that it is.
func (w *walker) items(f *file) []item {
	var items []item
	expanded := false
	switch f.mode & modeMask {
	case modeFile:
		var it item
		it, expanded = w.content(f)
		items = append(items, it)
	case modeDirectory:
	case modeLink:
		items = append(items, link(f))
	case modePipe, modeCharacter, modeBlock, modeSocket, modeWhiteout:
		it := item{kind: f.kind()}
		it.find(tutela.FindingSpecial, "%s", f.special())
		items = append(items, it)
	default:
		it, _ := w.content(f)
		it.find(tutela.FindingDamaged, "its mode %#o is of no known kind", f.mode)
		items = append(items, it)
	}
	return append(items, w.streams(f, expanded)...)
}

func link(f *file) item {
	it := item{kind: tutela.Symlink}
	target := f.find(attributeLink)
	if target == nil || target.stored {
		it.find(tutela.FindingDamaged, "a symbolic link without a target")
		return it
	}
	name := target.value
	if n := len(name); n > 0 && name[n-1] == 0 {
		name = name[:n-1]
	}
	it.find(tutela.FindingSpecial, "symbolic link to %s", tutela.DisplayPath(name))
	return it
}

// streams are the resource fork and the extended attributes. Where the content
// was expanded, those that hold it packed are left out.
func (w *walker) streams(f *file, expanded bool) (items []item) {
	for i := range f.attributes {
		a := &f.attributes[i]
		name := string(a.name)
		switch {
		case name == attributeLink && f.kind() == tutela.Symlink,
			expanded && (name == attributeFork || name == decmpfs.Attribute),
			name == attributeFork && a.empty():
			continue
		case name == attributeFork:
			name = "rsrc"
		}
		it := item{kind: tutela.File, suffix: []byte(":" + name), at: " attribute " + tutela.DisplayPath(a.name)}
		w.attribute(&it, a)
		items = append(items, it)
	}
	return items
}

func (w *walker) attribute(it *item, a *attribute) {
	if a.stored {
		w.stream(it, a.stream, a.size, nil)
		return
	}
	value := a.value
	it.size = int64(len(value))
	it.open = func() (evidence.Content, error) { return evidence.Bytes(value), nil }
}

// content is the bytes of a file as whoever opens it on a Mac would read them;
// expanded reports whether they were compressed.
func (w *walker) content(f *file) (it item, expanded bool) {
	it = item{kind: tutela.File}
	compressed := f.find(decmpfs.Attribute)
	switch {
	case f.bsd&bsdDataless != 0:
		it.size = length(f.size)
		it.find(tutela.FindingUnsupported, "placeholder: its content is not on this volume")
		it.refuse(fmt.Errorf("placeholder: its content is not on this volume: %w", evidence.ErrUnsupported))
	case f.bsd&bsdCompressed != 0 && compressed != nil:
		expanded = w.unpack(&it, f, compressed)
	default:
		if f.bsd&bsdCompressed != 0 {
			it.find(tutela.FindingDamaged, "marked compressed, and nothing says how")
		}
		known := f.extents
		if f.stream != f.oid {
			known = nil
		}
		w.stream(&it, f.stream, f.size, known)
	}
	return it, expanded
}

// stream makes the content readable whose extents are kept under an identifier;
// known are those, or nil where they must be looked for.
func (w *walker) stream(it *item, id, size uint64, known []extent) {
	it.size = length(size)
	if it.size < 0 {
		it.find(tutela.FindingDamaged, "a size of %d bytes", size)
		it.refuse(damaged("a size of %d bytes", size))
		return
	}
	if known == nil && size > 0 {
		var err error
		if known, err = w.view.tree.extentsOf(id); err != nil {
			it.findings = append(it.findings, finding(err))
		}
	}
	l := w.fs.lay(known, it.size)
	it.findings = append(it.findings, l.findings...)
	src, extents, total := w.fs.src, l.extents, it.size
	it.open = func() (evidence.Content, error) { return evidence.NewExtents(src, extents, total), nil }
	it.runs, it.slack = l.runs, l.slack
	w.judge(it, &l)
}

// judge refuses a content that cannot be what the file held, or that no volume
// can hold.
func (w *walker) judge(it *item, l *laid) {
	if it.size == 0 {
		return
	}
	if w.view.encrypted {
		it.find(tutela.FindingEncrypted, "its volume is encrypted")
		it.slack = nil
		it.refuse(errEncrypted)
		return
	}
	if it.size-l.backed > w.fs.held() {
		it.find(tutela.FindingLimit, "%v", errTooMuch)
		it.refuse(errTooMuch)
	} else if !w.claimed.take(l.backed) {
		it.find(tutela.FindingLimit, "%v", errCrowded)
		it.refuse(errCrowded)
	}
	if w.view.isPast() {
		w.judgeDeleted(it, l)
	}
}

// judgeDeleted holds the blocks of a deleted content against the map of today.
func (w *walker) judgeDeleted(it *item, l *laid) {
	it.slack = nil
	if len(l.findings) > 0 {
		it.refuse(errors.New(l.findings[0].Detail))
		return
	}
	if w.view.kept {
		return
	}
	used, all, err := w.space.inUse(l.extents)
	switch {
	case err != nil:
		it.find(tutela.FindingUnreadable, "not known whether its blocks are in use now: %v", err)
		it.refuse(err)
	case used > 0:
		it.find(tutela.FindingOverwritten, "%d of %d blocks are in use now, by other files or a snapshot", used, all)
		it.refuse(errOverwritten)
		it.gone = true
	}
}

// laid is where a content lies.
type laid struct {
	extents  []evidence.Extent
	backed   int64        // bytes of blocks
	runs     []tutela.Run // of the content
	slack    []tutela.Run // behind it
	findings []tutela.Finding
}

func (l *laid) find(code, format string, args ...any) {
	l.findings = append(l.findings, tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// lay puts the extents of a content of size bytes one behind another. Where one
// is missing or leads out of the container, the content ends.
func (c *container) lay(all []extent, size int64) (l laid) {
	var end int64
	for _, e := range all {
		if reason := c.misplaced(e, end); reason != "" {
			l.find(tutela.FindingDamaged, "%s", reason)
			break
		}
		x := evidence.Extent{Offset: evidence.Hole, Length: int64(e.length)}
		if e.block != 0 {
			x.Offset = int64(e.block) * c.blockSize
			l.backed += x.Length
		}
		c.divide(&l, x, size-end)
		end += x.Length
	}
	if end < size && len(l.findings) == 0 {
		l.find(tutela.FindingDamaged, "its bytes from %d on have no blocks", end)
	}
	c.clip(&l)
	return l
}

// misplaced says what is wrong with an extent that should begin at a byte of a
// content.
func (c *container) misplaced(e extent, at int64) string {
	switch {
	case e.logical != uint64(at):
		return fmt.Sprintf("its bytes from %d on have no blocks, or two: the next extent is of byte %d", at, e.logical)
	case e.length == 0, e.length%uint64(c.blockSize) != 0, e.length > math.MaxInt64-uint64(at):
		return fmt.Sprintf("an extent of %d bytes", e.length)
	case e.block != 0 && !c.contains(e.block, e.length/uint64(c.blockSize)):
		return fmt.Sprintf("an extent of %d bytes at block %d leads out of the container", e.length, e.block)
	}
	return ""
}

// divide gives the first bytes of x, as many as are left of the content, to the
// content, and the others to the slack.
func (c *container) divide(l *laid, x evidence.Extent, left int64) {
	mine := max(0, min(left, x.Length))
	if mine > 0 {
		l.extents = append(l.extents, evidence.Extent{Offset: x.Offset, Length: mine})
	}
	if x.Offset != evidence.Hole && mine < x.Length {
		l.slack = append(l.slack, tutela.Run{Offset: x.Offset + mine, Length: x.Length - mine})
	}
}

// clip tells which runs are content and slack inside the source.
func (c *container) clip(l *laid) {
	var cut int64
	l.runs, cut = inside(evidence.RunsOf(l.extents), c.src.Size())
	l.slack, _ = inside(l.slack, c.src.Size())
	if cut > 0 {
		l.find(tutela.FindingTruncated, "%d bytes of it lie behind the end of the image", cut)
	}
}

// inside are the parts of runs below size, and how many bytes are not.
func inside(runs []tutela.Run, size int64) (in []tutela.Run, cut int64) {
	for _, r := range runs {
		have := max(0, min(r.Length, size-r.Offset))
		cut += r.Length - have
		if have > 0 {
			in = append(in, tutela.Run{Offset: r.Offset, Length: have})
		}
	}
	return in, cut
}

// unpack makes a compressed content readable and reports whether it could.
func (w *walker) unpack(it *item, f *file, a *attribute) bool {
	it.at = " compressed"
	it.size = -1
	value, err := w.value(a)
	if err != nil {
		it.find(tutela.FindingDamaged, "%s: %v", decmpfs.Attribute, err)
		it.refuse(err)
		return false
	}
	header, err := decmpfs.Parse(value)
	if err != nil {
		it.find(tutela.FindingDamaged, "%v", err)
		it.refuse(err)
		return false
	}
	it.size = header.Size
	if err := header.Supported(); err != nil {
		it.find(tutela.FindingUnsupported, "%v", err)
		it.refuse(err)
		return false
	}
	fork, forkSize := io.ReaderAt(nil), int64(0)
	if header.InFork() {
		if fork, forkSize = w.fork(it, f); fork == nil {
			return false
		}
	}
	it.open = func() (evidence.Content, error) { return decmpfs.New(header, value, fork, forkSize) }
	return true
}

// fork is the resource fork of f for a compressed content; nil if the content
// had to be refused.
func (w *walker) fork(it *item, f *file) (io.ReaderAt, int64) {
	a := f.find(attributeFork)
	if a == nil {
		it.find(tutela.FindingDamaged, "compressed, and its resource fork is not there")
		it.refuse(damaged("compressed, and its resource fork is not there"))
		return nil, 0
	}
	packed := item{}
	w.attribute(&packed, a)
	it.findings = append(it.findings, packed.findings...)
	content, err := packed.open()
	if err != nil {
		it.open, it.gone = packed.open, packed.gone
		return nil, 0
	}
	return content.(io.ReaderAt), packed.size
}

// value is the whole of an attribute.
func (w *walker) value(a *attribute) ([]byte, error) {
	if !a.stored {
		return a.value, nil
	}
	var it item
	w.attribute(&it, a)
	if it.size < 0 || it.size > maxAttribute {
		return nil, damaged("an attribute of %d bytes", a.size)
	}
	content, err := it.open()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}
