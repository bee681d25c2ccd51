package decmpfs

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"tutela/internal/evidence"
)

// LZFSE expands a stream into dst and returns how many bytes came out. It is an
// error if they do not fit, and if the stream has no end mark.
//
// A stream is a row of blocks, told apart by four letters: "bvx-" bytes as they
// are, "bvxn" LZVN, "bvx2" the format's own, "bvx$" the end. A match may reach
// back into earlier blocks.
func LZFSE(dst, src []byte) (int, error) {
	n := 0
	for {
		if len(src) < 4 {
			return n, fmt.Errorf("%w: lzfse stream without an end", errDamaged)
		}
		var used int
		var err error
		switch magic := string(src[:4]); magic {
		case "bvx$":
			return n, nil
		case "bvx-":
			n, used, err = plainBlock(dst, n, src)
		case "bvxn":
			n, used, err = lzvnBlock(dst, n, src)
		case "bvx2":
			n, used, err = packedBlock(dst, n, src)
		case "bvx1":
			return n, fmt.Errorf("lzfse block bvx1 not read: %w", evidence.ErrUnsupported)
		default:
			return n, fmt.Errorf("%w: lzfse block %q", errDamaged, magic)
		}
		if err != nil {
			return n, err
		}
		src = src[used:]
	}
}

// plainBlock: letters, length, bytes.
func plainBlock(dst []byte, n int, src []byte) (int, int, error) {
	const head = 8
	if len(src) < head {
		return n, 0, fmt.Errorf("%w: lzfse block cut off", errDamaged)
	}
	length := int64(binary.LittleEndian.Uint32(src[4:]))
	if length > int64(len(src)-head) || length > int64(len(dst)-n) {
		return n, 0, fmt.Errorf("%w: lzfse block of %d bytes", errDamaged, length)
	}
	copy(dst[n:], src[head:head+length])
	return n + int(length), head + int(length), nil
}

// lzvnBlock: letters, length expanded, length packed, LZVN.
func lzvnBlock(dst []byte, n int, src []byte) (int, int, error) {
	const head = 12
	if len(src) < head {
		return n, 0, fmt.Errorf("%w: lzfse block cut off", errDamaged)
	}
	length, packed := int64(binary.LittleEndian.Uint32(src[4:])), int64(binary.LittleEndian.Uint32(src[8:]))
	if packed > int64(len(src)-head) || length > int64(len(dst)-n) {
		return n, 0, fmt.Errorf("%w: lzfse block of %d bytes", errDamaged, length)
	}
	end, err := lzvn(dst[:n+int(length)], n, src[head:head+packed])
	if err == nil && end != n+int(length) {
		err = fmt.Errorf("%w: lzfse block of %d bytes gives %d", errDamaged, length, end-n)
	}
	return end, head + int(packed), err
}

// What the reference calls L (literals to copy), M (length of the match) and D
// (its distance) are symbols of an entropy coder, each with some plain bits that
// are added to the symbol's base.
const (
	lengthSymbols  = 20 // of L and of M
	distSymbols    = 64
	literalSymbols = 256
	allSymbols     = 2*lengthSymbols + distSymbols + literalSymbols

	lengthStates  = 64
	distStates    = 256
	literalStates = 1024

	blockHead   = 32 // bytes of a packed block's head before its tables
	maxMatches  = 10000
	maxLiterals = 4 * maxMatches
)

// ranges are the plain bits of each symbol; a base is where the range before it
// ends.
var (
	literalRun = ranges(append(make([]uint8, 16), 2, 3, 5, 8))
	matchRun   = ranges(append(make([]uint8, 16), 3, 5, 8, 11))
	distances  = ranges(quadruples())
	letters    = ranges(make([]uint8, literalSymbols))
)

type symbol struct {
	base  int32
	extra uint8 // plain bits
}

func ranges(extra []uint8) []symbol {
	out := make([]symbol, len(extra))
	var base int32
	for i, x := range extra {
		out[i] = symbol{base, x}
		base += 1 << x
	}
	return out
}

// quadruples: each number of plain bits from 0 to 15 serves four symbols.
func quadruples() []uint8 {
	out := make([]uint8, distSymbols)
	for i := range out {
		out[i] = uint8(i / 4)
	}
	return out
}

