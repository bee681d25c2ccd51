package xfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// unreached gives out what the tree of directories did not lead to: first what
// lies in lost directories, then lost and deleted files.
func (w *walker) unreached() error {
	for _, give := range []func(uint64, bool) error{w.lostDirectory, w.claim} {
		if err := w.eachInode(give); err != nil {
			return err
		}
	}
	w.shared = doubled(w.claims)
	w.claims = nil
	if err := w.eachInode(w.lostOrDeleted); err != nil {
		return err
	}
	return w.tellUnreadable()
}

// eachInode visits every inode that there is room for, in order. A group whose
// inodes cannot be found is left out; the second pass says so.
func (w *walker) eachInode(give func(number uint64, free bool) error) error {
	var problems []string
	for group := range w.fs.sb.groups {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		err := w.fs.eachChunk(group, func(c inodeChunk) error { return w.chunk(c, give) })
		if broken, ok := errors.AsType[*treeError](err); ok {
			problems = append(problems, broken.Error())
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		w.unreadable.groups, w.unreadable.first = len(problems), problems[0]
	}
	return nil
}

func (w *walker) chunk(c inodeChunk, give func(number uint64, free bool) error) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	for n := range uint64(64) {
		if c.holes>>n&1 != 0 {
			continue
		}
		if err := give(c.first+n, c.free>>n&1 != 0); err != nil {
			return err
		}
	}
	return nil
}

// lost counts what cannot be read.
type lost struct {
	leftOut int // files
	inodes  int
	least   uint64
	groups  int
	first   string // reason
}

func (w *walker) tellUnreadable() error {
	var findings []tutela.Finding
	if u := w.unreadable; u.inodes > 0 {
		findings = append(findings, tutela.Finding{
			Code:   tutela.FindingDamaged,
			Detail: fmt.Sprintf("%d inodes in use cannot be read, the first of them %d", u.inodes, u.least),
		})
	}
	if u := w.unreadable; u.groups > 0 {
		findings = append(findings, tutela.Finding{
			Code:   tutela.FindingDamaged,
			Detail: fmt.Sprintf("the inodes of %d groups are not, or not all, looked through for lost and deleted files: %s", u.groups, u.first),
		})
	}
	if n := w.unreadable.leftOut; n > 0 {
		findings = append(findings, tutela.Finding{
			Code:   tutela.FindingLimit,
			Detail: fmt.Sprintf("more lost and deleted files than the volume has blocks: %d were left out", n),
		})
	}
	if len(findings) == 0 {
		return nil
	}
	return w.about("/", "inodes", findings...)
}

// mine reports whether an inode belongs to the file system itself.
func (w *walker) mine(i *inode) bool {
	return i.flags2&flag2Metadata != 0 || slices.Contains(w.fs.sb.internal[:], i.number)
}

func (w *walker) lostDirectory(number uint64, free bool) error {
	if free || w.isReached(number) {
		return nil
	}
	i, err := w.fs.inode(number)
	if err != nil || !i.isDirectory() || w.mine(i) || i.links == 0 {
		return nil
	}
	return w.tree(directory{
		path: fmt.Sprintf("%s/directory-%d", orphanFolder, number), inode: number, state: tutela.Orphan,
		problem: &tutela.Finding{Code: tutela.FindingDamaged, Detail: fmt.Sprintf("directory %d is in use and no directory leads to it", number)},
	})
}

func (w *walker) lostOrDeleted(number uint64, free bool) error {
	if w.isReached(number) {
		return nil
	}
	i, err := w.fs.inode(number)
	switch {
	case free && err == nil && i.mode == 0:
		return w.deleted(i)
	case free || err == nil && (w.mine(i) || i.isDirectory()):
		return nil
	case err != nil || i.mode == 0:
		if w.unreadable.inodes++; w.unreadable.inodes == 1 {
			w.unreadable.least = number
		}
		return nil
	}
	e := w.orphan(number)
	w.describe(e, i)
	if i.links > 0 {
		e.Find(tutela.FindingDamaged, "the inode is in use and no directory leads to it")
	}
	return w.emit(e, nil)
}

// claim remembers which blocks a freed inode still lists.
func (w *walker) claim(number uint64, free bool) error {
	if !free || len(w.claims) >= maxStretches {
		return nil
	}
	i, err := w.fs.inode(number)
	if err != nil || i.mode != 0 {
		return nil
	}
	extents, _ := w.fs.leftExtents(i)
	for _, e := range extents {
		if e.Offset != evidence.Hole {
			w.claims = append(w.claims, tutela.Run{Offset: e.Offset, Length: e.Length})
		}
	}
	return nil
}

