package apfs

import (
	"fmt"
)

// Flags of a mapping (Reference "Object Map Value Flags").
const (
	mappingDeleted   = 0x01
	mappingEncrypted = 0x04
	mappingNoHeader  = 0x08
)

// objectMap says where the virtual objects of a container or a volume lie
// (Reference "Object Maps").
type objectMap struct {
	tree tree
	xid  uint64 // of the checkpoint that is looked at
}

// openMap opens the object map at a block as it was at a transaction.
func openMap(nodes *nodes, block, xid uint64, name string) (*objectMap, error) {
	o, err := nodes.physical(block, xid, typeObjectMap, name)
	if err != nil {
		return nil, err
	}
	root := little.Uint64(o.raw[48:])
	m := &objectMap{xid: xid, tree: tree{
		nodes: nodes, name: name, root: place{block: root, oid: root, xid: xid},
		subtype: typeObjectMap, storage: storagePhysical, keySize: 16, valueSize: 16,
		order: numbers, child: physicalChild(xid),
	}}
	_, err = m.tree.node(m.tree.root, -1)
	return m, err
}

// mapping is where a virtual object lies.
type mapping struct {
	place
	flags uint32
}

// find is where the object lies whose last change was at the map's transaction
// or before it.
func (m *objectMap) find(oid uint64) (mapping, error) {
	key, value, err := m.tree.last(order{oid, m.xid})
	if err != nil {
		return mapping{}, err
	}
	if key == nil || numbers(key)[0] != oid {
		return mapping{}, damaged("object %d is not in the %s", oid, m.tree.name)
	}
	at := mapping{
		place: place{block: little.Uint64(value[8:]), oid: oid, xid: numbers(key)[1], exact: true},
		flags: little.Uint32(value),
	}
	if at.flags&mappingDeleted != 0 {
		return at, damaged("object %d is deleted in the %s", oid, m.tree.name)
	}
	return at, nil
}

// place is find where only the place is of interest.
func (m *objectMap) place(oid uint64) (place, error) {
	at, err := m.find(oid)
	return at.place, err
}

// object reads a virtual object of one block.
func (m *objectMap) object(oid uint64, kind uint32, what string) (*object, error) {
	at, err := m.find(oid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	o, err := m.tree.nodes.object(at.block, m.tree.nodes.blockSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if !o.is(kind, storageVirtual) || o.oid != oid || o.xid != at.xid {
		return nil, damaged("%s: block %d holds something else", what, at.block)
	}
	return o, nil
}
