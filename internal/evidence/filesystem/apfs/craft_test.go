package apfs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// craft builds containers: enough of the format for this reader, The Sleuth Kit
// and libfsapfs to read them. Nothing is written in place but block 0, so each
// commit leaves the ones before it behind, as on a Mac.
type craft struct {
	size    int // bytes of a block
	img     []byte
	xid     uint64
	used    []bool   // by block
	next    uint64   // block that is given out
	queue   []uint64 // blocks that are free but still marked
	oid     uint64   // the next one
	volumes []*craftVolume
	shared  map[string]craftNode

	features  uint64 // incompatible, of the container
	areaTree  bool   // the descriptor area is described by a tree
	lists     bool   // chunk descriptions are listed in a block of their own
	perNode   int    // records
	mounted   uint64 // of the volume
	sealed    bool   // the volume is to be a sealed one
	sealing   bool   // the tree that is written is that of a sealed volume
	rootHash  [sha256.Size]byte
	softwares uint64 // flags of the container
}

// craftNode is a node that a commit can take over from the one before.
type craftNode struct {
	oid, block, xid uint64
}

type craftVolume struct {
	oid, root    uint64
	name         string
	role         uint16
	incompatible uint64
	flags        uint64
	records      []craftRecord
	next         uint64 // inode
	snapshots    []craftSnapshot
	mounted      uint64        // transaction of a snapshot
	seal, fext   uint64        // of a sealed volume
	kept         []craftRecord // mappings that snapshots need
	mappings     []craftRecord // of the last commit
}

type craftSnapshot struct {
	xid, block uint64
	name       string
}

type craftRecord struct{ key, value []byte }

const (
	craftArea     = 1 // first block of the descriptor area
	craftAreaSize = 12
	craftData     = craftArea + craftAreaSize
	craftDataSize = 18
	craftFirst    = craftData + craftDataSize // first block that is given out
	craftQueue    = 0x500                     // identifiers of ephemeral objects
	craftSpace    = 0x400
)

var craftTime = time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)

func newCraft(blockSize, blocks int) *craft {
	c := &craft{
		size: blockSize, img: make([]byte, blockSize*blocks), used: make([]bool, blocks), oid: 0x600, next: craftFirst,
		features: containerVersion2, shared: map[string]craftNode{}, perNode: 7,
	}
	for i := range craftFirst {
		c.used[i] = true
	}
	return c
}

func put(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch v := p.(type) {
		case uint8:
			b = append(b, v)
		case uint16:
			b = little.AppendUint16(b, v)
		case uint32:
			b = little.AppendUint32(b, v)
		case uint64:
			b = little.AppendUint64(b, v)
		case []byte:
			b = append(b, v...)
		case string:
			b = append(b, v...)
		default:
			panic(fmt.Sprintf("%T", p))
		}
	}
	return b
}

// at overwrites bytes of b.
func at(b []byte, offset int, parts ...any) { copy(b[offset:], put(parts...)) }

func seal(b []byte) { little.PutUint64(b, checksum(b[8:])) }

// store gives an object its head and its place.
func (c *craft) store(block, oid uint64, kind, subtype uint32, b []byte) {
	at(b, 8, oid, c.xid, kind, subtype)
	seal(b)
	copy(c.img[int(block)*c.size:], b)
}

// alloc gives out n blocks in a row, never one that was given out before.
func (c *craft) alloc(n int) uint64 {
	first := c.next
	c.next += uint64(n)
	for i := range c.used[first:c.next] {
		c.used[int(first)+i] = true
	}
	return first
}

// data stores a content and gives its extents' values, in pieces of piece blocks.
func (c *craft) data(content []byte, piece int) (blocks []uint64) {
	for len(content) > 0 {
		part := content[:min(len(content), piece*c.size)]
		content = content[len(part):]
		n := (len(part) + c.size - 1) / c.size
		at := c.alloc(n)
		copy(c.img[int(at)*c.size:], part)
		for i := range n {
			blocks = append(blocks, at+uint64(i))
		}
		if piece < 1000 {
			c.alloc(1) // keep pieces apart
		}
	}
	return blocks
}