// blockHeader is the head of a packed block.
type blockHeader struct {
	size                         int // bytes, tables included
	raw                          int // bytes expanded
	literals, literalBytes       int
	matches, matchBytes          int
	literalSkip, matchSkip       int // bits left over at the end of each stream
	literalState                 [4]int
	lState, mState, dState       int
	lFreq, mFreq, dFreq, literal []uint16
}

// field is width bits of v from bit first on.
func field(v uint64, first, width int) int { return int(v >> first & (1<<width - 1)) }

func parseBlock(src []byte) (h blockHeader, err error) {
	if len(src) < blockHead {
		return h, fmt.Errorf("%w: lzfse block cut off", errDamaged)
	}
	v0, v1, v2 := binary.LittleEndian.Uint64(src[8:]), binary.LittleEndian.Uint64(src[16:]), binary.LittleEndian.Uint64(src[24:])
	h = blockHeader{
		size: field(v2, 0, 32), raw: int(binary.LittleEndian.Uint32(src[4:])),
		literals: field(v0, 0, 20), literalBytes: field(v0, 20, 20), matches: field(v0, 40, 20),
		literalSkip: 7 - field(v0, 60, 3), matchSkip: 7 - field(v1, 60, 3),
		matchBytes: field(v1, 40, 20),
		lState:     field(v2, 32, 10), mState: field(v2, 42, 10), dState: field(v2, 52, 10),
	}
	for i := range h.literalState {
		h.literalState[i] = field(v1, 10*i, 10)
	}
	if h.size < blockHead || h.size > len(src) || h.literalBytes+h.matchBytes > len(src)-h.size {
		return h, fmt.Errorf("%w: lzfse block longer than its stream", errDamaged)
	}
	if h.literals > maxLiterals || h.literals%4 != 0 || h.matches > maxMatches {
		return h, fmt.Errorf("%w: lzfse block of %d literals and %d matches", errDamaged, h.literals, h.matches)
	}
	return h, h.parseTables(src[blockHead:h.size])
}

// parseTables reads how often each symbol comes, in a fixed prefix code, low bits
// first.
func (h *blockHeader) parseTables(src []byte) error {
	all := make([]uint16, allSymbols)
	var have uint
	var acc uint64
	for i := range all {
		for have <= 48 && len(src) > 0 {
			acc |= uint64(src[0]) << have
			have += 8
			src = src[1:]
		}
		v, width := frequency(uint32(acc))
		if width > have {
			return fmt.Errorf("%w: lzfse tables cut off", errDamaged)
		}
		all[i] = v
		acc >>= width
		have -= width
	}
	if len(src) > 0 || have >= 8 {
		return fmt.Errorf("%w: lzfse tables shorter than their place", errDamaged)
	}
	h.lFreq, all = all[:lengthSymbols], all[lengthSymbols:]
	h.mFreq, all = all[:lengthSymbols], all[lengthSymbols:]
	h.dFreq, h.literal = all[:distSymbols], all[distSymbols:]
	return nil
}

// frequency is one code word and its width; b are the bits of a number:
//
//	b0               b
//	b01              2 + b
//	bb011            4 + b
//	bbbb0111         8 + b
//	bbbbbbbbbb1111   24 + b
func frequency(v uint32) (uint16, uint) {
	switch {
	case v&1 == 0:
		return uint16(v >> 1 & 1), 2
	case v&3 == 1:
		return uint16(2 + v>>2&1), 3
	case v&7 == 3:
		return uint16(4 + v>>3&3), 5
	case v&15 == 7:
		return uint16(8 + v>>4&15), 8
	}
	return uint16(24 + v>>4&0x3ff), 14
}

// packedBlock expands a "bvx2" block: first all its literals, which four coders
// give in turn, then the copies.
func packedBlock(dst []byte, n int, src []byte) (int, int, error) {
	h, err := parseBlock(src)
	if err != nil {
		return n, 0, err
	}
	literals, err := h.expandLiterals(src[h.size : h.size+h.literalBytes])
	if err != nil {
		return n, 0, err
	}
	used := h.size + h.literalBytes + h.matchBytes
	end, err := h.expandMatches(dst, n, src[used-h.matchBytes:used], literals)
	if err == nil && end-n != h.raw {
		err = fmt.Errorf("%w: lzfse block of %d bytes gives %d", errDamaged, h.raw, end-n)
	}
	return end, used, err
}

