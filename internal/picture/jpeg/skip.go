package jpeg

// Tables for blocks of which only the DC coefficient is wanted. An entry tells
// what all code words do together that begin in a window of bits, as far as they
// go in one go: the last one's value may lie behind the window.
//
// An entry's lower 6 bits are how many bits are read, at most reach. The next
// 8 are how many coefficients that is, DC included, plus ended if the last word
// ends the block; unknown if the first code is longer than the window. In an
// entry of a dcTable the DC difference follows.
const (
	window  = 12
	reach   = 28 // two entries fit into the 56 bits that a refill gives; window+15 for one word does
	ended   = 128
	unknown = 255
)

type (
	acTable [1 << window]uint16
	dcTable [1 << window]uint32
)

// skips is a pair of tables, and the codes for what they do not know.
type skips struct {
	dc               *dcTable
	ac               *acTable
	dcCodes, acCodes *huffman
}

func newSkips(dc, ac *huffman) *skips {
	l := newLadder(ac)
	s := &skips{dc: new(dcTable), ac: (*acTable)(l[1<<window:]), dcCodes: dc, acCodes: ac}
	for i := range s.dc {
		s.dc[i] = unknown << 8
	}
	dc.each(func(code uint32, length int, size byte) {
		if length+int(size) <= window {
			l.fuse(s.dc, code, length, int(size))
		}
	})
	return s
}

// ladder holds the AC entries for windows of 0, 1, … bits; the one for n bits
// begins at 1<<n. Each is made of shorter ones: a word's entry, then what follows
// it in the rest of the window.
type ladder [2 << window]uint16

func newLadder(ac *huffman) *ladder {
	l := new(ladder)
	for i := range l[1<<window:] {
		l[1<<window+i] = unknown << 8
	}
	for n := 1; n <= window; n++ {
		ac.each(func(code uint32, length int, symbol byte) {
			if length <= n {
				l.add(n, code, length, symbol)
			}
		})
	}
	return l
}

// add fills the entries for windows of n bits that begin with a code.
func (l *ladder) add(n int, code uint32, length int, symbol byte) {
	run, size := int(symbol>>4), int(symbol&15)
	entries := l[1<<n:][int(code)<<(n-length):][:1<<(n-length)]
	total := length + size
	switch {
	case size == 0 && run != 15: // EOB
		set(entries, uint16(ended<<8|length))
	case total > n:
		set(entries, uint16((run+1)<<8|total))
	default:
		rest := l[1<<(n-total):][:1<<(n-total)]
		for ; len(entries) > 0; entries = entries[len(rest):] {
			follow(entries, uint16((run+1)<<8|total), rest)
		}
	}
}

func set(entries []uint16, e uint16) {
	for i := range entries {
		entries[i] = e
	}
}

// follow fills entries with a word and what comes after it. That is left out
// where it would reach too far, or past the end of any block.
func follow(entries []uint16, head uint16, rest []uint16) {
	for i, tail := range rest {
		e := head
		if fits(head, tail) {
			e += tail
		}
		entries[i] = e
	}
}

func fits(head, tail uint16) bool {
	return head&63+tail&63 <= reach && head>>8+tail>>8&127 < 64
}

// fuse fills the entries of a DC difference of size bits, together with the AC
// words that follow it.
func (l *ladder) fuse(t *dcTable, code uint32, length, size int) {
	total := length + size
	rest := l[1<<(window-total):][:1<<(window-total)]
	head := uint16(1<<8 | total)
	at := int(code) << (window - length)
	for v := range 1 << size {
		difference := uint32(uint16(extend(v, uint(size)))) << 16
		for _, tail := range rest {
			e := head
			if fits(head, tail) {
				e += tail
			}
			t[at] = difference | uint32(e)
			at++
		}
	}
}
