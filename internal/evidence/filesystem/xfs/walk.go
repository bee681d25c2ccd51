package xfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk: first over the tree of directories, then over the inodes
// that the tree did not lead to.
type walker struct {
	fs     *FileSystem
	ctx    context.Context
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	pending  []directory     // the next at the end
	listed   map[uint64]bool // directories, by inode
	reached  map[uint64]uint64
	names    map[uint32][]freedName
	kept     int   // of names
	dirBytes int64 // of directory blocks that may still be read
	claimed  int64 // bytes that files in use may still have

	free         freeMap
	claims       []tutela.Run // blocks that freed inodes still list
	shared       []tutela.Run // those that more than one does, ascending
	deletedCount int64        // deleted and lost files that may still be given: no more than blocks
	deletedBytes int64        // of theirs that may still be given
	unreadable   lost         // inodes in use
}

// directory is one that is still to be listed.
type directory struct {
	path    string // "" for the root, without a slash at the end
	inode   uint64
	state   tutela.State    // of what is in it
	problem *tutela.Finding // why the path is not the whole path
}

// freedName is a name whose record was freed.
type freedName struct {
	dir  *directory
	name string
}

const maxFreedNames = 1 << 18

var errLimit = errors.New("limited")

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	held := min(fs.src.Size(), fs.sb.bytes())
	w := &walker{
		fs: fs, ctx: ctx, limits: limits.WithDefaults(), visit: visit,
		listed: map[uint64]bool{}, reached: map[uint64]uint64{}, names: map[uint32][]freedName{},
		dirBytes: held, claimed: 64 * held, // a block of a reflinked file belongs to several
		free:         freeMap{fs: fs, groups: map[uint32][]stretch{}},
		deletedCount: held >> fs.sb.blockLog,
	}
	w.deletedBytes = product(held, w.limits.DeletedFactor)
	if err := w.volume(); err != nil {
		return err
	}
	if err := w.tree(directory{inode: fs.sb.root, state: tutela.Allocated}); err != nil {
		return err
	}
	return w.unreached()
}

func (w *walker) volume() error {
	if len(w.fs.findings) == 0 {
		return nil
	}
	return w.about("/", "superblock", w.fs.findings...)
}

// about is an entry that carries what must be said about a directory.
func (w *walker) about(path, at string, findings ...tutela.Finding) error {
	return w.visit(&evidence.Entry{
		Path:     []byte(path),
		Chain:    []tutela.Locator{{Layer: layerName, At: at}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: findings,
	})
}

// tree lists a directory and all below it.
func (w *walker) tree(root directory) error {
	w.pending = append(w.pending, root)
	for len(w.pending) > 0 {
		last := len(w.pending) - 1
		next := w.pending[last]
		w.pending = w.pending[:last]
		if err := w.list(next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) list(d directory) error {
	var findings []tutela.Finding
	say := func(code, detail string) { findings = append(findings, tutela.Finding{Code: code, Detail: detail}) }
	if w.listed[d.inode] {
		say(tutela.FindingLoop, "the directory is listed elsewhere already")
		return w.tell(d, findings)
	}
	w.listed[d.inode] = true
	w.reach(d.inode)
	dir, err := w.fs.inode(d.inode)
	if err == nil && !dir.isDirectory() {
		err = fmt.Errorf("inode %d is a %s", d.inode, dir.kind())
	}
	if err != nil {
		say(codeOf(err), err.Error())
		return w.tell(d, findings)
	}
	first := len(w.pending)
	l := listing{fs: w.fs, dir: dir, budget: &w.dirBytes}
	l.give = func(r record) error { return w.name(d, r) }
	l.freed = func(r record) error { return w.freed(&d, r) }
	if err := l.read(); err != nil {
		return err
	}
	for i, j := first, len(w.pending)-1; i < j; i, j = i+1, j-1 {
		w.pending[i], w.pending[j] = w.pending[j], w.pending[i]
	}
	if l.problem != nil {
		say(codeOf(l.problem), "not listed whole: "+l.problem.Error())
	}
	if l.badSums > 0 || dir.badSum {
		say(tutela.FindingDamaged, "the directory's checksum is wrong")
	}
	return w.tell(d, findings)
}

func (w *walker) tell(d directory, findings []tutela.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	if d.problem != nil {
		findings = append(findings, *d.problem)
	}
	path := d.path
	if path == "" {
		path = "/"
	}
	return w.about(path, fmt.Sprintf("inode %d", d.inode), findings...)
}

func (w *walker) freed(d *directory, r record) error {
	if w.kept < maxFreedNames {
		w.kept++
		w.names[uint32(r.inode)] = append(w.names[uint32(r.inode)], freedName{d, string(r.name)})
	}
	return nil
}

func (w *walker) reach(number uint64)          { w.reached[number/64] |= 1 << (number % 64) }
func (w *walker) isReached(number uint64) bool { return w.reached[number/64]>>(number%64)&1 != 0 }

// name takes one record of the directory d.
func (w *walker) name(d directory, r record) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	i, err := w.fs.inode(r.inode)
	if err == nil && i.isDirectory() {
		w.pending = append(w.pending, w.below(d, r))
		return nil
	}
	e := &evidence.Entry{
		Path:  []byte(d.path + "/" + string(r.name)),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("inode %d", r.inode)}},
		Kind:  tutela.File,
		State: d.state,
		Size:  -1,
	}
	if bytes.IndexByte(r.name, '/') >= 0 || bytes.IndexByte(r.name, 0) >= 0 {
		e.Find(tutela.FindingDamaged, "no directory may list such a name")
	}
	switch {
	case err != nil:
		refuse(e, codeOf(err), err)
	case i.mode == 0:
		w.reach(r.inode)
		refuse(e, tutela.FindingDamaged, fmt.Errorf("inode %d is not in use", r.inode))
	default:
		w.reach(r.inode)
		w.describe(e, i)
	}
	return w.emit(e, d.problem)
}

