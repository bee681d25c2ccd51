package hashset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"sort"

	"tutela"
)

// Buckets say where digests that begin with the same bits lie among digests in
// order: 2^bits+1 offsets u32, of which the ones at b and b+1 enclose those that
// begin with the bits b.
//
// Rows whose strongest digest is of a kind lie in its order, and their buckets
// count them. The other rows that have it are listed as entries, in order of the
// digest and then of rows: 16 bits u16 of each digest, those that follow the bits
// of the bucket, and then the row u32 of each. A hit is confirmed on the whole
// digest, always.
const (
	bucketFill = 16 // digests that a bucket holds on average, at most
	maxBuckets = 28 // bits
	entrySize  = 6
)

// bucketBits is how many bits choose the bucket among n digests.
func bucketBits(n uint64) int { return min(bits.Len64(n/bucketFill), maxBuckets) }

// offsets is a section of buckets.
type offsets struct {
	part  part
	shift uint
	count uint64
}

func openOffsets(p part, count uint64) (offsets, error) {
	if count == 0 && p.len() == 0 {
		return offsets{}, nil
	}
	n := p.len()/4 - 1
	if p.len() < 8 || p.len()%4 != 0 || n&(n-1) != 0 || n > 1<<maxBuckets {
		return offsets{}, fmt.Errorf("%w: buckets of %d bytes", ErrCorrupt, p.len())
	}
	return offsets{p, uint(64 - bits.TrailingZeros64(n)), count}, nil
}

// find gives the bucket [lo, hi) of a prefix. Offsets that make no sense, in a
// file made to deceive, enclose nothing.
func (o *offsets) find(prefix uint64) (lo, hi uint64) {
	b := o.part.take(prefix>>o.shift*4, 8)
	if b == nil {
		return 0, 0
	}
	lo, hi = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	if lo > hi || hi > o.count {
		return 0, 0
	}
	return lo, hi
}

// offsetsWriter writes each offset once all digests before it have passed.
type offsetsWriter struct {
	spool *spool
	bits  int    // for the most digests that may come
	next  uint64 // bucket
	count uint64
	buf   [4]byte
}

func (w *offsetsWriter) add(prefix uint64) error {
	err := w.upTo(prefix >> (64 - w.bits))
	w.count++
	return err
}

func (w *offsetsWriter) upTo(bucket uint64) error {
	for ; w.next <= bucket; w.next++ {
		binary.LittleEndian.PutUint32(w.buf[:], uint32(w.count))
		if _, err := w.spool.Write(w.buf[:]); err != nil {
			return err
		}
	}
	return nil
}

// write leaves out offsets where fewer digests came than could have.
func (w *offsetsWriter) write(out *sectionWriter, kind sectionKind) error {
	if w.count == 0 {
		return w.spool.close()
	}
	if err := w.upTo(1 << w.bits); err != nil {
		return err
	}
	every := 1 << (w.bits - min(w.bits, bucketBits(w.count)))
	if every == 1 {
		return out.section(kind, w.spool)
	}
	out.begin(kind)
	err := w.spool.read(func(r *bufio.Reader) error { return pick(out, r, every) })
	if err != nil {
		return err
	}
	if err := w.spool.close(); err != nil {
		return err
	}
	return out.end()
}

