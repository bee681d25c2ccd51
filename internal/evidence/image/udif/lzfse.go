package udif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"tutela/internal/evidence"
)

// LZFSE is LZ77 whose literals, and whose triples of literal length, match
// length and distance, are coded with finite state entropy. A stream consists of
// blocks, each with four letters in front; it is defined by Apple's reference
// implementation (lzfse 1.0), whose names are used here.

var errLZFSE = errors.New("the data do not hold together")

const (
	lzfseHeader   = 32 // of a block "bvx2", without its tables
	lzvnHeader    = 12
	maxLiterals   = 40000
	maxMatches    = 10000
	literalStates = 1024
)

// unLZFSE decompresses a stream. It gives not much more than length bytes.
func unLZFSE(in []byte, length int) (out []byte, err error) {
	out = make([]byte, 0, min(length, 256*len(in)))
	for len(out) <= length {
		if len(in) < 4 {
			return nil, errLZFSE
		}
		magic, rest := string(in[:4]), in[4:]
		switch magic {
		case "bvx$":
			return out, nil
		case "bvx-":
			out, in, err = lzfseRaw(out, rest)
		case "bvxn":
			out, in, err = lzfseVN(out, in, length)
		case "bvx2":
			out, in, err = lzfseBlock(out, in, length)
		default:
			return nil, fmt.Errorf("a block %q: %w", magic, evidence.ErrUnsupported)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func lzfseRaw(out, in []byte) (_, rest []byte, err error) {
	if len(in) < 4 {
		return nil, nil, errLZFSE
	}
	n := int64(binary.LittleEndian.Uint32(in))
	if in = in[4:]; n > int64(len(in)) {
		return nil, nil, errLZFSE
	}
	return append(out, in[:n]...), in[n:], nil
}

// lzfseVN decompresses a block in the older code LZVN, which small blocks have.
func lzfseVN(out, in []byte, length int) (_, rest []byte, err error) {
	if len(in) < lzvnHeader {
		return nil, nil, errLZFSE
	}
	raw, stored := int64(binary.LittleEndian.Uint32(in[4:])), int64(binary.LittleEndian.Uint32(in[8:]))
	in = in[lzvnHeader:]
	if stored > int64(len(in)) || raw > int64(length-len(out)) {
		return nil, nil, errLZFSE
	}
	began := len(out)
	out, err = unLZVN(out, in[:stored], began+int(raw))
	if err == nil && len(out) != began+int(raw) {
		err = errLZFSE
	}
	return out, in[stored:], err
}

// fields are numbers of so many bits each, from the lowest bit up.
func fields(v uint64, widths ...int) []int {
	out := make([]int, len(widths))
	for i, w := range widths {
		out[i] = int(v & (1<<w - 1))
		v >>= w
	}
	return out
}

// lzfseBlock decompresses a block "bvx2".
func lzfseBlock(out, in []byte, length int) (_, rest []byte, err error) {
	if len(in) < lzfseHeader {
		return nil, nil, errLZFSE
	}
	le := binary.LittleEndian
	raw := int64(le.Uint32(in[4:]))
	a := fields(le.Uint64(in[8:]), 20, 20, 20, 3)          // literals, their bytes, matches, bits
	b := fields(le.Uint64(in[16:]), 10, 10, 10, 10, 20, 3) // four states, bytes of the triples, bits
	c := fields(le.Uint64(in[24:]), 32, 10, 10, 10)        // header, states of L, M and D
	literals, literalBytes, matches, tripleBytes, header := a[0], a[1], a[2], b[4], c[0]
	if header < lzfseHeader || header > len(in) || literalBytes+tripleBytes > len(in)-header ||
		literals > maxLiterals || literals%4 != 0 || matches > maxMatches || raw > int64(length-len(out)) {
		return nil, nil, errLZFSE
	}
	t, err := readTables(in[lzfseHeader:header])
	if err != nil {
		return nil, nil, err
	}
	payload := in[header:]
	text, err := t.literals(payload[:literalBytes], a[3]-7, literals, b[:4])
	if err != nil {
		return nil, nil, err
	}
	end := len(out) + int(raw)
	out, err = t.triples(out, text, payload[literalBytes:][:tripleBytes], b[5]-7, matches, c[1:4], end)
	if err == nil && len(out) != end {
		err = errLZFSE
	}
	return out, payload[literalBytes+tripleBytes:], err
}

// bitsBack reads bits from the end of a stream to its beginning.
type bitsBack struct {
	b   []byte
	pos int // bits that are left; negative after an error
}

func newBitsBack(b []byte, unused int) bitsBack { return bitsBack{b, 8*len(b) + unused} }

// pull is the next n bits, at most 32.
func (r *bitsBack) pull(n int) int {
	if r.pos < n {
		r.pos = -1
		return 0
	}
	r.pos -= n
	var v uint64
	at := r.pos / 8
	for i := range min(len(r.b)-at, 5) {
		v |= uint64(r.b[at+i]) << (8 * i)
	}
	return int(v >> (r.pos % 8) & (1<<n - 1))
}

// state is an entry of a decoder: which symbol the state stands for, and how the
// next state is made.
type state struct {
	symbol, bits, delta int
}

// newDecoder spreads the symbols over the states by their frequencies, which
// must not add up to more than there are.
func newDecoder(frequencies []int, states int) ([]state, error) {
	table := make([]state, 0, states)
	for symbol, f := range frequencies {
		if f == 0 {
			continue
		}
		if len(table)+f > states {
			return nil, errLZFSE
		}
		k := bits.Len(uint(states)) - bits.Len(uint(f))
		for j, more := 0, 2*states>>k-f; j < f; j++ {
			if j < more {
				table = append(table, state{symbol, k, (f+j)<<k - states})
			} else {
				table = append(table, state{symbol, k - 1, (j - more) << (k - 1)})
			}
		}
	}
	return table, nil
}

// step is the symbol of a state, which becomes the next one.
func step(table []state, s *int, r *bitsBack) (symbol int, ok bool) {
	if *s < 0 || *s >= len(table) {
		return 0, false
	}
	e := table[*s]
	*s = e.delta + r.pull(e.bits)
	return e.symbol, true
}

// tables are the decoders of a block.
type tables struct{ l, m, d, literal []state }

// readTables reads the frequencies of all symbols, which are coded with a fixed
// prefix code.
func readTables(in []byte) (t tables, err error) {
	const symbols = 20 + 20 + 64 + 256
	frequencies := make([]int, symbols)
	var acc uint64
	var have int
	for i := range frequencies {
		for have <= 32 && len(in) > 0 {
			acc, have, in = acc|uint64(in[0])<<have, have+8, in[1:]
		}
		f, n := frequency(acc)
		if n > have {
			return t, errLZFSE
		}
		frequencies[i], acc, have = f, acc>>n, have-n
	}
	if have >= 8 || len(in) > 0 {
		return t, errLZFSE
	}
	var errs [4]error
	t.l, errs[0] = newDecoder(frequencies[:20], 64)
	t.m, errs[1] = newDecoder(frequencies[20:40], 64)
	t.d, errs[2] = newDecoder(frequencies[40:104], 256)
	t.literal, errs[3] = newDecoder(frequencies[104:], literalStates)
	return t, errors.Join(errs[:]...)
}

// frequency is the number that the lowest bits of v stand for, and how many bits
// those are: 0 is 00, 1 is 10, 2 is 001, 3 is 101, 4 to 7 are two bits and 011,
// 8 to 23 four bits and 0111, 24 to 1047 ten bits and 1111 (the lowest bit last).
func frequency(v uint64) (f, n int) {
	switch {
	case v&3 == 0:
		return 0, 2
	case v&3 == 2:
		return 1, 2
	case v&7 == 1:
		return 2, 3
	case v&7 == 5:
		return 3, 3
	case v&7 == 3:
		return 4 + int(v>>3&3), 5
	case v&15 == 7:
		return 8 + int(v>>4&15), 8
	}
	return 24 + int(v>>4&1023), 14
}

// literals decodes the literals of a block: four interleaved streams.
func (t *tables) literals(in []byte, unused, n int, states []int) ([]byte, error) {
	r := newBitsBack(in, unused)
	out := make([]byte, n)
	for i := range out {
		symbol, ok := step(t.literal, &states[i%4], &r)
		if !ok || r.pos < 0 {
			return nil, errLZFSE
		}
		out[i] = byte(symbol)
	}
	return out, nil
}

// code is what a symbol of a length or distance stands for: the least value and
// how many bits are added to it.
type code struct{ base, extra int }

// lengthCode is that of L and M: the first sixteen symbols are their value.
func lengthCode(symbol int, long [4]code) code {
	if symbol < 16 {
		return code{symbol, 0}
	}
	return long[symbol-16]
}

var (
	longL = [4]code{{16, 2}, {20, 3}, {28, 5}, {60, 8}}
	longM = [4]code{{16, 3}, {24, 5}, {56, 8}, {312, 11}}
)

// distanceCode is that of D: four symbols for each number of added bits.
func distanceCode(symbol int) code {
	extra := symbol / 4
	return code{4*(1<<extra-1) + symbol%4<<extra, extra}
}

// triples decodes the triples of a block and carries them out: L literals, then
// M bytes from D bytes back. A distance of 0 is the last one.
func (t *tables) triples(out, text, in []byte, unused, n int, states []int, end int) ([]byte, error) {
	r := newBitsBack(in, unused)
	distance := 0
	for range n {
		ls, ok1 := step3(t.l, &states[0], &r, func(s int) code { return lengthCode(s, longL) })
		ms, ok2 := step3(t.m, &states[1], &r, func(s int) code { return lengthCode(s, longM) })
		ds, ok3 := step3(t.d, &states[2], &r, distanceCode)
		if ds != 0 {
			distance = ds
		}
		if !ok1 || !ok2 || !ok3 || ls > len(text) || ls+ms > end-len(out) || ms > 0 && (distance == 0 || distance > len(out)+ls) {
			return nil, errLZFSE
		}
		out, text = append(out, text[:ls]...), text[ls:]
		out = repeat(out, distance, ms)
	}
	return out, nil
}

// step3 is the value of a state: the bits that are added to it come behind those
// of the next state.
func step3(table []state, s *int, r *bitsBack, codeOf func(int) code) (int, bool) {
	symbol, ok := step(table, s, r)
	if !ok {
		return 0, false
	}
	c := codeOf(symbol)
	v := c.base + r.pull(c.extra)
	return v, r.pos >= 0
}

// instruction is one of LZVN: copy literals that follow its head, then bytes from
// a distance back.
type instruction struct{ head, literals, copied, distance int }

// unLZVN decompresses LZVN behind out until end.
func unLZVN(out, in []byte, end int) ([]byte, error) {
	distance := 0
	for len(in) > 0 {
		if in[0] == lzvnEnd {
			return out, nil
		}
		i, ok := lzvnInstruction(in, distance)
		if !ok || len(in) < i.head+i.literals || i.literals+i.copied > end-len(out) ||
			i.copied > 0 && (i.distance == 0 || i.distance > len(out)+i.literals) {
			return nil, errLZFSE
		}
		out = append(out, in[i.head:i.head+i.literals]...)
		out = repeat(out, i.distance, i.copied)
		in, distance = in[i.head+i.literals:], i.distance
	}
	return nil, errLZFSE
}

// lzvnEnd is the instruction that ends a block; seven bytes of padding follow.
const lzvnEnd = 0x06

// lzvnInstruction takes apart the instruction that in begins with. Those that
// give no distance use the last one. ok is false where there is none.
func lzvnInstruction(in []byte, last int) (i instruction, ok bool) {
	op := in[0]
	if len(in) < 3 { // the end, with its padding, is longer
		return i, false
	}
	both := func(head, distance int) (instruction, bool) {
		return instruction{head, int(op >> 6), int(op>>3&7) + 3, distance}, true
	}
	pair := int(in[1]) | int(in[2])<<8
	switch {
	case op == 0x0e || op == 0x16:
		return instruction{head: 1, distance: last}, true
	case op == 0xe0:
		return instruction{head: 2, literals: int(in[1]) + 16, distance: last}, true
	case op == 0xf0:
		return instruction{head: 2, copied: int(in[1]) + 16, distance: last}, true
	case op > 0xf0:
		return instruction{head: 1, copied: int(op & 15), distance: last}, true
	case op > 0xe0:
		return instruction{head: 1, literals: int(op & 15), distance: last}, true
	case op>>5 == 5:
		return instruction{3, int(op >> 3 & 3), (int(op&7)<<2 | pair&3) + 3, pair >> 2}, true
	case op >= 0x70 && op < 0x80 || op >= 0xd0:
		return i, false
	case op&7 == 7:
		return both(3, pair)
	case op&7 == 6 && op >= 0x40:
		return both(1, last)
	case op&7 == 6:
		return i, false
	}
	return both(2, int(op&7)<<8|int(in[1]))
}
