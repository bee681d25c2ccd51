package hashset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"sync"

	"tutela"
	"tutela/internal/hashset/near"
)

// sectionParts are the sections of an open file.
type sectionParts struct {
	blocks *blocks
	found  map[sectionKind]part
}

// of is the section of a kind; empty if there is none.
func (p sectionParts) of(kind sectionKind) part {
	if found, ok := p.found[kind]; ok {
		return found
	}
	return part{blocks: p.blocks}
}

// cut finds the sections of a file. Only the head and the checksums themselves
// are looked at.
func cut(data []byte, sections []section) (p sectionParts, err error) {
	p.found = map[sectionKind]part{}
	size := uint64(len(data))
	var sums section
	for _, s := range sections {
		if s.offset < headSize || s.offset%8 != 0 || s.offset > size || s.length > size-s.offset {
			return p, fmt.Errorf("%w: section %d lies outside the file: was it cut short?", ErrCorrupt, s.kind)
		}
		if !s.kind.isKnown() && s.kind < optional {
			return p, fmt.Errorf("%w: section %d is not known", ErrNewer, s.kind)
		}
		if _, twice := p.found[s.kind]; twice {
			return p, fmt.Errorf("%w: section %d is there twice", ErrCorrupt, s.kind)
		}
		p.found[s.kind] = part{b: data[s.offset : s.offset+s.length], at: s.offset - headSize}
		if s.kind == sectionSums {
			sums = s
		}
	}
	return p, p.check(data, sums)
}

func (p *sectionParts) check(data []byte, sums section) (err error) {
	b := p.found[sectionSums].b
	if sums.kind == 0 || crc32c(b) != sums.sum {
		return fmt.Errorf("%w: its checksums do not hold", ErrCorrupt)
	}
	if p.blocks, err = newBlocks(data[headSize:sums.offset], b); err != nil {
		return err
	}
	delete(p.found, sectionSums)
	for kind, s := range p.found {
		if s.at+s.len() > uint64(len(p.blocks.data)) {
			return fmt.Errorf("%w: section %d lies behind the checksums", ErrCorrupt, kind)
		}
		s.blocks = p.blocks
		p.found[kind] = s
	}
	return nil
}

// body is what one file holds: rows numbered from 0.
type body struct {
	blocks *blocks
	desc   stored
	names  heldNames
	digest [4]digestColumn // by MatchKind

	category, series, size numbers

	hashes   part
	hashRows part // empty where hash n is row n's
	frames   presence
	index    part

	opening sync.Once
	near    *near.Index // nil if damage was met
}

func openBody(p sectionParts, desc stored) (_ *body, err error) {
	if err := desc.check(); err != nil {
		return nil, err
	}
	b := &body{blocks: p.blocks, desc: desc}
	from := desc.Rows - desc.StrongestMD5 - desc.StrongestSHA1 - desc.StrongestSHA256
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		if b.digest[kind], err = openDigest(p, kind, from, &b.desc); err != nil {
			return nil, err
		}
		from += b.digest[kind].ordered
	}
	for kind, n := range map[sectionKind]*numbers{sectionCategory: &b.category, sectionSeries: &b.series, sectionSize64: &b.size} {
		if *n, err = openNumbers(p.of(kind), desc.Rows); err != nil {
			return nil, err
		}
	}
	if b.names, err = openNames(p.of(sectionNames)); err != nil {
		return nil, err
	}
	return b, b.openHashes(p)
}

func (b *body) openHashes(p sectionParts) error {
	b.hashes, b.hashRows, b.index = p.of(sectionHashes), p.of(sectionHashRows), p.of(sectionNear)
	b.frames.lines = p.of(sectionFrames)
	n := b.desc.Hashes
	plain := b.hashRows.len() == 0 && n == b.desc.Rows
	if b.hashes.len() != 32*n || !plain && b.hashRows.len() != 4*n {
		return fmt.Errorf("%w: %d bytes where %d hashes belong", ErrCorrupt, b.hashes.len(), n)
	}
	if l := b.frames.lines.len(); l != 0 && l != presentSize(n) {
		return fmt.Errorf("%w: %d bytes of marks for %d hashes", ErrCorrupt, l, n)
	}
	return nil
}

// candidates are the rows [first, end) whose strongest digest is of kind; those
// that have this very digest come first.
func (b *body) candidates(kind tutela.MatchKind, digest []byte) (first, end uint64) {
	c := &b.digest[kind]
	if c.ordered == 0 || !c.sortedFilter.may(binary.BigEndian.Uint64(digest)) {
		return 0, 0
	}
	first, end = c.sorted.find(&c.digests, digest)
	return c.from + first, c.from + end
}

