package hfsplus

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

const (
	// maxGhosts is how many records of deleted files are kept, and of deleted
	// directories.
	maxGhosts = 64 << 10
	digChunk  = 1 << 20 // bytes read of the journal at a time
	// longestRecord is a file record with the longest key, in bytes.
	longestRecord = 2 + 6 + 2*maxNameLen + fileBytes
)

// ghost is a record of a deleted file.
type ghost struct {
	file
	parent uint32
	name   []byte
	found  string // where
	reused bool   // a younger deleted file had one of its blocks too
}

// ghostKey tells copies of the same file from others: a file that grew keeps its
// first block.
type ghostKey struct{ cnid, data, resource uint32 }

// ghosts are the deleted files that were found.
type ghosts struct {
	header *header
	files  map[ghostKey]*ghost
	most   int
	more   bool // there were more than most
}

func newGhosts(h *header) ghosts {
	return ghosts{header: h, files: map[ghostKey]*ghost{}, most: int(min(h.blocks, maxGhosts))}
}

// add keeps the longest copy of a record.
func (g *ghosts) add(one *ghost) {
	key := ghostKey{one.cnid, one.data.extents[0].first, one.resource.extents[0].first}
	known, ok := g.files[key]
	switch {
	case !ok && len(g.files) >= g.most:
		g.more = true
	case !ok || one.data.size > known.data.size ||
		one.data.size == known.data.size && one.times.Changed.After(known.times.Changed):
		g.files[key] = one
	}
}

// dig looks for old copies of records: in the free space of nodes, in nodes that
// are no longer used, and in the journal.
func (w *walker) dig(ctx context.Context, others []uint32) error {
	t := w.fs.catalog
	err := t.readAll(ctx, w.leaves, func(n *node) error { return w.digNode(n, true) })
	if err != nil {
		return err
	}
	err = t.readAll(ctx, others, func(n *node) error { return w.digNode(n, n.kind != kindLeaf && t.inUse(n.number)) })
	if err != nil {
		return err
	}
	if err := w.digJournal(ctx); err != nil {
		return err
	}
	if w.ghosts.more {
		w.find(tutela.FindingLimit, fmt.Sprintf("more than %d deleted files: the others are left out", w.ghosts.most))
	}
	return nil
}

// digNode looks at the free space of a node that is in use, and at the whole of
// one that is not.
func (w *walker) digNode(n *node, inUse bool) error {
	from, to := descriptorBytes, len(n.raw)
	if inUse {
		from, to = n.slack()
	}
	if from < to {
		w.digBytes(n.raw[from:to], func(at int) string { return w.inNode(n.number, from+at) })
	}
	if w.fs.meta == w.fs.src {
		return nil
	}
	old := make([]byte, len(n.raw))
	if err := readFull(w.fs.catalog.asIs, old, int64(n.number)*int64(len(old))); err == nil && !bytes.Equal(old, n.raw) {
		w.digBytes(old, func(at int) string { return w.inNode(n.number, at) })
	}
	return nil
}

func (w *walker) inNode(number uint32, at int) string {
	return fmt.Sprintf(", old record at byte %d (catalog node %d)", w.fs.catalog.place(number, at), number)
}

func (w *walker) digJournal(ctx context.Context) error {
	run, _, problem := w.fs.journalRun()
	if problem != "" || run.Length == 0 {
		return nil // told by Open
	}
	src := evidence.Section(w.fs.src, run.Offset, run.Length)
	buf := make([]byte, min(run.Length, digChunk+longestRecord))
	for at := int64(0); at < run.Length; at += digChunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			w.find(tutela.FindingReadError, fmt.Sprintf("journal: %v: not searched for deleted files from there on", err))
			return nil
		}
		w.digBytes(buf[:n], func(i int) string {
			return fmt.Sprintf(", old record at byte %d (journal)", run.Offset+at+int64(i))
		})
	}
	return nil
}

// digBytes tries every even place for a record. found says where one lies.
func (w *walker) digBytes(b []byte, found func(at int) string) {
	for at := 0; at+8+2+folderBytes <= len(b); at += 2 {
		length := int(binary.BigEndian.Uint16(b[at:]))
		name := 2 * int(binary.BigEndian.Uint16(b[at+6:]))
		if name == 0 || length != 6+name || name > 2*maxNameLen {
			continue
		}
		key, data, ok := parseKey(b[at:])
		if !ok || key.parent < cnidRoot || key.parent > cnidRoot && key.parent < cnidFirstUser {
			continue
		}
		switch kind := binary.BigEndian.Uint16(data); {
		case kind == recordFolder && len(data) >= folderBytes:
			w.addGoneFolder(key, parseCommon(data))
		case kind == recordFile && len(data) >= fileBytes:
			w.addGhost(key, data, func() string { return found(at) })
		}
	}
}

