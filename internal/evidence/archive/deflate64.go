package archive

import (
	"bufio"
	"errors"
	"io"
)

// Deflate64 is deflate (RFC 1951) with a window of 64 KiB, two more distances,
// and a longest match that is told in 16 bits. APPNOTE 4.4.5 names it and no
// document says more; the differences are held against what 7-Zip writes. The
// standard library reads only deflate itself. Windows writes Deflate64 into zips
// of more than 2 GB.

const (
	deflate64Window = 64 << 10 // bytes
	codeBits        = 15       // of the longest Huffman code
)

var errDeflate64 = errors.New("deflate64: the stream does not hold together")

// Lengths of matches by code (from 257 on) and distances by code: what they
// begin at and how many bits are added (RFC 1951 3.2.5, but for the ends).
var (
	matchBase = [29]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 3}
	matchBits = [29]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16}
)

// distanceOf is where the distances of a code begin, and how many bits are
// added: two codes for each number of bits.
func distanceOf(code int) (base int, bits uint) {
	if code < 4 {
		return code + 1, 0
	}
	bits = uint(code/2 - 1)
	return (2+code%2)<<bits + 1, bits
}

// codeOrder is the order in which the lengths of the code length code stand
// (3.2.7).
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// huffman looks up a symbol by the next 15 bits: the symbol, and below it in
// four bits how many of them it takes.
type huffman [1 << codeBits]uint16

// build makes the table from the lengths of the codes; what no code leads to
// stays 0.
func (h *huffman) build(lengths []uint8) error {
	clear(h[:])
	var count, next [codeBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	code := 0
	for n := 1; n <= codeBits; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
		if code+count[n] > 1<<n {
			return errDeflate64
		}
	}
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		turned := 0
		for i := range n {
			turned |= next[n] >> i & 1 << (n - 1 - i)
		}
		next[n]++
		for at := turned; at < 1<<codeBits; at += 1 << n {
			h[at] = uint16(symbol<<4 | int(n))
		}
	}
	return nil
}

type deflate64Reader struct {
	src  io.ByteReader
	bits uint64
	have uint

	window   [deflate64Window]byte
	at       int   // in the window
	written  int64 // bytes so far
	pending  int   // bytes of the window that were not given out yet
	stored   int   // bytes left of a stored block
	length   int   // bytes left of a match
	distance int
	inBlock  bool
	last     bool
	symbols  huffman
	offsets  huffman
	err      error
}

func newDeflate64(r io.Reader) io.Reader {
	return &deflate64Reader{src: bufio.NewReader(r)}
}

func (d *deflate64Reader) Read(p []byte) (int, error) {
	for d.pending == 0 && d.err == nil {
		d.err = d.fill()
	}
	if d.pending == 0 {
		return 0, d.err
	}
	start := (d.at - d.pending + deflate64Window) % deflate64Window
	n := copy(p[:min(len(p), d.pending)], d.window[start:])
	d.pending -= n
	return n, nil
}