func (c *craft) volume(name string, incompatible uint64) *craftVolume {
	c.oid += 2
	v := &craftVolume{oid: c.oid - 1, root: c.oid, name: name, incompatible: incompatible, flags: volumeUnencrypted, next: 16}
	c.volumes = append(c.volumes, v)
	v.inode(inodeRoot, inodeRootParent, "root", modeDirectory)
	v.inode(inodePrivate, inodeRootParent, "private-dir", modeDirectory)
	v.link(inodeRootParent, "root", inodeRoot, modeDirectory)
	v.link(inodeRootParent, "private-dir", inodePrivate, modeDirectory)
	return v
}

func (v *craftVolume) add(key, value []byte) { v.records = append(v.records, craftRecord{key, value}) }

func (v *craftVolume) new() uint64 { v.next++; return v.next - 1 }

func head(oid uint64, kind uint64) uint64 { return oid | kind<<identifierBits }

// field is an extended field.
func field(kind byte, value []byte) craftRecord { return craftRecord{[]byte{kind, 0}, value} }

func fields(all []craftRecord) []byte {
	table, values := []byte{}, []byte{}
	for _, f := range all {
		table = put(table, f.key, uint16(len(f.value)))
		values = append(values, f.value...)
		values = append(values, make([]byte, -len(f.value)&7)...)
	}
	return put(uint16(len(all)), uint16(len(values)), table, values)
}

func (v *craftVolume) inode(oid, parent uint64, name string, mode uint16, more ...craftRecord) []byte {
	b := make([]byte, inodeSize)
	ns := uint64(craftTime.UnixNano())
	at(b, 0, parent, oid, ns, ns+1e9, ns+2e9, ns+3e9)
	at(b, 56, uint32(1))
	at(b, 80, mode)
	b = put(b, fields(append([]craftRecord{field(fieldName, put(name, "\x00"))}, more...)))
	v.add(put(head(oid, recordInode)), b)
	return b
}

func (v *craftVolume) link(parent uint64, name string, oid uint64, mode uint16) {
	key := put(head(parent, recordEntry))
	if v.incompatible&(volumeCaseInsensitive|volumeNormalizationInsensitive) != 0 {
		var wide []byte
		for _, r := range strings.ToLower(name) {
			wide = put(wide, uint32(r))
		}
		hash := ^crc32.Checksum(wide, crc32.MakeTable(crc32.Castagnoli)) & 0x3fffff
		key = put(key, hash<<10|uint32(len(name)+1), name, "\x00")
	} else {
		key = put(key, uint16(len(name)+1), name, "\x00")
	}
	v.add(key, put(oid, uint64(craftTime.UnixNano()), mode>>12))
}

func (v *craftVolume) directory(parent uint64, name string) uint64 {
	oid := v.new()
	v.inode(oid, parent, name, modeDirectory)
	v.link(parent, name, oid, modeDirectory)
	return oid
}

func dataStream(size, allocated int) []byte {
	return put(uint64(size), uint64(allocated), uint64(0), uint64(0), uint64(0))
}

// extents records where a stream lies; block 0 is a hole.
func (v *craftVolume) extents(c *craft, stream uint64, blocks []uint64) {
	for i := 0; i < len(blocks); {
		n := 1
		for i+n < len(blocks) && (blocks[i] == 0 && blocks[i+n] == 0 || blocks[i] != 0 && blocks[i+n] == blocks[i]+uint64(n)) {
			n++
		}
		v.add(put(head(stream, recordExtent), uint64(i*c.size)), put(uint64(n*c.size), blocks[i], uint64(0)))
		i += n
	}
}

// fileAt records a file whose content lies in blocks.
func (v *craftVolume) fileAt(c *craft, parent uint64, name string, size int, blocks []uint64) uint64 {
	oid := v.new()
	v.inode(oid, parent, name, modeFile, field(fieldStream, dataStream(size, len(blocks)*c.size)))
	v.link(parent, name, oid, modeFile)
	v.extents(c, oid, blocks)
	return oid
}

