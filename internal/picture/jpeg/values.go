package jpeg

// valueTable tells the first code word in a window of bits, with its value. An
// entry's lower 6 bits are how many bits it takes; the next 8 how many
// coefficients it stands for, the zeros before it and itself; the value follows.
// Where the value lies behind the window, the coefficients are 0, the bits are
// those of the code, and the symbol stands for the value. Where the code does,
// the entry is 0.
type valueTable [1 << window]uint32

func newValues(h *huffman) *valueTable {
	t := new(valueTable)
	h.each(func(code uint32, length int, symbol byte) {
		if length <= window {
			addValues(t[int(code)<<(window-length):][:1<<(window-length)], length, symbol)
		}
	})
	return t
}

// addValues fills the entries that begin with a code.
func addValues(entries []uint32, length int, symbol byte) {
	run, size := uint32(symbol>>4), uint(symbol&15)
	if 1<<size > len(entries) {
		for i := range entries {
			entries[i] = uint32(symbol)<<16 | uint32(length)
		}
		return
	}
	each := len(entries) >> size
	for i := range entries {
		v := extend(i/each, size)
		entries[i] = uint32(uint16(v))<<16 | (run+1)<<8 | uint32(length) + uint32(size)
	}
}

// blockReader reads blocks with all their coefficients.
type blockReader struct {
	stream           *stream
	dc, ac           *valueTable
	dcCodes, acCodes *huffman
	block            [64]int32 // natural order, quantised; place 0 is the caller's
}

// read reads a block and returns its DC difference; false if there comes what no
// encoder writes.
func (r *blockReader) read() (difference int, ok bool) {
	r.block = [64]int32{}
	difference, _, ok = r.word(r.dc, r.dcCodes)
	if !ok {
		return 0, false
	}
	for k := 1; k < 64; {
		value, n, ok := r.word(r.ac, r.acCodes)
		switch {
		case !ok, k+n > 64 && (value != 0 || n == 16):
			return 0, false
		case value == 0 && n != 16: // EOB
			return difference, true
		}
		k += n
		r.block[zigzag[(k-1)&63]] = int32(value)
	}
	return difference, true
}

// word reads a code word and its value, and tells how many coefficients it
// stands for.
func (r *blockReader) word(t *valueTable, codes *huffman) (value, coefficients int, ok bool) {
	s := r.stream
	s.refill()
	e := t[s.bits>>(64-window)]
	s.drop(uint(e & 63))
	if n := int(e >> 8 & 255); n != 0 {
		return int(int32(e) >> 16), n, true
	}
	symbol := byte(e >> 16)
	if e == 0 {
		var length int
		if symbol, length = codes.decode(s.bits); length == 0 {
			return 0, 0, false
		}
		s.drop(uint(length))
	}
	return s.value(uint(symbol & 15)), int(symbol>>4) + 1, true
}
