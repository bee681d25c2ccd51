package hashset

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync/atomic"
)

// In front of each index of exact digests stands a filter that says at once that
// nearly all unknown digests are not there: three-wise binary fuse filters with
// fingerprints of 8 bits (Graf, Lemire: Binary fuse filters: fast and smaller
// than xor filters, 2022), of which one in 256 unknown digests passes and every
// known one does. Keys are the first eight bytes of a digest, read big-endian.
//
// Keys come in order and are cut into shards of half a million, so that building
// takes the memory of one, whatever the size of the set. Equal keys never lie in
// two shards.
//
// The section: number of shards u32, zero u32; for each shard first key u64, seed
// u64, offset u64 and length u64 of its fingerprints behind the table, segment
// length u32, number of segments u32; then the fingerprints. A shard without
// fingerprints lets everything pass.
const (
	shardKeys   = 1 << 19
	shardEntry  = 40
	fuseArity   = 3
	maxSegment  = 1 << 18
	fuseTries   = 64
	filterFrom  = 1024 // keys; an index of fewer lies in the processor's cache
	filterGuide = 10   // bits
)

// fuse is the shape of one filter.
type fuse struct {
	seed     uint64
	segment  uint32 // length, a power of two
	segments uint32 // without the last two
}

// shapeOfFuse chooses segment length and number of segments for n keys, after
// section 4 of the paper. Logarithms are rounded to powers of two, always to the
// roomier side, so that all processors come to the same numbers.
func shapeOfFuse(n int) fuse {
	log2 := max(bits.Len(uint(n)), 2) - 1
	segment := min(uint32(1)<<(log2*576/1000+2), maxSegment) // log2(n)/log2(3.33) + 2.25
	factor := max(1125, 875+4983/log2)                       // 0.875 + 0.25·log(10⁶)/log(n), in thousandths
	capacity := uint32(uint64(n)*uint64(factor)/1000) + 1
	segments := (capacity + segment - 1) / segment
	return fuse{segment: segment, segments: max(segments, fuseArity) - 2}
}

func (f *fuse) length() uint64 { return (uint64(f.segments) + 2) * uint64(f.segment) }

// mix is the finalizer of MurmurHash3.
func (f *fuse) mix(key uint64) uint64 {
	h := key + f.seed
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// places are the three fingerprints that a hash is made of, each in a segment of
// its own.
func (f *fuse) places(h uint64) (a, b, c uint32) {
	hi, _ := bits.Mul64(h, uint64(f.segments)*uint64(f.segment))
	mask := f.segment - 1
	a = uint32(hi)
	b = (a + f.segment) ^ uint32(h>>18)&mask
	c = (a + 2*f.segment) ^ uint32(h)&mask
	return a, b, c
}

func fingerprint(h uint64) byte { return byte(h ^ h>>32) }

// fuser builds filters, one after the other, in memory that it keeps.
type fuser struct {
	count  []uint32 // of keys at a place that are not yet peeled off
	xor    []uint64 // of their hashes
	alone  []uint32 // places with one key
	hashes []uint64 // in the order in which they were peeled
	at     []uint32
	prints []byte
}

// build makes the filter of keys, which are all different. ok is false for keys
// that were chosen so that no seed fits; they go without a filter.
func (u *fuser) build(keys []uint64) (f fuse, prints []byte, ok bool) {
	f = shapeOfFuse(len(keys))
	n := f.length()
	u.count, u.xor, u.prints = grown(u.count, n), grown(u.xor, n), grown(u.prints, n)
	for try := range uint64(fuseTries) {
		f.seed = (try + 1) * 0x9e3779b97f4a7c15
		if u.peel(&f, keys) {
			u.assign(&f)
			return f, u.prints, true
		}
	}
	return f, nil, false
}

// grown is s with n zeros.
func grown[T any](s []T, n uint64) []T {
	if uint64(cap(s)) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// peel takes keys off places where they are alone until none is left.
func (u *fuser) peel(f *fuse, keys []uint64) bool {
	clear(u.count)
	clear(u.xor)
	for _, key := range keys {
		h := f.mix(key)
		a, b, c := f.places(h)
		u.count[a]++
		u.count[b]++
		u.count[c]++
		u.xor[a] ^= h
		u.xor[b] ^= h
		u.xor[c] ^= h
	}
	u.alone, u.hashes, u.at = u.alone[:0], u.hashes[:0], u.at[:0]
	for i, n := range u.count {
		if n == 1 {
			u.alone = append(u.alone, uint32(i))
		}
	}
	for len(u.alone) > 0 {
		at := u.alone[len(u.alone)-1]
		u.alone = u.alone[:len(u.alone)-1]
		if u.count[at] == 1 {
			u.take(f, at)
		}
	}
	return len(u.hashes) == len(keys)
}

func (u *fuser) take(f *fuse, at uint32) {
	h := u.xor[at]
	u.hashes, u.at = append(u.hashes, h), append(u.at, at)
	a, b, c := f.places(h)
	for _, p := range [fuseArity]uint32{a, b, c} {
		u.count[p]--
		u.xor[p] ^= h
		if u.count[p] == 1 {
			u.alone = append(u.alone, p)
		}
	}
}

// assign goes back: the place that a key was peeled from is free to make its
// three fingerprints come out right.
func (u *fuser) assign(f *fuse) {
	clear(u.prints)
	for i := len(u.hashes) - 1; i >= 0; i-- {
		h := u.hashes[i]
		a, b, c := f.places(h)
		u.prints[u.at[i]] = fingerprint(h) ^ u.prints[a] ^ u.prints[b] ^ u.prints[c]
	}
}

// filterWriter takes keys in order and writes shards.
type filterWriter struct {
	fuser  *fuser
	prints *spool
	keys   []uint64
	table  []byte
	count  uint64 // of different keys
	last   uint64
}

func (w *filterWriter) add(key uint64) error {
	if w.count > 0 && key == w.last {
		return nil
	}
	if len(w.keys) == shardKeys {
		if err := w.shard(); err != nil {
			return err
		}
	}
	w.keys = append(w.keys, key)
	w.last = key
	w.count++
	return nil
}

func (w *filterWriter) shard() error {
	f, prints, ok := w.fuser.build(w.keys)
	if !ok {
		f, prints = fuse{}, nil
	}
	le := binary.LittleEndian
	w.table = le.AppendUint64(w.table, w.keys[0])
	w.table = le.AppendUint64(w.table, f.seed)
	w.table = le.AppendUint64(w.table, w.prints.size)
	w.table = le.AppendUint64(w.table, uint64(len(prints)))
	w.table = le.AppendUint32(w.table, f.segment)
	w.table = le.AppendUint32(w.table, f.segments)
	w.keys = w.keys[:0]
	_, err := w.prints.Write(prints)
	return err
}

// write writes the section, if there are enough keys for one.
func (w *filterWriter) write(out *sectionWriter, kind sectionKind) error {
	if w.count < filterFrom {
		return w.prints.close()
	}
	if len(w.keys) > 0 {
		if err := w.shard(); err != nil {
			return err
		}
	}
	w.keys = nil
	out.begin(kind)
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(w.table)/shardEntry))
	if _, err := out.Write(append(head, w.table...)); err != nil {
		return err
	}
	if err := w.prints.copyTo(out); err != nil {
		return err
	}
	return out.end()
}

