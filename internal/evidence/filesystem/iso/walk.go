package iso

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// Walk visits every file of the preferred tree, depth first in the order of
// the directory records, then every file that only another tree names (an empty
// one only if another session names it). Directories are not visited unless
// something must be said about them. Findings about the volume come last, on "/".
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	if limits.NameBytes == 0 {
		limits.NameBytes = evidence.DefaultLimits().NameBytes
	}
	listed := &listed{extents: make(map[tutela.Run]bool), empty: make(map[string]bool)}
	for i, t := range fs.trees {
		if fs.sharesRoot(i) {
			continue
		}
		w := &walker{
			fs: fs, tree: t, ctx: ctx, visit: visit,
			nameBytes: limits.NameBytes,
			budget:    fs.src.Size(),
			claimed:   make(map[int64]bool),
			listed:    listed,
			secondary: i > 0,
		}
		if err := w.walk(); err != nil {
			return err
		}
	}
	return fs.visitRoot(visit)
}

// sharesRoot reports whether an earlier tree begins at the same sector, as the
// enhanced descriptor of ISO 9660:1999 does.
func (fs *FileSystem) sharesRoot(i int) bool {
	for _, earlier := range fs.trees[:i] {
		if earlier.root.extent.Offset == fs.trees[i].root.extent.Offset {
			return true
		}
	}
	return false
}