// fill decodes until half a window waits to be given out, or the stream ends.
func (d *deflate64Reader) fill() error {
	for d.pending < deflate64Window/2 {
		switch {
		case d.stored > 0:
			b, err := d.take(8)
			if err != nil {
				return err
			}
			d.stored--
			d.put(byte(b))
		case d.length > 0:
			d.length--
			d.put(d.window[(d.at-d.distance+deflate64Window)%deflate64Window])
		case d.inBlock:
			if err := d.symbol(); err != nil {
				return err
			}
		case d.last:
			return io.EOF
		default:
			if err := d.block(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *deflate64Reader) put(b byte) {
	d.window[d.at] = b
	d.at = (d.at + 1) % deflate64Window
	d.pending++
	d.written++
}

// take reads n bits, lowest first.
func (d *deflate64Reader) take(n uint) (int, error) {
	for d.have < n {
		b, err := d.src.ReadByte()
		if err != nil {
			return 0, whole(err)
		}
		d.bits |= uint64(b) << d.have
		d.have += 8
	}
	v := int(d.bits & (1<<n - 1))
	d.bits >>= n
	d.have -= n
	return v, nil
}

// decode reads one symbol. Near the end of the stream there may be fewer bits
// than the longest code has.
func (d *deflate64Reader) decode(h *huffman) (int, error) {
	for {
		entry := h[d.bits&(1<<codeBits-1)]
		if n := uint(entry & 15); n > 0 && n <= d.have {
			d.bits >>= n
			d.have -= n
			return int(entry >> 4), nil
		}
		if d.have >= codeBits {
			return 0, errDeflate64
		}
		b, err := d.src.ReadByte()
		if err != nil {
			return 0, whole(err)
		}
		d.bits |= uint64(b) << d.have
		d.have += 8
	}
}

// block reads the header of a block (3.2.3).
func (d *deflate64Reader) block() error {
	h, err := d.take(3)
	if err != nil {
		return err
	}
	d.last = h&1 != 0
	switch h >> 1 {
	case 0:
		return d.storedBlock()
	case 1:
		d.inBlock = true
		return d.fixed()
	case 2:
		d.inBlock = true
		return d.dynamic()
	}
	return errDeflate64
}

func (d *deflate64Reader) storedBlock() error {
	if _, err := d.take(d.have % 8); err != nil {
		return err
	}
	n, err := d.take(16)
	if err != nil {
		return err
	}
	inverse, err := d.take(16)
	if err != nil {
		return err
	}
	if n != inverse^0xffff {
		return errDeflate64
	}
	d.stored = n
	return nil
}

// fixed sets the codes of 3.2.6.
func (d *deflate64Reader) fixed() error {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	var offsets [32]uint8
	for i := range offsets {
		offsets[i] = 5
	}
	if err := d.symbols.build(lengths[:]); err != nil {
		return err
	}
	return d.offsets.build(offsets[:])
}

// dynamic reads the codes of a block (3.2.7).
func (d *deflate64Reader) dynamic() error {
	counts, err := d.take(14)
	if err != nil {
		return err
	}
	symbols, offsets, codes := counts&31+257, counts>>5&31+1, counts>>10+4
	var first [19]uint8
	for _, at := range codeOrder[:codes] {
		n, err := d.take(3)
		if err != nil {
			return err
		}
		first[at] = uint8(n)
	}
	if err := d.symbols.build(first[:]); err != nil {
		return err
	}
	lengths := make([]uint8, 0, symbols+offsets)
	for len(lengths) < symbols+offsets {
		if lengths, err = d.codeLengths(lengths); err != nil {
			return err
		}
	}
	if len(lengths) > symbols+offsets {
		return errDeflate64
	}
	if err := d.symbols.build(lengths[:symbols]); err != nil {
		return err
	}
	return d.offsets.build(lengths[symbols:])
}

// codeLengths reads a length, or how often one is repeated.
func (d *deflate64Reader) codeLengths(lengths []uint8) ([]uint8, error) {
	symbol, err := d.decode(&d.symbols)
	if err != nil {
		return nil, err
	}
	if symbol < 16 {
		return append(lengths, uint8(symbol)), nil
	}
	repeat := [3]struct {
		bits uint
		base int
	}{{2, 3}, {3, 3}, {7, 11}}[symbol-16]
	more, err := d.take(repeat.bits)
	if err != nil {
		return nil, err
	}
	value := uint8(0)
	if symbol == 16 {
		if len(lengths) == 0 {
			return nil, errDeflate64
		}
		value = lengths[len(lengths)-1]
	}
	for range repeat.base + more {
		lengths = append(lengths, value)
	}
	return lengths, nil
}

// symbol reads a literal, a match or the end of the block.
func (d *deflate64Reader) symbol() error {
	symbol, err := d.decode(&d.symbols)
	switch {
	case err != nil:
		return err
	case symbol < 256:
		d.put(byte(symbol))
		return nil
	case symbol == 256:
		d.inBlock = false
		return nil
	case symbol-257 >= len(matchBase):
		return errDeflate64
	}
	more, err := d.take(matchBits[symbol-257])
	if err != nil {
		return err
	}
	length := matchBase[symbol-257] + more
	code, err := d.decode(&d.offsets)
	if err != nil {
		return err
	}
	base, bits := distanceOf(code)
	more, err = d.take(bits)
	if err != nil {
		return err
	}
	if d.distance = base + more; int64(d.distance) > d.written || d.distance > deflate64Window {
		return errDeflate64
	}
	d.length = length
	return nil
}
