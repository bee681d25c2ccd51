package digest

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"math/bits"

	"tutela"
)

// kernel runs MD5 over several lanes at once.
type kernel struct {
	name   string
	lanes  int
	worth  int // from this many lanes on it beats crypto/md5, one lane after the other
	blocks func(state *[4][16]uint32, base *byte, offsets *[16]uint32, mask uint32, blocks int)
}

// plain is the kernel of processors we have no assembly for: crypto/md5 alone.
var plain = kernel{name: "plain", lanes: 1}

// md5Lanes is the MD5 state of up to 16 contents, word by word, so that one
// vector holds one word of all.
type md5Lanes struct {
	kernel kernel
	words  [4][16]uint32
}

// span is what one lane has to run through MD5: whole blocks from offset on.
type span struct {
	offset uint32 // bytes, into the arena
	blocks int
}

func (m *md5Lanes) reset(lane int) {
	for i, w := range [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476} { // RFC 1321, 3.3
		m.words[i][lane] = w
	}
}

func (m *md5Lanes) sum(lane int) (d tutela.MD5) {
	for i := range m.words {
		binary.LittleEndian.PutUint32(d[4*i:], m.words[i][lane])
	}
	return d
}

// run takes every lane through its span and uses the spans up. Lanes of
// different length go side by side as far as the shortest of them reaches.
func (m *md5Lanes) run(arena []byte, spans *[16]span) {
	for {
		mask, blocks := shortest(spans)
		switch {
		case mask == 0:
			return
		case bits.OnesCount32(mask) < m.kernel.worth || m.kernel.blocks == nil:
			m.runAlone(arena, spans)
			return
		}
		m.runTogether(arena, spans, mask, blocks)
	}
}

// shortest returns which lanes have blocks left, and the fewest any has.
func shortest(spans *[16]span) (mask uint32, blocks int) {
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

func (m *md5Lanes) runTogether(arena []byte, spans *[16]span, mask uint32, blocks int) {
	var offsets [16]uint32 // idle lanes read from 0 on, which is always there
	for i := range spans {
		if mask>>i&1 == 0 {
			continue
		}
		offsets[i] = spans[i].offset
		_ = arena[int(offsets[i])+64*blocks-1] // the kernel checks no bounds
		spans[i].offset += uint32(64 * blocks)
		spans[i].blocks -= blocks
	}
	_ = arena[64*blocks-1]
	m.kernel.blocks(&m.words, &arena[0], &offsets, mask, blocks)
}

func (m *md5Lanes) runAlone(arena []byte, spans *[16]span) {
	for i := range spans {
		if s := &spans[i]; s.blocks > 0 {
			m.plain(i, arena[s.offset:int(s.offset)+64*s.blocks])
			s.blocks = 0
		}
	}
}

// md5Magic begins the saved state of crypto/md5, which its compatibility
// promise freezes: magic, four words, 64 bytes of partial block, length.
const md5Magic = "md5\x01"

// plain runs whole blocks through crypto/md5, lending it the lane's state.
func (m *md5Lanes) plain(lane int, blocks []byte) {
	var saved [len(md5Magic) + 16 + 64 + 8]byte
	copy(saved[:], md5Magic)
	for i := range m.words {
		binary.BigEndian.PutUint32(saved[4+4*i:], m.words[i][lane])
	}
	h := md5.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(saved[:]); err != nil {
		panic("internal error: crypto/md5 does not take its state: " + err.Error())
	}
	h.Write(blocks)
	after, err := h.(encoding.BinaryAppender).AppendBinary(saved[:0])
	if err != nil {
		panic("internal error: crypto/md5 does not give its state: " + err.Error())
	}
	for i := range m.words {
		m.words[i][lane] = binary.BigEndian.Uint32(after[4+4*i:])
	}
}
