package carve

// Huffman codes of JPEG: ITU-T T.81, annexes C and F.2.2. Nothing is
// decoded to pixels; but codes, lengths of blocks and their number must hold
// together, which the pixels of another picture behind the first half of one do
// not.

const lookupBits = 9

// huffman is a table of codes.
type huffman struct {
	lookup [1 << lookupBits]uint16 // length << 8 | symbol, of the short codes
	// Of the codes of each length, left-aligned to 16 bits: the first behind
	// the last, and what to add to the code for the place of its symbol.
	limit  [17]uint32
	offset [17]int
	values []byte
}

// newHuffman builds a table from the body of a DHT segment behind its class and
// number (C.2). It returns nil if the lengths promise more codes than there are.
func newHuffman(counts, values []byte) *huffman {
	h := &huffman{values: append([]byte(nil), values...)}
	code, k := 0, 0
	for length := 1; length <= 16; length++ {
		n := int(counts[length-1])
		if code+n > 1<<length {
			return nil
		}
		h.offset[length] = k - code
		for i := range n {
			h.enter(code+i, length, values[k+i])
		}
		code, k = code+n, k+n
		h.limit[length] = uint32(code) << (16 - length)
		code <<= 1
	}
	return h
}

func (h *huffman) enter(code, length int, symbol byte) {
	if length > lookupBits {
		return
	}
	from := code << (lookupBits - length)
	for i := range 1 << (lookupBits - length) {
		h.lookup[from+i] = uint16(length)<<8 | uint16(symbol)
	}
}

// bitReader reads entropy-coded data bit by bit, up to the next marker.
type bitReader struct {
	v    *view
	p    []byte // at hand
	i    int    // read of p
	at   int64  // where p lies
	word uint64 // the next bits, from the highest on
	n    int    // bits in word
	done bool   // a marker, or the end, follows word
}

// place is where the next byte is that is not in word.
func (b *bitReader) place() int64 { return b.at + int64(b.i) }

// turn goes to a place.
func (b *bitReader) turn(at int64) {
	b.v.took(b.i)
	*b = bitReader{v: b.v, at: at}
}

func (b *bitReader) fill() {
	for b.n <= 56 && !b.done {
		if b.i >= len(b.p) {
			b.more()
			continue
		}
		c := b.p[b.i]
		if c != 0xff {
			b.i++
		} else if !b.stuffed() {
			b.done = true
			return
		}
		b.word |= uint64(c) << (56 - b.n)
		b.n += 8
	}
}

// more gets bytes. A view that has none left is done.
func (b *bitReader) more() {
	b.v.took(b.i)
	b.at, b.i = b.place(), 0
	b.p = b.v.piece(b.at)
	b.p = b.p[:min(len(b.p), quiet)]
	b.done = len(b.p) == 0
}

// stuffed steps over a byte 0xff with a zero behind it.
func (b *bitReader) stuffed() bool {
	if b.i+1 < len(b.p) {
		if b.p[b.i+1] != 0 {
			return false
		}
		b.i += 2
		return true
	}
	at := b.place()
	pair := b.v.bytes(at, 2)
	if pair == nil || pair[1] != 0 {
		return false
	}
	b.v.took(b.i)
	b.at, b.i, b.p = at+2, 0, nil
	return true
}

// symbol is the next symbol, or -1.
func (b *bitReader) symbol(h *huffman) int {
	if b.n < 16 {
		b.fill()
	}
	if e := h.lookup[b.word>>(64-lookupBits)]; e != 0 {
		return b.used(int(e>>8), int(e&0xff))
	}
	code := uint32(b.word >> 48)
	for length := lookupBits + 1; length <= 16; length++ {
		if code < h.limit[length] {
			return b.used(length, int(h.values[int(code>>(16-length))+h.offset[length]]))
		}
	}
	return -1
}

// used takes n bits and returns what they mean, or -1 if there were not as many.
func (b *bitReader) used(n, means int) int {
	if n > b.n {
		return -1
	}
	b.word <<= n
	b.n -= n
	return means
}

// take takes n bits, at most 16, as a number, or -1 if there are not as many.
func (b *bitReader) take(n int) int {
	if b.n < n {
		b.fill()
	}
	return b.used(n, int(b.word>>1>>(63-n)))
}

// number takes n bits, at most 16, as the signed number of that category
// (F.2.2.1).
func (b *bitReader) number(n int) (x int, ok bool) {
	x = b.take(n)
	if x < 0 || n == 0 {
		return 0, n == 0
	}
	if x>>(n-1) == 0 {
		x -= 1<<n - 1
	}
	return x, true
}

// dc steps over the code of a DC coefficient and moves the prediction of the next
// (F.2.2.1).
func (b *bitReader) dc(table *huffman, prediction *int, most int) bool {
	t := b.symbol(table)
	if t < 0 || t > 16 {
		return false
	}
	step, ok := b.number(t)
	*prediction += step
	return ok && *prediction <= most && *prediction >= -most
}

// block steps over the codes of a block (F.2.2). It returns false where they are
// none.
func (b *bitReader) block(dc, ac *huffman, prediction *int, most int) bool {
	if !b.dc(dc, prediction, most) {
		return false
	}
	for k := 1; k < 64; k++ {
		rs := b.symbol(ac)
		if rs < 0 {
			return false
		}
		run, size := rs>>4, rs&15
		if size == 0 && run != 15 {
			return run == 0 // the end of the block
		}
		if k += run; k > 63 {
			return false
		}
		if b.take(size) < 0 {
			return false
		}
	}
	return true
}

// marker goes to the marker that must come next: the rest of a byte, and few
// bytes more, are passed over.
func (b *bitReader) marker() bool {
	const most = 16
	for passed := 0; passed <= most; {
		b.fill()
		passed += b.n / 8
		b.word, b.n = 0, 0
		if b.done {
			return passed <= most && b.v.why == ""
		}
	}
	return false
}
