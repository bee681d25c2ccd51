package apfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// Layout of the space manager (Reference "spaceman_phys_t").
const (
	maxSpaceManager = 16 << 20 // bytes
	deviceAt        = 48       // of the main device
	freeQueuesAt    = 200
	freeQueueSize   = 40
	chunkSize       = 32 // of a chunk_info_t
	chunkHead       = 40
)

// space is the map of which blocks belong to something. It belongs to one walk.
type space struct {
	*container
	perChunk uint64   // blocks
	chunks   []uint64 // block of the bitmap of each; 0: all are free
	err      error    // why there is no map

	queued []stretch // blocks that are free once the checkpoint is past, ascending
	at     uint64    // the chunk whose bitmap is in bits, plus one
	bits   []byte
}

// openSpace reads the space manager of a checkpoint.
func (fs *FileSystem) openSpace() *space {
	s := &space{container: &fs.container}
	if s.err = s.open(fs.checkpoint); s.err != nil {
		s.err = fmt.Errorf("space manager: %w", s.err)
	}
	return s
}

func (s *space) open(c *checkpoint) error {
	at, ok := c.ephemeral[c.spaceManager]
	if !ok || at.size < s.blockSize || at.size > maxSpaceManager {
		return damaged("it is not in the maps of checkpoint %d", c.xid)
	}
	o, err := s.object(at.block, at.size)
	if err != nil {
		return err
	}
	if !o.is(typeSpaceManager, storageEphemeral) || o.oid != c.spaceManager || o.xid != c.xid {
		return damaged("block %d holds something else", at.block)
	}
	b := o.raw
	s.perChunk = uint64(little.Uint32(b[36:]))
	blocks, chunks := little.Uint64(b[deviceAt:]), little.Uint64(b[deviceAt+8:])
	if s.perChunk != 8*uint64(s.blockSize) || blocks > s.blocks || chunks != (blocks+s.perChunk-1)/s.perChunk {
		return damaged("%d chunks of %d blocks for %d blocks", chunks, s.perChunk, blocks)
	}
	infos, err := s.infos(b, c.xid)
	if err != nil {
		return err
	}
	for _, at := range infos {
		if err := s.addInfo(at, c.xid, chunks); err != nil {
			return err
		}
	}
	if uint64(len(s.chunks)) != chunks {
		return damaged("%d of %d chunks are described", len(s.chunks), chunks)
	}
	return s.openQueues(b, c)
}

