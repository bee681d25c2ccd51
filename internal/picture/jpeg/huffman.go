package jpeg

// lookahead is how many bits [huffman.near] resolves at once.
const lookahead = 9

// huffman is a Huffman table: T.81, annex C. Codes are held left-aligned in 16
// bits, in which order they are also sorted by length.
type huffman struct {
	limit   [17]uint32 // the first code that is longer than so many bits
	first   [17]uint32 // the first code of so many bits, right-aligned
	index   [17]int    // and where its symbol stands
	count   [17]int
	symbols []byte
	near    *[1 << lookahead]uint16 // symbol<<8 | length, 0 if longer; made when first wanted
}

// newHuffman builds a table of the 16 counts and of the symbols that follow.
func newHuffman(counts, symbols []byte) (*huffman, error) {
	h := &huffman{symbols: symbols}
	code, index := uint32(0), 0
	for length := 1; length <= 16; length++ {
		n := int(counts[length-1])
		h.first[length], h.index[length], h.count[length] = code, index, n
		code, index = code+uint32(n), index+n
		if code > 1<<length {
			return nil, damaged("Huffman table with too many codes")
		}
		h.limit[length] = code << (16 - length)
		code <<= 1
	}
	return h, nil
}

// decode reads the code at the upper end of bits. Length 0 means that there is
// no such code.
func (h *huffman) decode(bits uint64) (symbol byte, length int) {
	code := uint32(bits >> 48)
	for length = 1; length <= 16; length++ {
		if code < h.limit[length] {
			at := code>>(16-length) - h.first[length]
			return h.symbols[h.index[length]+int(at)], length
		}
	}
	return 0, 0
}

// each calls f with every code, shortest first.
func (h *huffman) each(f func(code uint32, length int, symbol byte)) {
	for length := 1; length <= 16; length++ {
		for i := range h.count[length] {
			f(h.first[length]+uint32(i), length, h.symbols[h.index[length]+i])
		}
	}
}

// look makes the table near.
func (h *huffman) look() {
	if h.near != nil {
		return
	}
	h.near = new([1 << lookahead]uint16)
	h.each(func(code uint32, length int, symbol byte) {
		if length > lookahead {
			return
		}
		span := 1 << (lookahead - length)
		for i := range span {
			h.near[int(code)*span+i] = uint16(symbol)<<8 | uint16(length)
		}
	})
}

// setHuffman reads tables: T.81, B.2.4.2.
func (d *decoder) setHuffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 {
			return damaged("Huffman table")
		}
		class, slot, n := b[0]>>4, b[0]&15, 0
		for _, count := range b[1:17] {
			n += int(count)
		}
		if class > 1 || slot > 3 || n > 256 || len(b) < 17+n {
			return damaged("Huffman table")
		}
		h, err := newHuffman(b[1:17], b[17:17+n])
		if err != nil {
			return err
		}
		if class == 0 && !categories(h.symbols) {
			return damaged("Huffman table for DC")
		}
		d.huffman[class][slot] = h
		b = b[17+n:]
	}
	return nil
}

// categories reports whether all symbols are numbers of bits that a DC
// difference can have.
func categories(symbols []byte) bool {
	for _, s := range symbols {
		if s > 15 {
			return false
		}
	}
	return true
}

// usual gives the table of T.81, annex K.3, that motion JPEG means when it sends
// none; nil if there is none for the slot.
func usual(class, slot int) *huffman {
	if slot > 1 {
		return nil
	}
	t := usualTables[class][slot]
	h, err := newHuffman([]byte(t[:16]), []byte(t[16:]))
	if err != nil {
		panic("internal error: table of annex K.3: " + err.Error())
	}
	return h
}

// usualTables: class (DC, AC), slot (luma, chroma), 16 counts and the symbols.
var usualTables = [2][2]string{
	{
		"\x00\x01\x05\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00" +
			"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b",
		"\x00\x03\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00" +
			"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b",
	},
	{
		"\x00\x02\x01\x03\x03\x02\x04\x03\x05\x05\x04\x04\x00\x00\x01\x7d" +
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07" +
			"\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0" +
			"\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28" +
			"\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49" +
			"\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69" +
			"\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
			"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7" +
			"\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5" +
			"\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2" +
			"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa",
		"\x00\x02\x01\x02\x04\x04\x03\x04\x07\x05\x04\x04\x00\x01\x02\x77" +
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71" +
			"\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0" +
			"\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26" +
			"\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48" +
			"\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68" +
			"\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
			"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5" +
			"\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3" +
			"\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda" +
			"\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa",
	},
}
