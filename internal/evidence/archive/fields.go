package archive

import (
	"bytes"
	"encoding/binary"
)

// fields reads little-endian fields one by one. What is not there is zero, and
// told by bad.
type fields struct {
	b   []byte
	bad bool
}

// vint reads seven bits of each byte, lowest first.
func (f *fields) vint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

// take is the next n bytes, nil if there are not so many.
func (f *fields) take(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	out := f.b[:n:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (f *fields) uint16() uint16 {
	if b := f.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// text is what lies before the next zero byte.
func (f *fields) text() []byte {
	text, rest, ended := bytes.Cut(f.b, []byte{0})
	if !ended {
		f.bad, f.b = true, nil
		return nil
	}
	f.b = rest
	return text
}
