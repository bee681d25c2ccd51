package hashset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"tutela"
)

// Near look-ups are multi-index hashing (Norouzi, Punjani, Fleet: Fast exact
// search in Hamming space with multi-index hashing, 2014). A hash is cut into 16
// bands of 16 bits. Two hashes within 31 bits have a band within 1 bit, because
// 16 bands that differ in 2 bits each make 32; so each band is looked up with
// its own 17 neighbours, and every hit is found.
//
// The bands section: for each band 65537 offsets u32, then for each band its
// postings in order of band value: 16 bytes of signature, the number u32 of the
// hash. The signature is the half of the hash that the band is not part of, so
// that nearly all candidates fall without a jump to the hash itself.
const (
	bandCount   = 16
	bandValues  = 1 << 16
	bandOffsets = (bandValues + 1) * 4
	posting     = 20
	// Below this many hashes, going through all of them is faster.
	bandsFrom = 2048
)

func band(hash []byte, b int) int { return int(binary.LittleEndian.Uint16(hash[2*b:])) }

func signature(hash []byte, b int) []byte {
	if b < bandCount/2 {
		return hash[16:32]
	}
	return hash[:16]
}

// pdqRecord is a hash and its row in the temporary file.
const pdqRecord = 36

// writePDQ writes hashes, their rows and, if there are many, the bands.
func (c *compiler) writePDQ() error {
	if c.desc.PDQ == 0 {
		return nil
	}
	if err := c.copyPDQ(sectionPDQ, 0, 32); err != nil {
		return err
	}
	if err := c.copyPDQ(sectionPDQRows, 32, pdqRecord); err != nil {
		return err
	}
	if c.desc.PDQ < bandsFrom {
		return nil
	}
	c.out.begin(sectionBands)
	return errors.Join(c.writeBands(), c.out.end())
}

func (c *compiler) copyPDQ(kind sectionKind, from, to int) error {
	c.out.begin(kind)
	err := c.eachPDQ(func(_ uint32, record []byte) error {
		_, err := c.out.Write(record[from:to])
		return err
	})
	return errors.Join(err, c.out.end())
}

func (c *compiler) eachPDQ(visit func(id uint32, record []byte) error) error {
	if _, err := c.pdq.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c.pdq, 1<<20)
	record := make([]byte, pdqRecord)
	for id := range uint32(c.desc.PDQ) {
		if id%4096 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if _, err := io.ReadFull(r, record); err != nil {
			return fmt.Errorf("read hashes back: %w", err)
		}
		if err := visit(id, record); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) writeBands() error {
	counts := make([][]uint32, bandCount)
	for b := range counts {
		counts[b] = make([]uint32, bandValues+1)
	}
	err := c.eachPDQ(func(_ uint32, record []byte) error {
		for b := range counts {
			counts[b][band(record, b)+1]++
		}
		return nil
	})
	for b := 0; b < bandCount && err == nil; b++ {
		err = writeOffsets(c.out, counts[b])
	}
	for b := 0; b < bandCount && err == nil; b++ {
		err = c.writePostings(b, counts[b])
	}
	return err
}

