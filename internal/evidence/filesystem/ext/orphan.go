package ext

import (
	"cmp"
	"fmt"
	"slices"

	"tutela"
)

// lonely is an inode that no name leads to.
type lonely struct {
	version
	used bool
}

// orphans gives out what no name was found for: inodes in use, inodes that were
// freed and still tell where their content is, and what the journal knew of
// others. Directories come first, since they bring names.
func (w *walker) orphans() error {
	found, err := w.lonelyUsed()
	if err != nil {
		return err
	}
	for _, number := range w.dead {
		in, err := w.inode(number)
		if err == nil && !w.given[in.file()] && !w.seen.has(number) {
			found = append(found, lonely{version{in, old{age: present}}, false})
		}
	}
	old, err := w.lonelyPast()
	if err != nil {
		return err
	}
	found = append(found, old...)
	if err := w.lonelyDirectories(found); err != nil {
		return err
	}
	for _, l := range found {
		if l.kind() == modeDir || w.given[l.file()] || l.used && w.seen.has(l.number) {
			continue
		}
		if err := w.lonelyFile(l); err != nil {
			return err
		}
	}
	return nil
}

// lonelyUsed are the inodes in use that no name led to.
func (w *walker) lonelyUsed() (found []lonely, err error) {
	err = w.tables(func(_ group, from, n int64) error {
		for number := from; number < from+n; number++ {
			used, err := w.alloc.inodeInUse(number)
			if err != nil {
				w.find(tutela.FindingReadError, err.Error())
				break
			}
			if !used || w.seen.has(number) || !w.ordinary(number) {
				continue
			}
			in, err := w.inode(number)
			if err == nil && in.known() && !in.is(flagEAInode) && !w.given[in.file()] {
				found = append(found, lonely{version{in, old{age: present}}, true})
			}
		}
		return nil
	})
	return found, err
}

// tables visits the inode tables that the image holds: the first inode of each
// and how many it has. Together they are no longer than the image, or hostile.
func (w *walker) tables(visit func(d group, from, n int64) error) error {
	fs := w.fs
	left := budget{fs.held()/fs.block + fs.tableBlocks()}
	for g, d := range fs.group {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if d.table == 0 || d.flags&groupInodeUninit != 0 || fs.bytes(d.table) >= fs.src.Size() {
			continue
		}
		if !left.take(fs.tableBlocks()) {
			w.crowded = true
			return nil
		}
		from := int64(g)*fs.inodesPerGroup + 1
		if err := visit(d, from, min(fs.inodesPerGroup, fs.inodes-from+1)); err != nil {
			return err
		}
	}
	return nil
}

// orphanage is the parent of what has none.
var orphanage = &node{name: orphanFolder, length: len(orphanFolder)}

func (w *walker) lonelyFile(l lonely) error {
	name := fmt.Sprintf("OrphanFile-%d", l.number)
	switch {
	case l.used && l.links == 0:
		return w.deletedOpen(orphanage, name, tutela.Orphan, l.inode)
	case !l.used:
		return w.gone(orphanage, name, tutela.Orphan, l.version)
	}
	it := w.content(l.inode, w.now(), false)
	w.seen.add(l.number)
	it.find(tutela.FindingDamaged, "the inode is in use and no directory leads to it")
	return w.emit(orphanage, name, tutela.Orphan, it)
}

// lonelyDirectories lists directories: first those whose parent is not one of
// them.
func (w *walker) lonelyDirectories(found []lonely) error {
	var dirs []lonely
	known := map[int64]bool{}
	for _, l := range found {
		if l.kind() == modeDir && !w.given[l.file()] {
			dirs = append(dirs, l)
			known[l.number] = true
		}
	}
	below := make(map[int64]bool)
	for _, l := range dirs {
		if parent := w.parentOf(l); parent != l.number && known[parent] {
			below[l.number] = true
		}
	}
	slices.SortStableFunc(dirs, func(a, b lonely) int { return cmp.Compare(b2i(below[a.number]), b2i(below[b.number])) })
	for _, l := range dirs {
		if w.listed[l.file()] || l.used && w.seen.has(l.number) || l.used && l.links == 0 {
			continue
		}
		if l.used {
			w.seen.add(l.number)
			w.find(tutela.FindingDamaged, fmt.Sprintf("inode %d is a directory in use and no other leads to it", l.number))
		}
		w.push(&node{name: fmt.Sprintf("%s/OrphanFile-%d", orphanFolder, l.number), in: l.inode, state: tutela.Orphan, age: l.age, gone: !l.used})
		if err := w.drain(); err != nil {
			return err
		}
	}
	return nil
}

// parentOf is the inode that a directory calls "..", 0 where that is not known.
func (w *walker) parentOf(l lonely) int64 {
	if l.is(flagInline) {
		return int64(le32(l.area(), 0))
	}
	r := w.then(l.age)
	if l.used {
		r = w.now()
	}
	m := r.of(l.inode)
	b := make([]byte, w.fs.block)
	if len(m.runs) == 0 || r.read(m.runs[0].physical, b) != nil {
		return 0
	}
	for _, d := range w.fs.entries(b, true).live {
		if d.name == ".." {
			return d.inode
		}
	}
	return 0
}

