package digest

import (
	"encoding"
	"encoding/binary"
	"hash"
	"math/bits"
)

// maximumLanes is how many lanes any kernel has.
const maximumLanes = 16

// words is the state of a digest in all lanes, word by word, so that one vector
// holds one word of all. Digests of fewer than 8 words leave the last ones alone.
type words [8][maximumLanes]uint32

// kernel runs a digest over several lanes at once; see the kernels' assembly
// for what the arguments must be. The zero kernel has no code.
type kernel struct {
	worth  int // from this many lanes on it beats the standard library, one lane after the other
	blocks func(state *words, base *byte, offsets *[maximumLanes]uint32, mask uint32, blocks int)
}

// states is one digest of up to 16 contents side by side. The state of a lane is
// always in words between two runs, whichever way the blocks went.
type states struct {
	*algorithm
	kernel kernel
	words  words
	plain  stateful // is lent a lane's state
	saved  []byte   // for lending

	offsets [maximumLanes]uint32 // for runTogether, whose own would be allocated
}

// stateful is what the standard library's digests are.
type stateful interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func newStates(a *algorithm, k kernel) *states {
	return &states{algorithm: a, kernel: k, plain: a.plain(), saved: a.blankState()}
}

// span is what one lane has to run through a digest: whole blocks from offset on.
type span struct {
	offset uint32 // bytes, into the arena
	blocks int
}

func (s *states) reset(lane int) {
	for i, w := range s.initial {
		s.words[i][lane] = w
	}
}

// sum puts the digest of a lane that was padded into out.
func (s *states) sum(lane int, out []byte) {
	for i := range s.initial {
		s.order.PutUint32(out[4*i:], s.words[i][lane])
	}
}

// run takes every lane through its span. Lanes of different length go side by
// side as far as the shortest of them reaches, and those that are left alone
// are passed to the standard library.
func (s *states) run(arena []byte, spans [maximumLanes]span) {
	for {
		mask, blocks := shortest(&spans)
		switch {
		case mask == 0:
			return
		case s.kernel.blocks == nil || bits.OnesCount32(mask) < s.kernel.worth:
			s.runAlone(arena, &spans)
			return
		}
		s.runTogether(arena, &spans, mask, blocks)
	}
}

// shortest returns which lanes have blocks left, and the fewest any has.
func shortest(spans *[maximumLanes]span) (mask uint32, blocks int) {
	for i := range spans {
		n := spans[i].blocks
		if n == 0 {
			continue
		}
		mask |= 1 << i
		if blocks == 0 || n < blocks {
			blocks = n
		}
	}
	return mask, blocks
}

func (s *states) runTogether(arena []byte, spans *[maximumLanes]span, mask uint32, blocks int) {
	clear(s.offsets[:]) // idle lanes read from 0 on, which is always there
	for i := range spans {
		if mask>>i&1 == 0 {
			continue
		}
		s.offsets[i] = spans[i].offset
		_ = arena[int(spans[i].offset)+64*blocks-1] // the kernel checks no bounds
		spans[i].offset += uint32(64 * blocks)
		spans[i].blocks -= blocks
	}
	_ = arena[64*blocks-1]
	s.kernel.blocks(&s.words, &arena[0], &s.offsets, mask, blocks)
}

func (s *states) runAlone(arena []byte, spans *[maximumLanes]span) {
	for i := range spans {
		if p := &spans[i]; p.blocks > 0 {
			s.lend(i, arena[p.offset:int(p.offset)+64*p.blocks])
		}
	}
}

// lend runs whole blocks through the standard library, lending it the lane's
// state and taking it back.
func (s *states) lend(lane int, blocks []byte) {
	s.saved = append(s.saved[:0], s.magic...)
	for i := range s.initial {
		s.saved = binary.BigEndian.AppendUint32(s.saved, s.words[i][lane])
	}
	s.saved = s.saved[:cap(s.saved)] // zero from here on: no partial block, no length
	mustTake(s.plain.UnmarshalBinary(s.saved))
	_, err := s.plain.Write(blocks)
	mustTake(err)
	s.saved, err = s.plain.AppendBinary(s.saved[:0])
	mustTake(err)
	for i := range s.initial {
		s.words[i][lane] = binary.BigEndian.Uint32(s.saved[len(s.magic)+4*i:])
	}
}

// mustTake panics if the standard library refused what it promises to do for
// ever: a digest that is silently wrong would be worse.
func mustTake(err error) {
	if err != nil {
		panic("internal error: a digest of the standard library refused its own state: " + err.Error())
	}
}
