package near

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"tutela"
)

const (
	// chunkSize hashes are placed in one band after the other, so that the
	// counters of a band stay in the second cache.
	chunkSize = 4096
	// A part of the index that is held in memory is at least leastMemory bytes,
	// and not more than mostMemory: in a smaller one, placing is faster.
	leastMemory = 1 << 20
	mostMemory  = 128 << 20
)

// errVisits means that the hashes are not those that were told, or not the same
// on every visit.
var errVisits = errors.New("hashes do not come in order of id, the same ones each time")

// Write writes the index of n hashes. each visits them all in order of id, from
// 0; it is called once, and then once for each part of the index of memory
// bytes, or of 128 MiB if memory is more. On top of that, 9 MB are used whatever
// n is.
func Write(ctx context.Context, w io.Writer, n uint64, each func(visit func(id uint32, h *tutela.PDQ) error) error, memory int64) error {
	if n > math.MaxUint32 {
		return fmt.Errorf("index of hashes: %d are too many", n)
	}
	b := &builder{ctx: ctx, each: each, count: n, chunk: make([]words, 0, chunkSize)}
	err := b.measure()
	if err == nil {
		err = b.writeOffsets(w)
	}
	words := 2 * bandCount * n
	room := min(uint64(min(max(memory, leastMemory), mostMemory))/4, words)
	b.part = make([]byte, 4*room)
	for from := uint64(0); from < words && err == nil; from += room {
		err = b.writePart(w, from, min(from+room, words))
	}
	if err != nil {
		return fmt.Errorf("index of hashes: %w", err)
	}
	return nil
}

// builder makes an index by counting: it knows beforehand where each value's
// postings begin, and places every posting there.
type builder struct {
	ctx   context.Context
	each  func(visit func(id uint32, h *tutela.PDQ) error) error
	count uint64

	offsets [bandCount][bandValues + 1]uint32
	next    [bandCount][bandValues]uint32
	chunk   []words
	part    []byte
}

// measure counts the postings of each value.
func (b *builder) measure() error {
	err := b.eachChunk(func(_ uint32, hashes []words) error {
		for band := range bandCount {
			counts := b.offsets[band][1:]
			for i := range hashes {
				counts[hashes[i].band(band)]++
			}
		}
		return nil
	})
	for band := range bandCount {
		offsets := &b.offsets[band]
		for v := range bandValues {
			offsets[v+1] += offsets[v]
		}
	}
	return err
}

// eachChunk visits all hashes, many at a time.
func (b *builder) eachChunk(visit func(first uint32, hashes []words) error) error {
	chunk, next := b.chunk[:0], uint64(0)
	flush := func() error {
		err := errors.Join(b.ctx.Err(), visit(uint32(next)-uint32(len(chunk)), chunk))
		chunk = chunk[:0]
		return err
	}
	err := b.each(func(id uint32, h *tutela.PDQ) error {
		if uint64(id) != next || next >= b.count {
			return errVisits
		}
		next++
		if chunk = append(chunk, wordsOf(h[:])); len(chunk) == chunkSize {
			return flush()
		}
		return nil
	})
	if err == nil && next != b.count {
		err = errVisits
	}
	if err == nil {
		err = flush()
	}
	return err
}

func (b *builder) writeOffsets(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	for band := range bandCount {
		for _, offset := range b.offsets[band] {
			if _, err := out.Write(binary.LittleEndian.AppendUint32(out.AvailableBuffer(), offset)); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// writePart writes the postings' bytes from 4·from to 4·to, in one pass over the
// hashes.
func (b *builder) writePart(w io.Writer, from, to uint64) error {
	p := part{from: from, size: to - from, count: b.count, bytes: b.part[:4*(to-from)]}
	for band := from / (2 * b.count); band*2*b.count < to; band++ {
		copy(b.next[band][:], b.offsets[band][:])
		p.bands = append(p.bands, bandPart{band: int(band), next: &b.next[band]})
	}
	err := b.eachChunk(func(first uint32, hashes []words) error {
		for i := range p.bands {
			if !p.place(&p.bands[i], first, hashes) {
				return errVisits
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = w.Write(p.bytes)
	return err
}

// part is what of the postings is held in memory at a time: size words of 4
// bytes from the from-th on. It begins and ends anywhere.
type part struct {
	from, size uint64
	count      uint64 // of all hashes
	bytes      []byte
	bands      []bandPart
}

// bandPart is a band of which something lies in the part.
type bandPart struct {
	band int
	next *[bandValues]uint32 // of each value, where its next posting lies in the band
}

// place puts down the postings of one band. Of a band of which only a piece is
// in the part, the counters run along. It reports whether there is room, which
// there is if the hashes are those that were counted.
func (p *part) place(b *bandPart, first uint32, hashes []words) bool {
	// Both wrap around where the band's signatures or ids begin before the part;
	// what is not in the part then is above its size.
	signatures := uint64(b.band)*2*p.count - p.from
	ids := signatures + p.count
	for i := range hashes {
		value := hashes[i].band(b.band)
		n := b.next[value]
		b.next[value]++
		if uint64(n) >= p.count {
			return false
		}
		if at := signatures + uint64(n); at < p.size {
			binary.LittleEndian.PutUint32(p.bytes[4*at:], hashes[i].signature(b.band))
		}
		if at := ids + uint64(n); at < p.size {
			binary.LittleEndian.PutUint32(p.bytes[4*at:], first+uint32(i))
		}
	}
	return true
}
