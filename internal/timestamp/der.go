package timestamp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"
)

// The tags of ASN.1 that occur here, X.690 section 8.
const (
	tagBoolean   = 0x01
	tagInteger   = 0x02
	tagBitString = 0x03
	tagOctets    = 0x04
	tagNull      = 0x05
	tagOID       = 0x06
	tagUTF8      = 0x0c
	tagTime      = 0x18 // GeneralizedTime
	tagSequence  = 0x30
	tagSet       = 0x31
	tagExplicit0 = 0xa0 // context-specific and constructed; 0xa1 is [1]
	tagExplicit1 = 0xa1
	tagExplicit2 = 0xa2
	tagExplicit4 = 0xa4
	tagImplicit0 = 0x80 // context-specific and primitive
	tagImplicit1 = 0x81
)

// der reads the elements of a DER encoding one after another. The first thing
// that is wrong is remembered for the whole document, and everything after it
// reads as nothing, so a reader looks at the end, once.
//
// Package encoding/asn1 is not used for reading: it passes over elements that
// it was not told of, and no signature may cover those.
type der struct {
	rest []byte
	bad  *error // of the whole document
}

func readDER(b []byte) der { return der{b, new(error)} }

// err is what was wrong first, in the whole document.
func (d *der) err() error { return *d.bad }

func (d *der) fail(format string, args ...any) {
	if *d.bad == nil {
		*d.bad = fmt.Errorf(format, args...)
	}
	d.rest = nil
}

// is reports whether the next element has the tag.
func (d *der) is(tag byte) bool { return *d.bad == nil && len(d.rest) > 0 && d.rest[0] == tag }

// empty reports whether there is nothing more to read.
func (d *der) empty() bool { return *d.bad != nil || len(d.rest) == 0 }

// whole takes the next element with its header.
func (d *der) whole(tag byte) []byte {
	all, _ := d.element(tag)
	return all
}

// in takes the next element and reads what it contains.
func (d *der) in(tag byte) der {
	_, body := d.element(tag)
	return der{body, d.bad}
}

// octets takes the content of the next element as it is.
func (d *der) octets(tag byte) []byte {
	_, body := d.element(tag)
	return body
}

func (d *der) element(tag byte) (all, body []byte) {
	if *d.bad != nil {
		return nil, nil
	}
	if len(d.rest) == 0 || d.rest[0] != tag {
		d.fail("%s where ASN.1 tag %#02x should be", d.sight(), tag)
		return nil, nil
	}
	header, size, err := derLength(d.rest[1:])
	if err != nil {
		d.fail("%w", err)
		return nil, nil
	}
	end := 1 + header + size
	if end > len(d.rest) {
		d.fail("an element of %d bytes where %d are left", size, len(d.rest)-1-header)
		return nil, nil
	}
	all, body = d.rest[:end], d.rest[1+header:end]
	d.rest = d.rest[end:]
	return all, body
}

func (d *der) sight() string {
	if len(d.rest) == 0 {
		return "the end"
	}
	return fmt.Sprintf("ASN.1 tag %#02x", d.rest[0])
}

// derLength reads a definite length in its shortest form, X.690 section 10.1,
// of at most three bytes: nothing here is larger than maxResponse.
func derLength(b []byte) (header, size int, err error) {
	if len(b) == 0 {
		return 0, 0, errors.New("no length")
	}
	if b[0] < 0x80 {
		return 1, int(b[0]), nil
	}
	n := int(b[0] & 0x7f)
	if n == 0 || n > 3 || len(b) < 1+n {
		return 0, 0, errors.New("a length that is not DER")
	}
	for _, c := range b[1 : 1+n] {
		size = size<<8 | int(c)
	}
	if size < 0x80 || n > 1 && size < 1<<(8*(n-1)) {
		return 0, 0, errors.New("a length that is not in its shortest form")
	}
	return 1 + n, size, nil
}

// end refuses what nobody asked for.
func (d *der) end() {
	if !d.empty() {
		d.fail("%s after the last field", d.sight())
	}
}

// integer takes an INTEGER in its shortest form, of at most 21 bytes, which is
// more than any serial number or nonce may have.
func (d *der) integer(tag byte) *big.Int {
	b := d.octets(tag)
	n := new(big.Int)
	switch {
	case *d.bad != nil:
	case len(b) == 0 || len(b) > 21:
		d.fail("an integer of %d bytes", len(b))
	case len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80):
		d.fail("an integer that is not in its shortest form")
	case b[0] >= 0x80:
		d.fail("an integer below zero")
	default:
		n.SetBytes(b)
	}
	return n
}

// number takes an INTEGER between 0 and most.
func (d *der) number(tag byte, most int64) int64 {
	n := d.integer(tag)
	if n.Cmp(big.NewInt(most)) > 0 {
		d.fail("%v where at most %d is allowed", n, most)
		return 0
	}
	return n.Int64()
}

// boolean takes a BOOLEAN. FALSE may be written where it is the default: some
// authorities do, and a signature covers all booleans read here.
func (d *der) boolean() bool {
	b := d.octets(tagBoolean)
	if *d.bad == nil && (len(b) != 1 || b[0] != 0 && b[0] != 0xff) {
		d.fail("a boolean that is not DER")
	}
	return len(b) == 1 && b[0] == 0xff
}

// oid takes an OBJECT IDENTIFIER in dotted decimal form.
func (d *der) oid() string {
	b := d.octets(tagOID)
	if *d.bad != nil {
		return ""
	}
	var o x509.OID
	if len(b) > 64 || o.UnmarshalBinary(b) != nil {
		d.fail("an object identifier that is none")
		return ""
	}
	return o.String()
}

// text takes an UTF8String that can be shown on one line.
func (d *der) text() string {
	b := d.octets(tagUTF8)
	if !utf8.Valid(b) {
		d.fail("text that is not UTF-8")
		return ""
	}
	return string(b)
}

// bits takes a BIT STRING of at most 32 bits as a mask: bit 0 is the lowest.
func (d *der) bits() (mask uint32) {
	b := d.octets(tagBitString)
	if *d.bad != nil {
		return 0
	}
	if len(b) == 0 || len(b) > 5 || b[0] > 7 || len(b) == 1 && b[0] != 0 {
		d.fail("a bit string that is none")
		return 0
	}
	for i, c := range b[1:] {
		for bit := range 8 {
			if c&(0x80>>bit) != 0 {
				mask |= 1 << (8*i + bit)
			}
		}
	}
	return mask
}
