package hfsplus

import (
	"context"
	"encoding/binary"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk: first it reads the catalog to know every directory, link
// and ID, then once more to give out the files.
type walker struct {
	fs     *FileSystem
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	leaves     []uint32
	folders    *folders
	links      links
	live       idSet
	given      idSet // files with hard links whose blocks are claimed
	attributes attributes
	blocks     *bitmap // of blocks
	ghosts     ghosts
	badRecords int

	volume []tutela.Finding // about the volume as a whole

	deleted budget // bytes of deleted content
	checked budget // bytes of blocks of deleted files held against the map
	claimed budget // bytes of blocks that files in use have
	strays  budget // entries of deleted files and of those no directory leads to
	strayed bool   // it is told that there are more
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := newWalker(fs, limits, visit)
	others, err := w.survey(ctx)
	if err != nil {
		return err
	}
	if err := w.dig(ctx, others); err != nil {
		return err
	}
	if err := w.root(); err != nil {
		return err
	}
	if err := w.ownFiles(); err != nil {
		return err
	}
	if err := fs.catalog.readAll(ctx, w.leaves, w.leaf); err != nil {
		return err
	}
	return w.giveGhosts(ctx)
}

func newWalker(fs *FileSystem, limits evidence.Limits, visit func(*evidence.Entry) error) *walker {
	limits = limits.WithDefaults()
	return &walker{
		fs: fs, limits: limits, visit: visit,
		folders: newFolders(limits.NameBytes),
		links:   newLinks(),
		live:    idSet{},
		given:   idSet{},
		blocks:  fs.bitmap(),
		ghosts:  newGhosts(&fs.header),
		volume:  append([]tutela.Finding(nil), fs.findings...),
		deleted: budget{product(fs.held(), limits.DeletedFactor)},
		checked: budget{product(fs.held(), limits.DeletedFactor+1)},
		claimed: budget{product(fs.held(), 2)},
		strays:  budget{fs.header.blocks},
	}
}

func (w *walker) find(code, detail string) {
	w.volume = append(w.volume, tutela.Finding{Code: code, Detail: detail})
}

func (w *walker) findAll(problems []problem) {
	for _, p := range problems {
		w.find(p.code, p.detail)
	}
}

// survey reads every catalog record once. What it returns are the nodes that are
// no leaves, or none any longer.
func (w *walker) survey(ctx context.Context) (others []uint32, err error) {
	order, err := w.fs.catalog.walkLeaves(ctx, w.learn)
	if err != nil {
		return nil, err
	}
	w.leaves = order.leaves
	w.findAll(order.problems)
	if w.badRecords > 0 {
		w.find(tutela.FindingDamaged, fmt.Sprintf("catalog: %d records are none and are not listed", w.badRecords))
	}
	w.links.place(w.folders)
	if w.fs.attributes == nil {
		return order.others, nil
	}
	problems, err := w.attributes.load(ctx, w.fs.attributes)
	w.findAll(problems)
	return order.others, err
}

func (w *walker) learn(n *node) error {
	for i := range n.records() {
		if !w.learnRecord(n.record(i), location{n.number, uint16(i)}) {
			w.badRecords++
		}
	}
	return nil
}

func (w *walker) learnRecord(r []byte, at location) bool {
	key, data, ok := parseKey(r)
	if !ok {
		return false
	}
	switch binary.BigEndian.Uint16(data) {
	case recordFolder:
		if len(data) < folderBytes {
			return false
		}
		w.learnFolder(key, parseCommon(data).cnid)
		return true
	case recordFile:
		f, err := parseFile(data)
		if err != nil {
			return false
		}
		w.live.add(f.cnid)
		w.links.learnFile(key, evidence.WTF8(key.name, binary.BigEndian), &f, at)
		return true
	case recordFolderThread, recordFileThread:
		return true
	}
	return false
}

func (w *walker) learnFolder(key catalogKey, cnid uint32) {
	w.live.add(cnid)
	w.links.learnFolder(key.parent, cnid, evidence.WTF8(key.name, binary.BigEndian))
	if _, known := w.folders.live[cnid]; !known {
		w.folders.live[cnid] = directory{key.parent, string(pathName(key.name))}
	}
}

// root is the entry that carries what must be said about the volume.
func (w *walker) root() error {
	if len(w.volume) == 0 {
		return nil
	}
	return w.visit(&evidence.Entry{
		Path:     []byte("/"),
		Chain:    []tutela.Locator{{Layer: layerName, At: "volume"}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: w.volume,
	})
}

// ownFiles are the files that the volume header describes.
func (w *walker) ownFiles() error {
	h := &w.fs.header
	for _, own := range []struct {
		name   string
		cnid   uint32
		fork   fork
		always bool
	}{
		{"$ExtentsFile", cnidExtents, h.extents, true},
		{"$CatalogFile", cnidCatalog, h.catalog, true},
		{"$BadBlockFile", cnidBadBlocks, fork{}, true},
		{"$AllocationFile", cnidAllocation, h.allocation, true},
		{"$StartupFile", cnidStartup, h.startup, false},
		{"$AttributesFile", cnidAttributes, h.attributesFile, false},
	} {
		if !own.always && own.fork.total == 0 {
			continue
		}
		a := w.fs.resolve(own.fork, own.cnid, dataFork)
		if own.cnid == cnidBadBlocks {
			a = w.fs.badBlocks()
		}
		s := subject{name: []byte(own.name), dir: place{trust: live}, cnid: own.cnid}
		if err := w.give(&s, w.forkItem(a, "data fork", true)); err != nil {
			return err
		}
	}
	return nil
}

// leaf gives out the entries of a leaf.
func (w *walker) leaf(n *node) error {
	for i := range n.records() {
		key, data, ok := parseKey(n.record(i))
		if !ok {
			continue // told by survey
		}
		var err error
		switch kind := binary.BigEndian.Uint16(data); {
		case kind == recordFolder && len(data) >= folderBytes:
			err = w.folder(key, parseCommon(data))
		case kind == recordFile && len(data) >= fileBytes:
			err = w.file(key, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// folder gives out the attributes of a directory.
func (w *walker) folder(key catalogKey, c common) error {
	items, findings := w.attributeItems(c.cnid, false, true)
	if len(items) == 0 && len(findings) == 0 {
		return nil
	}
	s := subject{name: pathName(key.name), cnid: c.cnid, times: c.times}
	if c.cnid == cnidRoot {
		s.name, s.dir.trust = nil, live
	} else {
		s.dir = w.folders.find(key.parent)
	}
	if len(findings) > 0 {
		items = append(items, item{kind: tutela.Directory, at: "folder", findings: findings})
	}
	return w.giveAll(&s, items)
}

// file gives out what a file record is: a file, a link to one, or to a directory.
func (w *walker) file(key catalogKey, data []byte) error {
	f, err := parseFile(data)
	if err != nil || w.links.isLinked(key.parent, evidence.WTF8(key.name, binary.BigEndian)) {
		return err
	}
	s := subject{name: pathName(key.name), dir: w.folders.find(key.parent), cnid: f.cnid, times: f.times}
	switch {
	case f.isFolderLink():
		return w.folderLink(&s, &f)
	case f.isLink():
		return w.link(&s, &f)
	}
	return w.giveAll(&s, w.fileItems(&f, true))
}

// link gives out the file that a hard link leads to.
func (w *walker) link(s *subject, f *file) error {
	s.link = fmt.Sprintf(" by link %d", f.cnid)
	target, err := w.target(f.special)
	if err != nil {
		it := item{kind: tutela.File, at: "hard link", size: -1}
		it.find(tutela.FindingDamaged, err.Error())
		it.refuse(err)
		return w.give(s, it)
	}
	s.cnid, s.times = target.cnid, target.times
	first := !w.given.has(target.cnid)
	w.given.add(target.cnid)
	return w.giveAll(s, w.fileItems(&target, first))
}

func (w *walker) target(n uint32) (file, error) {
	in, ok := w.links.target(n)
	if !ok {
		return file{}, fmt.Errorf("a hard link to iNode%d, which is not there", n)
	}
	leaf, err := w.fs.catalog.read(in.node)
	if err != nil {
		return file{}, fmt.Errorf("a hard link to iNode%d: %w", n, err)
	}
	if int(in.record) >= leaf.records() {
		return file{}, errRecord
	}
	_, data, ok := parseKey(leaf.record(int(in.record)))
	if !ok {
		return file{}, errRecord
	}
	return parseFile(data)
}

// folderLink tells of a link to a directory, unless its files are listed under it.
func (w *walker) folderLink(s *subject, f *file) error {
	it := item{kind: tutela.Directory, at: "directory hard link"}
	cnid, ok := w.links.folder(f.special)
	switch {
	case !ok:
		it.find(tutela.FindingDamaged, fmt.Sprintf("a hard link to the directory dir_%d, which is not there", f.special))
	case w.links.firsts[f.special].cnid == f.cnid:
		return nil
	default:
		it.find(tutela.FindingSpecial, "hard link to a directory whose files are listed under "+tutela.DisplayPath([]byte(w.folders.climb(cnid).path)))
	}
	return w.give(s, it)
}
