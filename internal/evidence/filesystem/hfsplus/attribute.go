package hfsplus

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// TN1150 "Attributes File"; the inline record is that of Mac OS X 10.4.
const (
	attributeInline  = 0x10
	attributeFork    = 0x20
	attributeExtents = 0x30

	// maxAttributes is how many attribute records are kept: 12 bytes each.
	maxAttributes = 4 << 20
	// maxPerFile is how many attributes of one file become entries.
	maxPerFile = 1024
)

// attributes says which records of the attributes file belong to which file.
type attributes struct {
	tree  *tree
	known []owned // by ID, and in the order of the leaves
}

type owned struct {
	cnid uint32
	location
}

// attribute is an extended attribute of a file.
type attribute struct {
	name  []byte // UTF-16, high byte first
	value []byte // of an inline one
	fork  *allocated
}

// rawAttribute is one record.
type rawAttribute struct {
	cnid, from uint32
	name, body []byte
	kind       uint32
}

func (a *attributes) load(ctx context.Context, t *tree) (problems []problem, err error) {
	a.tree = t
	var all, bad int
	order, err := t.walkLeaves(ctx, func(n *node) error {
		for i := range n.records() {
			r, ok := parseAttribute(n.record(i))
			if !ok {
				bad++
				continue
			}
			if all++; all <= maxAttributes {
				a.known = append(a.known, owned{r.cnid, location{n.number, uint16(i)}})
			}
		}
		return nil
	})
	problems = order.problems
	if bad > 0 {
		problems = append(problems, problem{tutela.FindingDamaged, fmt.Sprintf("%s: %d records are none", t.name, bad)})
	}
	if all > maxAttributes {
		problems = append(problems, problem{tutela.FindingLimit, fmt.Sprintf("%s: %d of %d records were left out", t.name, all-maxAttributes, all)})
	}
	sort.SliceStable(a.known, func(i, j int) bool { return a.known[i].cnid < a.known[j].cnid })
	return problems, err
}

func parseAttribute(r []byte) (a rawAttribute, ok bool) {
	const fixed = 14
	if len(r) < fixed {
		return a, false
	}
	length := int(binary.BigEndian.Uint16(r))
	name := 2 * int(binary.BigEndian.Uint16(r[12:]))
	begin := 2 + length + length&1
	if length < fixed-2+name || begin+4 > len(r) {
		return a, false
	}
	a = rawAttribute{
		cnid: binary.BigEndian.Uint32(r[4:]),
		from: binary.BigEndian.Uint32(r[8:]),
		name: r[fixed : fixed+name],
		body: r[begin:],
		kind: binary.BigEndian.Uint32(r[begin:]),
	}
	switch a.kind {
	case attributeInline:
		return a, len(a.body) >= 16 && int64(binary.BigEndian.Uint32(a.body[12:])) <= int64(len(a.body)-16)
	case attributeFork:
		return a, len(a.body) >= 8+forkBytes
	case attributeExtents:
		return a, len(a.body) >= 8+extentsBytes
	}
	return a, false
}

// of are the attributes of a file or folder.
func (a *attributes) of(fs *FileSystem, cnid uint32) (all []attribute, err error) {
	if a.tree == nil {
		return nil, nil
	}
	first := sort.Search(len(a.known), func(i int) bool { return a.known[i].cnid >= cnid })
	var n *node
	for _, o := range a.known[first:] {
		if o.cnid != cnid {
			break
		}
		if n == nil || n.number != o.node {
			if n, err = a.tree.read(o.node); err != nil {
				return all, err
			}
		}
		if int(o.record) >= n.records() {
			return all, errRecord
		}
		r, ok := parseAttribute(n.record(int(o.record)))
		if !ok {
			return all, errRecord
		}
		if all, ok = r.addTo(fs, all); !ok {
			return all, fmt.Errorf("extents of an attribute without its fork")
		}
		if len(all) > maxPerFile {
			return all[:maxPerFile], fmt.Errorf("more than %d attributes", maxPerFile)
		}
	}
	return all, nil
}

// addTo makes an attribute of the record, or adds its extents to the last one.
func (r *rawAttribute) addTo(fs *FileSystem, all []attribute) ([]attribute, bool) {
	switch r.kind {
	case attributeInline:
		size := binary.BigEndian.Uint32(r.body[12:])
		return append(all, attribute{name: r.name, value: r.body[16 : 16+size : 16+size]}), true
	case attributeFork:
		f := parseFork(r.body[8:])
		a := allocated{size: int64(min(f.size, 1<<62))}
		a.add(&fs.header, f.extents[:])
		return append(all, attribute{name: r.name, fork: &a}), true
	}
	if len(all) == 0 {
		return all, false
	}
	last := &all[len(all)-1]
	if last.fork == nil || !bytes.Equal(last.name, r.name) || last.fork.bytes() != int64(r.from)*fs.header.block {
		return all, false
	}
	x := parseExtents(r.body[8:])
	last.fork.add(&fs.header, x[:])
	return all, true
}

// bytes are the value, if it is not longer than most.
func (a *attribute) bytes(src evidence.Source, most int64) ([]byte, error) {
	if a.fork == nil {
		return a.value, nil
	}
	if a.fork.size > most {
		return nil, fmt.Errorf("an attribute of %d bytes", a.fork.size)
	}
	b := make([]byte, a.fork.size)
	err := readFull(a.fork.content(src), b, 0)
	return b, err
}
