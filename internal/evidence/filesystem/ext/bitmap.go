package ext

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"tutela"
)

// The maps of what is in use: ext4 documentation "Block and Inode Bitmaps". One
// bit stands for a cluster, which is one block but for bigalloc.

const (
	keptBitmaps = 64      // of each kind, 64 KiB at most
	maxMarks    = 1 << 26 // stretches of metadata that are looked at for bitmaps that were never written
)

// allocation answers whether blocks and inodes are in use. It is for one
// goroutine.
type allocation struct {
	fs       *FileSystem
	blocks   map[int64][]byte
	inodes   map[int64][]byte
	metadata []blockRun // bitmaps and inode tables of all groups, ascending; made when asked for
	wrong    map[string]int64
	marks    budget
}

func newAllocation(fs *FileSystem) *allocation {
	return &allocation{fs: fs, blocks: map[int64][]byte{}, inodes: map[int64][]byte{}, wrong: map[string]int64{}, marks: budget{maxMarks}}
}

// bitmap reads one block of bits, and checks the first n bytes of it.
func (a *allocation) bitmap(what string, g int64, block, n int64, sum uint32) ([]byte, error) {
	fs := a.fs
	if fs.group[g].table == 0 {
		return nil, fmt.Errorf("%s bitmap of group %d: its descriptor cannot be read", what, g)
	}
	p := make([]byte, fs.block)
	if err := readFull(fs.src, p, block*fs.block); err != nil {
		return nil, fmt.Errorf("%s bitmap of group %d: %w", what, g, err)
	}
	if got := crc32c(fs.seed, p[:n]); fs.metadataCRC() && !fs.group[g].stale {
		if fs.descriptor < 64 {
			got &= 0xffff
		}
		if got != sum {
			a.wrong[what]++
		}
	}
	return p, nil
}

// blockBits are the bits of a group's clusters.
func (a *allocation) blockBits(g int64) ([]byte, error) {
	if p, ok := a.blocks[g]; ok {
		return p, nil
	}
	p, err := a.readBlockBits(g)
	if err != nil {
		return nil, err
	}
	if len(a.blocks) >= keptBitmaps {
		clear(a.blocks)
	}
	a.blocks[g] = p
	return p, nil
}

func (a *allocation) readBlockBits(g int64) ([]byte, error) {
	d := a.fs.group[g]
	if d.table != 0 && d.flags&groupBlockUninit != 0 {
		return a.unwritten(g), nil
	}
	return a.bitmap("block", g, d.blockBitmap, (a.fs.clustersPerGroup+7)/8, d.blockCRC)
}

// unwritten is the bitmap of a group that has none yet: only its metadata is in
// use ("Lazy Block Group Initialization").
func (a *allocation) unwritten(g int64) []byte {
	fs := a.fs
	bits := make([]byte, fs.block)
	start, end := fs.groupStart(g), fs.groupStart(g)+fs.groupBlocks(g)
	mark := func(r blockRun) {
		for b := max(r.physical, start); b < min(r.physical+r.n, end); b++ {
			c := (b - start) / fs.ratio
			bits[c/8] |= 1 << (c % 8)
		}
	}
	mark(blockRun{physical: start, n: fs.headBlocks(g)})
	a.collect()
	i, _ := slices.BinarySearchFunc(a.metadata, start-fs.tableBlocks(), func(r blockRun, at int64) int { return cmp.Compare(r.physical, at) })
	for ; i < len(a.metadata) && a.metadata[i].physical < end; i++ {
		if !a.marks.take(1) {
			return bytes.Repeat([]byte{0xff}, len(bits)) // nothing is called free that may not be
		}
		mark(a.metadata[i])
	}
	return bits
}

// headBlocks is how many blocks at the beginning of a group may be taken by
// copies of the superblock and of group descriptors.
func (fs *FileSystem) headBlocks(g int64) int64 {
	perBlock := fs.block / fs.descriptor
	table := (fs.groups + perBlock - 1) / perBlock
	switch within := g % perBlock; {
	case g/perBlock >= fs.firstMetaGroup && (within < 2 || within == perBlock-1):
		return 1 + int64(b2i(fs.hasSuper(g)))
	case g/perBlock >= fs.firstMetaGroup:
		return int64(b2i(fs.hasSuper(g)))
	case fs.hasSuper(g):
		return 1 + min(table, fs.firstMetaGroup) + int64(le16(fs.raw, 0xce))
	}
	return 0
}

