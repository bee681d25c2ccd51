package apfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"

	"tutela"
)

// Layout of a node (Reference "btree_node_phys_t", "btree_info_t").
const (
	nodeHeader = 56
	nodeFooter = 40 // of the root only

	nodeRoot     = 0x01
	nodeLeaf     = 0x02
	nodeFixed    = 0x04 // keys and values of one size
	nodeHashed   = 0x08
	nodeNoHeader = 0x10

	maxLevel = 16 // of a tree; real ones have four or five
	noValue  = 0xffff
	// maxSought is how many nodes the records of one object may lie in: extents
	// of a file, some sixty in a node.
	maxSought  = 16 << 10
	cacheBytes = 16 << 20
)

// order is what keys are sorted by: the two numbers they begin with.
type order [2]uint64

func (a order) before(b order) bool {
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

// numbers is the order of keys that are two numbers: object and transaction.
func numbers(key []byte) order {
	return order{little.Uint64(key), little.Uint64(key[8:])}
}

// identifier is the order of keys that begin with the identifier of an object
// and the type of a record in one number (Reference "j_key_t").
func identifier(key []byte) order {
	head := little.Uint64(key)
	return order{head & identifierMask, head >> identifierBits}
}

const (
	identifierBits = 60
	identifierMask = 1<<identifierBits - 1
)

// place is where an object lies, and which it must be.
type place struct {
	block, oid, xid uint64
	exact           bool              // xid is that of the object, not the youngest it may have
	hash            [sha256.Size]byte // of a node in a hashed tree
}

// tree is a B-tree.
type tree struct {
	nodes     *nodes
	name      string // for people
	root      place
	subtype   uint32 // anyType: not looked at
	storage   uint32
	keySize   int // bytes; 0 where records say it
	valueSize int
	ghosts    bool // a record may have no value
	// hashed: nodes have no head, and their parent knows the SHA-256 of each
	// (Reference "Sealed Volumes").
	hashed bool
	order  func(key []byte) order
	// child is where the node with an identifier lies.
	child func(oid uint64) (place, error)
	// extents is the tree that holds the extents of a sealed volume's files;
	// nil where they are among the other records.
	extents *tree
}

// physicalChild is the child of a tree whose nodes are named by their block.
func physicalChild(xid uint64) func(uint64) (place, error) {
	return func(oid uint64) (place, error) { return place{block: oid, oid: oid, xid: xid}, nil }
}

// node is a block of a tree whose records have been held against its bounds.
type node struct {
	*object
	flags  uint16
	level  int
	count  int
	table  int // where the table of contents begins
	keys   int // where the keys begin
	values int // where the values end
	sizes  [2]int
	hash   [sha256.Size]byte // of a node in a hashed tree
}

func (n *node) leaf() bool { return n.level == 0 }

// slot is the places of record i: key and value in bytes of the node.
func (n *node) slot(i int) (key, keyEnd, value, valueEnd int) {
	t := n.raw[n.table:]
	if n.flags&nodeFixed != 0 {
		t = t[4*i:]
		key = n.keys + int(little.Uint16(t))
		if at := int(little.Uint16(t[2:])); at != noValue {
			value = n.values - at
			valueEnd = value + n.sizes[1]
		}
		return key, key + n.sizes[0], value, valueEnd
	}
	t = t[8*i:]
	key = n.keys + int(little.Uint16(t))
	if at := int(little.Uint16(t[4:])); at != noValue {
		value = n.values - at
		valueEnd = value + int(little.Uint16(t[6:]))
	}
	return key, key + int(little.Uint16(t[2:])), value, valueEnd
}

func (n *node) key(i int) []byte {
	from, to, _, _ := n.slot(i)
	return n.raw[from:to:to]
}

func (n *node) value(i int) []byte {
	_, _, from, to := n.slot(i)
	return n.raw[from:to:to]
}

// records is the count of all records of the tree that n is the root of.
func (n *node) records() uint64 { return little.Uint64(n.raw[len(n.raw)-16:]) }

// nodes keeps the nodes that were read last. It belongs to one walk.
type nodes struct {
	*container
	young, old map[uint64]*node
	bytes      int64 // of young
}

func newNodes(c *container) *nodes {
	return &nodes{container: c, young: map[uint64]*node{}}
}

func (ns *nodes) get(block uint64) *node {
	if n := ns.young[block]; n != nil {
		return n
	}
	n := ns.old[block]
	if n != nil {
		ns.put(n)
	}
	return n
}

func (ns *nodes) put(n *node) {
	if ns.bytes >= cacheBytes {
		ns.young, ns.old, ns.bytes = map[uint64]*node{}, ns.young, 0
	}
	ns.young[n.block] = n
	ns.bytes += int64(len(n.raw))
}

// node reads the node at a place, which must be of a level; -1 is the root's,
// whatever it is.
func (t *tree) node(at place, level int) (*node, error) {
	n := t.nodes.get(at.block)
	if n == nil {
		var err error
		if n, err = t.read(at.block); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if !t.meant(n, at) {
		return nil, damaged("%s: block %d holds something else", t.name, at.block)
	}
	if n.table == 0 {
		if err := t.lay(n, at == t.root); err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", t.name, at.block, err)
		}
		t.nodes.put(n)
	}
	if level >= 0 && n.level != level {
		return nil, damaged("%s: block %d is of level %d, not %d", t.name, at.block, n.level, level)
	}
	return n, nil
}

// read reads a node, and its hash where that is what tells that it is right.
func (t *tree) read(block uint64) (*node, error) {
	if !t.hashed {
		o, err := t.nodes.object(block, t.nodes.blockSize)
		return &node{object: o}, err
	}
	raw, err := t.nodes.container.read(block, t.nodes.blockSize)
	return &node{object: &object{block: block, raw: raw}, hash: sha256.Sum256(raw)}, err
}

// next is where the child lies that a record of a node leads to. Hashed trees
// count identifiers from that of their root.
func (t *tree) next(value []byte) (place, error) {
	oid := little.Uint64(value)
	if !t.hashed {
		return t.child(oid)
	}
	if len(value) < 8+sha256.Size {
		return place{}, damaged("object %d has no hash", oid)
	}
	at, err := t.child(oid + t.root.oid)
	at.hash = [sha256.Size]byte(value[8:])
	return at, err
}

// meant reports whether n is the node that was looked for.
func (t *tree) meant(n *node, at place) bool {
	if t.hashed {
		return n.hash == at.hash && at.hash != [sha256.Size]byte{}
	}
	kind := uint32(typeNode)
	if at == t.root {
		kind = typeRoot
	}
	switch {
	case !n.is(kind, t.storage), n.oid != at.oid, n.xid > at.xid, at.exact && n.xid != at.xid:
		return false
	}
	return t.subtype == anyType || n.subtype == t.subtype
}

// lay finds the parts of a node and holds each record against them.
func (t *tree) lay(n *node, isRoot bool) error {
	b := n.raw
	n.flags, n.level, n.count = little.Uint16(b[32:]), int(little.Uint16(b[34:])), int(little.Uint32(b[36:]))
	n.table = nodeHeader + int(little.Uint16(b[40:]))
	n.keys = n.table + int(little.Uint16(b[42:]))
	n.values = len(b)
	n.sizes = [2]int{t.keySize, t.valueSize}
	if n.level > 0 {
		n.sizes[1] = 8
	}
	entry := 8
	if n.flags&nodeFixed != 0 {
		entry = 4
	}
	if isRoot {
		n.values -= nodeFooter
		if size := little.Uint32(b[n.values+4:]); int64(size) != int64(len(b)) {
			return &flaw{tutela.FindingUnsupported, fmt.Sprintf("nodes of %d bytes are not read", size)}
		}
	}
	switch {
	case n.flags&(nodeHashed|nodeNoHeader) != 0 && !t.hashed:
		return &flaw{tutela.FindingUnsupported, "hashed nodes are not read"}
	case n.level > maxLevel, (n.flags&nodeLeaf != 0) != n.leaf(), (n.flags&nodeRoot != 0) != isRoot,
		n.flags&nodeFixed != 0 && t.keySize == 0, n.keys > n.values, n.count > (n.keys-n.table)/entry:
		return damaged("its head does not hold together")
	case n.count == 0 && !isRoot:
		return damaged("it is empty")
	}
	return t.check(n)
}

// check holds the bounds and the order of the records of n.
func (t *tree) check(n *node) error {
	least := 8
	if t.keySize > 0 {
		least = t.keySize
	}
	var last order
	for i := range n.count {
		key, keyEnd, value, valueEnd := n.slot(i)
		switch {
		case keyEnd > n.values || keyEnd-key < least, value < 0 || value > valueEnd || valueEnd > n.values,
			value > 0 && value < n.keys:
			return damaged("record %d lies outside its block", i)
		case value == 0 && (!t.ghosts || !n.leaf()), !n.leaf() && valueEnd-value < 8,
			value > 0 && n.leaf() && valueEnd-value < t.valueSize:
			return damaged("record %d has no value", i)
		}
		now := t.order(n.raw[key:])
		if i > 0 && (now.before(last) || now == last && t.keySize > 0) {
			return damaged("record %d is out of order", i)
		}
		last = now
	}
	return nil
}

// scan visits every record in order and goes on behind nodes that cannot be
// read: bad is told. Nodes in seen are passed over, those read are added; again
// is told of a node that was read before.
func (t *tree) scan(ctx context.Context, seen map[uint64]bool, visit func(key, value []byte) error, bad, again func(error)) error {
	s := &scan{t, seen, visit, bad, again}
	return s.below(ctx, t.root, -1)
}

type scan struct {
	*tree
	seen       map[uint64]bool
	visit      func(key, value []byte) error
	bad, again func(error)
}

func (s *scan) below(ctx context.Context, at place, level int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.seen[at.block] {
		s.again(damaged("%s: block %d is met twice", s.name, at.block))
		return nil
	}
	n, err := s.node(at, level)
	if err != nil {
		s.bad(err)
		return nil
	}
	s.seen[at.block] = true
	for i := range n.count {
		if n.leaf() {
			err = s.visit(n.key(i), n.value(i))
		} else if next, problem := s.next(n.value(i)); problem != nil {
			s.bad(fmt.Errorf("%s: %w", s.name, problem))
		} else {
			err = s.below(ctx, next, n.level-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// from visits the records from the first on that is not before target, until
// visit returns false.
func (t *tree) from(target order, visit func(key, value []byte) bool) error {
	f := &from{tree: t, target: target, visit: visit}
	_, err := f.node(t.root, -1)
	return err
}

type from struct {
	*tree
	target order
	visit  func(key, value []byte) bool
	seen   []uint64 // blocks of nodes
}

func (f *from) node(at place, level int) (more bool, err error) {
	if slices.Contains(f.seen, at.block) {
		return false, damaged("%s: block %d is met twice", f.name, at.block)
	}
	if len(f.seen) == maxSought {
		return false, &flaw{tutela.FindingLimit, fmt.Sprintf("%s: object %d has too many records", f.name, f.target[0])}
	}
	f.seen = append(f.seen, at.block)
	n, err := f.tree.node(at, level)
	if err != nil {
		return false, err
	}
	i := sort.Search(n.count, func(i int) bool { return !f.order(n.key(i)).before(f.target) })
	if !n.leaf() && i > 0 {
		i-- // the child before may end with keys that are not before target
	}
	for more = true; i < n.count && more; i++ {
		if n.leaf() {
			more = f.visit(n.key(i), n.value(i))
			continue
		}
		next, err := f.next(n.value(i))
		if err != nil {
			return false, fmt.Errorf("%s: %w", f.name, err)
		}
		if more, err = f.node(next, n.level-1); err != nil {
			return false, err
		}
	}
	return more, nil
}

// last is the last record that is not behind target; both nil where there is
// none.
func (t *tree) last(target order) (key, value []byte, err error) {
	at, level := t.root, -1
	for {
		n, err := t.node(at, level)
		if err != nil {
			return nil, nil, err
		}
		i := sort.Search(n.count, func(i int) bool { return target.before(t.order(n.key(i))) }) - 1
		if i < 0 {
			return nil, nil, nil
		}
		if n.leaf() {
			return n.key(i), n.value(i), nil
		}
		if at, err = t.next(n.value(i)); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", t.name, err)
		}
		level = n.level - 1
	}
}
