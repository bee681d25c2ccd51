package near

import (
	"encoding/binary"
	"math/bits"
)

// span is a list of postings to be looked through: those whose signature is
// within limit bits. The kernels know its layout.
type span struct {
	at        uint64 // of the first signature, in 4 bytes from the postings' start
	count     uint32
	signature uint32
	limit     uint32
	_         uint32
}

const (
	// A look-up with a reach of one bit has all its lists in one go.
	spanRoom = bandCount * (1 + bandBits)
	// A kernel stops where its hits might not fit any more; it knows the number.
	hitRoom = 128
)

// lookup is one look-up by the index under way.
type lookup struct {
	x      *Index
	hash   words
	radius int
	reach  int // bits by which the first band of a chain may differ
	chain  int // bits by which the first three may
	visit  func(id uint32, distance int) bool

	spans [spanRoom]span
	count int             // of spans
	hits  [hitRoom]uint64 // where the signatures of candidates lie, as in span
}

// run asks for the lists of all values within reach of each band.
func (l *lookup) run() {
	for b := range bandCount {
		value, signature := l.hash.band(b), l.hash.signature(b)
		if !l.probe(b, value, signature, 0) {
			return
		}
		for i := 0; i < bandBits && l.reach >= 1; i++ {
			if !l.probe(b, value^1<<i, signature, 1) {
				return
			}
			for j := 0; j < i && l.reach >= 2; j++ {
				if !l.probe(b, value^1<<i^1<<j, signature, 2) {
					return
				}
			}
		}
	}
	l.flush()
}

// probe puts down the list of a value that differs in so many bits, and reports
// whether to go on.
func (l *lookup) probe(b int, value uint16, signature uint32, differs int) bool {
	at, count := l.x.list(b, value)
	if count == 0 {
		return true
	}
	if l.count == spanRoom && !l.flush() {
		return false
	}
	l.spans[l.count] = span{at: at, count: count, signature: signature, limit: uint32(l.chain - differs)}
	l.count++
	return true
}

// list is where the signatures of a value's postings lie; none where the
// offsets of a file made to deceive make no sense.
func (x *Index) list(b int, value uint16) (at uint64, count uint32) {
	both := binary.LittleEndian.Uint64(x.offsets[4*(b*(bandValues+1)+int(value)):])
	from, to := uint32(both), uint32(both>>32)
	if from > to || uint64(to) > x.count {
		return 0, 0
	}
	return uint64(b)*2*x.count + uint64(from), to - from
}

// flush looks through the lists put down, and reports whether to go on.
func (l *lookup) flush() bool {
	for from := 0; from < l.count; {
		done, found := l.x.engine.filter(l.x.postings, l.spans[from:l.count], &l.hits)
		for _, at := range l.hits[:found] {
			if !l.confirm(at) {
				return false
			}
		}
		from += done
	}
	l.count = 0
	return true
}

// confirm takes the whole distance, and visits a hash only from the first band
// that leads to it. It reports whether to go on.
func (l *lookup) confirm(at uint64) bool {
	n := l.x.count
	id := binary.LittleEndian.Uint32(l.x.postings[4*(at+n):])
	if uint64(id) >= n {
		return true
	}
	w := l.x.hash(uint64(id))
	diff := w.xor(&l.hash)
	d := diff.ones()
	if d > l.radius || l.firstChain(&diff) != int(at/(2*n)) {
		return true
	}
	return l.visit(id, d)
}

// firstChain is the first band that leads to a hash which differs in these bits.
func (l *lookup) firstChain(diff *words) int {
	for b := range bandCount {
		d := bits.OnesCount16(diff.band(b))
		if d <= l.reach && d+bits.OnesCount32(diff.signature(b)) <= l.chain {
			return b
		}
	}
	return bandCount
}

// filterPlain looks through spans for postings whose signatures are within
// their limit, and puts down where those lie. It stops before hits overflow: the
// spans done are done for good, the first of the others has moved on.
func filterPlain(postings []byte, spans []span, hits *[hitRoom]uint64) (done, found int) {
	for i := range spans {
		s := &spans[i]
		list := postings[4*s.at:][:4*uint64(s.count)]
		for ; len(list) >= 4; list = list[4:] {
			if bits.OnesCount32(s.signature^binary.LittleEndian.Uint32(list)) > int(s.limit) {
				continue
			}
			rest := uint32(len(list) / 4)
			at := s.at + uint64(s.count-rest)
			if found == hitRoom {
				s.at, s.count = at, rest
				return i, found
			}
			hits[found] = at
			found++
		}
	}
	return len(spans), found
}
