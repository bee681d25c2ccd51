package hashset

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
)

// A compiled set is opened at once whatever its size, so it is not read whole
// to be checked. Its bytes behind the head are blocks of 64 KiB, each with a
// CRC-32C in the section sums, and a block is held against its own when
// something in it is first asked for. A block that fails is never believed:
// what lies in it is not found, and the damage is told by [Set.Damage] for ever
// after.
const (
	blockBits = 16
	blockSize = 1 << blockBits
)

// blocks are the checked bytes of one file behind its head.
type blocks struct {
	data []byte // behind the head, without sums
	sums []byte
	// seen has a bit for each block that was checked and is whole. Nothing
	// guards it: at worst a block is checked twice.
	seen   []atomic.Uint64
	damage atomic.Pointer[error] // the first that was met
}

func newBlocks(data, sums []byte) (*blocks, error) {
	n := (uint64(len(data)) + blockSize - 1) >> blockBits
	if uint64(len(sums)) != 4*n {
		return nil, fmt.Errorf("%w: %d bytes of checksums for %d blocks", ErrCorrupt, len(sums), n)
	}
	return &blocks{data: data, sums: sums, seen: make([]atomic.Uint64, (n+63)/64)}, nil
}

// whole reports whether the bytes [from, to) are as they were written. An empty
// range is.
func (k *blocks) whole(from, to uint64) bool {
	first, last := from>>blockBits, (to-1)>>blockBits
	if first == last && k.seen[first>>6].Load()&(1<<(first&63)) != 0 {
		return true
	}
	return k.wholeBlocks(from, to)
}

func (k *blocks) wholeBlocks(from, to uint64) bool {
	for n := from >> blockBits; n<<blockBits < to; n++ {
		if k.seen[n>>6].Load()&(1<<(n&63)) == 0 && !k.check(n) {
			return false
		}
	}
	return true
}

func (k *blocks) check(n uint64) bool {
	b := k.data[n<<blockBits : min((n+1)<<blockBits, uint64(len(k.data)))]
	if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(k.sums[4*n:]) {
		k.fail(fmt.Errorf("%w: the checksum of block %d does not hold", ErrCorrupt, n))
		return false
	}
	k.seen[n>>6].Or(1 << (n & 63))
	return true
}

// fail remembers damage, unless there was some before.
func (k *blocks) fail(err error) { k.damage.CompareAndSwap(nil, &err) }

func (k *blocks) err() error {
	if err := k.damage.Load(); err != nil {
		return *err
	}
	return nil
}

// part is a section. Its bytes are asked for by [part.take] only, but for those
// that checkAll has seen.
type part struct {
	b      []byte
	at     uint64 // of b in the blocks
	blocks *blocks
}

func (p *part) len() uint64 { return uint64(len(p.b)) }

// take gives n bytes from offset on, or nil where they are damaged or lie
// outside, as the numbers in a file made to deceive can ask for.
func (p *part) take(offset, n uint64) []byte {
	size := uint64(len(p.b))
	if offset >= size || n > size-offset || !p.blocks.whole(p.at+offset, p.at+offset+n) {
		return nil
	}
	return p.b[offset : offset+n]
}

// checkAll checks the whole section, on all processors: it is for what another
// package goes through.
func (p *part) checkAll() bool {
	const together = 64 << blockBits
	var group sync.WaitGroup
	var bad atomic.Bool
	limit := make(chan struct{}, 8)
	for from := uint64(0); from < p.len(); from += together {
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			if !p.blocks.wholeBlocks(p.at+from, p.at+min(from+together, p.len())) {
				bad.Store(true)
			}
		})
	}
	group.Wait()
	return !bad.Load()
}
