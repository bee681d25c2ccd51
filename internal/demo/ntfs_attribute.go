package demo

import "math/bits"

// attributeKind is an attribute's type code.
type attributeKind uint32

const (
	attrStandardInformation attributeKind = 0x10
	attrFileName            attributeKind = 0x30
	attrVolumeName          attributeKind = 0x60
	attrVolumeInformation   attributeKind = 0x70
	attrData                attributeKind = 0x80
	attrIndexRoot           attributeKind = 0x90
	attrIndexAllocation     attributeKind = 0xa0
	attrBitmap              attributeKind = 0xb0
)

// attribute is one attribute of an MFT record. Without runs its value is
// resident.
type attribute struct {
	kind    attributeKind
	name    string
	value   []byte
	runs    []run
	size    int64 // bytes
	unbegun bool  // nothing of it was ever written: $BadClus
}

// allocated is the size in clusters, in bytes; that of a resident value is its
// own, in steps of 8.
func (a *attribute) allocated() int64 {
	if a.runs == nil {
		return roundUp(a.size, 8)
	}
	return a.clusters() * clusterSize
}

func (a *attribute) clusters() (n int64) {
	for _, r := range a.runs {
		n += r.count
	}
	return n
}

// encode writes the attribute as it stands in a record. The identifier is
// unique within that.
func (a *attribute) encode(id uint16) []byte {
	if a.runs == nil {
		return a.encodeResident(id)
	}
	return a.encodeRuns(id)
}

func (a *attribute) encodeResident(id uint16) []byte {
	b := a.header(24, id)
	le.PutUint32(b[16:], uint32(len(a.value)))
	le.PutUint16(b[20:], uint16(len(b)))
	if a.kind == attrFileName {
		b[22] = 1 // the value is in an index
	}
	return a.sealed(append(b, a.value...))
}

func (a *attribute) encodeRuns(id uint16) []byte {
	b := a.header(64, id)
	b[8] = 1
	le.PutUint64(b[24:], uint64(a.clusters()-1))
	le.PutUint16(b[32:], uint16(len(b)))
	le.PutUint64(b[40:], uint64(a.allocated()))
	le.PutUint64(b[48:], uint64(a.size))
	if !a.unbegun {
		le.PutUint64(b[56:], uint64(a.size))
	}
	return a.sealed(append(b, encodeRuns(a.runs)...))
}

// header is the beginning of an attribute up to and with its name.
func (a *attribute) header(size int, id uint16) []byte {
	name := utf16le(a.name)
	b := make([]byte, size, size+len(name))
	le.PutUint32(b, uint32(a.kind))
	b[9] = byte(len(name) / 2)
	le.PutUint16(b[10:], uint16(size))
	le.PutUint16(b[14:], id)
	return padded(append(b, name...), 8)
}

func (a *attribute) sealed(b []byte) []byte {
	b = padded(b, 8)
	le.PutUint32(b[4:], uint32(len(b)))
	return b
}

// encodeRuns writes mapping pairs: each run's length and its distance from the
// run before, in as few bytes as hold them with their sign.
func encodeRuns(runs []run) []byte {
	var b []byte
	before := int64(0)
	for _, r := range runs {
		length, distance := signed(r.count), []byte(nil)
		if r.first >= 0 {
			distance = signed(r.first - before)
			before = r.first
		}
		b = append(b, byte(len(distance)<<4|len(length)))
		b = append(append(b, length...), distance...)
	}
	return append(b, 0)
}

// signed is n in the fewest little-endian bytes that keep its sign.
func signed(n int64) []byte {
	magnitude := n
	if n < 0 {
		magnitude = ^n
	}
	size := bits.Len64(uint64(magnitude))/8 + 1
	return le.AppendUint64(nil, uint64(n))[:size]
}