func (v *craftVolume) file(c *craft, parent uint64, name string, content []byte) uint64 {
	return v.fileAt(c, parent, name, len(content), c.data(content, 1000))
}

// small records an attribute that is kept in its record.
func (v *craftVolume) small(oid uint64, name string, value []byte) {
	v.add(put(head(oid, recordAttribute), uint16(len(name)+1), name, "\x00"), put(uint16(attributeHere), uint16(len(value)), value))
}

// large records an attribute that is kept in a stream.
func (v *craftVolume) large(c *craft, oid uint64, name string, value []byte) {
	stream, blocks := v.new(), c.data(value, 1000)
	v.add(put(head(oid, recordAttribute), uint16(len(name)+1), name, "\x00"),
		put(uint16(attributeStore), uint16(8+streamSize), stream, dataStream(len(value), len(blocks)*c.size)))
	v.extents(c, stream, blocks)
}

// find is the value of the first record of an identifier and type.
func (v *craftVolume) find(oid, kind uint64) []byte {
	for _, r := range v.records {
		if identifier(r.key) == (order{oid, kind}) {
			return r.value
		}
	}
	panic("no such record")
}

// remove takes a file away; its blocks are free then, or wait to be.
func (v *craftVolume) remove(c *craft, oid uint64, waiting bool) {
	v.records = slices.DeleteFunc(v.records, func(r craftRecord) bool {
		id := identifier(r.key)
		if id == (order{oid, recordExtent}) {
			e, _ := parseExtent(r.key, r.value)
			for i := range e.length / uint64(c.size) {
				if e.block == 0 {
					continue
				} else if waiting {
					c.queue = append(c.queue, e.block+i)
				} else {
					c.used[e.block+i] = false
				}
			}
		}
		return id[0] == oid || id[1] == recordEntry && little.Uint64(r.value) == oid
	})
}

// compareKeys is the order of a tree.
func compareKeys(order func([]byte) order) func(a, b craftRecord) int {
	return func(a, b craftRecord) int {
		switch x, y := order(a.key), order(b.key); {
		case x.before(y):
			return -1
		case y.before(x):
			return 1
		}
		if order(a.key)[1] == recordExtent && len(a.key) == 16 {
			return int(little.Uint64(a.key[8:])) - int(little.Uint64(b.key[8:]))
		}
		if order(a.key)[1] == recordEntry && len(a.key) > 12 && len(b.key) > 12 { // by hash, if there is one
			if x, y := little.Uint32(a.key[8:]), little.Uint32(b.key[8:]); x>>16 > 0 && x != y {
				return cmp.Compare(x, y)
			}
		}
		return bytes.Compare(a.key[8:], b.key[8:])
	}
}

// node lays out a node.
func (c *craft) node(level int, isRoot, fixed bool, records []craftRecord, count, nodes uint64) []byte {
	b := make([]byte, c.size)
	flags, entry, end := uint16(0), 8, c.size
	if level == 0 {
		flags |= nodeLeaf
	}
	if c.sealing {
		flags |= nodeHashed | nodeNoHeader
	}
	if fixed {
		flags |= nodeFixed
		entry = 4
	}
	if isRoot {
		flags |= nodeRoot
		end -= nodeFooter
		sizes := [2]uint32{}
		if fixed {
			sizes = [2]uint32{16, 16}
		}
		at(b, end, uint32(0), uint32(c.size), sizes[0], sizes[1], uint32(64), uint32(64), count, nodes)
	}
	table := (len(records)*entry + 63) &^ 63
	at(b, 32, flags, uint16(level), uint32(len(records)), uint16(0), uint16(table))
	keys := nodeHeader + table
	k, v := keys, end
	for i, r := range records {
		v -= len(r.value)
		if k+len(r.key) > v {
			panic("a node is too full")
		}
		copy(b[k:], r.key)
		copy(b[v:], r.value)
		valueAt := uint16(end - v)
		if r.value == nil {
			valueAt = noValue
		}
		if fixed {
			at(b, nodeHeader+4*i, uint16(k-keys), valueAt)
		} else {
			at(b, nodeHeader+8*i, uint16(k-keys), uint16(len(r.key)), valueAt, uint16(len(r.value)))
		}
		k += len(r.key)
	}
	at(b, 44, uint16(k-keys), uint16(v-k), uint16(0xffff), uint16(0), uint16(0xffff), uint16(0))
	return b
}

