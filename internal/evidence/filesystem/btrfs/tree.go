package btrfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// All trees are B-trees of nodes of one size: keys with items in the leaves, keys
// with addresses of nodes above (BTRFS "Trees, nodes and leaves").

// Kinds of item.
const (
	itemInode    = 1
	itemDirIndex = 96
	itemExtent   = 108
	itemRoot     = 132
	itemRootRef  = 156 // a subvolume lies in another
	itemChunk    = 228

	keyBytes     = 17
	nodeHead     = 101
	leafItem     = keyBytes + 8
	nodeItem     = keyBytes + 16
	maxLevel     = 8
	cachedNodes  = 256 // at most 16 MiB
	topLevel     = 5   // the subvolume that holds all others
	firstObject  = 256 // the root directory of a subvolume
	rootBytes    = 239 // of a root item, in its first version
	rootInstance = 176
)

type key struct {
	object uint64
	kind   byte
	offset uint64
}

var maxKey = key{1<<64 - 1, 255, 1<<64 - 1}

func parseKey(b []byte) key {
	return key{binary.LittleEndian.Uint64(b), b[8], binary.LittleEndian.Uint64(b[9:])}
}

func (k key) less(o key) bool {
	if k.object != o.object {
		return k.object < o.object
	}
	if k.kind != o.kind {
		return k.kind < o.kind
	}
	return k.offset < o.offset
}

// node is one that was checked.
type node struct {
	data  []byte
	level byte
	count int
}

// cache keeps nodes that were used lately.
type cache struct {
	mu    sync.Mutex // guards what is below
	nodes map[uint64]node
	order []uint64 // by arrival
}

func (c *cache) get(logical uint64) (node, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[logical]
	return n, ok
}

func (c *cache) put(logical uint64, n node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.nodes[logical]; ok {
		return
	}
	if len(c.order) == cachedNodes {
		delete(c.nodes, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	c.nodes[logical], c.order = n, append(c.order, logical)
}

// node reads the node at a logical address, from the first copy that is good.
func (fs *FileSystem) node(logical uint64, level byte) (node, error) {
	if n, ok := fs.nodes.get(logical); ok && n.level == level {
		return n, nil
	}
	places, most, err := fs.places(logical, uint64(fs.sb.node))
	if err != nil {
		return node{}, err
	}
	if most < uint64(fs.sb.node) {
		return node{}, fmt.Errorf("node at address %d: it lies in two chunks", logical)
	}
	var failures []error
	for _, at := range places {
		b := make([]byte, fs.sb.node)
		if err := readFull(fs.src, b, at); err != nil {
			failures = append(failures, err)
			continue
		}
		n, err := fs.checkNode(b, logical, level)
		if err != nil {
			failures = append(failures, fmt.Errorf("node at byte %d: %w", at, err))
			continue
		}
		fs.nodes.put(logical, n)
		return n, nil
	}
	return node{}, errors.Join(failures...)
}

func (fs *FileSystem) checkNode(b []byte, logical uint64, level byte) (node, error) {
	le := binary.LittleEndian
	n := node{data: b, level: b[100], count: int(le.Uint32(b[96:]))}
	item := leafItem
	if n.level > 0 {
		item = nodeItem
	}
	switch {
	case !fs.sb.goodSum(b):
		return n, errors.New("the checksum is wrong")
	case le.Uint64(b[48:]) != logical || [16]byte(b[32:48]) != fs.sb.fsid:
		return n, fmt.Errorf("it belongs to address %d", le.Uint64(b[48:]))
	case n.level != level || level > maxLevel:
		return n, fmt.Errorf("level %d, not %d", n.level, level)
	case n.count < 0 || n.count > (len(b)-nodeHead)/item:
		return n, fmt.Errorf("%d items", n.count)
	}
	return n, nil
}

func (n *node) key(i int) key {
	if n.level > 0 {
		return parseKey(n.data[nodeHead+i*nodeItem:])
	}
	return parseKey(n.data[nodeHead+i*leafItem:])
}

// child is the address that item i of a node leads to.
func (n *node) child(i int) uint64 {
	return binary.LittleEndian.Uint64(n.data[nodeHead+i*nodeItem+keyBytes:])
}

// item is the data of item i of a leaf.
func (n *node) item(i int) ([]byte, error) {
	h := n.data[nodeHead+i*leafItem+keyBytes:]
	from, length := uint64(binary.LittleEndian.Uint32(h)), uint64(binary.LittleEndian.Uint32(h[4:]))
	body := n.data[nodeHead:]
	if from+length > uint64(len(body)) {
		return nil, fmt.Errorf("item %d lies outside its leaf", i)
	}
	return body[from : from+length], nil
}

// scan visits the items with keys from first to last, in order. A node above must
// name the first key of each node below, and that must end before the next
// begins: so no node is gone into twice, wherever its addresses lead.
func (fs *FileSystem) scan(root node, first, last key, give func(key, []byte) error) error {
	return fs.scanNode(root, first, last, maxKey, give)
}

func (fs *FileSystem) scanNode(n node, first, last, end key, give func(key, []byte) error) error {
	if n.level == 0 {
		return n.leaf(first, last, give)
	}
	for i := range n.count {
		k, next := n.key(i), end
		if i+1 < n.count {
			next = n.key(i + 1)
		}
		if !k.less(next) {
			return errOrder
		}
		if last.less(k) {
			return nil
		}
		if i+1 < n.count && !first.less(next) {
			continue // all below is before
		}
		child, err := fs.node(n.child(i), n.level-1)
		if err != nil {
			return err
		}
		if child.count == 0 || child.key(0) != k || !child.key(child.count-1).less(next) && next != maxKey {
			return errOrder
		}
		if err := fs.scanNode(child, first, last, next, give); err != nil {
			return err
		}
	}
	return nil
}

var errOrder = errors.New("the keys of a tree are not in order")

func (n *node) leaf(first, last key, give func(key, []byte) error) error {
	for i := range n.count {
		k := n.key(i)
		if i > 0 && !n.key(i-1).less(k) {
			return errOrder
		}
		if k.less(first) {
			continue
		}
		if last.less(k) {
			return nil
		}
		b, err := n.item(i)
		if err != nil {
			return err
		}
		if err := give(k, b); err != nil {
			return err
		}
	}
	return nil
}

var errNone = errors.New("it is not there")

// lookup is the item with exactly that key.
func (fs *FileSystem) lookup(root node, k key) (found []byte, err error) {
	err = fs.scan(root, k, k, func(_ key, b []byte) error {
		found = b
		return nil
	})
	if err == nil && found == nil {
		err = errNone
	}
	return found, err
}

// subvolume is the root of the tree of a subvolume.
func (fs *FileSystem) subvolume(id uint64) (root node, err error) {
	var item []byte
	err = fs.scan(fs.roots, key{id, itemRoot, 0}, key{id, itemRoot, 1<<64 - 1}, func(_ key, b []byte) error {
		item = b // of several the last is in force
		return nil
	})
	if err != nil {
		return root, err
	}
	if len(item) < rootBytes {
		return root, fmt.Errorf("subvolume %d: %w", id, errNone)
	}
	return fs.node(binary.LittleEndian.Uint64(item[rootInstance:]), item[rootBytes-1])
}
