package s3

import "sync"

// A file system is read in pieces of some KiB, and each request costs the way to
// the store and back: so more is asked for than is wanted. How much depends on
// how the object is read.
const (
	// pieceSize is what is asked for where a reader jumps about, in bytes, at
	// multiples of itself, and pieces how many are kept: 16 MiB. Structures lie
	// far apart, and what is between them is not wanted.
	pieceSize = 256 << 10
	pieces    = 64
	// blockSize is what is asked for where a reader goes forward, and held how
	// many blocks the files of a storage keep together: 128 MiB.
	blockSize = 8 << 20
	held      = 16
	// ahead is how many blocks are asked for, side by side, before they are
	// needed.
	ahead = 3
)

// place is where a block belongs. The same version of an object that is opened
// twice has the same blocks: a storage is asked once while formats are tried.
type place struct {
	version
	index int64
}

// block is a stretch of an object. Its bytes may be read by those who hold it
// once ready is closed.
type block struct {
	ready chan struct{}
	bytes []byte
	err   error

	// guarded by the cache's lock
	users int    // hold it now; it stays where it is for as long
	last  uint64 // turn in which it was taken last
	taken bool   // by a reader, not only asked for ahead of one
}

// cache keeps the blocks of one size that were used last, of all files of a
// storage.
type cache struct {
	load  func(v version, b []byte, off int64) error
	size  int64 // of a block, in bytes
	held  int   // blocks that are kept
	ahead int64 // blocks

	mu     sync.Mutex
	blocks map[place]*block
	spare  [][]byte // of a whole block, not in use
	turn   uint64
	ended  bool
	work   sync.WaitGroup // requests under way
}

func newCache(load func(version, []byte, int64) error, size int64, held int, ahead int64) *cache {
	return &cache{load: load, size: size, held: held, ahead: ahead, blocks: make(map[place]*block)}
}

// has reports whether the block at p is there, or on its way.
func (c *cache) has(p place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[p] != nil
}

// take holds the block at p for a reader, who must give it back, and asks for
// those behind it where the one before it was read too. It is nil after end.
func (c *cache) take(p place) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.turn++
	b := c.at(p)
	b.users++
	b.last, b.taken = c.turn, true
	if before := c.blocks[place{p.version, p.index - 1}]; before != nil && before.taken {
		for i := int64(1); i <= c.ahead && (p.index+i)*c.size < p.version.size && c.room(); i++ {
			c.at(place{p.version, p.index + i})
		}
	}
	return b
}

// at finds a block or begins to load it. The lock is held.
func (c *cache) at(p place) *block {
	b := c.blocks[p]
	if b != nil {
		return b
	}
	c.evict()
	b = &block{ready: make(chan struct{}), users: 1, last: c.turn}
	c.blocks[p] = b
	if n := len(c.spare); n > 0 && p.lengthOf(p.index, c.size) == c.size {
		b.bytes, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	c.work.Go(func() { c.fill(p, b) })
	return b
}

func (c *cache) fill(p place, b *block) {
	if b.bytes == nil {
		b.bytes = make([]byte, p.lengthOf(p.index, c.size))
	}
	b.err = c.load(p.version, b.bytes, p.index*c.size)
	close(b.ready)
	c.give(p, b)
}

// give lets go of a block. One that failed is forgotten: whoever comes next
// tries again.
func (c *cache) give(p place, b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.users--; b.users == 0 && b.err != nil {
		c.forget(p, b)
	}
}

// evict makes room for one more block, if there is one that nobody uses.
func (c *cache) evict() {
	for len(c.blocks) >= c.held {
		p, b := c.oldest()
		if b == nil {
			return // every block is in use: readers are many
		}
		c.forget(p, b)
	}
}

func (c *cache) oldest() (at place, oldest *block) {
	for p, b := range c.blocks {
		if b.users == 0 && (oldest == nil || b.last < oldest.last) {
			at, oldest = p, b
		}
	}
	return at, oldest
}

// forget drops a block that nobody uses. The lock is held.
func (c *cache) forget(p place, b *block) {
	if c.blocks[p] == b {
		delete(c.blocks, p)
	}
	if int64(len(b.bytes)) == c.size && len(c.spare) < ahead {
		c.spare = append(c.spare, b.bytes)
	}
	b.bytes = nil
}

// room reports whether reading ahead would cost nobody the block he works on.
func (c *cache) room() bool {
	busy := 0
	for _, b := range c.blocks {
		if b.users > 0 {
			busy++
		}
	}
	return busy < c.held/2
}

// end waits until nothing is under way and lets nothing begin.
func (c *cache) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.work.Wait()
}
