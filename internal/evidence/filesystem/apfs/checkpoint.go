package apfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// Features of a container that a reader must know (Reference "Container
// Incompatible Feature Flags").
const (
	containerVersion1 = 0x001
	containerVersion2 = 0x002
	containerFusion   = 0x100

	softwareCrypto = 0x04 // flag: what is encrypted is so in software
)

const (
	minBlock = 4 << 10 // bytes
	maxBlock = 64 << 10
	// searched is where a descriptor area is looked for if block 0 is bad, in
	// bytes: it begins behind block 0 in every container known.
	searched = 2 << 20
	// maxArea is how many blocks of a descriptor area are looked at. macOS
	// gives it a few hundred.
	maxArea        = 64 << 10
	maxStretches   = 1000 // of a descriptor area
	maxVolumes     = 100
	superblockSize = 1312 // bytes up to the end of what is read here
	mappingSize    = 40   // of a checkpoint map
)

var superblockMagic = [4]byte{'N', 'X', 'S', 'B'}

// superblock is a container superblock (Reference "nx_superblock_t").
type superblock struct {
	block        uint64
	xid          uint64
	blockSize    int64
	blocks       uint64
	incompatible uint64
	flags        uint64
	areaBlocks   uint32 // of the checkpoint descriptor area; the top bit: it is a tree
	areaBase     uint64
	index, count uint32 // this checkpoint's blocks in it
	spaceManager uint64
	objectMap    uint64
	volumes      []uint64
}

// looksLike reports whether b begins as a superblock does.
func looksLike(b []byte) bool {
	return len(b) >= superblockSize && [4]byte(b[32:]) == superblockMagic
}

// statedBlock is the size of a block that a superblock states, 0 where none is
// possible.
func statedBlock(b []byte) int64 {
	size := int64(little.Uint32(b[36:]))
	if size < minBlock || size > maxBlock || size&(size-1) != 0 {
		return 0
	}
	return size
}

// parseSuperblock reads a superblock from a whole block whose checksum is right.
func parseSuperblock(b []byte) (*superblock, error) {
	if !looksLike(b) || little.Uint32(b[24:])&typeMask != typeSuperblock || statedBlock(b) != int64(len(b)) {
		return nil, damaged("no superblock")
	}
	s := &superblock{
		xid: little.Uint64(b[16:]), blockSize: int64(len(b)), blocks: little.Uint64(b[40:]),
		incompatible: little.Uint64(b[64:]), flags: little.Uint64(b[1264:]),
		areaBlocks: little.Uint32(b[104:]), areaBase: little.Uint64(b[112:]),
		index: little.Uint32(b[136:]), count: little.Uint32(b[140:]),
		spaceManager: little.Uint64(b[152:]), objectMap: little.Uint64(b[160:]),
	}
	for i := range min(int(little.Uint32(b[180:])), maxVolumes) {
		if oid := little.Uint64(b[184+8*i:]); oid != 0 {
			s.volumes = append(s.volumes, oid)
		}
	}
	return s, nil
}

// supported is an error that names what of the container is not read.
func (s *superblock) supported() error {
	switch unknown := s.incompatible &^ (containerVersion1 | containerVersion2 | containerFusion); {
	case s.incompatible&containerFusion != 0:
		return fmt.Errorf("fusion drives are not read: %w", evidence.ErrUnsupported)
	case s.incompatible&containerVersion1 != 0:
		return fmt.Errorf("version 1 of the format (before macOS 10.13) is not read: %w", evidence.ErrUnsupported)
	case unknown != 0:
		return fmt.Errorf("unknown features %#x of the container: %w", unknown, evidence.ErrUnsupported)
	}
	return nil
}

// firstSuperblock is the superblock in block 0 or, if that is bad, any from the
// descriptor area behind it, with the reason. The error is ErrNotThis where
// neither is there, and the reason where block 0 says that it is one.
func firstSuperblock(src evidence.Source) (s *superblock, reason, err error) {
	s, claims, reason := superblockAt(src, 0)
	if s != nil {
		return s, nil, nil
	}
	for at := int64(minBlock); at < min(searched, src.Size()); at += minBlock {
		if s, _, _ := superblockAt(src, at); s != nil && s.inPlace(src, at) {
			return s, reason, nil
		}
	}
	if claims {
		return nil, nil, reason
	}
	return nil, nil, evidence.ErrNotThis
}