// writePostings places the postings of one band by its counts, in as many
// passes over the hashes as keep the buffer within memory. A single value that
// alone is larger than that gets its buffer all the same: it is part of the set.
func (c *compiler) writePostings(b int, counts []uint32) error {
	room := c.memory / 2 / posting
	for from := 0; from < bandValues; {
		to, size := from, int64(0)
		for to < bandValues && (to == from || size+int64(counts[to+1]) <= room) {
			size += int64(counts[to+1])
			to++
		}
		if err := c.placePostings(b, counts, from, to, make([]byte, size*posting)); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// placePostings writes the postings of the values [from, to).
func (c *compiler) placePostings(b int, counts []uint32, from, to int, buf []byte) error {
	next := make([]int, to-from)
	at := 0
	for i := range next {
		next[i] = at
		at += int(counts[from+i+1]) * posting
	}
	err := c.eachPDQ(func(id uint32, record []byte) error {
		v := band(record, b)
		if v < from || v >= to {
			return nil
		}
		p := buf[next[v-from]:]
		copy(p, signature(record, b))
		binary.LittleEndian.PutUint32(p[16:], id)
		next[v-from] += posting
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.out.Write(buf)
	return err
}

// words are a hash as four numbers; which bit is which does not matter as long
// as both sides do the same.
type words [4]uint64

func wordsOf(b []byte) (w words) {
	_ = b[31]
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return w
}

func (w *words) distance(o *words) int {
	return bits.OnesCount64(w[0]^o[0]) + bits.OnesCount64(w[1]^o[1]) +
		bits.OnesCount64(w[2]^o[2]) + bits.OnesCount64(w[3]^o[3])
}

// Near visits every row with a PDQ hash within radius bits of h, once, and no
// other, in an order that depends on the set and h alone. It is safe for
// concurrent use.
func (s *Set) Near(h tutela.PDQ, radius int, visit func(row uint64, distance int)) {
	if len(s.bands) == 0 || radius > MaxRadius {
		s.nearPlain(h, radius, visit)
		return
	}
	q := query{set: s, hash: wordsOf(h[:]), radius: radius, visit: visit}
	if radius >= bandCount {
		q.reach = 1
	}
	for b := range bandCount {
		value := band(h[:], b)
		q.signature = wordsOf16(signature(h[:], b))
		q.probe(b, value)
		for bit := 0; bit < 16 && q.reach > 0; bit++ {
			q.probe(b, value^1<<bit)
		}
	}
}

// nearPlain goes through all hashes. The index is held against it.
func (s *Set) nearPlain(h tutela.PDQ, radius int, visit func(row uint64, distance int)) {
	q := wordsOf(h[:])
	le := binary.LittleEndian
	for id, all := 0, s.pdq; len(all) >= 32; id, all = id+1, all[32:] {
		// Half of the hash is enough to leave nearly all behind.
		d := bits.OnesCount64(q[0]^le.Uint64(all)) + bits.OnesCount64(q[1]^le.Uint64(all[8:16]))
		if d > radius {
			continue
		}
		w := wordsOf(all)
		if d := q.distance(&w); d <= radius {
			s.visitPDQ(id, d, visit)
		}
	}
}

func (s *Set) visitPDQ(id, distance int, visit func(row uint64, distance int)) {
	if row := uint64(binary.LittleEndian.Uint32(s.pdqRows[4*id:])); row < s.count {
		visit(row, distance)
	}
}

// query is one near look-up under way.
type query struct {
	set       *Set
	hash      words
	signature [2]uint64
	radius    int
	reach     int // bits within which some band of every hit lies
	visit     func(row uint64, distance int)
}

func wordsOf16(b []byte) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// probe goes through the postings of one value of one band.
func (q *query) probe(b, value int) {
	list := q.set.postings(b, value)
	s0, s1 := q.signature[0], q.signature[1]
	for ; len(list) >= posting; list = list[posting:] {
		d := bits.OnesCount64(s0^binary.LittleEndian.Uint64(list)) + bits.OnesCount64(s1^binary.LittleEndian.Uint64(list[8:16]))
		if d <= q.radius {
			q.confirm(b, int(binary.LittleEndian.Uint32(list[16:posting])))
		}
	}
}

// confirm takes the whole distance, and visits a hash only in the first band
// that leads to it.
func (q *query) confirm(b, id int) {
	if id >= len(q.set.pdq)/32 {
		return
	}
	w := wordsOf(q.set.pdq[32*id:])
	d := q.hash.distance(&w)
	if d > q.radius {
		return
	}
	for earlier := range b {
		shift := earlier % 4 * 16
		if bits.OnesCount16(uint16((q.hash[earlier/4]^w[earlier/4])>>shift)) <= q.reach {
			return
		}
	}
	q.set.visitPDQ(id, d, q.visit)
}

// postings are those of one value of a band; none where the offsets of a file
// made to deceive make no sense.
func (s *Set) postings(b, value int) []byte {
	offsets := s.bands[b*bandOffsets+value*4:]
	lo, hi := uint64(binary.LittleEndian.Uint32(offsets)), uint64(binary.LittleEndian.Uint32(offsets[4:]))
	all := s.bands[bandCount*bandOffsets:]
	n := uint64(len(s.pdq) / 32)
	if lo > hi || hi > n {
		return nil
	}
	start := uint64(b) * n
	return all[(start+lo)*posting : (start+hi)*posting]
}