// split makes rows of records that fit into nodes.
func (c *craft) split(records []craftRecord) (rows [][]craftRecord) {
	room, row := 0, []craftRecord(nil)
	for _, r := range records {
		need := len(r.key) + len(r.value) + 8
		if len(row) == c.perNode || room+need > c.size-300 {
			rows, row, room = append(rows, row), nil, 0
		}
		row, room = append(row, r), room+need
	}
	return append(rows, row)
}

// tree stores the records as a tree; place gives a node its identifier and block.
func (c *craft) tree(records []craftRecord, fixed bool, storage, subtype uint32, root func(node []byte) (oid, block uint64), place func(node []byte) craftNode) {
	count, nodes := uint64(len(records)), uint64(1)
	level := 0
	for rows := c.split(records); len(rows) > 1; rows = c.split(records) {
		records = nil
		for _, row := range rows {
			b := c.node(level, false, fixed, row, 0, 0)
			n := place(b)
			switch {
			case c.sealing:
				hash := sha256.Sum256(b)
				copy(c.img[int(n.block)*c.size:], b)
				records = append(records, craftRecord{row[0].key, put(n.oid-c.volumes[0].root, hash[:], make([]byte, 32))})
			case n.xid == c.xid:
				c.store(n.block, n.oid, typeNode|storage, subtype, b)
				fallthrough
			default:
				records = append(records, craftRecord{row[0].key, put(n.oid)})
			}
			nodes++
		}
		level++
	}
	b := c.node(level, true, fixed, records, count, nodes)
	oid, block := root(b)
	if c.sealing {
		c.rootHash = sha256.Sum256(b)
		copy(c.img[int(block)*c.size:], b)
		return
	}
	c.store(block, oid, typeRoot|storage, subtype, b)
}

// physicalTree stores a tree whose nodes are named by their blocks.
func (c *craft) physicalTree(records []craftRecord, fixed bool, subtype uint32) (root uint64) {
	next := func([]byte) craftNode {
		at := c.alloc(1)
		return craftNode{oid: at, block: at, xid: c.xid}
	}
	c.tree(records, fixed, storagePhysical, subtype, func(b []byte) (uint64, uint64) { root = next(b).block; return root, root }, next)
	return root
}

func (c *craft) objectMap(records []craftRecord) uint64 {
	slices.SortStableFunc(records, compareKeys(numbers))
	tree := c.physicalTree(records, true, typeObjectMap)
	b := make([]byte, c.size)
	at(b, 40, uint32(typeRoot|storagePhysical), uint32(typeRoot|storagePhysical), tree)
	block := c.alloc(1)
	c.store(block, block, typeObjectMap|storagePhysical, 0, b)
	return block
}

func (c *craft) mapping(oid, xid, block uint64) craftRecord {
	return craftRecord{put(oid, xid), put(uint32(0), uint32(c.size), block)}
}

// commitVolume writes the trees of a volume and its superblock.
func (c *craft) commitVolume(v *craftVolume) (superblock uint64) {
	slices.SortStableFunc(v.records, compareKeys(identifier))
	v.mappings = nil
	records := v.records
	if c.sealing = v.incompatible&volumeSealed != 0; c.sealing {
		records = c.unsealed(v)
	}
	c.tree(records, false, storageVirtual, typeFileTree, func([]byte) (uint64, uint64) {
		block := c.alloc(1)
		v.mappings = append(v.mappings, c.mapping(v.root, c.xid, block))
		return v.root, block
	}, func(b []byte) craftNode {
		n, ok := c.shared[string(b)]
		if !ok {
			c.oid++
			n = craftNode{oid: c.oid, block: c.alloc(1), xid: c.xid}
			c.shared[string(b)] = n
		}
		v.mappings = append(v.mappings, c.mapping(n.oid, n.xid, n.block))
		return n
	})
	if c.sealing {
		c.sealing = false
		c.seal(v)
	}
	var snapshots []craftRecord
	for _, s := range v.snapshots {
		snapshots = append(snapshots, craftRecord{put(head(s.xid, recordSnapshot)),
			put(uint64(0), s.block, uint64(craftTime.UnixNano()), uint64(0), uint64(0), uint32(0), uint32(0), uint16(len(s.name)+1), s.name, "\x00")})
	}
	all := slices.Clone(v.mappings)
	for _, k := range v.kept {
		if !slices.ContainsFunc(all, func(r craftRecord) bool { return bytes.Equal(r.key, k.key) }) {
			all = append(all, k)
		}
	}
	return c.volumeBlock(v, c.objectMap(all), c.physicalTree(snapshots, false, typeSnapshots))
}