// eachInode visits the inodes that were ever used, as they are now.
func (w *walker) eachInode(visit func(*inode)) error {
	fs := w.fs
	b := make([]byte, fs.block)
	perBlock := fs.block / fs.inodeBytes
	var lost int64
	err := w.tables(func(d group, from, n int64) error {
		n = min(n, fs.inodesPerGroup-min(d.unused, fs.inodesPerGroup))
		for i := int64(0); i < n; i += perBlock {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if fs.readBlock(d.table+i/perBlock, b) != nil {
				lost++
				continue
			}
			for k := range min(perBlock, n-i) {
				raw := b[k*fs.inodeBytes:][:fs.inodeBytes]
				if le16(raw, 0) != 0 {
					visit(fs.parseInode(from+i+k, raw))
				}
			}
		}
		return nil
	})
	if lost > 0 {
		w.find(tutela.FindingReadError, fmt.Sprintf("%d blocks of inode tables cannot be read: deleted files in them are not listed", lost))
	}
	return err
}

const maxClaims = 1 << 20

// claim is a stretch of blocks that a deleted file had.
type claim struct {
	first, end int64
	reach      int64 // largest end of this and all before
	number     int64
	deleted    uint32 // when
}

// readDead looks for inodes that were freed and still tell where their content
// is: what they claim is needed to tell who had a block last.
func (w *walker) readDead() error {
	err := w.eachInode(func(in *inode) {
		if !w.ordinary(in.number) || !in.known() || in.is(flagEAInode) || !in.holdsContent() {
			return
		}
		if used, err := w.alloc.inodeInUse(in.number); err != nil || used {
			return
		}
		w.dead = append(w.dead, in.number)
		if in.is(flagInline) || in.kind() == modeSymlink && in.size < blockArea {
			return
		}
		for _, r := range w.then(present).of(in).runs {
			if len(w.claims) < maxClaims {
				w.claims = append(w.claims, claim{first: r.physical, end: r.physical + r.n, number: in.number, deleted: in.deleted})
			}
		}
	})
	slices.SortStableFunc(w.claims, func(a, b claim) int { return cmp.Compare(a.first, b.first) })
	var reach int64
	for i := range w.claims {
		reach = max(reach, w.claims[i].end)
		w.claims[i].reach = reach
	}
	return err
}

// claimedSince reports whether another file had a block, and was deleted not
// before this one.
func (w *walker) claimedSince(block int64, in *inode) bool {
	i, _ := slices.BinarySearchFunc(w.claims, block+1, func(c claim, at int64) int { return cmp.Compare(c.first, at) })
	for i--; i >= 0 && w.claims[i].reach > block; i-- {
		c := w.claims[i]
		if c.end > block && c.number != in.number && c.deleted >= in.deleted {
			return true
		}
		if !w.checked.take(1) {
			return true // it is not known; the doubt is told
		}
	}
	return false
}

// ordinary reports whether an inode is for files that people make.
func (w *walker) ordinary(number int64) bool {
	quota := int64(0)
	if w.fs.ro&0x2000 != 0 { // project quota
		quota = int64(le32(w.fs.raw, 0x26c))
	}
	return number >= w.fs.firstInode && number != w.fs.orphanIno && number != w.fs.journal && number != quota
}

// lonelyPast are the files that only the journal knows, the youngest version of
// each that tells where its content was.
func (w *walker) lonelyPast() (found []lonely, err error) {
	if w.past == nil {
		return nil, nil
	}
	fs := w.fs
	taken := map[file]bool{}
	perBlock := fs.block / fs.inodeBytes
	err = w.tables(func(d group, from, n int64) error {
		for i := int64(0); i < n && int64(len(found)) <= w.ghosts.left; i += perBlock {
			block := d.table + i/perBlock
			if len(w.past.copies[block]) == 0 {
				continue
			}
			if err := w.ctx.Err(); err != nil {
				return err
			}
			found = w.lonelyCopies(found, taken, block, from+i, min(perBlock, n-i))
		}
		return nil
	})
	return found, err
}

// lonelyCopies looks at the n inodes, beginning with number from, that copies of
// one block hold.
func (w *walker) lonelyCopies(found []lonely, taken map[file]bool, block, from, n int64) []lonely {
	fs := w.fs
	for _, o := range w.past.copies[block] {
		b, err := w.past.read(o)
		if err != nil {
			return found
		}
		for k := range n {
			number := from + k
			raw := b[k*fs.inodeBytes:][:fs.inodeBytes]
			if le16(raw, 0) == 0 || !w.ordinary(number) {
				continue
			}
			in := fs.parseInode(number, raw)
			if !in.known() || in.is(flagEAInode) || !in.holdsContent() || taken[in.file()] || w.given[in.file()] || !fs.inodeRight(in) {
				continue
			}
			taken[in.file()] = true
			if !w.still(in) {
				found = append(found, lonely{version{in, o}, false})
			}
		}
	}
	return found
}

// still reports whether the inode holds the same file now, and can tell of it.
func (w *walker) still(then *inode) bool {
	in, err := w.inode(then.number)
	if err != nil || in.generation != then.generation {
		return false
	}
	used, err := w.alloc.inodeInUse(then.number)
	return err == nil && (used || in.known() && in.holdsContent())
}
