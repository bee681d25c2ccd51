package udf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk over the tree, a directory at a time, and then over the
// names that are marked as deleted.
type walker struct {
	fs     *FileSystem
	ctx    context.Context
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	pending  []directory  // the next at the end
	seen     map[icb]bool // file entries that a name in use leads to; later, deleted ones
	listed   map[icb]bool // directories
	ghosts   []ghost      // names that are marked as deleted
	dirBytes int64        // of directories that may still be read
	claimed  int64        // bytes that files in use may still have
	entries  int64        // names that may still be given

	free         *freeMap
	deletedCount int64 // deleted files that may still be given: no more than blocks
	leftOut      int   // of them
	deletedBytes int64 // of theirs that may still be given
}

// icb is where a file entry lies.
type icb struct {
	partition uint16
	block     uint32
}

func (a longAD) icb() icb { return icb{a.partition, a.block} }

// directory is one that is still to be listed.
type directory struct {
	path    string // "" for the root, without a slash at the end
	at      longAD
	file    *file
	state   tutela.State    // of what is in it
	problem *tutela.Finding // why the path is not the whole path
}

// ghost is a name that is marked as deleted.
type ghost struct {
	dir  directory
	name name
}

const maxGhosts = 1 << 18

var errLimit = errors.New("limited")

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	held := fs.src.Size()
	w := &walker{
		fs: fs, ctx: ctx, limits: limits.WithDefaults(), visit: visit,
		seen: map[icb]bool{}, listed: map[icb]bool{},
		dirBytes: 2 * held, claimed: 64 * held, // hard links, and discs that share blocks
		deletedCount: held/fs.blockBytes + 1,
	}
	w.entries = w.limits.EntriesPerRoot
	w.deletedBytes = product(held, w.limits.DeletedFactor)
	if len(fs.findings) > 0 {
		if err := w.about("/", "volume", fs.findings...); err != nil {
			return err
		}
	}
	root, err := fs.file(fs.root)
	if err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	w.seen[fs.root.icb()] = true
	top := directory{at: fs.root, file: root, state: tutela.Allocated}
	if err := w.streams(top.path+"/", root, tutela.Allocated, nil); err != nil {
		return err
	}
	if err := w.tree(top); err != nil {
		return err
	}
	return w.deleted()
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

// list gives out what is in a directory, and keeps the directories in it for
// later.
func (w *walker) list(d directory) error {
	if w.listed[d.at.icb()] {
		return w.tell(d, tutela.FindingLoop, "the directory is listed elsewhere already")
	}
	w.listed[d.at.icb()] = true
	names, problem := w.fs.names(d.file, &w.dirBytes)
	first := len(w.pending)
	for _, n := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.name(d, n); err != nil {
			return err
		}
	}
	for i, j := first, len(w.pending)-1; i < j; i, j = i+1, j-1 {
		w.pending[i], w.pending[j] = w.pending[j], w.pending[i]
	}
	if problem != nil {
		return w.tell(d, codeOf(problem), "not listed whole: "+problem.Error())
	}
	if d.file.badSum {
		return w.tell(d, tutela.FindingDamaged, "the checksum of its file entry is wrong")
	}
	return nil
}

// tell says something about a directory.
func (w *walker) tell(d directory, code, detail string) error {
	path := d.path
	if path == "" {
		path = "/"
	}
	e := w.entry(path, d.at, d.state)
	e.Kind, e.Size = tutela.Directory, 0
	e.Find(code, detail)
	return w.emit(e, d.problem)
}

func (w *walker) entry(path string, at longAD, state tutela.State) *evidence.Entry {
	return &evidence.Entry{
		Path:  []byte(path),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("block %d of partition %d", at.block, at.partition)}},
		Kind:  tutela.File,
		State: state,
		Size:  -1,
	}
}

// name takes one name of the directory d.
func (w *walker) name(d directory, n name) error {
	switch {
	case n.marks&markParent != 0:
		return nil
	case n.marks&markDeleted != 0:
		if n.at.bytes() > 0 && len(w.ghosts) < maxGhosts {
			d.file = nil // not needed, and large
			w.ghosts = append(w.ghosts, ghost{d, n})
		}
		return nil
	}
	w.seen[n.at.icb()] = true
	return w.named(d, n, d.state)
}