// unsealed takes the extents out of the records and writes a tree of them.
func (c *craft) unsealed(v *craftVolume) (others []craftRecord) {
	var extents []craftRecord
	for _, r := range v.records {
		if id := identifier(r.key); id[1] == recordExtent {
			extents = append(extents, craftRecord{put(id[0], r.key[8:]), r.value[:16]})
		} else {
			others = append(others, r)
		}
	}
	c.sealing = false
	v.fext = c.physicalTree(extents, true, typeExtents)
	c.sealing = true
	return others
}

// seal writes what the root of a tree hashes to.
func (c *craft) seal(v *craftVolume) {
	b := make([]byte, c.size)
	at(b, 32, uint32(2), uint32(0), uint32(hashSHA256), uint32(128))
	at(b, 128, c.rootHash[:])
	c.oid++
	block := c.alloc(1)
	c.store(block, c.oid, typeIntegrity, 0, b)
	v.seal = c.oid
	v.mappings = append(v.mappings, c.mapping(c.oid, c.xid, block))
}

func (c *craft) volumeBlock(v *craftVolume, objectMap, snapshots uint64) uint64 {
	b := make([]byte, c.size)
	at(b, 32, "APSB")
	at(b, 56, v.incompatible)
	at(b, 116, uint32(typeRoot), uint32(typeRoot|storagePhysical), uint32(typeRoot|storagePhysical), objectMap, v.root, uint64(0), snapshots)
	at(b, 184, uint64(1))
	at(b, 216, uint64(len(v.snapshots)))
	at(b, 240, v.oid, v.oid)
	at(b, 264, v.flags)
	at(b, 704, v.name)
	at(b, 964, v.role)
	at(b, 968, v.mounted)
	at(b, 1024, v.seal, v.fext, uint32(typeRoot|storagePhysical))
	block := c.alloc(1)
	c.store(block, v.oid, typeVolume, 0, b)
	return block
}

// snapshot keeps the state of the last commit of a volume.
func (c *craft) snapshot(v *craftVolume, name string) {
	block := c.volumeBlock(v, 0, 0)
	b := c.img[int(block)*c.size:][:c.size]
	at(b, 8, block)
	at(b, 24, uint32(typeVolume|storagePhysical))
	seal(b)
	v.snapshots = append(v.snapshots, craftSnapshot{c.xid, block, name})
	v.kept = append(v.kept, v.mappings...)
}