func (w *walker) addGoneFolder(key catalogKey, c common) {
	known := w.folders.gone
	if _, again := known[c.cnid]; again || c.cnid < cnidFirstUser || w.live.has(c.cnid) || len(known) >= w.ghosts.most {
		return
	}
	if t := c.mode & modeType; t != 0 && t != modeFolder {
		return
	}
	known[c.cnid] = directory{key.parent, string(pathName(key.name))}
}

func (w *walker) addGhost(key catalogKey, data []byte, found func() string) {
	f, err := parseFile(data)
	if err != nil || w.live.has(f.cnid) || !w.ghosts.plausible(&f) {
		return
	}
	w.ghosts.add(&ghost{file: f, parent: key.parent, name: pathName(key.name), found: found()})
}

// plausible reports whether a file record can be one that this volume had, and
// has content.
func (g *ghosts) plausible(f *file) bool {
	if f.cnid < cnidFirstUser || f.entryKind() != tutela.File {
		return false
	}
	if t := f.mode & modeType; t != 0 && t != modeRegular {
		return false
	}
	if f.times.Born.IsZero() && f.times.Modified.IsZero() {
		return false
	}
	if f.data.size == 0 && f.resource.size == 0 {
		return false
	}
	return g.plausibleFork(&f.data) && g.plausibleFork(&f.resource)
}

func (g *ghosts) plausibleFork(f *fork) bool {
	have := count(f.extents[:])
	for i, x := range f.extents {
		if int64(x.first)+int64(x.count) > g.header.blocks || x.count == 0 && x.first != 0 {
			return false
		}
		if i > 0 && x.count > 0 && f.extents[i-1].count == 0 {
			return false
		}
	}
	switch {
	case int64(f.total) > g.header.blocks || f.size > uint64(f.total)*uint64(g.header.block):
		return false
	case f.extents[extentsPerRecord-1].count > 0:
		return have <= int64(f.total)
	}
	return have == int64(f.total)
}

// sorted are the deleted files by ID, then by their first block.
func (g *ghosts) sorted() []*ghost {
	all := make([]*ghost, 0, len(g.files))
	for _, one := range g.files {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *ghost) int {
		return cmp.Or(cmp.Compare(a.cnid, b.cnid),
			cmp.Compare(a.data.extents[0].first, b.data.extents[0].first),
			cmp.Compare(a.resource.extents[0].first, b.resource.extents[0].first))
	})
	return all
}

// markReused finds deleted files that had the same blocks: IDs ascend, so only
// the one with the highest can have left its bytes there. Extents are swept in
// the order of their blocks; those that touch one another directly or through
// others are judged together.
func markReused(all []*ghost) {
	type claim struct {
		blocks
		by *ghost
	}
	var claims []claim
	for _, g := range all {
		for _, x := range slices.Concat(g.data.extents[:], g.resource.extents[:]) {
			if x.count > 0 {
				claims = append(claims, claim{x, g})
			}
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.first, b.first) })
	for i := 0; i < len(claims); {
		end, youngest, j := int64(0), uint32(0), i
		for ; j < len(claims) && (j == i || int64(claims[j].first) < end); j++ {
			end = max(end, int64(claims[j].first)+int64(claims[j].count))
			youngest = max(youngest, claims[j].by.cnid)
		}
		for _, c := range claims[i:j] {
			c.by.reused = c.by.reused || c.by.cnid != youngest
		}
		i = j
	}
}

func (w *walker) giveGhosts(ctx context.Context) error {
	all := w.ghosts.sorted()
	markReused(all)
	for _, g := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := subject{name: g.name, dir: w.folders.find(g.parent), cnid: g.cnid, found: g.found, times: g.times}
		if g.reused {
			s.findings = append(s.findings, tutela.Finding{Code: tutela.FindingOverwritten, Detail: "a younger deleted file had some of its blocks"})
		}
		if err := w.giveAll(&s, w.ghostItems(g)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) ghostItems(g *ghost) (items []item) {
	if g.data.size > 0 {
		items = append(items, w.ghostItem(g, g.data, dataFork, "data fork"))
	}
	if g.resource.size > 0 {
		it := w.ghostItem(g, g.resource, resourceFork, "resource fork")
		it.suffix = []byte(":rsrc")
		items = append(items, it)
	}
	return items
}

func (w *walker) ghostItem(g *ghost, f fork, kind uint8, at string) item {
	a := w.fs.resolve(f, g.cnid, kind)
	it := w.forkItem(a, at, false)
	if !w.checked.take(a.bytes()) {
		it.find(tutela.FindingLimit, "not known whether it is overwritten: deleted files claim too many blocks")
		return it
	}
	var used, all int64
	for _, x := range a.extents {
		first := (x.Offset - w.fs.header.start) / w.fs.header.block
		n, err := w.blocks.used(first, first+x.Length/w.fs.header.block)
		if err != nil {
			it.find(tutela.FindingReadError, err.Error()+": not known whether it is overwritten")
			return it
		}
		used += n
		all += x.Length / w.fs.header.block
	}
	if used > 0 {
		it.find(tutela.FindingOverwritten, fmt.Sprintf("%d of %d blocks belong to something else now", used, all))
	}
	return it
}
