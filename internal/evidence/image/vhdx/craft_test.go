package vhdx

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// Places of the images that are drawn here, in MB.
const (
	logMB = 1 + iota
	metadataMB
	batMB
	firstBlockMB
)

const mb = 1 << 20

// craft draws an image.
type craft struct {
	size, block, sector int64
	fixed               bool
	linkage             string // of the parent; none if empty
	paths               map[string]string
	bytes               []byte
}

func parseGUID(s string) (g guid) {
	b, _ := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	copy(g[:], []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]})
	copy(g[8:], b[8:])
	return g
}

func seal(b []byte) { binary.LittleEndian.PutUint32(b[4:], checksum(b)) }

const dataWriteOf = "01234567-89ab-cdef-0123-456789abcdef"

func (c *craft) draw() *craft {
	le := binary.LittleEndian
	c.bytes = make([]byte, firstBlockMB*mb)
	copy(c.bytes, fileIdentifier)
	for i, at := range headerPlaces {
		h := c.bytes[at:][:headerBytes]
		copy(h, "head")
		le.PutUint64(h[8:], uint64(7+i))
		id := parseGUID(dataWriteOf)
		copy(h[32:], id[:])
		le.PutUint16(h[66:], 1)
		le.PutUint32(h[68:], mb)
		le.PutUint64(h[72:], logMB*mb)
		seal(h)
	}
	for _, at := range regionPlaces {
		r := c.bytes[at:][:regionBytes]
		copy(r, "regi")
		le.PutUint32(r[8:], 2)
		for i, id := range []string{regionBAT, regionMetadata} {
			g := parseGUID(id)
			copy(r[16+32*i:], g[:])
			le.PutUint64(r[16+32*i+16:], uint64([]int{batMB, metadataMB}[i])*mb)
			le.PutUint32(r[16+32*i+24:], mb)
			le.PutUint32(r[16+32*i+28:], 1)
		}
		seal(r)
	}
	c.metadata()
	return c
}

func (c *craft) metadata() {
	le := binary.LittleEndian
	flags := uint32(0)
	if c.fixed {
		flags |= 1
	}
	if c.linkage != "" {
		flags |= 2
	}
	items := map[string][]byte{
		itemFile:           le.AppendUint32(le.AppendUint32(nil, uint32(c.block)), flags),
		itemSize:           le.AppendUint64(nil, uint64(c.size)),
		itemLogicalSector:  le.AppendUint32(nil, uint32(c.sector)),
		itemPhysicalSector: le.AppendUint32(nil, 4096),
		itemPage83:         make([]byte, 16),
	}
	if c.linkage != "" {
		items[itemParent] = c.locator()
	}
	m := c.bytes[metadataMB*mb:]
	copy(m, "metadata")
	le.PutUint16(m[10:], uint16(len(items)))
	at, n := metadataTable, 0
	for id, b := range items {
		g := parseGUID(id)
		e := m[32+32*n:]
		copy(e, g[:])
		le.PutUint32(e[16:], uint32(at))
		le.PutUint32(e[20:], uint32(len(b)))
		le.PutUint32(e[24:], flagRequired)
		copy(m[at:], b)
		at, n = at+len(b), n+1
	}
}

func (c *craft) locator() []byte {
	le := binary.LittleEndian
	pairs := [][2]string{{"parent_linkage", "{" + c.linkage + "}"}}
	for k, v := range c.paths {
		pairs = append(pairs, [2]string{k, v})
	}
	id := parseGUID(locatorVHDX)
	head := le.AppendUint16(append(id[:], 0, 0), uint16(len(pairs)))
	var texts []byte
	base := len(head) + 12*len(pairs)
	for _, p := range pairs {
		var places, lengths [2]int
		for i, s := range p {
			places[i] = base + len(texts)
			for _, u := range utf16.Encode([]rune(s)) {
				texts = le.AppendUint16(texts, u)
			}
			lengths[i] = base + len(texts) - places[i]
		}
		head = le.AppendUint32(le.AppendUint32(head, uint32(places[0])), uint32(places[1]))
		head = le.AppendUint16(le.AppendUint16(head, uint16(lengths[0])), uint16(lengths[1]))
	}
	return append(head, texts...)
}

// entry writes an entry of the block allocation table.
func (c *craft) entry(n int64, state uint64, at int64) {
	binary.LittleEndian.PutUint64(c.bytes[batMB*mb+8*n:], uint64(at)|state)
}

// add puts a block behind the others and returns its place.
func (c *craft) add(b []byte) int64 {
	at := int64(len(c.bytes))
	c.bytes = append(c.bytes, b...)
	c.bytes = append(c.bytes, make([]byte, -len(c.bytes)&(mb-1))...)
	return at
}

// whole fills all blocks of the disk.
func (c *craft) whole(disk []byte) *craft {
	for n := int64(0); n*c.block < int64(len(disk)); n++ {
		block := make([]byte, c.block)
		copy(block, disk[n*c.block:])
		c.entry(n+n/(bitmapSectors*c.sector/c.block), fullyPresent, c.add(block))
	}
	return c
}

// change is a sector that a log entry writes, or zeros.
type change struct {
	at   int64
	data []byte // logSector bytes
	zero int64  // or so many bytes of zeros
}

// logged writes the entries into the log, from a place on (in sectors), and marks
// the log as not empty.
func (c *craft) logged(from int, sequence uint64, entries ...[]change) *craft {
	le := binary.LittleEndian
	ringBytes := c.bytes[logMB*mb:][:mb]
	id := parseGUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
	at := from * logSector
	for _, changes := range entries {
		e := make([]byte, logSector)
		copy(e, "loge")
		le.PutUint32(e[12:], uint32(from*logSector))
		le.PutUint64(e[16:], sequence)
		le.PutUint32(e[24:], uint32(len(changes)))
		copy(e[32:], id[:])
		le.PutUint64(e[48:], uint64(len(c.bytes)))
		le.PutUint64(e[56:], uint64(len(c.bytes)))
		for i, ch := range changes {
			d := e[logHeader+i*logDescriptor:]
			le.PutUint64(d[16:], uint64(ch.at))
			le.PutUint64(d[24:], sequence)
			if ch.data == nil {
				copy(d, "zero")
				le.PutUint64(d[8:], uint64(ch.zero))
				continue
			}
			copy(d, "desc")
			copy(d[4:8], ch.data[4092:])
			copy(d[8:16], ch.data)
			s := append(le.AppendUint32([]byte("data"), uint32(sequence>>32)), ch.data[8:4092]...)
			e = append(e, le.AppendUint32(s, uint32(sequence))...)
		}
		le.PutUint32(e[8:], uint32(len(e)))
		seal(e)
		for i, b := range e {
			ringBytes[(at+i)%mb] = b
		}
		at, sequence = at+len(e), sequence+1
	}
	for _, place := range headerPlaces {
		h := c.bytes[place:][:headerBytes]
		copy(h[48:], id[:])
		seal(h)
	}
	return c
}