// doubled are the stretches that more than one of the runs covers, ascending.
func doubled(runs []tutela.Run) (both []tutela.Run) {
	slices.SortFunc(runs, func(a, b tutela.Run) int { return cmp.Compare(a.Offset, b.Offset) })
	var end, told int64 // of what is covered, and of what was found to be doubled
	for _, r := range runs {
		from, to := max(r.Offset, told), min(r.Offset+r.Length, end)
		if from < to {
			both = append(both, tutela.Run{Offset: from, Length: to - from})
			told = to
		}
		end = max(end, r.Offset+r.Length)
	}
	return both
}

// isShared reports whether a stretch of an extent lies in one of the runs.
func isShared(runs []tutela.Run, extents []evidence.Extent) bool {
	return slices.ContainsFunc(extents, func(e evidence.Extent) bool {
		i := sort.Search(len(runs), func(i int) bool { return runs[i].Offset+runs[i].Length > e.Offset })
		return e.Offset != evidence.Hole && i < len(runs) && runs[i].Offset < e.Offset+e.Length
	})
}

func (w *walker) orphan(number uint64) *evidence.Entry {
	return &evidence.Entry{
		Path:  fmt.Appendf(nil, "%s/inode-%d", orphanFolder, number),
		Chain: []tutela.Locator{{Layer: layerName, At: fmt.Sprintf("inode %d", number)}},
		Kind:  tutela.File,
		State: tutela.Orphan,
		Size:  -1,
	}
}

// deleted gives out a file whose inode was freed, if its extents are left.
func (w *walker) deleted(i *inode) error {
	extents, size := w.fs.leftExtents(i)
	if len(extents) == 0 || w.fs.holdsMetadata(extents) {
		return nil
	}
	free, all, known := w.free.count(extents)
	if known && free == 0 {
		return nil // nothing of it is left
	}
	size -= w.fs.zerosAtEnd(extents)
	e := w.orphan(i.number)
	e.Times, e.Size = i.times, size
	e.Runs = evidence.NewExtents(w.fs.src, extents, size).Runs()
	src := w.fs.src
	e.Open = func() (evidence.Content, error) { return evidence.NewExtents(src, extents, size), nil }
	problem := w.nameDeleted(e, i)
	e.Find(tutela.FindingAssumed, "its extents were left in the freed inode; its size was not, and is taken to end before the zeros that fill its last block")
	if isShared(w.shared, extents) {
		e.Find(tutela.FindingAssumed, "another deleted file lists some of its blocks too: at most one of them has its own bytes there")
	}
	if i.badSum {
		e.Find(tutela.FindingDamaged, "the inode's checksum is wrong")
	}
	switch {
	case !known:
		e.Find(tutela.FindingDamaged, "the map of free blocks cannot be read: not known whether it is overwritten")
	case free < all:
		e.Find(tutela.FindingOverwritten, fmt.Sprintf("%d of its %d blocks are in use", all-free, all))
	}
	if w.deletedBytes -= size; w.deletedBytes < 0 {
		w.deletedBytes += size
		refuse(e, tutela.FindingLimit, fmt.Errorf("deleted bytes on this volume are limited to %d times its size: %w", w.limits.DeletedFactor, errLimit))
	}
	return w.emit(e, problem)
}

// nameDeleted gives a deleted file the name that a freed record has for it.
func (w *walker) nameDeleted(e *evidence.Entry, i *inode) (problem *tutela.Finding) {
	names := w.names[uint32(i.number)]
	if len(names) == 0 {
		return nil
	}
	n := names[0]
	e.Path = []byte(n.dir.path + "/" + n.name)
	if n.dir.state == tutela.Allocated {
		e.State = tutela.Deleted
	}
	detail := fmt.Sprintf("its name is that of the freed record for inode %d", uint32(i.number))
	var others []string
	for _, other := range names[1:] {
		path := other.dir.path + "/" + other.name
		if path != string(e.Path) && len(others) < 4 && !slices.Contains(others, path) {
			others = append(others, path)
		}
	}
	if len(others) > 0 {
		detail += ", which there is also for " + tutela.DisplayPath([]byte(strings.Join(others, ", ")))
	}
	e.Find(tutela.FindingAssumed, detail)
	return n.dir.problem
}