var errNoSuperblock = errors.New("there is no superblock in it")

// superblockAt reads a superblock at a byte of the source; claims reports whether
// what is there says that it is one.
func superblockAt(src evidence.Source, at int64) (s *superblock, claims bool, err error) {
	head := make([]byte, minBlock)
	if n, err := src.ReadAt(head, at); n < len(head) && err != io.EOF {
		return nil, false, err
	}
	if !looksLike(head) {
		return nil, false, errNoSuperblock
	}
	size := statedBlock(head)
	if size == 0 {
		return nil, true, damaged("a superblock with blocks of %d bytes", little.Uint32(head[36:]))
	}
	b := make([]byte, size)
	if n, err := src.ReadAt(b, at); n < len(b) {
		return nil, true, fmt.Errorf("the superblock: %w", err)
	}
	if !sealed(b) {
		return nil, true, damaged("the checksum of the superblock is wrong")
	}
	s, err = parseSuperblock(b)
	return s, true, err
}

// inPlace reports whether a superblock found at a byte of the source counts its
// blocks from the beginning of the source: its checkpoint's map, which says in
// which block it lies, must lie there.
func (s *superblock) inPlace(src evidence.Source, at int64) bool {
	c := &container{src: src, blockSize: s.blockSize, blocks: s.blocks}
	s.block = uint64(at / s.blockSize)
	a, err := openArea(c, s)
	if err != nil || at%s.blockSize != 0 {
		return false
	}
	_, err = a.checkpoint(s)
	return err == nil
}

// area is the checkpoint descriptor area: the blocks it has, in its order.
type area struct {
	*container
	stretches []stretch
	length    uint32
}

// stretch is n blocks of a container.
type stretch struct{ first, n uint64 }

func openArea(c *container, s *superblock) (*area, error) {
	const isTree = 1 << 31
	a := &area{container: c, length: s.areaBlocks &^ isTree}
	if s.areaBlocks&isTree == 0 {
		a.stretches = []stretch{{s.areaBase, uint64(a.length)}}
	} else if err := a.readTree(s); err != nil {
		return nil, err
	}
	if a.length == 0 {
		return nil, damaged("the checkpoint descriptor area is empty")
	}
	return a, nil
}

// readTree reads where the parts of an area lie that is not in one piece
// (Reference "nx_xp_desc_base": a tree from offsets in the area to stretches).
func (a *area) readTree(s *superblock) error {
	t := &tree{
		nodes: newNodes(a.container), name: "map of the checkpoint descriptor area",
		root:    place{block: s.areaBase, oid: s.areaBase, xid: math.MaxUint64},
		storage: storagePhysical, keySize: 8, valueSize: 16,
		order: func(key []byte) order { return order{little.Uint64(key)} },
		child: physicalChild(math.MaxUint64),
	}
	var problem error
	note := func(err error) { problem = errors.Join(problem, err) }
	err := t.scan(context.Background(), map[uint64]bool{}, func(_, value []byte) error {
		if len(a.stretches) == maxStretches {
			return damaged("the checkpoint descriptor area is in more than %d pieces", maxStretches)
		}
		a.stretches = append(a.stretches, stretch{little.Uint64(value), little.Uint64(value[8:])})
		return nil
	}, note, note)
	return errors.Join(problem, err)
}

// block is where block i of the area lies.
func (a *area) block(i uint32) (uint64, error) {
	left := uint64(i % a.length)
	for _, s := range a.stretches {
		if left < s.n {
			return s.first + left, nil
		}
		left -= s.n
	}
	return 0, damaged("the checkpoint descriptor area has no block %d", i)
}

// checkpoint is a state of the container that was written whole.
type checkpoint struct {
	*superblock
	ephemeral map[uint64]ephemeral
}

// ephemeral is where a checkpoint keeps an object that lives in memory.
type ephemeral struct {
	block uint64
	size  int64 // bytes
}

