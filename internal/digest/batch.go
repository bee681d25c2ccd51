package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// MessageLimit is the longest message in bytes that a [Batch] takes.
const MessageLimit = 1024

// batchShare is what a lane has of the arena: a message and its padding.
const batchShare = MessageLimit + 64

// Batch digests many short messages with SHA-256, several side by side, where
// the processor can: see [Batch.Message]. Hashes of a block or two cost half of
// what they cost alone. The results are those of [sha256.Sum256]. A Batch is
// not safe for concurrent use, and does not allocate once it is made.
type Batch struct {
	kernel kernel
	words  words
	arena  [maximumLanes * batchShare]byte
	length [maximumLanes]int // of the messages that wait, in bytes
	sums   [maximumLanes]*[sha256.Size]byte
	wait   int // how many do

	offsets [maximumLanes]uint32 // for the kernel
}

// NewBatch returns a Batch for the fastest code that this processor runs.
func NewBatch() *Batch { return newBatch(engines()[0].sha256) }

func newBatch(k kernel) *Batch { return &Batch{kernel: k} }

// Message returns the room for a message of length bytes, which the caller
// fills before any other call. Its digest is in sum once [Batch.Flush] has
// returned, perhaps earlier. It panics if length is not between 0 and
// [MessageLimit].
func (b *Batch) Message(sum *[sha256.Size]byte, length int) []byte {
	if length < 0 || length > MessageLimit {
		panic(fmt.Sprintf("internal error: a message of %d bytes in a batch", length))
	}
	if b.wait == maximumLanes {
		b.Flush()
	}
	lane := b.wait
	b.wait++
	b.length[lane], b.sums[lane] = length, sum
	return b.arena[lane*batchShare:][:length:length]
}

// Flush digests the messages that wait.
func (b *Batch) Flush() {
	if b.kernel.blocks == nil || b.wait < b.kernel.worth {
		b.runAlone()
	} else {
		b.runTogether()
	}
	clear(b.sums[:b.wait]) // so that nobody's memory is kept
	b.wait = 0
}

func (b *Batch) runAlone() {
	for lane, sum := range b.sums[:b.wait] {
		*sum = sha256.Sum256(b.arena[lane*batchShare:][:b.length[lane]])
	}
}

// runTogether takes all lanes as far as the shortest message reaches, then the
// others on. A few lanes cost as much as 16; sorting the messages by length would
// cost more.
func (b *Batch) runTogether() {
	b.words = initialSHA256
	var blocks [maximumLanes]int
	for lane, length := range b.length[:b.wait] {
		blocks[lane] = b.pad(lane, length)
	}
	for lane := range b.offsets { // idle ones read where lane 0 does
		b.offsets[lane] = 0
		if lane < b.wait {
			b.offsets[lane] = uint32(lane * batchShare)
		}
	}
	for done := 0; ; {
		mask, next := further(blocks[:b.wait], done)
		if mask == 0 {
			break
		}
		// A lane that is done reads on in its own share, which is as long as
		// the longest message and its padding.
		b.kernel.blocks(&b.words, &b.arena[64*done], &b.offsets, mask, next-done)
		done = next
	}
	for lane, sum := range b.sums[:b.wait] {
		b.put(lane, sum)
	}
}

// further returns which lanes have more than done blocks, and the fewest that
// any of those has.
func further(blocks []int, done int) (mask uint32, next int) {
	for lane, n := range blocks {
		if n <= done {
			continue
		}
		mask |= 1 << lane
		if next == 0 || n < next {
			next = n
		}
	}
	return mask, next
}

// pad completes a message to whole blocks and returns how many they are.
func (b *Batch) pad(lane, length int) int {
	share := b.arena[lane*batchShare:][:batchShare]
	end := (length + 1 + 8 + 63) &^ 63
	clear(share[length:end])
	share[length] = 0x80
	binary.BigEndian.PutUint64(share[end-8:], uint64(length)<<3)
	return end / 64
}

func (b *Batch) put(lane int, sum *[sha256.Size]byte) {
	for i := range b.words {
		binary.BigEndian.PutUint32(sum[4*i:], b.words[i][lane])
	}
}

// initialSHA256 is the first state of all lanes.
var initialSHA256 = func() (w words) {
	for i, word := range algorithmSHA256.initial {
		for lane := range w[i] {
			w[i][lane] = word
		}
	}
	return w
}()
