package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tutela"
)

// Outlook wraps attachments in a file winmail.dat ([MS-OXTNEF]): a signature, a
// key, and attributes one behind the other, each with a checksum that is the sum
// of its bytes.

const (
	tnefMagic = "\x78\x9f\x3e\x22"

	attachRend  = 0x00069002 // begins an attachment (2.1.3.3)
	attachTitle = 0x00018010
	attachData  = 0x0006800f
	attachProps = 0x00069005
	tnefBody    = 0x0002800c
)

// tnef lists the attachments and the body.
func (l *listing) tnef([]byte) error {
	const header, attribute = 6, 9 // bytes
	var data member
	var name []byte
	flush := func() error {
		if data.open == nil {
			return nil
		}
		m := data
		data = member{}
		if m.name == nil {
			m.name = name
		}
		if len(bytes.Trim(m.name, "\x00 ")) == 0 {
			m.name = fmt.Appendf(nil, "attachment-%d", l.number+1)
		}
		if err := l.next(); err != nil {
			return err
		}
		return l.member(&m)
	}
	at := int64(header)
	for at+attribute <= l.size {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		h := l.bytesAt(at, attribute)
		if len(h) < attribute {
			break
		}
		id, size := binary.LittleEndian.Uint32(h[1:]), int64(binary.LittleEndian.Uint32(h[5:]))
		value := at + attribute
		switch id {
		case attachRend:
			if err := flush(); err != nil {
				return err
			}
			name = nil
		case attachTitle:
			if name == nil {
				name = bytes.TrimRight(l.bytesAt(value, min(size, 1<<10)), "\x00")
			}
		case attachProps:
			if long := tnefName(l.bytesAt(value, min(size, 64<<10))); len(long) > 0 {
				name = long
			}
		case attachData, tnefBody:
			if err := flush(); err != nil {
				return err
			}
			data = member{at: value, kind: tutela.File, size: size}
			if id == tnefBody {
				data.name = []byte("body.txt")
			}
			l.inPlace(&data, value)
		}
		l.tnefSum(h, value, size)
		at = value + size + 2
	}
	if at != l.size {
		l.find(tutela.FindingTruncated, "tnef: the last attribute is cut off")
	}
	return flush()
}

// tnefSum verifies the checksum of what is short enough to be a name or a
// number; a sum of bytes says little of content.
func (l *listing) tnefSum(h []byte, value, size int64) {
	if size > 1<<10 {
		return
	}
	b := l.bytesAt(value, size+2)
	if int64(len(b)) < size+2 {
		l.find(tutela.FindingTruncated, "tnef: the attribute %#08x is cut off", binary.LittleEndian.Uint32(h[1:]))
		return
	}
	var sum uint16
	for _, c := range b[:size] {
		sum += uint16(c)
	}
	if sum != binary.LittleEndian.Uint16(b[size:]) {
		l.find(tutela.FindingDamaged, "tnef: the checksum of attribute %#08x does not hold", binary.LittleEndian.Uint32(h[1:]))
	}
}

// tnefName looks through the properties of an attachment ([MS-OXTNEF] 2.1.3.4)
// for its long name, as far as they have the kinds that writers put before it.
func tnefName(b []byte) []byte {
	const longName = 0x3707
	f := fields{b: b}
	for count := f.uint32(); count > 0 && !f.bad; count-- {
		tag := f.uint32()
		if tag>>16 >= 0x8000 { // named: its name stands before its value
			return nil
		}
		switch tag & 0xffff {
		case 0x02, 0x03, 0x04, 0x0a, 0x0b:
			f.take(4)
		case 0x05, 0x06, 0x07, 0x14, 0x40:
			f.take(8)
		case 0x48:
			f.take(16)
		case 0x1e, 0x1f, 0x0d, 0x102:
			for values := f.uint32(); values > 0 && !f.bad; values-- {
				n := f.uint32()
				v := f.take(uint64(n))
				f.take(uint64(-n & 3))
				if tag>>16 == longName && tag&0xffff == 0x1f {
					return bytes.TrimRight(wtf8(v), "\x00")
				}
				if tag>>16 == longName {
					return bytes.TrimRight(v, "\x00")
				}
			}
		default:
			return nil
		}
	}
	return nil
}