// infos are the blocks that describe the chunks, by way of the blocks that list
// those if there are many (Reference "cib_addr_block_t").
func (s *space) infos(b []byte, xid uint64) ([]uint64, error) {
	count, lists := uint64(little.Uint32(b[deviceAt+16:])), uint64(little.Uint32(b[deviceAt+20:]))
	offset := uint64(little.Uint32(b[deviceAt+32:]))
	if lists == 0 {
		return addresses(b, offset, count)
	}
	blocks, err := addresses(b, offset, lists)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, at := range blocks {
		o, err := s.physical(at, xid, typeChunkAddress, "list of chunk descriptions")
		if err != nil {
			return nil, err
		}
		some, err := addresses(o.raw, chunkHead, uint64(little.Uint32(o.raw[36:])))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if uint64(len(all)) != count {
		return nil, damaged("%d of %d chunk descriptions are listed", len(all), count)
	}
	return all, nil
}

// addresses are n block numbers from a byte of b on.
func addresses(b []byte, offset, n uint64) ([]uint64, error) {
	if offset > uint64(len(b)) || n > (uint64(len(b))-offset)/8 {
		return nil, damaged("%d block numbers at byte %d are too many", n, offset)
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = little.Uint64(b[offset+8*uint64(i):])
	}
	return all, nil
}

// addInfo reads the chunks that a block describes (Reference "chunk_info_block_t").
func (s *space) addInfo(at, xid, most uint64) error {
	o, err := s.physical(at, xid, typeChunkInfo, "chunk description")
	if err != nil {
		return err
	}
	n := int(little.Uint32(o.raw[36:]))
	if n > (len(o.raw)-chunkHead)/chunkSize {
		return damaged("chunk description: %d chunks in block %d", n, at)
	}
	for i := range n {
		info := o.raw[chunkHead+chunkSize*i:]
		if first := little.Uint64(info[8:]); first != uint64(len(s.chunks))*s.perChunk || uint64(len(s.chunks)) == most {
			return damaged("chunk description: block %d describes a chunk at %d out of order", at, first)
		}
		s.chunks = append(s.chunks, little.Uint64(info[24:]))
	}
	return nil
}

// openQueues reads which blocks are waiting to be free (Reference
// "spaceman_free_queue_t"): what was deleted last is there. The second queue is
// that of the volumes; the first is of the space manager's own blocks.
func (s *space) openQueues(b []byte, c *checkpoint) error {
	oid := little.Uint64(b[freeQueuesAt+freeQueueSize+8:])
	at, ok := c.ephemeral[oid]
	if oid == 0 || !ok {
		return nil
	}
	t := &tree{
		nodes: newNodes(s.container), name: "queue of free blocks",
		root:    place{block: at.block, oid: oid, xid: c.xid},
		subtype: typeFreeQueue, storage: storageEphemeral, keySize: 16, valueSize: 8, ghosts: true,
		order: numbers,
		child: func(oid uint64) (place, error) {
			at, ok := c.ephemeral[oid]
			if !ok {
				return place{}, damaged("object %d is not in the maps of checkpoint %d", oid, c.xid)
			}
			return place{block: at.block, oid: oid, xid: c.xid}, nil
		},
	}
	var problem error
	bad := func(err error) { problem = err }
	err := t.scan(context.Background(), map[uint64]bool{}, func(key, value []byte) error {
		n := uint64(1) // a record without a value
		if len(value) >= 8 {
			n = little.Uint64(value)
		}
		s.queued = append(s.queued, stretch{little.Uint64(key[8:]), n})
		return nil
	}, bad, bad)
	slices.SortFunc(s.queued, func(a, b stretch) int { return cmp.Compare(a.first, b.first) })
	return errors.Join(err, problem)
}

// load reads the bitmap of a chunk; nil is one that is all free.
func (s *space) load(chunk uint64) ([]byte, error) {
	if s.at == chunk+1 {
		return s.bits, nil
	}
	block := s.chunks[chunk]
	if block == 0 {
		return nil, nil
	}
	b, err := s.read(block, s.blockSize)
	if err != nil {
		return nil, fmt.Errorf("space manager: bitmap of chunk %d: %w", chunk, err)
	}
	s.at, s.bits = chunk+1, b
	return b, nil
}

// inUse counts the blocks of a content that belong to something.
func (s *space) inUse(extents []evidence.Extent) (used, all int64, err error) {
	if s.err != nil {
		return 0, 0, s.err
	}
	for _, e := range extents {
		if e.Offset == evidence.Hole {
			continue
		}
		first := uint64(e.Offset / s.blockSize)
		end := uint64((e.Offset + e.Length + s.blockSize - 1) / s.blockSize)
		n, err := s.count(first, end)
		if err != nil {
			return 0, 0, err
		}
		used += n
		all += int64(end - first)
	}
	return used, all, nil
}

// count is how many blocks from first up to, not including, end are in use.
func (s *space) count(first, end uint64) (used int64, err error) {
	for first < end {
		chunk := first / s.perChunk
		if chunk >= uint64(len(s.chunks)) {
			return 0, damaged("space manager: block %d is in no chunk", first)
		}
		b, err := s.load(chunk)
		if err != nil {
			return 0, err
		}
		stop := min(end, (chunk+1)*s.perChunk)
		for ; first < stop && b != nil; first++ {
			i := first % s.perChunk
			if b[i/8]&(1<<(i%8)) != 0 && !s.isQueued(first) {
				used++
			}
		}
		first = stop
	}
	return used, nil
}

func (s *space) isQueued(block uint64) bool {
	i := sort.Search(len(s.queued), func(i int) bool { return s.queued[i].first > block })
	return i > 0 && block-s.queued[i-1].first < s.queued[i-1].n
}

// Free implements [evidence.FreeSpace] from the bitmaps of the space manager.
// Blocks that only wait to be free are not among them.
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	s := fs.openSpace()
	if s.err != nil {
		return fmt.Errorf("apfs: %w", s.err)
	}
	out := freeRuns{held: fs.held(), block: fs.blockSize, visit: visit}
	for chunk := range uint64(len(s.chunks)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := s.load(chunk)
		if err != nil {
			return fmt.Errorf("apfs: %w", err)
		}
		first := chunk * s.perChunk
		if err := out.chunk(b, first, min(s.perChunk, fs.blocks-first)); err != nil {
			return err
		}
	}
	return out.flush()
}

// freeRuns joins free blocks to runs.
type freeRuns struct {
	held, block int64
	run         tutela.Run
	visit       func(tutela.Run) error
}

// chunk adds the free blocks of a chunk of n blocks; b is nil if all are.
func (f *freeRuns) chunk(b []byte, first, n uint64) error {
	if b == nil {
		return f.add(first, n)
	}
	for i := uint64(0); i < n; {
		free := runOf(b, i, n, 0)
		if free > 0 {
			if err := f.add(first+i, free); err != nil {
				return err
			}
		}
		i += free
		i += runOf(b, i, n, 0xff)
	}
	return nil
}

// runOf is how many bits from i on, below n, are as in pattern.
func runOf(b []byte, i, n uint64, pattern byte) uint64 {
	from := i
	for i < n {
		same := uint64(bits.TrailingZeros8((b[i/8] ^ pattern) >> (i % 8)))
		same = min(same, 8-i%8)
		i += same
		if i%8 != 0 || same == 0 {
			break
		}
	}
	return min(i, n) - from
}

func (f *freeRuns) add(first, n uint64) error {
	at, length := int64(first)*f.block, int64(n)*f.block
	if f.run.Offset+f.run.Length == at {
		f.run.Length += length
		return nil
	}
	err := f.flush()
	f.run = tutela.Run{Offset: at, Length: length}
	return err
}

func (f *freeRuns) flush() error {
	r := f.run
	r.Length = min(r.Length, f.held-r.Offset)
	if r.Length <= 0 {
		return nil
	}
	return f.visit(r)
}