// pick copies every so many of numbers of 4 bytes, the first and the last among
// them.
func pick(w io.Writer, r *bufio.Reader, every int) error {
	var buf [4]byte
	for i := 0; ; i++ {
		_, err := io.ReadFull(r, buf[:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read buckets back: %w", err)
		}
		if i%every != 0 {
			continue
		}
		if _, err := w.Write(buf[:]); err != nil {
			return err
		}
	}
}

// sortedIndex finds digests among those that lie in order.
type sortedIndex struct{ offsets }

func openSorted(p part, count uint64) (sortedIndex, error) {
	o, err := openOffsets(p, count)
	return sortedIndex{o}, err
}

// find gives the first of the ordered digests that is digest or comes behind it,
// and the end of those that may be.
func (x *sortedIndex) find(digests *part, digest []byte) (first, end uint64) {
	prefix := binary.BigEndian.Uint64(digest)
	lo, hi := x.offsets.find(prefix)
	return x.findIn(digests, digest, prefix, lo, hi)
}

// findIn goes on in the bucket [lo, hi). Digests are spread evenly, so where in
// the bucket one belongs is told by the bits that follow; lists that were made to
// be otherwise are halved.
func (x *sortedIndex) findIn(digests *part, digest []byte, prefix, lo, hi uint64) (first, end uint64) {
	size := uint64(len(digest))
	b := digests.take(lo*size, (hi-lo)*size)
	if b == nil {
		return 0, 0
	}
	n := hi - lo
	if n > 4*bucketFill {
		i := sort.Search(int(n), func(i int) bool { return !before(b[uint64(i)*size:], digest, prefix) })
		return lo + uint64(i), hi
	}
	i := x.guess(prefix, n)
	for i < n && before(b[i*size:], digest, prefix) {
		i++
	}
	for i > 0 && !before(b[(i-1)*size:], digest, prefix) {
		i--
	}
	return lo + i, hi
}

// guess is where among the n digests of its bucket a prefix belongs.
func (x *sortedIndex) guess(prefix, n uint64) uint64 {
	i, _ := bits.Mul64(prefix<<(64-x.shift), n)
	return i
}

// before reports whether the digest that b begins with comes before another one.
func before(b, digest []byte, prefix uint64) bool {
	if at := binary.BigEndian.Uint64(b); at != prefix {
		return at < prefix
	}
	return bytes.Compare(b[:len(digest)], digest) < 0
}

// entryIndex finds the rows of digests that do not lie in order.
type entryIndex struct {
	offsets
	marks part
	rows  part
}

func openEntries(parts sectionParts, kind tutela.MatchKind, count uint64) (x entryIndex, err error) {
	all := parts.of(digestSection(kind, partEntries))
	if all.len() != count*entrySize {
		return x, fmt.Errorf("%w: %d bytes where %d entries belong", ErrCorrupt, all.len(), count)
	}
	x.marks = part{all.b[:2*count], all.at, all.blocks}
	x.rows = part{all.b[2*count:], all.at + 2*count, all.blocks}
	x.offsets, err = openOffsets(parts.of(digestSection(kind, partEntryBuckets)), count)
	return x, err
}

// mark is the 16 bits behind those that chose the bucket.
func (x *entryIndex) mark(prefix uint64) uint16 { return markBehind(prefix, 64-int(x.shift)) }

func markBehind(prefix uint64, bucket int) uint16 { return uint16(prefix << bucket >> 48) }

// rowsOf visits the rows whose digest may begin with the prefix, until visit
// returns false.
func (x *entryIndex) rowsOf(prefix uint64, visit func(row uint64) bool) {
	lo, hi := x.offsets.find(prefix)
	x.rowsIn(prefix, lo, hi, visit)
}

// rowsIn goes on in the bucket [lo, hi).
func (x *entryIndex) rowsIn(prefix, lo, hi uint64, visit func(row uint64) bool) {
	marks, rows := x.marks.take(2*lo, 2*(hi-lo)), x.rows.take(4*lo, 4*(hi-lo))
	if marks == nil || rows == nil {
		return
	}
	want, le := x.mark(prefix), binary.LittleEndian
	n := int(hi - lo)
	for i := sort.Search(n, func(i int) bool { return le.Uint16(marks[2*i:]) >= want }); i < n && le.Uint16(marks[2*i:]) == want; i++ {
		if !visit(uint64(le.Uint32(rows[4*i:]))) {
			return
		}
	}
}

// sortEntry is an entry on its way through the sorter: eight bytes of the digest
// and the row, big endian.
const sortEntry = 12

// writeEntries writes the three sections of an entry index.
func writeEntries(out *sectionWriter, kind tutela.MatchKind, entries *sorter, buckets *offsetsWriter, keys *filterWriter, rows *spool) error {
	by := bucketBits(entries.count)
	out.begin(digestSection(kind, partEntries))
	err := entries.each(func(e []byte) error {
		prefix := binary.BigEndian.Uint64(e)
		if err := buckets.add(prefix); err != nil {
			return err
		}
		if err := keys.add(prefix); err != nil {
			return err
		}
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], binary.BigEndian.Uint32(e[8:]))
		if _, err := rows.Write(b[:]); err != nil {
			return err
		}
		binary.LittleEndian.PutUint16(b[:], markBehind(prefix, by))
		_, err := out.Write(b[:2])
		return err
	})
	if err != nil {
		return err
	}
	if err := rows.copyTo(out); err != nil {
		return err
	}
	if err := out.end(); err != nil {
		return err
	}
	if err := buckets.write(out, digestSection(kind, partEntryBuckets)); err != nil {
		return err
	}
	return keys.write(out, digestSection(kind, partEntriesFilter))
}
