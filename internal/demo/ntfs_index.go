package demo

import (
	"fmt"
	"slices"
	"unicode"
)

// indexRootLimit is how long the entries of a directory may be to lie in its
// MFT record.
const indexRootLimit = 400

// index gives a directory its $I30: in the record if it is short, else in one
// index block.
func (v *ntfsVolume) index(dir *ntfsNode) error {
	entries := v.indexEntries(dir)
	if len(entries) <= indexRootLimit {
		dir.attributes = append(dir.attributes, indexRoot("$I30", attrFileName, collateFileName, nameRoot(entries)))
		return nil
	}
	block, err := indexBlock(entries)
	if err != nil {
		return fmt.Errorf("%s: %w", dir.name, err)
	}
	r, err := v.store(block)
	if err != nil {
		return err
	}
	dir.attributes = append(dir.attributes,
		indexRoot("$I30", attrFileName, collateFileName, blockRoot()),
		attribute{kind: attrIndexAllocation, name: "$I30", runs: []run{r}, size: indexBlockSize},
		resident(attrBitmap, "$I30", []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	return nil
}

// indexEntries is one entry for each child, in the order of their names.
func (v *ntfsVolume) indexEntries(dir *ntfsNode) []byte {
	var children []*ntfsNode
	for _, n := range v.nodes {
		if n.parent == dir && !n.deleted && !n.nameless {
			children = append(children, n)
		}
	}
	slices.SortFunc(children, func(a, b *ntfsNode) int { return collate(a.name, b.name) })
	var b []byte
	for _, n := range children {
		b = append(b, indexEntry(n)...)
	}
	return b
}

func indexEntry(n *ntfsNode) []byte {
	key := n.fileName()
	b := make([]byte, 16)
	le.PutUint64(b, n.reference())
	le.PutUint16(b[10:], uint16(len(key)))
	b = padded(append(b, key...), 8)
	le.PutUint16(b[8:], uint16(len(b)))
	return b
}

// Flags of an index entry.
const (
	entryHasBlock = 1
	entryLast     = 2
)

// lastEntry ends a list of entries.
func lastEntry() []byte { return []byte{0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, entryLast, 0, 0, 0} }

// lastEntryWithBlock ends a list that has nothing but a way to index block 0.
func lastEntryWithBlock() []byte {
	return append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, entryHasBlock | entryLast, 0, 0, 0}, make([]byte, 8)...)
}

// nodeHeader precedes entries: where they begin, end, and may end, in bytes
// from itself.
func nodeHeader(begin, length, room int, flags byte) []byte {
	b := make([]byte, 16)
	le.PutUint32(b, uint32(begin))
	le.PutUint32(b[4:], uint32(begin+length))
	le.PutUint32(b[8:], uint32(room))
	b[12] = flags
	return b
}

// nameRoot is a node in an index root that holds all entries.
func nameRoot(entries []byte) []byte {
	entries = append(slices.Clone(entries), lastEntry()...)
	return append(nodeHeader(16, len(entries), 16+len(entries), 0), entries...)
}

// blockRoot is a node in an index root that leads to block 0.
func blockRoot() []byte {
	entries := lastEntryWithBlock()
	return append(nodeHeader(16, len(entries), 16+len(entries), 1), entries...)
}

// Collation rules of indexes.
const (
	collateFileName     = 0x01
	collateNumber       = 0x10
	collateSecurityHash = 0x12
)

// indexRoot is $INDEX_ROOT of an index over attributes of a kind, 0 for none.
func indexRoot(name string, over attributeKind, rule uint32, node []byte) attribute {
	b := make([]byte, 16)
	le.PutUint32(b, uint32(over))
	le.PutUint32(b[4:], rule)
	le.PutUint32(b[8:], indexBlockSize)
	b[12] = indexBlockSize / clusterSize
	return resident(attrIndexRoot, name, append(b, node...))
}

// indexBlock is an INDX block at virtual cluster 0 without blocks below it.
func indexBlock(entries []byte) ([]byte, error) {
	const header, begin = 24, 40 // entries begin 40 bytes behind the node header's start
	b := make([]byte, header)
	copy(b, "INDX")
	le.PutUint16(b[4:], 40)
	le.PutUint16(b[6:], 1+indexBlockSize/sectorSize)
	entries = append(slices.Clone(entries), lastEntry()...)
	b = append(b, nodeHeader(begin, len(entries), indexBlockSize-header, 0)...)
	b = append(append(b, make([]byte, begin-16)...), entries...)
	if len(b) > indexBlockSize {
		return nil, fmt.Errorf("too many files for one index block: %d bytes", len(b))
	}
	b = padded(b, indexBlockSize)
	protect(b)
	return b, nil
}

// upper is a UTF-16 unit as $UpCase maps it.
func upper(unit uint16) uint16 {
	if u := unicode.ToUpper(rune(unit)); u <= 0xffff {
		return uint16(u)
	}
	return unit
}

// collate compares names as NTFS orders them: by UTF-16 units in upper case.
func collate(a, b string) int {
	x, y := utf16le(a), utf16le(b)
	for len(x) > 0 && len(y) > 0 {
		if d := int(upper(le.Uint16(x))) - int(upper(le.Uint16(y))); d != 0 {
			return d
		}
		x, y = x[2:], y[2:]
	}
	return len(x) - len(y)
}
