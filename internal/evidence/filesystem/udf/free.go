package udf

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// A partition may list its free blocks in a bitmap or in a table of extents, once
// for blocks that must be erased before they are written and once for others
// (ECMA 4/14.12, 4/14.11). All of them are free.

const maxFree = 1 << 21 // stretches, held in memory

// space is one such list.
type space struct {
	under *physical
	at    extentAD // in the partition
	table bool
}

func (fs *FileSystem) addSpaces(p *physical) {
	for _, s := range []space{{p, p.unallocated, false}, {p, p.freed, false}, {p, p.unallocatedTable, true}, {p, p.freedTable, true}} {
		if s.at.length&(1<<30-1) > 0 {
			fs.spaces = append(fs.spaces, s)
		}
	}
}

// freeMap is what is free, ascending and joined.
type freeMap struct {
	runs    []tutela.Run
	problem error
}

// Free implements [evidence.FreeSpace].
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	if len(fs.spaces) == 0 {
		return nil // a disc that is written once has none
	}
	m := fs.readFree(ctx)
	for _, r := range m.runs {
		if err := visit(r); err != nil {
			return err
		}
	}
	return m.problem
}

func (fs *FileSystem) readFree(ctx context.Context) *freeMap {
	m := &freeMap{}
	for _, s := range fs.spaces {
		read := fs.bitmap
		if s.table {
			read = fs.table
		}
		if err := read(ctx, s, m); err != nil {
			m.problem = errors.Join(m.problem, fmt.Errorf("map of free blocks: %w", err))
		}
	}
	m.join(fs.src.Size())
	return m
}

// join sorts the runs, joins those that touch and cuts off what lies behind the
// end of the source.
func (m *freeMap) join(size int64) {
	slices.SortFunc(m.runs, func(a, b tutela.Run) int { return cmp.Compare(a.Offset, b.Offset) })
	out := m.runs[:0]
	for _, r := range m.runs {
		if r.Length = min(r.Length, size-r.Offset); r.Length <= 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].Offset+out[last].Length >= r.Offset {
			out[last].Length = max(out[last].Length, r.Offset+r.Length-out[last].Offset)
			continue
		}
		out = append(out, r)
	}
	m.runs = out
}

// overlap is how many bytes of r are free.
func (m *freeMap) overlap(r tutela.Run) (n int64) {
	first := sort.Search(len(m.runs), func(i int) bool { return m.runs[i].Offset+m.runs[i].Length > r.Offset })
	for _, f := range m.runs[first:] {
		if f.Offset >= r.Offset+r.Length {
			break
		}
		n += min(f.Offset+f.Length, r.Offset+r.Length) - max(f.Offset, r.Offset)
	}
	return n
}

// on is the partition that the blocks of a list belong to: the sparable one where
// packets have been exchanged.
func (fs *FileSystem) on(p *physical) partition {
	for _, other := range fs.partitions {
		if s, ok := other.(*sparable); ok && s.under == p {
			return s
		}
	}
	return p
}

// add makes blocks of a partition runs of the source.
func (fs *FileSystem) add(p partition, block, count int64, m *freeMap) error {
	for count > 0 {
		at, blocks, err := p.place(uint32(block))
		if err != nil {
			return err
		}
		n := min(blocks, count)
		run := tutela.Run{Offset: at, Length: n * fs.blockBytes}
		if last := len(m.runs) - 1; last >= 0 && m.runs[last].Offset+m.runs[last].Length == at {
			m.runs[last].Length += run.Length
		} else if len(m.runs) == maxFree {
			return fmt.Errorf("more than %d free stretches: %w", maxFree, errLimit)
		} else {
			m.runs = append(m.runs, run)
		}
		block, count = block+n, count-n
	}
	return nil
}

// bitmap: a bit for each block, the lowest of a byte first, 1 where it is free.
func (fs *FileSystem) bitmap(ctx context.Context, s space, m *freeMap) error {
	p := fs.on(s.under)
	const head = 24
	list := &mapping{}
	if err := fs.extent(p, longAD{length: s.at.length, block: s.at.sector}, list); err != nil {
		return err
	}
	x := evidence.NewExtents(fs.src, list.extents, list.length())
	b := make([]byte, max(head, 64<<10))
	if n, err := x.ReadAt(b[:head], 0); n < head {
		return err
	}
	t, err := readTag(b)
	if err != nil || t.id != tagBitmap {
		return fmt.Errorf("no bitmap in block %d", s.at.sector)
	}
	bits := min(int64(binary.LittleEndian.Uint32(b[16:])), s.under.blocks)
	free := int64(-1) // first of a stretch
	for at := int64(0); at < bits; at += int64(len(b)) * 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := b[:min(int64(len(b)), (bits-at+7)/8)]
		if n, err := x.ReadAt(part, head+at/8); n < len(part) {
			return err
		}
		for i := range min(bits-at, int64(len(part))*8) {
			switch isFree := part[i/8]>>(i%8)&1 != 0; {
			case isFree && free < 0:
				free = at + i
			case !isFree && free >= 0:
				if err := fs.add(p, free, at+i-free, m); err != nil {
					return err
				}
				free = -1
			}
		}
	}
	if free >= 0 {
		return fs.add(p, free, bits-free, m)
	}
	return nil
}

// table: an entry with extents, as in a file entry (ECMA 4/14.11).
func (fs *FileSystem) table(_ context.Context, s space, m *freeMap) error {
	p := fs.on(s.under)
	b, err := fs.blockOf(p, s.at.sector)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	t, err := readTag(b)
	length := int64(le.Uint32(b[36:]))
	if err != nil || t.id != tagUnallocated || length > int64(len(b)-40) {
		return fmt.Errorf("no table in block %d", s.at.sector)
	}
	how := byte(le.Uint16(b[34:]) & 7)
	width := map[byte]int{shortExtents: 8, longExtents: 16}[how]
	if width == 0 {
		return fmt.Errorf("a table with descriptors of kind %d: %w", how, evidence.ErrUnsupported)
	}
	for list := b[40 : 40+length]; len(list) >= width; list = list[width:] {
		a := longAD{length: le.Uint32(list), block: le.Uint32(list[4:])}
		if a.bytes() == 0 {
			break
		}
		if a.kind() == extentContinues {
			return fmt.Errorf("a table of free blocks over several blocks: %w", evidence.ErrUnsupported)
		}
		if err := fs.add(p, int64(a.block), (int64(a.bytes())+fs.blockBytes-1)/fs.blockBytes, m); err != nil {
			return err
		}
	}
	return nil
}
