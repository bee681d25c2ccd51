package hfsplus

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// craft changes a copy of a good image the way a Mac would: it takes the trees
// apart into records and writes them again, index nodes and maps included, so
// that other programs read the result too.
type craft struct {
	t          *testing.T
	img        []byte
	fs         *FileSystem
	catalog    [][]byte
	attributes [][]byte
	overflow   [][]byte
}

func newCraft(t *testing.T, name string) *craft {
	t.Helper()
	img := image(t, name)
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(img)).(*FileSystem)
	c := &craft{t: t, img: img, fs: fs}
	c.catalog = recordsOf(t, fs.catalog)
	c.attributes = recordsOf(t, fs.attributes)
	return c
}

func recordsOf(t *testing.T, tr *tree) (all [][]byte) {
	t.Helper()
	_, err := tr.walkLeaves(context.Background(), func(n *node) error {
		for i := range n.records() {
			all = append(all, bytes.Clone(n.record(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func units(name string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(name)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}

func catalogRecord(parent uint32, name []byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(6+len(name)))
	b = binary.BigEndian.AppendUint32(b, parent)
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)/2))
	return append(append(b, name...), data...)
}

// add puts a record and its thread into the catalog.
func (c *craft) add(parent uint32, name string, data []byte) { c.addRaw(parent, units(name), data) }

func (c *craft) addRaw(parent uint32, name, data []byte) {
	thread := []byte{0, 3, 0, 0}
	if data[1] == recordFile {
		thread[1] = 4
	}
	thread = binary.BigEndian.AppendUint32(thread, parent)
	thread = binary.BigEndian.AppendUint16(thread, uint16(len(name)/2))
	c.catalog = append(c.catalog, catalogRecord(parent, name, data),
		catalogRecord(binary.BigEndian.Uint32(data[8:]), nil, append(thread, name...)))
}

// take removes the record called name below parent, and its thread, and returns
// its data.
func (c *craft) take(parent uint32, name string) []byte {
	c.t.Helper()
	for i, r := range c.catalog {
		key, data, ok := parseKey(r)
		if !ok || key.parent != parent || !bytes.Equal(key.name, units(name)) {
			continue
		}
		cnid := binary.BigEndian.Uint32(data[8:])
		data = bytes.Clone(data)
		c.catalog = slices.Delete(c.catalog, i, i+1)
		c.catalog = slices.DeleteFunc(c.catalog, func(r []byte) bool {
			key, _, ok := parseKey(r)
			return ok && key.parent == cnid && len(key.name) == 0
		})
		return data
	}
	c.t.Fatalf("no %s in %d", name, parent)
	return nil
}

// newFile is the data of a file record.
func newFile(cnid uint32, change func(b []byte)) []byte {
	b := make([]byte, fileBytes)
	b[1] = recordFile
	binary.BigEndian.PutUint32(b[8:], cnid)
	for at := 12; at < 28; at += 4 {
		binary.BigEndian.PutUint32(b[at:], 0xd9833e90+uint32(at))
	}
	binary.BigEndian.PutUint16(b[42:], modeRegular|0o644)
	if change != nil {
		change(b)
	}
	return b
}

func hardLink(cnid, inode uint32) []byte {
	return newFile(cnid, func(b []byte) {
		copy(b[48:], "hlnkhfs+")
		binary.BigEndian.PutUint32(b[44:], inode)
	})
}

func folderLink(cnid, inode uint32) []byte {
	return newFile(cnid, func(b []byte) {
		b[3] |= flagLinkChain
		copy(b[48:], "fdrpMACS")
		binary.BigEndian.PutUint32(b[44:], inode)
	})
}

func special(cnid uint32, mode uint16) []byte {
	return newFile(cnid, func(b []byte) { binary.BigEndian.PutUint16(b[42:], mode) })
}

// putFork writes a fork into a record.
func putFork(b []byte, size int, extents ...blocks) {
	binary.BigEndian.PutUint64(b, uint64(size))
	clear(b[16:forkBytes])
	var total uint32
	for i, x := range extents {
		total += x.count
		if i < extentsPerRecord {
			binary.BigEndian.PutUint32(b[16+8*i:], x.first)
			binary.BigEndian.PutUint32(b[20+8*i:], x.count)
		}
	}
	binary.BigEndian.PutUint32(b[12:], total)
}

// store writes bytes into blocks that are free and takes these.
func (c *craft) store(data []byte) blocks {
	c.t.Helper()
	need := int64(len(data)+int(c.fs.header.block)-1) / c.fs.header.block
	for first := c.fs.header.blocks - need - 8; first > 0; first -= need {
		if used, err := c.fs.bitmap().used(first, first+need); err != nil || used > 0 {
			continue
		}
		copy(c.img[c.fs.header.start+first*c.fs.header.block:], data)
		x := blocks{uint32(first), uint32(need)}
		c.setBits(x, true)
		return x
	}
	c.t.Fatal("no room")
	return blocks{}
}

func (c *craft) setBits(x blocks, used bool) {
	at := c.fs.header.start + int64(c.fs.header.allocation.extents[0].first)*c.fs.header.block
	for i := x.first; i < x.first+x.count; i++ {
		if used {
			c.img[at+int64(i/8)] |= 0x80 >> (i % 8)
		} else {
			c.img[at+int64(i/8)] &^= 0x80 >> (i % 8)
		}
	}
}

func attributeKey(cnid, from uint32, name string) []byte {
	n := units(name)
	b := binary.BigEndian.AppendUint16(nil, uint16(12+len(n)))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, cnid)
	b = binary.BigEndian.AppendUint32(b, from)
	b = binary.BigEndian.AppendUint16(b, uint16(len(n)/2))
	return append(b, n...)
}

func (c *craft) addInline(cnid uint32, name string, value []byte) {
	b := append(attributeKey(cnid, 0, name), 0, 0, 0, attributeInline, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	b = append(b, value...)
	c.attributes = append(c.attributes, append(b, make([]byte, len(b)%2)...))
}

func (c *craft) addFork(cnid uint32, name string, size int, extents ...blocks) {
	f := make([]byte, forkBytes)
	putFork(f, size, extents...)
	c.attributes = append(c.attributes, append(append(attributeKey(cnid, 0, name), 0, 0, 0, attributeFork, 0, 0, 0, 0), f...))
	if len(extents) > extentsPerRecord {
		from := uint32(count(extents[:extentsPerRecord]))
		x := make([]byte, forkBytes)
		putFork(x, 0, extents[extentsPerRecord:]...)
		c.attributes = append(c.attributes, append(append(attributeKey(cnid, from, name), 0, 0, 0, attributeExtents, 0, 0, 0, 0), x[16:]...))
	}
}

// addOverflow puts the extents of a fork behind the first eight into the overflow
// file.
func (c *craft) addOverflow(cnid uint32, kind byte, extents []blocks) {
	for i := extentsPerRecord; i < len(extents); i += extentsPerRecord {
		b := binary.BigEndian.AppendUint32([]byte{0, 10, kind, 0}, cnid)
		b = binary.BigEndian.AppendUint32(b, uint32(count(extents[:i])))
		x := make([]byte, forkBytes)
		putFork(x, 0, extents[i:]...)
		c.overflow = append(c.overflow, append(b, x[16:]...))
	}
}

// folded is how names compare: without case, NUL behind everything.
func folded(name []byte) string {
	return strings.ReplaceAll(strings.ToLower(string(evidence.WTF8(name, binary.BigEndian))), "\x00", "\U0010ffff")
}

// finish writes the trees and returns the image.
func (c *craft) finish() []byte {
	c.t.Helper()
	slices.SortStableFunc(c.catalog, func(a, b []byte) int {
		x, _, _ := parseKey(a)
		y, _, _ := parseKey(b)
		return cmp.Or(cmp.Compare(x.parent, y.parent), cmp.Compare(folded(x.name), folded(y.name)))
	})
	slices.SortStableFunc(c.attributes, func(a, b []byte) int {
		x, _ := parseAttribute(a)
		y, _ := parseAttribute(b)
		return cmp.Or(cmp.Compare(x.cnid, y.cnid), bytes.Compare(x.name, y.name), cmp.Compare(x.from, y.from))
	})
	h := &c.fs.header
	c.writeTree(h.catalog, c.catalog)
	c.writeTree(h.attributesFile, c.attributes)
	if len(c.overflow) > 0 {
		c.writeTree(h.extents, c.overflow)
	}
	binary.BigEndian.PutUint32(c.img[h.start+headerAt+64:], 1000) // the next ID
	return c.img
}

// writeTree fills a tree's nodes from 1 on. Nodes that it does not need stay as
// they are, and free.
func (c *craft) writeTree(f fork, records [][]byte) {
	c.t.Helper()
	file := c.img[c.fs.header.start+int64(f.extents[0].first)*c.fs.header.block:][:f.size]
	size := int(binary.BigEndian.Uint16(file[descriptorBytes+18:]))
	used := uint32(1)
	level := c.writeLevel(file, size, &used, kindLeaf, 1, records)
	depth, leaves := uint16(1), uint32(len(level))
	for len(level) > 1 {
		depth++
		level = c.writeLevel(file, size, &used, 0, byte(depth), level)
	}
	head := file[descriptorBytes:]
	binary.BigEndian.PutUint16(head, depth)
	binary.BigEndian.PutUint32(head[2:], used-1)
	binary.BigEndian.PutUint32(head[6:], uint32(len(records)))
	binary.BigEndian.PutUint32(head[10:], 1)
	binary.BigEndian.PutUint32(head[14:], leaves)
	binary.BigEndian.PutUint32(head[26:], binary.BigEndian.Uint32(head[22:])-used)
	bits := file[binary.BigEndian.Uint16(file[size-6:]):]
	for i := range uint32(len(file) / size) {
		bits[i/8] &^= 0x80 >> (i % 8)
		if i < used {
			bits[i/8] |= 0x80 >> (i % 8)
		}
	}
}

// writeLevel writes records into nodes and returns the index records that lead
// to these.
func (c *craft) writeLevel(file []byte, size int, used *uint32, kind int8, level byte, records [][]byte) (index [][]byte) {
	c.t.Helper()
	first := *used
	for len(records) > 0 {
		if int(*used+1)*size > len(file) {
			c.t.Fatal("the tree is too small")
		}
		node := file[int(*used)*size:][:size]
		clear(node[:descriptorBytes])
		node[8], node[9] = byte(kind), level
		if *used > first {
			binary.BigEndian.PutUint32(node[4:], *used-1)
			binary.BigEndian.PutUint32(file[int(*used-1)*size:], *used)
		}
		key := records[0][:2+binary.BigEndian.Uint16(records[0])]
		index = append(index, binary.BigEndian.AppendUint32(bytes.Clone(key), *used))
		at, n := descriptorBytes, 0
		for len(records) > 0 && at+len(records[0]) <= size-2*(n+2) {
			binary.BigEndian.PutUint16(node[size-2*(n+1):], uint16(at))
			at += copy(node[at:], records[0])
			records = records[1:]
			n++
		}
		binary.BigEndian.PutUint16(node[size-2*(n+1):], uint16(at))
		binary.BigEndian.PutUint16(node[10:], uint16(n))
		*used++
	}
	return index
}
