package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// MFT records and the attributes in them: FSNTFS "MFT entry", "MFT attribute".

// The attribute types that are looked at.
const (
	typeStandardInformation = 0x10
	typeAttributeList       = 0x20
	typeFileName            = 0x30
	typeData                = 0x80
	typeIndexRoot           = 0x90
	typeReparsePoint        = 0xc0
	typeEnd                 = 0xffffffff
)

const (
	flagInUse     = 0x0001
	flagDirectory = 0x0002

	attributeCompression = 0x00ff
	attributeEncrypted   = 0x4000

	fixupStride = 512 // whatever the sector size is
)

// reference names a record and which of its lives: 48 bits of record number,
// 16 bits of sequence number.
type reference uint64

func (r reference) number() int64    { return int64(r & (1<<48 - 1)) }
func (r reference) sequence() uint16 { return uint16(r >> 48) }

// head is what a reference is held against.
type head struct {
	sequence uint16
	flags    uint16
	present  bool
}

func (h head) inUse() bool { return h.flags&flagInUse != 0 }

// meets reports whether the record is, or until its deletion was, the one that
// r names: freeing a record adds one to its sequence number, which is never 0.
func (h head) meets(r reference) bool {
	if !h.present {
		return false
	}
	if h.sequence == r.sequence() {
		return true
	}
	next := r.sequence() + 1
	if next == 0 {
		next = 1
	}
	return !h.inUse() && h.sequence == next
}

// record is one MFT record with its fixups undone.
type record struct {
	head
	number int64
	base   reference // 0 for a base record
	damage string    // why its bytes are not to be trusted; empty if they are
	data   []byte
}

var (
	errNeverUsed = errors.New("record was never used")
	errNoRecord  = errors.New("neither FILE nor BAAD")
)

// parseRecord undoes the fixups in data, in place, and reads the header. A
// record that does not hold together is returned with its damage told.
func parseRecord(number int64, data []byte) (record, error) {
	r := record{number: number, data: data}
	switch string(data[:4]) {
	case "FILE":
	case "BAAD":
		r.damage = "the record is marked bad"
	default:
		if allZero(data) {
			return r, errNeverUsed
		}
		return r, errNoRecord
	}
	if err := undoFixups(data); err != nil && r.damage == "" {
		r.damage = err.Error()
	}
	r.head = head{binary.LittleEndian.Uint16(data[16:]), binary.LittleEndian.Uint16(data[22:]), true}
	r.base = reference(binary.LittleEndian.Uint64(data[32:]))
	return r, nil
}

// undoFixups puts back the last two bytes of every 512: FSNTFS "The fix-up
// values". Where the placeholder is not found, the block was not written
// together with the others, and is left as it lies.
func undoFixups(data []byte) error {
	offset := int(binary.LittleEndian.Uint16(data[4:]))
	count := int(binary.LittleEndian.Uint16(data[6:]))
	blocks := len(data) / fixupStride
	if offset < 40 || count < blocks+1 || offset+2*(blocks+1) > len(data) {
		return fmt.Errorf("the record has no fixups (%d at %d)", count, offset)
	}
	mark := [2]byte(data[offset:])
	var torn int
	for i := range blocks {
		end := data[(i+1)*fixupStride-2 : (i+1)*fixupStride]
		if !bytes.Equal(end, mark[:]) {
			torn++
			continue
		}
		copy(end, data[offset+2+2*i:])
	}
	if torn > 0 {
		return fmt.Errorf("fixups do not match in %d of %d blocks of the record", torn, blocks)
	}
	return nil
}

// attribute is one attribute record. Its slices point into the MFT record.
type attribute struct {
	kind     uint32
	id       uint16
	flags    uint16
	name     []byte // UTF-16LE
	resident bool
	value    []byte // of a resident one

	// Of a non-resident one:
	runs             []byte // not decoded
	low, high        int64  // first and last cluster of the content described here
	unitShift        uint16 // clusters of a compression unit, as a power of two
	size, validBytes int64  // only where low is 0
}

func (a *attribute) compressed() bool { return a.flags&attributeCompression != 0 && !a.resident }
func (a *attribute) encrypted() bool  { return a.flags&attributeEncrypted != 0 }

// attributes appends what r holds to dst. It returns those before the first one
// that does not hold together, and an error that says so.
func (r *record) attributes(dst []attribute) ([]attribute, error) {
	at := int(binary.LittleEndian.Uint16(r.data[20:]))
	end := min(int(binary.LittleEndian.Uint32(r.data[24:])), len(r.data))
	for {
		if at < 0 || at+4 > end {
			return dst, fmt.Errorf("attributes run past the record's used %d bytes", end)
		}
		if binary.LittleEndian.Uint32(r.data[at:]) == typeEnd {
			return dst, nil
		}
		length, a, err := parseAttribute(r.data[at:end])
		if err != nil {
			return dst, fmt.Errorf("attribute at byte %d of the record: %w", at, err)
		}
		dst = append(dst, a)
		at += length
	}
}

func parseAttribute(b []byte) (length int, a attribute, err error) {
	if len(b) < 24 {
		return 0, a, errors.New("cut off")
	}
	length = int(binary.LittleEndian.Uint32(b[4:]))
	if length > len(b) {
		// FSNTFS saw remnants in the upper half of the length.
		length &= 0xffff
	}
	if length < 24 || length > len(b) {
		return 0, a, fmt.Errorf("length %d", length)
	}
	b = b[:length]
	a = attribute{
		kind:     binary.LittleEndian.Uint32(b),
		flags:    binary.LittleEndian.Uint16(b[12:]),
		id:       binary.LittleEndian.Uint16(b[14:]),
		resident: b[8] == 0,
	}
	if a.name, err = window(b, int(binary.LittleEndian.Uint16(b[10:])), 2*int(b[9])); err != nil {
		return 0, a, fmt.Errorf("name: %w", err)
	}
	if a.resident {
		a.value, err = window(b, int(binary.LittleEndian.Uint16(b[20:])), int(binary.LittleEndian.Uint32(b[16:])))
		return length, a, err
	}
	return length, a, a.parseNonResident(b)
}

func (a *attribute) parseNonResident(b []byte) error {
	if len(b) < 64 {
		return fmt.Errorf("non-resident in %d bytes", len(b))
	}
	a.low = int64(binary.LittleEndian.Uint64(b[16:]))
	a.high = int64(binary.LittleEndian.Uint64(b[24:]))
	a.unitShift = binary.LittleEndian.Uint16(b[34:])
	if a.low < 0 || a.high < a.low-1 {
		return fmt.Errorf("clusters %d to %d", a.low, a.high)
	}
	if a.low == 0 {
		a.size = int64(binary.LittleEndian.Uint64(b[48:]))
		a.validBytes = int64(binary.LittleEndian.Uint64(b[56:]))
	}
	if a.size < 0 || a.validBytes < 0 {
		return fmt.Errorf("size %d, valid %d", a.size, a.validBytes)
	}
	offset := int(binary.LittleEndian.Uint16(b[32:]))
	if offset > len(b) {
		return fmt.Errorf("runs at %d", offset)
	}
	a.runs = b[offset:]
	return nil
}

// window is length bytes of b from offset on.
func window(b []byte, offset, length int) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	if offset < 0 || length < 0 || offset > len(b) || length > len(b)-offset {
		return nil, fmt.Errorf("%d bytes at %d of %d", length, offset, len(b))
	}
	return b[offset : offset+length : offset+length], nil
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