// below is the directory that r names. One whose path gets too long loses the
// directories above it, so that what is in it is not lost.
func (w *walker) below(d directory, r record) directory {
	sub := directory{path: d.path + "/" + string(r.name), inode: r.inode, state: d.state, problem: d.problem}
	if len(sub.path) >= w.limits.NameBytes {
		sub.path = fmt.Sprintf("%s/directory-%d", orphanFolder, r.inode)
		sub.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}
	}
	return sub
}

func (w *walker) emit(e *evidence.Entry, problem *tutela.Finding) error {
	if e.State != tutela.Allocated {
		if w.deletedCount == 0 {
			w.unreadable.leftOut++
			return nil
		}
		w.deletedCount--
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = e.Path[:w.limits.NameBytes]
		e.Find(tutela.FindingLimit, "its path is too long and is cut")
	}
	if problem != nil {
		e.Findings = append(e.Findings, *problem)
	}
	return w.visit(e)
}

// refuse makes the content of e unreadable.
func refuse(e *evidence.Entry, code string, err error) {
	e.Find(code, err.Error())
	e.Runs, e.Slack = nil, nil
	e.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("xfs: %w", err) }
}

// describe says of e what its inode tells.
func (w *walker) describe(e *evidence.Entry, i *inode) {
	e.Kind, e.Size, e.Times = i.kind(), i.size, i.times
	if i.badSum {
		e.Find(tutela.FindingDamaged, "the inode's checksum is wrong")
	}
	switch e.Kind {
	case tutela.File:
		w.file(e, i)
	case tutela.Symlink:
		target, err := w.fs.targetOf(i)
		if err != nil {
			e.Find(codeOf(err), err.Error())
		}
		e.Find(tutela.FindingSpecial, "symlink to "+tutela.DisplayPath(target))
	case tutela.Device:
		e.Size = 0
		number := binary.BigEndian.Uint32(i.fork)
		e.Find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", number>>18&0x3fff, number&0x3ffff))
	default:
		e.Find(tutela.FindingSpecial, e.Kind.String())
	}
}

func (w *walker) file(e *evidence.Entry, i *inode) {
	if i.mode&typeMask != typeFile {
		e.Find(tutela.FindingDamaged, fmt.Sprintf("its mode %#o is that of nothing known", i.mode))
	}
	switch {
	case i.flags&flagRealtime != 0:
		refuse(e, tutela.FindingUnsupported, fmt.Errorf("content on a realtime device not read: %w", evidence.ErrUnsupported))
		return
	case i.format == formatLocal && i.size <= int64(len(i.fork)):
		inline := bytes.Clone(i.fork[:i.size])
		e.Open = func() (evidence.Content, error) { return evidence.Bytes(inline), nil }
		return
	}
	m, err := w.fs.mapOf(i)
	if err == nil {
		err = w.affordable(i, &m)
	}
	if err != nil {
		refuse(e, codeOf(err), err)
		return
	}
	if m.badSums > 0 {
		e.Find(tutela.FindingDamaged, "the checksum of its list of extents is wrong")
	}
	w.place(e, &m)
	e.Open = w.fs.opener(i, m.extents)
}

// place says where the content and its slack lie, as far as the source goes.
func (w *walker) place(e *evidence.Entry, m *mapping) {
	end := w.fs.src.Size()
	for _, r := range evidence.RunsOf(m.extents) {
		if r.Offset+r.Length > end {
			e.Find(tutela.FindingTruncated, "blocks lie behind the end of the image")
			break
		}
	}
	e.Runs, e.Slack = evidence.RunsOf(m.extents), m.slack
}

const fewExtents = 16

// opener reads the list of extents again where it is long: many contents may be
// waiting to be read.
func (fs *FileSystem) opener(i *inode, extents []evidence.Extent) func() (evidence.Content, error) {
	size, number := i.size, i.number
	if len(extents) <= fewExtents {
		return func() (evidence.Content, error) { return evidence.NewExtents(fs.src, extents, size), nil }
	}
	return func() (evidence.Content, error) {
		i, err := fs.inode(number)
		if err != nil {
			return nil, fmt.Errorf("xfs: %w", err)
		}
		m, err := fs.mapOf(i)
		if err != nil {
			return nil, fmt.Errorf("xfs: inode %d: %w", number, err)
		}
		return evidence.NewExtents(fs.src, m.extents, size), nil
	}
}

// affordable is an error where reading a content takes longer than a volume can
// demand: far more zeros than it has bytes, or more blocks than it has.
func (w *walker) affordable(i *inode, m *mapping) error {
	held := min(w.fs.src.Size(), w.fs.sb.bytes())
	if most := max(64*held, 1<<34); i.size > most {
		return fmt.Errorf("%d bytes, mostly zeros, on a volume of %d: %w", i.size, held, errLimit)
	}
	if w.claimed -= m.held; w.claimed < 0 {
		return fmt.Errorf("files in use claim many times the blocks of the volume: %w", errLimit)
	}
	return nil
}

// codeOf is the finding that an error is told by.
func codeOf(err error) string {
	if errors.Is(err, errLimit) {
		return tutela.FindingLimit
	}
	if errors.Is(err, evidence.ErrUnsupported) {
		return tutela.FindingUnsupported
	}
	if _, ok := errors.AsType[*evidence.ReadError](err); ok {
		return tutela.FindingReadError
	}
	return tutela.FindingDamaged
}