func (a *allocation) collect() {
	if a.metadata != nil {
		return
	}
	for _, g := range a.fs.group {
		a.metadata = append(a.metadata, blockRun{physical: g.blockBitmap, n: 1}, blockRun{physical: g.inodeBitmap, n: 1}, blockRun{physical: g.table, n: a.fs.tableBlocks()})
	}
	slices.SortFunc(a.metadata, func(x, y blockRun) int { return cmp.Compare(x.physical, y.physical) })
}

// used counts which of n blocks from block on are in use.
func (a *allocation) used(block, n int64) (used int64, err error) {
	fs := a.fs
	for end := block + n; block < end; {
		g := (block - fs.first) / fs.perGroup
		bits, err := a.blockBits(g)
		if err != nil {
			return used, err
		}
		until := min(end, fs.groupStart(g)+fs.perGroup)
		for ; block < until; block++ {
			c := (block - fs.groupStart(g)) / fs.ratio
			used += int64(bits[c/8] >> (c % 8) & 1)
		}
	}
	return used, nil
}

// inUse reports whether a block of the volume is in use, or nobody can tell.
func (a *allocation) inUse(block int64) bool {
	n, err := a.used(block, 1)
	return n > 0 || err != nil
}

// inodeInUse reports whether an inode of the volume is in use.
func (a *allocation) inodeInUse(number int64) (bool, error) {
	fs := a.fs
	g, bit := (number-1)/fs.inodesPerGroup, (number-1)%fs.inodesPerGroup
	d := fs.group[g]
	if d.table != 0 && d.flags&groupInodeUninit != 0 {
		return false, nil
	}
	p, ok := a.inodes[g]
	if !ok {
		var err error
		if p, err = a.bitmap("inode", g, d.inodeBitmap, (fs.inodesPerGroup+7)/8, d.inodeCRC); err != nil {
			return false, err
		}
		if len(a.inodes) >= keptBitmaps {
			clear(a.inodes)
		}
		a.inodes[g] = p
	}
	return p[bit/8]>>(bit%8)&1 != 0, nil
}

// Free implements [tutela/internal/evidence.FreeSpace].
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	a := newAllocation(fs)
	j := joiner{visit: visit, limit: fs.src.Size()}
	for g := range fs.groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if fs.bytes(fs.groupStart(g)) >= j.limit {
			break
		}
		bits, err := a.readBlockBits(g)
		if err != nil {
			return fmt.Errorf("ext: %w", err)
		}
		if err := fs.freeIn(g, bits, &j); err != nil {
			return err
		}
	}
	return j.flush()
}

// freeIn adds the free clusters of one group.
func (fs *FileSystem) freeIn(g int64, bits []byte, j *joiner) error {
	start, blocks := fs.groupStart(g), fs.groupBlocks(g)
	for c := int64(0); c*fs.ratio < blocks; c++ {
		if bits[c/8]>>(c%8)&1 != 0 {
			continue
		}
		n := min(fs.ratio, blocks-c*fs.ratio)
		if err := j.add((start+c*fs.ratio)*fs.block, n*fs.block); err != nil {
			return err
		}
	}
	return nil
}

// joiner visits runs that are added in order, joined where they touch and cut at
// a limit.
type joiner struct {
	visit func(tutela.Run) error
	limit int64 // bytes
	run   tutela.Run
}

func (j *joiner) add(offset, length int64) error {
	length = min(length, j.limit-offset)
	switch {
	case length <= 0:
		return nil
	case j.run.Length > 0 && j.run.Offset+j.run.Length == offset:
		j.run.Length += length
		return nil
	}
	err := j.flush()
	j.run = tutela.Run{Offset: offset, Length: length}
	return err
}

func (j *joiner) flush() error {
	if j.run.Length == 0 {
		return nil
	}
	return j.visit(j.run)
}