// checkpoint reads the maps that belong to a superblock of the area (Reference
// "checkpoint_map_phys_t"). They and the superblock behind them are as many
// blocks as it says.
func (a *area) checkpoint(s *superblock) (*checkpoint, error) {
	if s.count < 2 || s.count > min(a.length, maxArea) {
		return nil, damaged("checkpoint %d has %d blocks", s.xid, s.count)
	}
	if at, err := a.block(s.index + s.count - 1); err != nil || at != s.block {
		return nil, damaged("checkpoint %d does not lie where it says", s.xid)
	}
	c := &checkpoint{superblock: s, ephemeral: map[uint64]ephemeral{}}
	for i := range s.count - 1 {
		at, err := a.block(s.index + i)
		if err != nil {
			return nil, err
		}
		o, err := a.physical(at, s.xid, typeCheckpointMap, fmt.Sprintf("map of checkpoint %d", s.xid))
		if err != nil {
			return nil, err
		}
		if o.xid != s.xid {
			return nil, damaged("map of checkpoint %d: block %d belongs to checkpoint %d", s.xid, at, o.xid)
		}
		c.add(o.raw)
	}
	return c, nil
}

func (c *checkpoint) add(b []byte) {
	n := min(int(little.Uint32(b[36:])), (len(b)-mappingSize)/mappingSize)
	for i := range n {
		m := b[mappingSize*(i+1):]
		c.ephemeral[little.Uint64(m[24:])] = ephemeral{little.Uint64(m[32:]), int64(little.Uint32(m[8:]))}
	}
}

// checkpoints are the states that the area holds whole, the youngest first,
// and the transaction and the reason of the youngest that is not.
func (a *area) checkpoints(ctx context.Context) (all []*checkpoint, broken uint64, reason error) {
	for i := range min(a.length, maxArea) {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		at, err := a.block(i)
		if err != nil {
			break
		}
		xid, c, err := a.at(at)
		switch {
		case err != nil && xid >= broken:
			broken, reason = xid, err
		case c != nil:
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(x, y *checkpoint) int {
		switch {
		case x.xid > y.xid:
			return -1
		case x.xid < y.xid:
			return 1
		}
		return 0
	})
	return all, broken, reason
}

// at is the checkpoint whose superblock is a block; the xid is what it claims.
// A block that is none gives nothing, also no error.
func (a *area) at(block uint64) (xid uint64, c *checkpoint, err error) {
	b, err := a.read(block, a.blockSize)
	if err != nil {
		return 0, nil, err
	}
	if !looksLike(b) {
		return 0, nil, nil
	}
	xid = little.Uint64(b[16:])
	if !sealed(b) {
		return xid, nil, damaged("the checksum of superblock %d is wrong", block)
	}
	s, err := parseSuperblock(b)
	if err != nil {
		return xid, nil, err
	}
	s.block = block
	c, err = a.checkpoint(s)
	return xid, c, err
}

// choose finds the youngest checkpoint that holds together and what is older.
func (fs *FileSystem) choose(first *superblock) error {
	a, err := openArea(&fs.container, first)
	if err != nil {
		return err
	}
	all, broken, reason := a.checkpoints(context.Background())
	for i, c := range all {
		nodes := newNodes(&fs.container)
		if _, err := openMap(nodes, c.objectMap, c.xid, "object map of the container"); err != nil {
			if c.xid >= broken {
				broken, reason = c.xid, err
			}
			continue
		}
		fs.checkpoint, fs.older = c, all[i+1:]
		fs.tellFallback(first, broken, reason)
		return nil
	}
	if reason == nil {
		reason = damaged("there is none")
	}
	return fmt.Errorf("no checkpoint can be read: %w", reason)
}

// tellFallback says where a younger state than the one that is read was there.
func (fs *FileSystem) tellFallback(first *superblock, broken uint64, reason error) {
	used := fs.checkpoint.xid
	switch {
	case broken > used:
		fs.find(tutela.FindingBackupTable, fmt.Sprintf("checkpoint %d cannot be read (%v): checkpoint %d was used, which is older", broken, reason, used))
	case first.xid > used:
		fs.find(tutela.FindingBackupTable, fmt.Sprintf("block 0 is of checkpoint %d, which is not there: checkpoint %d was used, which is older", first.xid, used))
	case reason != nil && broken == 0:
		fs.find(tutela.FindingDamaged, fmt.Sprintf("the checkpoint descriptor area: %v", reason))
	}
}