// named gives out what a name leads to.
func (w *walker) named(d directory, n name, state tutela.State) error {
	if w.entries--; w.entries < 0 {
		return w.tooMany(d)
	}
	f, err := w.fs.file(n.at)
	if err == nil && f.isDirectory() {
		sub := w.below(d, n, state)
		sub.file = f
		w.pending = append(w.pending, sub)
		return w.streams(sub.path, f, state, d.problem)
	}
	e := w.entry(d.path+"/"+string(n.name), n.at, state)
	if bytes.IndexByte(n.name, '/') >= 0 || len(n.name) == 0 {
		e.Find(tutela.FindingDamaged, "no directory may list such a name")
	}
	if err != nil {
		if n.marks&markDirectory != 0 {
			e.Kind, e.Size = tutela.Directory, 0
			e.Find(codeOf(err), "not listed: "+err.Error())
			return w.emit(e, d.problem)
		}
		refuse(e, codeOf(err), err)
		return w.emit(e, d.problem)
	}
	w.describe(e, f)
	if err := w.emit(e, d.problem); err != nil {
		return err
	}
	return w.streams(d.path+"/"+string(n.name), f, state, d.problem)
}

// tooMany says once that there are more names than the limit.
func (w *walker) tooMany(d directory) error {
	if w.entries != -1 {
		return nil
	}
	return w.tell(d, tutela.FindingLimit, fmt.Sprintf("more than %d names: not listed from here on", w.limits.EntriesPerRoot))
}

// below is the directory that n names. One whose path gets too long loses the
// directories above it, so that what is in it is not lost.
func (w *walker) below(d directory, n name, state tutela.State) directory {
	sub := directory{path: d.path + "/" + string(n.name), at: n.at, state: state, problem: d.problem}
	if len(sub.path) >= w.limits.NameBytes {
		sub.path = fmt.Sprintf("%s/directory-%d-%d", orphanFolder, n.at.partition, n.at.block)
		sub.problem = &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}
	}
	return sub
}

// streams gives out the named streams of a file (ECMA 4/9.2).
func (w *walker) streams(path string, f *file, state tutela.State, problem *tutela.Finding) error {
	if f.streams.bytes() == 0 || w.listed[f.streams.icb()] {
		return nil
	}
	w.listed[f.streams.icb()] = true
	dir, err := w.fs.file(f.streams)
	if err == nil && !dir.isDirectory() {
		err = errors.New("not a directory")
	}
	if err != nil {
		e := w.entry(path, f.streams, state)
		e.Kind, e.Size = tutela.Directory, 0
		e.Find(codeOf(err), "its named streams are not listed: "+err.Error())
		return w.emit(e, problem)
	}
	names, broken := w.fs.names(dir, &w.dirBytes)
	for _, n := range names {
		if n.marks&(markParent|markDeleted|markDirectory) != 0 {
			continue
		}
		if err := w.stream(path, n, state, problem); err != nil {
			return err
		}
	}
	if broken != nil {
		e := w.entry(path, f.streams, state)
		e.Kind, e.Size = tutela.Directory, 0
		e.Find(codeOf(broken), "its named streams are not all listed: "+broken.Error())
		return w.emit(e, problem)
	}
	return nil
}

func (w *walker) stream(path string, n name, state tutela.State, problem *tutela.Finding) error {
	if w.entries--; w.entries < 0 {
		return nil
	}
	w.seen[n.at.icb()] = true
	e := w.entry(path+":"+string(n.name), n.at, state)
	f, err := w.fs.file(n.at)
	if err != nil {
		refuse(e, codeOf(err), err)
	} else {
		w.describe(e, f)
	}
	return w.emit(e, problem)
}