// leftExtents are the extents that still make sense in a freed inode, and how
// many bytes they reach to. A list that does not begin with the file's first
// block is none.
func (fs *FileSystem) leftExtents(i *inode) (extents []evidence.Extent, size int64) {
	var end uint64
	for b := i.whole; len(b) >= extentBytes; b = b[extentBytes:] {
		e := parseExtent(b)
		if e.check(&fs.sb, end) != nil || end == 0 && e.from != 0 || e.from+e.count > fs.sb.blocks {
			break
		}
		if e.from > end {
			extents = append(extents, evidence.Extent{Offset: evidence.Hole, Length: int64(e.from-end) << fs.sb.blockLog})
		}
		at, _ := fs.sb.place(e.number) // checked
		if e.unwritten {
			at = evidence.Hole
		}
		end = e.from + e.count
		extents = append(extents, evidence.Extent{Offset: at, Length: int64(e.count) << fs.sb.blockLog})
	}
	return extents, int64(end) << fs.sb.blockLog
}

// zerosAtEnd is how many bytes at the end of the last block are zeros, 0 where
// all of it are. Writing fills the last block of a file with zeros.
func (fs *FileSystem) zerosAtEnd(extents []evidence.Extent) int64 {
	last := extents[len(extents)-1]
	b := make([]byte, fs.sb.blockBytes())
	if last.Offset == evidence.Hole || fs.readFull(b, last.Offset+last.Length-int64(len(b))) != nil {
		return 0
	}
	kept := len(bytes.TrimRight(b, "\x00"))
	if kept == 0 {
		return 0
	}
	return int64(len(b) - kept)
}

// holdsMetadata reports whether what was deleted is a directory or a long link.
func (fs *FileSystem) holdsMetadata(extents []evidence.Extent) bool {
	if extents[0].Offset == evidence.Hole {
		return false
	}
	var b [4]byte
	if fs.readFull(b[:], extents[0].Offset) != nil {
		return false
	}
	switch binary.BigEndian.Uint32(b[:]) {
	case dirBlock4, dirBlock5, dirData4, dirData5, linkMagic:
		return true
	}
	return false
}

// freeMap answers which blocks are free. It reads the groups that it is asked
// about.
type freeMap struct {
	fs     *FileSystem
	groups map[uint32][]stretch // ascending; nil where the map cannot be read
	kept   int                  // stretches in all groups
}

type stretch struct{ start, end uint32 }

const maxStretches = 1 << 22 // 32 MiB

// count is how many of the blocks of the extents are free, of how many.
func (f *freeMap) count(extents []evidence.Extent) (free, all int64, known bool) {
	known = true
	for _, e := range extents {
		if e.Offset == evidence.Hole {
			continue
		}
		block := e.Offset >> f.fs.sb.blockLog
		group, start := uint32(block/int64(f.fs.sb.groupBlocks)), uint32(block%int64(f.fs.sb.groupBlocks))
		count := e.Length >> f.fs.sb.blockLog
		all += count
		stretches, ok := f.group(group)
		known = known && ok
		free += overlap(stretches, start, start+uint32(count))
	}
	return free, all, known
}

// overlap is how many blocks from start to end lie in the stretches.
func overlap(stretches []stretch, start, end uint32) (n int64) {
	first := sort.Search(len(stretches), func(i int) bool { return stretches[i].end > start })
	for _, s := range stretches[first:] {
		if s.start >= end {
			break
		}
		n += int64(min(s.end, end)) - int64(max(s.start, start))
	}
	return n
}

func (f *freeMap) group(group uint32) ([]stretch, bool) {
	if stretches, ok := f.groups[group]; ok {
		return stretches, stretches != nil
	}
	stretches := []stretch{}
	err := f.fs.eachFree(group, func(start, count uint32) error {
		last := uint32(0)
		if len(stretches) > 0 {
			last = stretches[len(stretches)-1].end
		}
		if f.kept++; start < last || start+count < start || f.kept > maxStretches {
			return errLimit
		}
		stretches = append(stretches, stretch{start, start + count})
		return nil
	})
	if err != nil {
		stretches = nil
	}
	f.groups[group] = stretches
	return stretches, stretches != nil
}

// product is a × b, or the greatest number there is.
func product(a, b int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}
