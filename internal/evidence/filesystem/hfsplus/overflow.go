package hfsplus

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	"tutela"
)

// maxOverflow is how many records of the extents overflow file are kept: 16
// bytes each. One describes eight fragments.
const maxOverflow = 2 << 20

// maxExtents is how many extents of one fork are followed.
const maxExtents = 1 << 20

// location is a record in a leaf of a tree.
type location struct {
	node   uint32
	record uint16
}

// overflow says where the extents lie that a fork has beyond its first eight:
// TN1150 "Extents Overflow File".
type overflow struct {
	tree  *tree
	known map[forkKey][]further
}

type forkKey struct {
	cnid uint32
	kind uint8
}

// further is one record, and the first block of the fork that it describes.
type further struct {
	from uint32
	location
}

// load learns where each record lies.
func (o *overflow) load(ctx context.Context, t *tree) []problem {
	o.tree, o.known = t, map[forkKey][]further{}
	var kept, bad int
	order, err := t.walkLeaves(ctx, func(n *node) error {
		for i := range n.records() {
			key, from, _, ok := parseOverflow(n.record(i))
			if !ok {
				bad++
				continue
			}
			if kept++; kept > maxOverflow {
				continue
			}
			o.known[key] = append(o.known[key], further{from, location{n.number, uint16(i)}})
		}
		return nil
	})
	for _, list := range o.known {
		slices.SortStableFunc(list, func(a, b further) int { return cmp.Compare(a.from, b.from) })
	}
	problems := order.problems
	if err != nil {
		problems = append(problems, problem{tutela.FindingDamaged, err.Error()})
	}
	if bad > 0 {
		problems = append(problems, problem{tutela.FindingDamaged, fmt.Sprintf("%s: %d records are none", t.name, bad)})
	}
	if kept > maxOverflow {
		problems = append(problems, problem{tutela.FindingLimit, fmt.Sprintf("%s: %d of %d records were left out", t.name, kept-maxOverflow, kept)})
	}
	return problems
}

func parseOverflow(r []byte) (key forkKey, from uint32, x [extentsPerRecord]blocks, ok bool) {
	const keyBytes = 10
	if len(r) < 2+keyBytes+extentsBytes || binary.BigEndian.Uint16(r) != keyBytes {
		return key, 0, x, false
	}
	key = forkKey{binary.BigEndian.Uint32(r[4:]), r[2]}
	return key, binary.BigEndian.Uint32(r[8:]), parseExtents(r[2+keyBytes:]), true
}

// at are the extents of a fork from one of its blocks on.
func (o *overflow) at(key forkKey, from int64) (x [extentsPerRecord]blocks, ok bool) {
	list := o.known[key]
	i := sort.Search(len(list), func(i int) bool { return int64(list[i].from) >= from })
	if i == len(list) || int64(list[i].from) != from {
		return x, false
	}
	n, err := o.tree.read(list[i].node)
	if err != nil || int(list[i].record) >= n.records() {
		return x, false
	}
	_, _, x, ok = parseOverflow(n.record(int(list[i].record)))
	return x, ok
}

// resolve finds all that a fork was given.
func (fs *FileSystem) resolve(f fork, cnid uint32, kind uint8) allocated {
	a := allocated{size: int64(min(f.size, math.MaxInt64))}
	have := count(f.extents[:])
	good := a.add(&fs.header, f.extents[:])
	for good && have < int64(f.total) && f.extents[extentsPerRecord-1].count > 0 && len(a.extents) < maxExtents {
		x, ok := fs.overflow.at(forkKey{cnid, kind}, have)
		n := count(x[:])
		if !ok || n == 0 {
			break
		}
		good = a.add(&fs.header, x[:])
		have += n
	}
	if a.problem == "" && a.bytes() < a.size {
		a.problem = fmt.Sprintf("extents for %d of %d bytes", a.bytes(), a.size)
	}
	return a
}

// badBlocks are what the overflow file keeps under the ID of the bad block file.
func (fs *FileSystem) badBlocks() allocated {
	var a allocated
	for _, f := range fs.overflow.known[forkKey{cnidBadBlocks, dataFork}] {
		if len(a.extents) >= maxExtents {
			break
		}
		if x, ok := fs.overflow.at(forkKey{cnidBadBlocks, dataFork}, int64(f.from)); ok {
			a.add(&fs.header, x[:])
		}
	}
	a.size = a.bytes()
	return a
}
