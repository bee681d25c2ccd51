package hashset

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"tutela"
)

// Columns hold what rows hold, one section a kind of thing.
//
// An exact digest: packed digests of the rows that have it, in order of rows.
// The first such row is the first whose strongest digest it is; those that follow
// and have a stronger one may lack it. Where some do and some do not, present
// says which: lines of 64 bytes, each the number u32 of those before it and 480
// bits, least significant first, one a row behind the ordered ones.
//
// Category, series and size are numbers: base u64, width u64 from 0 to 8, and for
// each row as many bytes, little endian, to add to the base. Where all rows say
// the same the width is 0.
const (
	presentLine = 64
	presentBits = 8 * (presentLine - 4)
	numbersHead = 16
)

// presence tells which of some rows have something.
type presence struct{ lines part }

// rank is the number of rows before row n that have it; ok says whether n does.
func (p *presence) rank(n uint64) (rank uint64, ok bool) {
	line := p.lines.take(n/presentBits*presentLine, presentLine)
	if line == nil {
		return 0, false
	}
	rank = uint64(binary.LittleEndian.Uint32(line))
	at := n % presentBits
	marks := line[4:]
	if marks[at/8]&(1<<(at%8)) == 0 {
		return 0, false
	}
	for _, b := range marks[:at/8] {
		rank += uint64(bits.OnesCount8(b))
	}
	return rank + uint64(bits.OnesCount8(marks[at/8]&(1<<(at%8)-1))), true
}

func presentSize(rows uint64) uint64 { return (rows + presentBits - 1) / presentBits * presentLine }

// presenceWriter is the other side.
type presenceWriter struct {
	spool *spool
	line  [presentLine]byte
	rows  uint64
	count uint64 // of those that have it
}

func (w *presenceWriter) add(has bool) error {
	at := w.rows % presentBits
	if at == 0 {
		binary.LittleEndian.PutUint32(w.line[:], uint32(w.count))
	}
	if has {
		w.line[4+at/8] |= 1 << (at % 8)
		w.count++
	}
	if w.rows++; w.rows%presentBits == 0 {
		return w.flush()
	}
	return nil
}

func (w *presenceWriter) flush() error {
	_, err := w.spool.Write(w.line[:])
	w.line = [presentLine]byte{}
	return err
}

// write writes the section if some rows have it and some have not.
func (w *presenceWriter) write(out *sectionWriter, kind sectionKind) error {
	if w.count == 0 || w.count == w.rows {
		return w.spool.close()
	}
	if w.rows%presentBits != 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return out.section(kind, w.spool)
}

// digestColumn is an exact digest of all rows that have one.
type digestColumn struct {
	size    uint64 // bytes a digest
	from    uint64 // the first row whose strongest it is
	ordered uint64 // rows from there whose strongest it is, in order of digests
	rows    uint64 // of the body
	digests part
	present presence
	all     bool // no row behind the ordered ones lacks it
	none    bool // all of them do

	sorted       sortedIndex
	sortedFilter filter
	entries      entryIndex
	entryFilter  filter
}

// at is the digest of a row; nil if it has none.
func (c *digestColumn) at(row uint64) []byte {
	if row < c.from {
		return nil
	}
	n := row - c.from
	if n >= c.ordered && !c.all {
		if c.none {
			return nil
		}
		rank, ok := c.present.rank(n - c.ordered)
		if !ok {
			return nil
		}
		n = c.ordered + rank
	}
	return c.digests.take(n*c.size, c.size)
}

// openDigest assembles the column of a kind from sections.
func openDigest(parts sectionParts, kind tutela.MatchKind, from uint64, b *stored) (c digestColumn, err error) {
	count, ordered := b.exact()[kind], b.strongest()[kind]
	later := b.Rows - from - ordered
	c = digestColumn{size: uint64(digestSize(kind)), from: from, ordered: ordered, rows: b.Rows,
		digests: parts.of(digestSection(kind, partDigests)), all: count-ordered == later, none: count == ordered}
	c.present.lines = parts.of(digestSection(kind, partPresent))
	want := uint64(0)
	if !c.all && !c.none {
		want = presentSize(later)
	}
	if c.digests.len() != count*c.size || c.present.lines.len() != want {
		return c, fmt.Errorf("%w: %d bytes of %s digests where %d belong", ErrCorrupt, c.digests.len(), kind, count)
	}
	if c.sorted, err = openSorted(parts.of(digestSection(kind, partSorted)), ordered); err != nil {
		return c, err
	}
	if c.entries, err = openEntries(parts, kind, count-ordered); err != nil {
		return c, err
	}
	if c.sortedFilter, err = openFilter(parts.of(digestSection(kind, partSortedFilter))); err != nil {
		return c, err
	}
	c.entryFilter, err = openFilter(parts.of(digestSection(kind, partEntriesFilter)))
	return c, err
}

// numbers is a column of numbers.
type numbers struct {
	base  uint64
	width uint64
	part  part
}

func openNumbers(p part, rows uint64) (numbers, error) {
	head := p.take(0, numbersHead)
	if head == nil {
		return numbers{}, fmt.Errorf("%w: a column of %d bytes", ErrCorrupt, p.len())
	}
	n := numbers{binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint64(head[8:]), p}
	if n.width > 8 || p.len() != numbersHead+n.width*rows {
		return numbers{}, fmt.Errorf("%w: a column of %d bytes for %d rows", ErrCorrupt, p.len(), rows)
	}
	return n, nil
}

func (n *numbers) at(row uint64) uint64 {
	if n.width == 0 {
		return n.base
	}
	var wide [8]byte
	copy(wide[:], n.part.take(numbersHead+row*n.width, n.width))
	return n.base + binary.LittleEndian.Uint64(wide[:])
}

// numbersWriter keeps nothing as long as all rows say the same.
type numbersWriter struct {
	spool       *spool // uvarints, from the first difference on
	first       uint64
	count       uint64
	least, most uint64
	differ      bool
	buf         []byte
}

func (w *numbersWriter) add(v uint64) error {
	if w.count == 0 {
		w.first, w.least, w.most = v, v, v
	}
	if v != w.first && !w.differ {
		w.differ = true
		for range w.count {
			if err := w.put(w.first); err != nil {
				return err
			}
		}
	}
	w.count++
	w.least, w.most = min(w.least, v), max(w.most, v)
	if !w.differ {
		return nil
	}
	return w.put(v)
}

func (w *numbersWriter) put(v uint64) error {
	w.buf = binary.AppendUvarint(w.buf[:0], v)
	_, err := w.spool.Write(w.buf)
	return err
}

func (w *numbersWriter) write(out *sectionWriter, kind sectionKind) error {
	width := (bits.Len64(w.most-w.least) + 7) / 8
	out.begin(kind)
	le := binary.LittleEndian
	if _, err := out.Write(le.AppendUint64(le.AppendUint64(nil, w.least), uint64(width))); err != nil {
		return err
	}
	if w.differ {
		err := w.spool.read(func(r *bufio.Reader) error { return w.copy(out, r, width) })
		if err != nil {
			return err
		}
	}
	if err := w.spool.close(); err != nil {
		return err
	}
	return out.end()
}

func (w *numbersWriter) copy(out io.Writer, r *bufio.Reader, width int) error {
	var wide [8]byte
	for range w.count {
		v, err := binary.ReadUvarint(r)
		if err != nil {
			return fmt.Errorf("read a column back: %w", err)
		}
		binary.LittleEndian.PutUint64(wide[:], v-w.least)
		if _, err := out.Write(wide[:width]); err != nil {
			return err
		}
	}
	return nil
}
