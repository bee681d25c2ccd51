package jpeg

import (
	"bytes"
	"encoding/binary"
)

const (
	// piece is how many unstuffed bytes are at hand at most.
	piece = 1 << 15
	// mcuBytes is more than one MCU can take: ten blocks (T.81, B.2.3) of 64 code
	// words of 31 bits, and what is loaded ahead of them.
	mcuBytes = 10*64*31/8 + 32
	// within keeps a place inside of the buffer, so that the compiler knows.
	within = 1<<16 - 1
)

// stream gives the bits of entropy-coded data, without the stuffed zeros: T.81,
// B.1.1.5. Behind the end come zeros, enough for an MCU; whoever reads checks
// left afterwards.
//
// bits holds at its upper end count bits that are not read yet; below them may
// be some that next tells once more.
type stream struct {
	data  []byte // the file
	at    int    // where in data the next byte to unstuff lies
	buf   [within + 1 + 8]byte
	end   int  // how many bytes of buf are unstuffed
	ended bool // at stands on a marker or at the end of data
	next  int  // the next byte of buf to load
	bits  uint64
	count uint
}

// open begins anew at a place of the file.
func (s *stream) open(at int) {
	s.at, s.end, s.next, s.bits, s.count, s.ended = at, 0, 0, 0, 0, false
	s.more()
}

// more moves what is left to the front and unstuffs a piece behind it. It must
// not be called when the stream has ended.
func (s *stream) more() {
	from := max(0, s.next-8) // seek may go back to what is in bits
	s.end = copy(s.buf[:], s.buf[from:s.end])
	s.next -= from
	for s.end < piece && !s.ended {
		s.unstuff()
	}
	if s.ended {
		clear(s.buf[s.end:min(s.end+mcuBytes+64, len(s.buf))])
	}
}

// unstuff copies up to the next 0xff and past it, whatever it means.
func (s *stream) unstuff() {
	from := s.data[s.at:min(s.at+piece-s.end, len(s.data))]
	n := bytes.IndexByte(from, 0xff)
	if n < 0 {
		s.end += copy(s.buf[s.end:], from)
		s.at += len(from)
		s.ended = s.at == len(s.data)
		return
	}
	s.end += copy(s.buf[s.end:], from[:n])
	s.at += n
	second := s.at + 1
	for second < len(s.data) && s.data[second] == 0xff { // fill bytes: B.1.1.2
		second++
	}
	if second == len(s.data) || s.data[second] != 0 {
		s.ended = true
		return
	}
	s.buf[s.end] = 0xff
	s.end++
	s.at = second + 1
}

// left is how many bits are left of those at hand; negative if more were read
// than there are.
func (s *stream) left() int { return (s.end-s.next)*8 + int(s.count) }

// safe is how far next may be for a whole MCU to be at hand. It unstuffs more
// when it must.
func (s *stream) safe() int {
	if !s.ended && s.next > s.end-mcuBytes {
		s.more()
	}
	if s.ended {
		return s.end
	}
	return s.end - mcuBytes
}

// refill makes count at least 56.
func (s *stream) refill() {
	s.bits |= binary.BigEndian.Uint64(s.buf[s.next&within:]) >> (s.count & 63)
	s.next += int(63-s.count) >> 3
	s.count |= 56
}

// seek goes to a bit of buf, counted from its beginning. At least 49 bits are
// then at hand.
func (s *stream) seek(bit int) {
	s.next, s.bits, s.count = bit>>3, 0, 0
	s.refill()
	s.drop(uint(bit & 7))
}

// drop passes over n bits that are at hand.
func (s *stream) drop(n uint) {
	s.bits <<= n & 63
	s.count -= n
}

// take reads up to 16 bits.
func (s *stream) take(n uint) int {
	if n == 0 {
		return 0
	}
	if s.count < n {
		s.refill()
	}
	v := int(s.bits >> (64 - n&63))
	s.drop(n)
	return v
}

// symbol reads a code, for whose table look was called.
func (s *stream) symbol(h *huffman) (symbol byte, ok bool) {
	if s.count < 16 {
		s.refill()
	}
	if e := h.near[s.bits>>(64-lookahead)]; e != 0 {
		s.drop(uint(e & 255))
		return byte(e >> 8), true
	}
	symbol, length := h.decode(s.bits)
	s.drop(uint(length))
	return symbol, length != 0
}

// value reads a number of size bits: T.81, F.2.2.1, EXTEND.
func (s *stream) value(size uint) int { return extend(s.take(size), size) }

// extend gives the number that size bits stand for: those that begin with 0 are
// negative.
func extend(v int, size uint) int {
	if size > 0 && v < 1<<(size-1) {
		return v - 1<<size + 1
	}
	return v
}
