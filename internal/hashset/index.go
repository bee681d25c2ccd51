package hashset

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"sort"
)

const (
	indexEntry  = 12 // prefix and row
	indexFixed  = 16
	bucketFill  = 8  // entries a bucket holds on average, at most
	maxBucketBy = 26 // bits
)

// bucketBits is how many bits choose the bucket among n entries.
func bucketBits(n uint64) int { return min(bits.Len64(n/bucketFill), maxBucketBy) }

// writeIndex writes one index section from entries that are sorted on the way.
// Sorter and file differ in byte order: the first is ordered by its bytes.
func writeIndex(w io.Writer, entries *sorter) error {
	shift := 64 - bucketBits(entries.count)
	offsets := make([]uint32, 1<<(64-shift)+1)
	le := binary.LittleEndian
	head := le.AppendUint64(nil, entries.count)
	head = le.AppendUint32(head, uint32(64-shift))
	if _, err := w.Write(le.AppendUint32(head, 0)); err != nil {
		return err
	}
	var out [indexEntry]byte
	err := entries.each(func(e []byte) error {
		prefix := binary.BigEndian.Uint64(e)
		offsets[prefix>>shift+1]++
		le.PutUint64(out[:], prefix)
		le.PutUint32(out[8:], binary.BigEndian.Uint32(e[8:]))
		_, err := w.Write(out[:])
		return err
	})
	if err != nil {
		return err
	}
	return writeOffsets(w, offsets)
}

// writeOffsets turns counts, each one place late, into offsets and writes them.
func writeOffsets(w io.Writer, counts []uint32) error {
	var out [4]byte
	sum := uint32(0)
	for _, n := range counts {
		sum += n
		binary.LittleEndian.PutUint32(out[:], sum)
		if _, err := w.Write(out[:]); err != nil {
			return err
		}
	}
	return nil
}

// index finds the rows whose digest begins with a prefix. The zero index is
// empty.
type index struct {
	entries []byte
	offsets []byte
	shift   uint
}

func openIndex(b []byte, want uint64) (index, error) {
	if len(b) < indexFixed {
		return index{}, fmt.Errorf("%w: an index of %d bytes", ErrCorrupt, len(b))
	}
	n, by := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
	if n != want || n > maxRows || by > maxBucketBy {
		return index{}, fmt.Errorf("%w: an index of %d entries where %d should be", ErrCorrupt, n, want)
	}
	entries, offsets := n*indexEntry, (uint64(1)<<by+1)*4
	if uint64(len(b)) != indexFixed+entries+offsets {
		return index{}, fmt.Errorf("%w: an index of %d entries in %d bytes", ErrCorrupt, n, len(b))
	}
	b = b[indexFixed:]
	return index{b[:entries], b[entries:], uint(64 - by)}, nil
}

func (x *index) prefix(i int) uint64 { return binary.LittleEndian.Uint64(x.entries[i*indexEntry:]) }
func (x *index) row(i int) uint64 {
	return uint64(binary.LittleEndian.Uint32(x.entries[i*indexEntry+8:]))
}

// find gives the entries [from, to) that have the prefix. Offsets that make no
// sense, in a file made to deceive, find nothing.
func (x *index) find(prefix uint64) (from, to int) {
	if len(x.entries) == 0 {
		return 0, 0
	}
	bucket := prefix >> x.shift * 4
	lo := int(binary.LittleEndian.Uint32(x.offsets[bucket:]))
	hi := int(binary.LittleEndian.Uint32(x.offsets[bucket+4:]))
	if lo > hi || hi > len(x.entries)/indexEntry {
		return 0, 0
	}
	if hi-lo > 4*bucketFill {
		lo += sort.Search(hi-lo, func(i int) bool { return x.prefix(lo+i) >= prefix })
	}
	for lo < hi && x.prefix(lo) < prefix {
		lo++
	}
	for to = lo; to < hi && x.prefix(to) == prefix; to++ {
	}
	return lo, to
}
