package picture

import (
	"encoding/binary"
	"maps"
	"slices"
)

// HEIF (ISO/IEC 23008-12; AVIF 1.1.0 and MIAF, ISO/IEC 23000-22, build on it): a
// file of items, one of which is the picture. What an item is, where its bytes
// lie, what it is made of and what it is like are told by boxes of their own in
// the box meta.

// Bounds of what is kept of a file, whatever it announces.
const (
	mostItems   = 1 << 14
	mostExtents = 1 << 16 // of all items together
	mostLinks   = 1 << 16 // of items with properties, and of items with items
)

// heif is what the box meta tells.
type heif struct {
	data    []byte // the file
	inside  []byte // idat: bytes of items that lie in meta
	primary uint32

	kinds      map[uint32]string
	places     map[uint32]place
	inputs     map[uint32][]uint32 // the items that an item is made of (dimg)
	properties []property
	linked     map[uint32][]int // indices of an item's properties, from 0, in their order

	extents, links int  // that were kept
	copied         int  // bytes of items that lie in several pieces
	cut            bool // an item was read that the file ends in
}

// place is where the bytes of an item lie.
type place struct {
	method  byte // 0: in the file, 1: in idat
	extents []extent
}

type extent struct{ at, length uint64 }

type property struct {
	kind string
	body []byte
}

// openHEIF reads the first box meta. A file without one has no items.
func openHEIF(data []byte) *heif {
	h := &heif{
		data: data, kinds: map[uint32]string{}, places: map[uint32]place{},
		inputs: map[uint32][]uint32{}, linked: map[uint32][]int{},
	}
	found := false
	boxes(data, func(kind string, body []byte) {
		if kind == "meta" && len(body) >= 4 && !found {
			found = true
			boxes(body[4:], h.inMeta)
		}
	})
	return h
}

func (h *heif) inMeta(kind string, body []byte) {
	switch kind {
	case "pitm":
		r := &bigEndian{b: body}
		h.primary = r.item(wideFrom(1, r.fullBox()))
	case "iinf":
		h.readKinds(body)
	case "iloc":
		h.readPlaces(body)
	case "iref":
		h.readInputs(body)
	case "iprp":
		boxes(body, h.inProperties)
	case "idat":
		h.inside = body
	}
}

func (h *heif) inProperties(kind string, body []byte) {
	switch kind {
	case "ipco":
		boxes(body, func(kind string, body []byte) {
			if len(h.properties) < mostItems {
				h.properties = append(h.properties, property{kind, body})
			}
		})
	case "ipma":
		h.readLinks(body)
	}
}

// readKinds reads an item information box: 14496-12, 8.11.6.
func (h *heif) readKinds(b []byte) {
	if len(b) < 6 {
		return
	}
	skip := 6
	if b[0] != 0 {
		skip = 8
	}
	boxes(b[min(skip, len(b)):], func(kind string, e []byte) {
		switch {
		case kind != "infe" || len(e) < 12 || len(h.kinds) >= mostItems:
		case e[0] == 2:
			h.kinds[uint32(binary.BigEndian.Uint16(e[4:]))] = string(e[8:12])
		case e[0] == 3 && len(e) >= 14:
			h.kinds[binary.BigEndian.Uint32(e[4:])] = string(e[10:14])
		}
	})
}

// readPlaces reads an item location box: 14496-12, 8.11.3.
func (h *heif) readPlaces(b []byte) {
	r := &bigEndian{b: b}
	version := r.fullBox()
	widths := r.take(2)
	l := location{item: wideFrom(2, version), method: version > 0, offset: int(widths >> 12), length: int(widths >> 8 & 15), base: int(widths >> 4 & 15), index: int(widths & 15)}
	count := r.item(l.item)
	if version == 0 {
		l.index = 0
	}
	for ; count > 0 && !r.short && len(h.places) < mostItems; count-- {
		id, p := l.read(r, mostExtents-h.extents)
		h.extents += len(p.extents)
		if !r.short && p.method <= 1 {
			h.places[id] = p
		}
	}
}