func (fs *FileSystem) visitRoot(visit func(*evidence.Entry) error) error {
	if len(fs.findings) == 0 {
		return nil
	}
	return visit(&evidence.Entry{
		Path:     []byte("/"),
		Chain:    []tutela.Locator{{Layer: fs.trees[0].layer, At: "volume"}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: append([]tutela.Finding(nil), fs.findings...),
	})
}

// walker lists one tree, once.
type walker struct {
	fs        *FileSystem
	tree      tree
	ctx       context.Context
	visit     func(*evidence.Entry) error
	nameBytes int
	budget    int64          // bytes of continuation areas still to be read
	claimed   map[int64]bool // directory sectors already read; ends loops and overlaps
	listed    *listed        // shared by the trees
	secondary bool
	moved     []directory // marked as relocated: their place is told by a CL
}

// listed is what was visited so far.
type listed struct {
	extents map[tutela.Run]bool // first extents of files
	empty   map[string]bool     // paths of files without sectors
	sectors int64               // of directories, in all trees
}

// directory is one directory about to be listed.
type directory struct {
	path   []byte // without a trailing '/', empty for the root
	at     int64  // of its record
	extent tutela.Run
}

func (w *walker) walk() error {
	if err := w.list(directory{at: w.tree.root.at, extent: w.tree.root.extent}, nil); err != nil {
		return err
	}
	return w.listStrays()
}

// listStrays lists relocated directories that no CL field led to: hostile or
// damaged volumes could hide files there.
func (w *walker) listStrays() error {
	for _, d := range w.moved {
		if w.claimed[d.extent.Offset/sectorSize] {
			continue
		}
		stray := []tutela.Finding{{Code: tutela.FindingDamaged, Detail: "rock ridge: marked as relocated, but nothing links to it"}}
		if err := w.list(d, stray); err != nil {
			return err
		}
	}
	return nil
}

// list visits what one directory holds. findings are what is known about it
// already.
func (w *walker) list(d directory, findings []tutela.Finding) error {
	lister := &lister{walker: w, dir: d, findings: findings}
	for at := int64(0); at < d.extent.Length; at += sectorSize {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		more, err := lister.sector(d.extent.Offset + at)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := lister.flush(); err != nil {
		return err
	}
	return w.visitDirectory(d, lister.findings)
}

func (w *walker) visitDirectory(d directory, findings []tutela.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	e := w.entry(d.path, d.at, findings)
	e.Kind = tutela.Directory
	if len(d.path) == 0 {
		e.Path = []byte("/")
	}
	return w.visit(e)
}

func (w *walker) entry(path []byte, at int64, findings []tutela.Finding) *evidence.Entry {
	return &evidence.Entry{
		Path:     path,
		Chain:    []tutela.Locator{{Layer: w.tree.layer, At: fmt.Sprintf("record @ %d", at)}},
		Kind:     tutela.File,
		State:    tutela.Allocated,
		Findings: findings,
	}
}

// lister reads the sectors of one directory and puts records that belong to
// one file together.
type lister struct {
	*walker
	dir      directory
	findings []tutela.Finding
	pending  []tutela.Run // extents of a file whose last record is still to come
	first    record       // of the pending file; its slices are its own
}

func (l *lister) find(code, detail string) {
	l.findings = append(l.findings, tutela.Finding{Code: code, Detail: detail})
}

// sector lists the records of one sector: none crosses into the next
// (ECMA-119 6.8.1.1). It reports false where the directory cannot go on.
func (l *lister) sector(at int64) (more bool, err error) {
	if at/sectorSize*sectorSize+sectorSize > l.fs.src.Size() && at >= l.fs.src.Size() {
		l.find(tutela.FindingTruncated, fmt.Sprintf("the image ends before this directory does, at byte %d", at))
		return false, nil
	}
	if l.claimed[at/sectorSize] {
		l.find(tutela.FindingLoop, fmt.Sprintf("sector %d belongs to a directory that was listed before", at/sectorSize))
		return false, nil
	}
	if l.listed.sectors++; l.listed.sectors*sectorSize > 2*l.fs.src.Size() {
		l.find(tutela.FindingLimit, "the trees of this disc share their directories and exceed its size; the rest was left")
		return false, nil
	}
	l.claimed[at/sectorSize] = true
	buf := make([]byte, min(sectorSize, l.fs.src.Size()-at))
	if n, err := l.fs.src.ReadAt(buf, at); n < len(buf) {
		l.find(tutela.FindingReadError, fmt.Sprintf("read directory at byte %d: %v", at, err))
		return true, nil
	}
	return true, l.records(buf, at)
}

func (l *lister) records(buf []byte, at int64) error {
	for len(buf) > 0 && buf[0] != 0 {
		r, err := parseRecord(buf, l.tree.blockSize)
		if err != nil {
			l.find(tutela.FindingDamaged, fmt.Sprintf("at byte %d: %v; the rest of the sector was left", at, err))
			return nil
		}
		r.at = at
		if !r.isSelfOrParent() {
			if err := l.record(r); err != nil {
				return err
			}
		}
		at += int64(buf[0])
		buf = buf[buf[0]:]
	}
	return nil
}

// record takes one record: a file may have several, all but the last of them
// flagged and under one name (ECMA-119 9.1.6, bit 7).
func (l *lister) record(r record) error {
	if len(l.pending) > 0 && !bytes.Equal(l.first.name, r.name) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	if len(l.pending) == 0 {
		l.first = r
		l.first.name, l.first.systemUse = bytes.Clone(r.name), bytes.Clone(r.systemUse)
	}
	l.pending = append(l.pending, r.extent)
	if r.flags&flagMultiExtent != 0 {
		return nil
	}
	extents := l.pending
	l.pending = nil
	return l.object(l.first, extents, nil)
}

// flush gives out a file whose last record never came.
func (l *lister) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	extents := l.pending
	l.pending = nil
	return l.object(l.first, extents, []tutela.Finding{{Code: tutela.FindingDamaged, Detail: "the last of its extents is not recorded"}})
}

// object visits what one record, or one run of records, stands for.
func (l *lister) object(r record, extents []tutela.Run, findings []tutela.Finding) error {
	if r.mismatch {
		findings = append(findings, tutela.Finding{Code: tutela.FindingDamaged, Detail: "location and length differ between the two byte orders; little-endian was read"})
	}
	use := rock{child: -1}
	if l.tree.names == rockRidgeNames {
		var err error
		if use, err = l.fs.readSystemUse(r.systemUse, l.tree.skip, l.tree.blockSize, &l.budget); err != nil {
			findings = append(findings, tutela.Finding{Code: continuationCode(err), Detail: err.Error()})
		}
	}
	path, nameFindings := l.path(r, use)
	findings = append(findings, nameFindings...)
	if len(path) > l.nameBytes {
		return l.tooLong(path, r, findings)
	}
	switch {
	case use.child >= 0:
		return l.relocated(path, r, use, findings)
	case r.isDirectory() && use.moved:
		l.moved = append(l.moved, directory{path, r.at, r.extent})
		return nil
	case r.isDirectory():
		return l.list(directory{path, r.at, r.extent}, findings)
	}
	return l.file(path, r, use, extents, findings)
}

func continuationCode(err error) string {
	if errors.Is(err, errBudget) {
		return tutela.FindingLimit
	}
	return tutela.FindingDamaged
}

func (l *lister) path(r record, use rock) (path []byte, findings []tutela.Finding) {
	name := use.name
	switch {
	case l.tree.names == jolietNames:
		name = jolietName(r.name)
	case len(name) == 0:
		name = plainName(r.name)
	}
	if len(name) == 0 || bytes.ContainsAny(name, "/\x00") || string(name) == "." || string(name) == ".." {
		findings = append(findings, tutela.Finding{Code: tutela.FindingDamaged, Detail: "no file system allows this name"})
	}
	path = append(append(bytes.Clone(l.dir.path), '/'), name...)
	if r.flags&flagAssociated != 0 {
		path = append(path, ":associated"...)
	}
	return path, findings
}

// tooLong says that a path was cut; what lies below such a directory is left,
// which also bounds how deep a tree is followed.
func (l *lister) tooLong(path []byte, r record, findings []tutela.Finding) error {
	e := l.entry(path[:l.nameBytes], r.at, findings)
	e.Size = r.extent.Length
	e.Find(tutela.FindingLimit, fmt.Sprintf("the path has more than %d bytes; it was cut and the content left", l.nameBytes))
	if r.isDirectory() {
		e.Kind, e.Size = tutela.Directory, 0
	}
	return l.visit(e)
}

// relocated lists the directory a CL field points at (RRIP 4.1.5.1) in the
// place of the record that carries it. The length is in that directory's own
// first record.
func (l *lister) relocated(path []byte, r record, use rock, findings []tutela.Finding) error {
	at := use.child * l.tree.blockSize
	var head [sectorSize]byte
	n, _ := l.fs.src.ReadAt(head[:], at)
	self, err := parseRecord(head[:n], l.tree.blockSize)
	if err != nil || !self.isDirectory() || self.extent.Offset != at {
		findings = append(findings, tutela.Finding{Code: tutela.FindingDamaged, Detail: fmt.Sprintf("rock ridge: no relocated directory at byte %d", at)})
		return l.visitDirectory(directory{path: path, at: r.at}, findings)
	}
	return l.list(directory{path, r.at, self.extent}, findings)
}

func (l *lister) file(path []byte, r record, use rock, extents []tutela.Run, findings []tutela.Finding) error {
	if l.known(path, extents) {
		return nil
	}
	e := l.entry(path, r.at, findings)
	e.Times = tutela.Times{Modified: r.date}
	if use.hasTimes {
		e.Times = use.times
	}
	if l.secondary {
		e.Find(tutela.FindingDamaged, fmt.Sprintf("the trees do not agree: only %s of the descriptors at sector %d lists it", l.tree.layer, l.tree.session))
	}
	if kind := specialKind(use.mode); kind != tutela.File {
		e.Kind = kind
		e.Find(tutela.FindingSpecial, describeSpecial(kind, use.target))
		return l.visit(e)
	}
	l.setContent(e, r, use, extents)
	return l.visit(e)
}

// known reports whether a secondary tree names what was listed already, and
// remembers what a tree lists. Files and links without sectors are known by
// their paths, which compare between sessions but not between the trees of one:
// there Joliet has other names than Rock Ridge for everything.
func (l *lister) known(path []byte, extents []tutela.Run) bool {
	first := extents[0]
	if first.Length > 0 {
		listed := l.listed.extents[first]
		l.listed.extents[first] = true
		return l.secondary && listed
	}
	listed := l.listed.empty[string(path)] || l.tree.session == l.fs.trees[0].session
	l.listed.empty[string(path)] = true
	return l.secondary && listed
}

func specialKind(mode uint32) tutela.EntryKind {
	switch mode & modeType {
	case modeSymlink:
		return tutela.Symlink
	case modeBlock, modeChar:
		return tutela.Device
	case modeSocket:
		return tutela.Socket
	case modePipe:
		return tutela.Pipe
	}
	return tutela.File
}

func describeSpecial(kind tutela.EntryKind, target []byte) string {
	if kind == tutela.Symlink {
		return "symlink to " + tutela.DisplayPath(target)
	}
	return kind.String()
}

var (
	errZisofs      = fmt.Errorf("iso 9660: zisofs compressed content: %w", evidence.ErrUnsupported)
	errInterleaved = fmt.Errorf("iso 9660: interleaved file: %w", evidence.ErrUnsupported)
)

func (l *lister) setContent(e *evidence.Entry, r record, use rock, extents []tutela.Run) {
	for _, run := range extents {
		e.Size += run.Length
	}
	switch {
	case use.zisofs:
		refuse(e, errZisofs)
		return
	case r.interleaved:
		refuse(e, errInterleaved)
		return
	}
	src, size := l.fs.src, e.Size
	e.Open = func() (evidence.Content, error) { return newContent(src, extents, size), nil }
	var missing int64
	e.Runs, missing = clip(extents, src.Size())
	if missing > 0 {
		e.Find(tutela.FindingTruncated, fmt.Sprintf("%d of %d bytes lie beyond the end of the image", missing, size))
	}
}

func refuse(e *evidence.Entry, err error) {
	e.Find(tutela.FindingUnsupported, err.Error())
	e.Open = func() (evidence.Content, error) { return nil, err }
}

// clip is the part of the extents that the image holds, and how many bytes
// that leaves out.
func clip(extents []tutela.Run, size int64) (runs []tutela.Run, missing int64) {
	for _, run := range extents {
		held := max(0, min(run.Length, size-run.Offset))
		missing += run.Length - held
		if held > 0 {
			runs = append(runs, tutela.Run{Offset: run.Offset, Length: held})
		}
	}
	return runs, missing
}