func (h *blockHeader) expandLiterals(src []byte) ([]byte, error) {
	t, err := newCoder(h.literal, letters, literalStates)
	if err != nil {
		return nil, err
	}
	in := newBackward(src, h.literalSkip)
	out := make([]byte, h.literals)
	state := h.literalState
	for i := range out {
		out[i] = byte(t.next(&state[i%4], in))
	}
	if in.bad {
		return nil, fmt.Errorf("%w: lzfse literals", errDamaged)
	}
	return out, nil
}

func (h *blockHeader) expandMatches(dst []byte, n int, src, literals []byte) (int, error) {
	l, errL := newCoder(h.lFreq, literalRun, lengthStates)
	m, errM := newCoder(h.mFreq, matchRun, lengthStates)
	d, errD := newCoder(h.dFreq, distances, distStates)
	if errL != nil || errM != nil || errD != nil {
		return n, fmt.Errorf("%w: lzfse tables", errDamaged)
	}
	in := newBackward(src, h.matchSkip)
	distance := 0
	for range h.matches {
		copied, match := l.next(&h.lState, in), m.next(&h.mState, in)
		if v := d.next(&h.dState, in); v != 0 {
			distance = v
		}
		if in.bad || copied > len(literals) || copied+match > len(dst)-n {
			return n, fmt.Errorf("%w: lzfse copies beyond the end", errDamaged)
		}
		n += copy(dst[n:], literals[:copied])
		literals = literals[copied:]
		if err := repeat(dst, n, match, distance); err != nil {
			return n, err
		}
		n += match
	}
	return n, nil
}

// coder is the table of a finite state entropy coder: each state stands for a
// symbol, and the bits it reads lead to the next state.
type coder []transition

type transition struct {
	symbol
	width uint8 // of the bits that choose the next state
	delta int16
}

// newCoder spreads the states over the symbols in proportion to how often they
// come: a symbol with f of n states reads k bits or one less, so that its states
// lead to all n.
func newCoder(freq []uint16, symbols []symbol, states int) (coder, error) {
	t := make(coder, 0, states)
	for i, frequency := range freq {
		f := int(frequency)
		if f == 0 {
			continue
		}
		if f > states-len(t) {
			return nil, fmt.Errorf("%w: lzfse tables", errDamaged)
		}
		k := bits.Len(uint(states)) - bits.Len(uint(f))
		wide := 2*states>>k - f // so many of its states read k bits
		for j := range f {
			if j < wide {
				t = append(t, transition{symbols[i], uint8(k), int16((f+j)<<k - states)})
			} else {
				t = append(t, transition{symbols[i], uint8(k - 1), int16((j - wide) << (k - 1))})
			}
		}
	}
	return t, nil
}

// next gives the value of a state and moves on. A state that does not exist marks
// the stream as bad.
func (t coder) next(state *int, in *backward) int {
	if *state >= len(t) {
		in.bad = true
		return 0
	}
	e := &t[*state]
	v := in.pull(int(e.width + e.extra))
	*state = int(e.delta) + int(v>>e.extra)
	return int(e.base) + int(v&(1<<e.extra-1))
}

// backward reads bits from the end of a stream to its beginning.
type backward struct {
	src []byte
	at  int  // bits before the place
	bad bool // more was asked for than there is
}

func newBackward(src []byte, skip int) *backward {
	return &backward{src: src, at: 8*len(src) - skip}
}

// pull reads n bits, at most 32.
func (b *backward) pull(n int) uint64 {
	if b.at -= n; b.at < 0 {
		b.bad, b.at = true, 0
		return 0
	}
	var v uint64
	if from := b.at / 8; from+8 <= len(b.src) {
		v = binary.LittleEndian.Uint64(b.src[from:])
	} else {
		for i, c := range b.src[from:] {
			v |= uint64(c) << (8 * i)
		}
	}
	return v >> (b.at % 8) & (1<<n - 1)
}