// location is how the entries of an item location box are written: the bytes that
// its numbers take.
type location struct {
	item                        itemWidth
	offset, length, base, index int
	method                      bool // it tells where to look
}

// read reads the entry of an item, which may have so many extents.
func (l location) read(r *bigEndian, most int) (id uint32, p place) {
	id = r.item(l.item)
	if l.method {
		p.method = byte(r.take(2) & 15)
	}
	if r.take(2) != 0 { // the number of another file
		p.method = 15
	}
	base, count := r.take(l.base), int(r.take(2))
	if count > most {
		r.fail()
	}
	for ; count > 0 && !r.short; count-- {
		r.take(l.index)
		at := base + r.take(l.offset)
		p.extents = append(p.extents, extent{at, r.take(l.length)})
	}
	return id, p
}

// readInputs reads an item reference box: 14496-12, 8.11.12.
func (h *heif) readInputs(b []byte) {
	r := &bigEndian{b: b}
	width := wideFrom(1, r.fullBox())
	boxes(r.b, func(kind string, body []byte) {
		if kind != "dimg" {
			return
		}
		r := &bigEndian{b: body}
		from, count := r.item(width), int(r.take(2))
		for ; count > 0 && h.links < mostLinks; count-- {
			to := r.item(width)
			if r.short {
				return
			}
			h.links++
			h.inputs[from] = append(h.inputs[from], to)
		}
	})
}

// readLinks reads an item property association box: 23008-12, 9.3.1.
func (h *heif) readLinks(b []byte) {
	r := &bigEndian{b: b}
	width := wideFrom(1, r.fullBox())
	bytes, mask := 1, uint64(0x7f)
	if r.flags&1 != 0 {
		bytes, mask = 2, 0x7fff
	}
	for count := r.take(4); count > 0 && !r.short; count-- {
		id := r.item(width)
		for n := r.take(1); n > 0 && h.links < mostLinks; n-- {
			if index := int(r.take(bytes) & mask); index > 0 && !r.short {
				h.links++
				h.linked[id] = append(h.linked[id], index-1)
			}
		}
	}
}

// bytes are those of an item as far as they lie in the file. Items in several
// pieces are put together until that has taken as much memory as the file; they
// are nil then.
func (h *heif) bytes(id uint32) []byte {
	p, from := h.places[id], h.data
	if p.method == 1 {
		from = h.inside
	}
	var all []byte
	for i, e := range p.extents {
		piece := e.of(from)
		h.cut = h.cut || uint64(len(piece)) < e.length
		if i == 0 {
			all = piece[:len(piece):len(piece)] // most lie in one piece: no copy
			continue
		}
		if i == 1 {
			h.copied += len(all)
		}
		if h.copied += len(piece); h.copied > len(h.data) {
			return nil
		}
		all = append(all, piece...)
	}
	return all
}

// of is what the extent is of; one without a length reaches to the end.
func (e extent) of(b []byte) []byte {
	size := uint64(len(b))
	if e.at > size {
		return nil
	}
	left := size - e.at
	if e.length == 0 {
		return b[e.at:]
	}
	return b[e.at : e.at+min(e.length, left)]
}

// property is the first of a kind that an item has, nil if there is none.
func (h *heif) property(id uint32, kind string) (body []byte) {
	h.each(id, func(p property) {
		if p.kind == kind && body == nil {
			body = p.body
		}
	})
	return body
}

// each visits an item's properties in their order.
func (h *heif) each(id uint32, visit func(property)) {
	for _, i := range h.linked[id] {
		if i < len(h.properties) {
			visit(h.properties[i])
		}
	}
}

// locateInHEIF offers the items that are JPEG, and the thumbnail in the EXIF
// item.
func locateInHEIF(p *previews) {
	h := openHEIF(p.data)
	for _, id := range slices.Sorted(maps.Keys(h.kinds)) {
		switch h.kinds[id] {
		case "jpeg":
			p.offerSlice(h.bytes(id))
		case "Exif":
			p.inExif(h.bytes(id))
		}
	}
}