// filter answers whether a key may be there. The zero filter lets everything
// pass.
type filter struct {
	shards []shard
	guide  []uint32 // the shard to begin with, by the leading bits of a key
}

type shard struct {
	fuse
	first  uint64
	prints part
	// checked is 1 once the fingerprints were held against their checksums: one
	// look for three places.
	checked *atomic.Uint32
}

func openFilter(p part) (filter, error) {
	if p.len() == 0 {
		return filter{}, nil
	}
	head := p.take(0, 8)
	if head == nil {
		return filter{}, errFilter(&p)
	}
	n := binary.LittleEndian.Uint64(head)
	if n == 0 || n > (p.len()-8)/shardEntry {
		return filter{}, errFilter(&p)
	}
	table := p.take(8, n*shardEntry)
	if table == nil {
		return filter{}, errFilter(&p)
	}
	x := filter{shards: make([]shard, n)}
	checked := make([]atomic.Uint32, n)
	for i := range x.shards {
		s, ok := openShard(p, table[i*shardEntry:], 8+n*shardEntry)
		if !ok || i > 0 && s.first <= x.shards[i-1].first {
			return filter{}, errFilter(&p)
		}
		s.checked = &checked[i]
		x.shards[i] = s
	}
	x.lay()
	return x, nil
}

func errFilter(p *part) error {
	if err := p.blocks.err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: a filter of %d bytes makes no sense", ErrCorrupt, p.len())
}

func openShard(p part, entry []byte, behind uint64) (s shard, ok bool) {
	le := binary.LittleEndian
	s.first, s.seed = le.Uint64(entry), le.Uint64(entry[8:])
	offset, length := le.Uint64(entry[16:]), le.Uint64(entry[24:])
	s.segment, s.segments = le.Uint32(entry[32:]), le.Uint32(entry[36:])
	room := p.len() - behind
	if offset > room || length > room-offset {
		return s, false
	}
	if length > 0 && (s.segment > maxSegment || s.segment&(s.segment-1) != 0 || s.segments > maxRows/maxSegment || length != s.length()) {
		return s, false
	}
	from := behind + offset
	s.prints = part{p.b[from : from+length], p.at + from, p.blocks}
	return s, true
}

// lay fills the guide.
func (x *filter) lay() {
	x.guide = make([]uint32, 1<<filterGuide)
	at := uint32(0)
	for i := range x.guide {
		for int(at)+1 < len(x.shards) && x.shards[at+1].first <= uint64(i)<<(64-filterGuide) {
			at++
		}
		x.guide[i] = at
	}
}

// may reports whether the key may be there: false is certain.
func (x *filter) may(key uint64) bool {
	if len(x.shards) == 0 {
		return true
	}
	i := x.guide[key>>(64-filterGuide)]
	for int(i)+1 < len(x.shards) && x.shards[i+1].first <= key {
		i++
	}
	s := &x.shards[i]
	if s.checked.Load() == 0 && !s.check() {
		return true
	}
	if len(s.prints.b) == 0 {
		return true
	}
	h := s.mix(key)
	a, b, c := s.places(h)
	return fingerprint(h)^s.prints.b[a]^s.prints.b[b]^s.prints.b[c] == 0
}

func (s *shard) check() bool {
	if !s.prints.blocks.wholeBlocks(s.prints.at, s.prints.at+s.prints.len()) {
		return false
	}
	s.checked.Store(1)
	return true
}