// holds reports whether a row has this digest.
func (b *body) holds(row uint64, kind tutela.MatchKind, digest []byte) bool {
	return bytes.Equal(b.digest[kind].at(row), digest)
}

// agrees reports whether a row has this digest, or none of the kind.
func (b *body) agrees(row uint64, kind tutela.MatchKind, digest []byte) bool {
	has := b.digest[kind].at(row)
	return has == nil || bytes.Equal(has, digest)
}

// having visits the rows that hold one digest, in order, whatever else they
// hold.
func (b *body) having(kind tutela.MatchKind, digest []byte, visit func(row uint64)) {
	first, end := b.candidates(kind, digest)
	for row := first; row < end && b.holds(row, kind, digest); row++ {
		visit(row)
	}
	c := &b.digest[kind]
	prefix := binary.BigEndian.Uint64(digest)
	if c.entries.count == 0 || !c.entryFilter.may(prefix) {
		return
	}
	c.entries.rowsOf(prefix, func(row uint64) bool {
		if row < b.desc.Rows && b.holds(row, kind, digest) {
			visit(row)
		}
		return true
	})
}

// assertion gives a row whole.
func (b *body) assertion(row uint64) tutela.Assertion {
	a := tutela.Assertion{Category: b.categoryOf(row), Series: b.names.series(b.series.at(row)), Size: int64(b.size.at(row)) - 1}
	if d := b.digest[tutela.MatchMD5].at(row); d != nil {
		d := tutela.MD5(d)
		a.MD5 = &d
	}
	if d := b.digest[tutela.MatchSHA1].at(row); d != nil {
		d := tutela.SHA1(d)
		a.SHA1 = &d
	}
	if d := b.digest[tutela.MatchSHA256].at(row); d != nil {
		d := tutela.SHA256(d)
		a.SHA256 = &d
	}
	if b.desc.Hashes > 0 {
		b.addHashes(&a, row)
	}
	return a
}

func (b *body) categoryOf(row uint64) tutela.Category {
	return b.names.category(b.category.at(row))
}

func (b *body) addHashes(a *tutela.Assertion, row uint64) {
	from, to := b.hashesOf(row)
	for id := from; id < to; id++ {
		h := b.hashes.take(32*id, 32)
		switch {
		case h == nil:
			return
		case b.isFrame(id):
			a.Frames = append(a.Frames, tutela.PDQ(h))
		default:
			h := tutela.PDQ(h)
			a.PDQ = &h
		}
	}
}

// rowOf is the row that a hash belongs to; false for one that a file made to
// deceive gives.
func (b *body) rowOf(id uint64) (row uint64, ok bool) {
	if b.hashRows.len() == 0 {
		return id, id < b.desc.Rows
	}
	at := b.hashRows.take(4*id, 4)
	if at == nil {
		return 0, false
	}
	row = uint64(binary.LittleEndian.Uint32(at))
	return row, row < b.desc.Rows
}

// hashesOf are the hashes [from, to) of a row: its picture's first, then frames.
func (b *body) hashesOf(row uint64) (from, to uint64) {
	if b.hashRows.len() == 0 {
		return row, row + 1
	}
	first := func(row uint64) uint64 {
		return uint64(sort.Search(int(b.desc.Hashes), func(id int) bool {
			at := b.hashRows.take(4*uint64(id), 4)
			return at == nil || uint64(binary.LittleEndian.Uint32(at)) >= row
		}))
	}
	return first(row), first(row + 1)
}

func (b *body) isFrame(id uint64) bool {
	if b.frames.lines.len() == 0 {
		return false
	}
	_, ok := b.frames.rank(id)
	return ok
}

// framesOf are the hashes [from, to) of a row that are frames.
func (b *body) framesOf(row uint64) (from, to uint64) {
	from, to = b.hashesOf(row)
	if from < to && !b.isFrame(from) {
		from++
	}
	return from, to
}

// search visits every hash within radius bits, once.
func (b *body) search(h tutela.PDQ, radius int, visit func(id uint32, distance int)) {
	if x := b.nearIndex(); x != nil {
		x.Search(h, radius, visit)
	}
}

// nearIndex checks, the first time, all that near look-ups go through: package
// near knows nothing of blocks.
func (b *body) nearIndex() *near.Index {
	if b.desc.Hashes == 0 {
		return nil
	}
	b.opening.Do(func() {
		if !b.hashes.checkAll() || !b.hashRows.checkAll() || !b.frames.lines.checkAll() || !b.index.checkAll() {
			return
		}
		x, err := near.Open(b.index.b, b.hashes.b)
		if err != nil {
			b.blocks.fail(fmt.Errorf("%w: %v", ErrCorrupt, err))
			return
		}
		b.near = x
	})
	return b.near
}
