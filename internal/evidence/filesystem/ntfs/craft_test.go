package ntfs

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unicode/utf16"

	"tutela/internal/evidence"
)

// Crafted images: the records of a good image, changed one field at a time.

// offsetOf is where record n of the MFT lies in img.
func offsetOf(t testing.TB, img []byte, n int64) int64 {
	t.Helper()
	mft := mustOpen(t, img).mft
	at := n * mft.recordSize
	e := mft.extentAt(at / mft.cluster)
	if !e.mapped() {
		t.Fatalf("record %d is nowhere", n)
	}
	return e.lcn*mft.cluster + at - e.vcn*mft.cluster
}

// edit changes record n of img, with its fixups undone and made again.
func edit(t testing.TB, img []byte, n int64, change func(rec []byte)) {
	t.Helper()
	at := offsetOf(t, img, n)
	rec := img[at : at+mustOpen(t, img).geo.record]
	if err := undoFixups(rec); err != nil {
		t.Fatal(err)
	}
	change(rec)
	protect(rec)
}

// protect is the inverse of undoFixups.
func protect(rec []byte) {
	offset := int(binary.LittleEndian.Uint16(rec[4:]))
	for i := range len(rec) / fixupStride {
		end := rec[(i+1)*fixupStride-2 : (i+1)*fixupStride]
		copy(rec[offset+2+2*i:], end)
		copy(end, rec[offset:offset+2])
	}
}

// find is the attribute of rec of a type and name, in place.
func find(t testing.TB, rec []byte, kind uint32, name string) []byte {
	t.Helper()
	for at := int(binary.LittleEndian.Uint16(rec[20:])); ; {
		if binary.LittleEndian.Uint32(rec[at:]) == typeEnd {
			t.Fatalf("no attribute %#x %q", kind, name)
		}
		length, a, err := parseAttribute(rec[at:])
		if err != nil {
			t.Fatal(err)
		}
		if a.kind == kind && string(evidence.WTF8(a.name, binary.LittleEndian)) == name {
			return rec[at : at+length]
		}
		at += length
	}
}

// setRuns overwrites the run list of a non-resident attribute.
func setRuns(t testing.TB, attr, runs []byte) {
	t.Helper()
	offset := int(binary.LittleEndian.Uint16(attr[32:]))
	if len(runs) > len(attr)-offset {
		t.Fatalf("no room for %d bytes of runs", len(runs))
	}
	clear(attr[offset:])
	copy(attr[offset:], runs)
}

func setSizes(attr []byte, size, valid uint64) {
	binary.LittleEndian.PutUint64(attr[48:], size)
	binary.LittleEndian.PutUint64(attr[56:], valid)
}

// replace puts new attributes in the place of all that rec has.
func replace(t testing.TB, rec []byte, attributes ...[]byte) {
	t.Helper()
	at := int(binary.LittleEndian.Uint16(rec[20:]))
	all := bytes.Join(attributes, nil)
	all = append(all, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	if at+len(all) > len(rec)-2 {
		t.Fatalf("%d bytes of attributes do not fit", len(all))
	}
	clear(rec[at:])
	copy(rec[at:], all)
	binary.LittleEndian.PutUint32(rec[24:], uint32(at+len(all)))
}

func utf16le(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func pad8(b []byte) []byte { return append(b, make([]byte, (8-len(b)%8)%8)...) }

// residentAttribute builds an attribute that holds value.
func residentAttribute(kind uint32, name string, value []byte) []byte {
	n := utf16le(name)
	b := make([]byte, 24)
	binary.LittleEndian.PutUint32(b, kind)
	b[9] = byte(len(n) / 2)
	binary.LittleEndian.PutUint16(b[10:], 24)
	b = pad8(append(b, n...))
	binary.LittleEndian.PutUint32(b[16:], uint32(len(value)))
	binary.LittleEndian.PutUint16(b[20:], uint16(len(b)))
	b = pad8(append(b, value...))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// dataAttribute builds a part of an unnamed, non-resident $DATA.
func dataAttribute(low, high int64, size uint64, runs []byte) []byte {
	b := make([]byte, 64)
	binary.LittleEndian.PutUint32(b, typeData)
	b[8] = 1
	binary.LittleEndian.PutUint16(b[10:], 64)
	binary.LittleEndian.PutUint64(b[16:], uint64(low))
	binary.LittleEndian.PutUint64(b[24:], uint64(high))
	binary.LittleEndian.PutUint16(b[32:], 64)
	if low == 0 {
		setSizes(b, size, size)
	}
	b = pad8(append(b, runs...))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

func fileNameAttribute(parent reference, name string) []byte {
	v := make([]byte, 66)
	binary.LittleEndian.PutUint64(v, uint64(parent))
	n := utf16le(name)
	v[64], v[65] = byte(len(n)/2), 1
	return residentAttribute(typeFileName, "", append(v, n...))
}

func listEntry(kind uint32, low int64, ref reference) []byte {
	b := make([]byte, 32)
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint16(b[4:], 32)
	b[7] = 26
	binary.LittleEndian.PutUint64(b[8:], uint64(low))
	binary.LittleEndian.PutUint64(b[16:], uint64(ref))
	return b
}

func makeReference(number int64, sequence uint16) reference {
	return reference(uint64(number) | uint64(sequence)<<48)
}

// blank makes record n a file in use without attributes.
func blank(t testing.TB, img []byte, n int64, base reference) {
	t.Helper()
	at := offsetOf(t, img, n)
	rec := img[at : at+mustOpen(t, img).geo.record]
	clear(rec)
	copy(rec, "FILE")
	blocks := len(rec) / fixupStride
	binary.LittleEndian.PutUint16(rec[4:], 48)
	binary.LittleEndian.PutUint16(rec[6:], uint16(blocks+1))
	binary.LittleEndian.PutUint16(rec[16:], 1)
	binary.LittleEndian.PutUint16(rec[20:], uint16(48+2*(blocks+1)+7)&^7)
	binary.LittleEndian.PutUint16(rec[22:], flagInUse)
	binary.LittleEndian.PutUint64(rec[32:], uint64(base))
	binary.LittleEndian.PutUint16(rec[48:], 1)
	replace(t, rec)
	protect(rec)
}