// commit writes a checkpoint.
func (c *craft) commit() {
	c.xid++
	var volumes []craftRecord
	for _, v := range c.volumes {
		volumes = append(volumes, c.mapping(v.oid, c.xid, c.commitVolume(v)))
	}
	objectMap := c.objectMap(volumes)
	slot := int(c.xid-1) % (craftAreaSize / 2)
	mapAt := uint64(craftArea + 2*slot)
	spaceAt := uint64(craftData + 3*slot)
	var areaMap uint64
	if c.areaTree {
		areaMap = c.areaMap()
	}
	c.commitQueue(spaceAt + 2)
	c.commitSpace(spaceAt)

	m := make([]byte, c.size)
	at(m, 32, uint32(1), uint32(2))
	at(m, 40, uint32(typeSpaceManager|storageEphemeral), uint32(0), uint32(2*c.size), uint32(0), uint64(0), uint64(craftSpace), spaceAt)
	at(m, 80, uint32(typeRoot|storageEphemeral), uint32(typeFreeQueue), uint32(c.size), uint32(0), uint64(0), uint64(craftQueue), spaceAt+2)
	c.store(mapAt, mapAt, typeCheckpointMap|storagePhysical, 0, m)

	b := make([]byte, c.size)
	at(b, 32, "NXSB", uint32(c.size), uint64(len(c.used)))
	at(b, 64, c.features)
	at(b, 88, c.oid+1000, c.xid+1, uint32(craftAreaSize), uint32(craftDataSize), uint64(craftArea), uint64(craftData),
		uint32((2*slot+2)%craftAreaSize), uint32(0), uint32(2*slot), uint32(2), uint32(3*slot), uint32(3), uint64(craftSpace), objectMap)
	if c.areaTree {
		at(b, 104, uint32(craftAreaSize|1<<31))
		at(b, 112, areaMap)
	}
	at(b, 180, uint32(100))
	for i, v := range c.volumes {
		at(b, 184+8*i, v.oid)
	}
	at(b, 1264, c.softwares)
	c.store(mapAt+1, 1, typeSuperblock|storageEphemeral, 0, b)
	copy(c.img, b)
}

// areaMap describes the descriptor area in two pieces.
func (c *craft) areaMap() uint64 {
	b := c.node(0, true, true, []craftRecord{
		{put(uint64(0)), put(uint64(craftArea), uint64(4))},
		{put(uint64(4)), put(uint64(craftArea+4), uint64(craftAreaSize-4))},
	}, 2, 1)
	block := c.alloc(1)
	c.store(block, block, typeRoot|storagePhysical, 0, b)
	return block
}

func (c *craft) commitQueue(block uint64) {
	var records []craftRecord
	slices.Sort(c.queue)
	for _, at := range c.queue {
		records = append(records, craftRecord{key: put(c.xid, at)})
	}
	c.store(block, craftQueue, typeRoot|storageEphemeral, typeFreeQueue, c.node(0, true, true, records, uint64(len(records)), 1))
}

func (c *craft) commitSpace(block uint64) {
	perChunk := 8 * c.size
	chunks := (len(c.used) + perChunk - 1) / perChunk
	infoAt, listAt := c.alloc(1), c.alloc(1)
	info := make([]byte, c.size)
	at(info, 36, uint32(chunks))
	bitmaps := make([]uint64, chunks)
	for i := range chunks {
		if slices.Contains(c.used[i*perChunk:min(len(c.used), (i+1)*perChunk)], true) {
			bitmaps[i] = c.alloc(1)
		}
		at(info, chunkHead+chunkSize*i, c.xid, uint64(i*perChunk), uint32(min(perChunk, len(c.used)-i*perChunk)), uint32(0), bitmaps[i])
	}
	for i, at := range bitmaps {
		for j := i * perChunk; at != 0 && j < min(len(c.used), (i+1)*perChunk); j++ {
			if c.used[j] {
				c.img[int(at)*c.size+(j%perChunk)/8] |= 1 << (j % 8)
			}
		}
	}
	c.store(infoAt, infoAt, typeChunkInfo|storagePhysical, 0, info)

	list := make([]byte, c.size)
	at(list, 36, uint32(1), infoAt)
	c.store(listAt, listAt, typeChunkAddress|storagePhysical, 0, list)

	const addresses = 4080
	b := make([]byte, 2*c.size)
	at(b, 32, uint32(c.size), uint32(perChunk), uint32(126), uint32(500), uint64(len(c.used)), uint64(chunks), uint32(1), uint32(0), uint64(0), uint32(addresses))
	at(b, addresses, infoAt)
	if c.lists {
		at(b, deviceAt+20, uint32(1))
		at(b, addresses, listAt)
	}
	at(b, freeQueuesAt+freeQueueSize, uint64(len(c.queue)), uint64(craftQueue), c.xid)
	c.store(block, craftSpace, typeSpaceManager|storageEphemeral, 0, b)
}