func (w *walker) emit(e *evidence.Entry, problem *tutela.Finding) error {
	if e.State != tutela.Allocated {
		if w.deletedCount == 0 {
			w.leftOut++
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
	e.Open = func() (evidence.Content, error) { return nil, fmt.Errorf("udf: %w", err) }
}

var kinds = map[byte]tutela.EntryKind{
	typeDirectory: tutela.Directory, typeStreamDir: tutela.Directory, typeBlock: tutela.Device, typeChar: tutela.Device,
	typePipe: tutela.Pipe, typeSocket: tutela.Socket, typeLink: tutela.Symlink,
}

// describe says of e what its file entry tells.
func (w *walker) describe(e *evidence.Entry, f *file) {
	e.Size, e.Times = f.size, f.times
	if kind, ok := kinds[f.kind]; ok {
		e.Kind = kind
	}
	if f.badSum {
		e.Find(tutela.FindingDamaged, "the checksum of its file entry is wrong")
	}
	switch e.Kind {
	case tutela.File:
		w.file(e, f)
	case tutela.Symlink:
		target, err := w.fs.target(f)
		if err != nil {
			e.Find(codeOf(err), err.Error())
		}
		e.Find(tutela.FindingSpecial, "symlink to "+tutela.DisplayPath(target))
	case tutela.Device:
		major, minor := f.device()
		e.Find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", major, minor))
	default:
		e.Find(tutela.FindingSpecial, e.Kind.String())
	}
}

// file makes a content readable and says where it lies.
func (w *walker) file(e *evidence.Entry, f *file) {
	if f.how == embedded {
		inline := bytes.Clone(f.rest[:f.size])
		e.Open = func() (evidence.Content, error) { return evidence.Bytes(inline), nil }
		return
	}
	m, err := w.fs.mapOf(f)
	if err == nil {
		err = w.affordable(f, m)
	}
	if err != nil {
		refuse(e, codeOf(err), err)
		return
	}
	if m.length() < f.size {
		e.Find(tutela.FindingDamaged, fmt.Sprintf("its extents hold %d bytes of %d", m.length(), f.size))
	}
	x := evidence.NewExtents(w.fs.src, m.extents, f.size)
	e.Runs = x.Runs()
	for _, r := range e.Runs {
		if r.Offset+r.Length > w.fs.src.Size() {
			e.Find(tutela.FindingTruncated, "blocks lie behind the end of the image")
			break
		}
	}
	e.Slack = m.slack(f.size)
	e.Open = w.fs.opener(f, m)
}

// slack is what is recorded behind the end of the content.
func (m *mapping) slack(size int64) []tutela.Run {
	var behind []evidence.Extent
	for i, x := range m.extents {
		length := m.ends[i] - max(size, m.ends[i]-x.Length)
		if i == len(m.extents)-1 {
			length = max(length, 0) + m.spare
		}
		if x.Offset != evidence.Hole && length > 0 && m.ends[i] >= size {
			end := x.Offset + x.Length
			if i == len(m.extents)-1 {
				end += m.spare
			}
			behind = append(behind, evidence.Extent{Offset: end - length, Length: length})
		}
	}
	return evidence.RunsOf(behind)
}

const fewExtents = 16

// opener reads the list of extents again where it is long: many contents may be
// waiting to be read.
func (fs *FileSystem) opener(f *file, m *mapping) func() (evidence.Content, error) {
	if size, extents := f.size, m.extents; len(extents) <= fewExtents {
		return func() (evidence.Content, error) { return evidence.NewExtents(fs.src, extents, size), nil }
	}
	at := f.at
	return func() (evidence.Content, error) {
		f, err := fs.file(at)
		if err != nil {
			return nil, fmt.Errorf("udf: %w", err)
		}
		c, err := fs.contentOf(f)
		if err != nil {
			return nil, fmt.Errorf("udf: %w", err)
		}
		return c, nil
	}
}

// affordable is an error where reading a content takes longer than a volume can
// demand: far more zeros than it has bytes, or more blocks than it has.
func (w *walker) affordable(f *file, m *mapping) error {
	held := w.fs.src.Size()
	if most := max(64*held, 1<<34); f.size > most {
		return fmt.Errorf("%d bytes, mostly zeros, on a volume of %d: %w", f.size, held, errLimit)
	}
	for _, x := range m.extents {
		if x.Offset != evidence.Hole {
			w.claimed -= x.Length
		}
	}
	if w.claimed < 0 {
		return fmt.Errorf("files claim many times the blocks of the volume: %w", errLimit)
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

// product is a × b, or the greatest number there is.
func product(a, b int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}
