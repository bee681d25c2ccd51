package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
)

// rar4 reads the blocks of RAR 1.5 to 4 (technote.txt of RAR 3.x; "7.4" is the
// layout of file headers).
type rar4 struct {
	content io.ReaderAt
	size    int64
}

const (
	rar4Main    = 0x73
	rar4File    = 0x74
	rar4Service = 0x7a
	rar4End     = 0x7b
)

// read is a block header of at least min bytes.
func (r *rar4) read(at int64, min int) (h []byte, end int64, err error) {
	var fixed [7]byte
	if n, _ := r.content.ReadAt(fixed[:], at); n == 0 {
		return nil, 0, io.EOF
	} else if n < len(fixed) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint16(fixed[5:]))
	if size < min {
		return nil, 0, errRARHeader
	}
	h = make([]byte, size)
	if n, err := r.content.ReadAt(h, at); n < size {
		return nil, 0, whole(err)
	}
	end = at + int64(size)
	if binary.LittleEndian.Uint16(h[3:])&0x8000 != 0 && size >= 11 {
		end += int64(binary.LittleEndian.Uint32(h[7:]))
	}
	return h, end, nil
}

var errRARHeader = errors.New("a header does not hold together")

func (r *rar4) main() (next int64, solid bool, volume int, err error) {
	h, end, err := r.read(7, 13)
	if err != nil {
		return 0, false, 0, whole(err)
	}
	flags := binary.LittleEndian.Uint16(h[3:])
	const isSolid, encrypted = 0x08, 0x80
	switch {
	case h[2] != rar4Main:
		return 0, false, 0, errRARHeader
	case flags&encrypted != 0:
		return 0, false, 0, &Error{tutela.FindingEncrypted, errors.New("the list of members is encrypted")}
	}
	return end, flags&isSolid != 0, 0, nil
}

func (r *rar4) head(solid bool) []byte {
	h := []byte{0, 0, rar4Main, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0}
	if solid {
		h[3] = 0x08
	}
	binary.LittleEndian.PutUint16(h, uint16(crcOf(h[2:])))
	return append([]byte("Rar!\x1a\x07\x00"), h...)
}

func (r *rar4) block(at int64) (b rarBlock, err error) {
	h, end, err := r.read(at, 7)
	if err != nil {
		return b, err
	}
	b = rarBlock{at: at, data: at + int64(len(h)), end: end}
	switch h[2] {
	case rar4File:
		err = r.file(&b, h)
	case rar4Service:
		var ignored rarBlock
		ignored.data = b.data
		err = r.file(&ignored, h)
		b.end = ignored.end
	case rar4End:
		b.last, b.more = true, h[3]&1 != 0
	}
	if err == nil && b.end < b.data {
		err = errRARHeader
	}
	return b, err
}

func (r *rar4) file(b *rarBlock, h []byte) error {
	if len(h) < 32 || uint16(crcOf(h[2:])) != binary.LittleEndian.Uint16(h) && !rar4Commented(h) {
		return errRARHeader
	}
	const before, after, encrypted, solid, large, unicode, window = 0x01, 0x02, 0x04, 0x10, 0x100, 0x200, 0xe0
	flags := binary.LittleEndian.Uint16(h[3:])
	packed, size := int64(binary.LittleEndian.Uint32(h[7:])), int64(binary.LittleEndian.Uint32(h[11:]))
	crc, name := binary.LittleEndian.Uint32(h[16:]), h[32:]
	if flags&large != 0 {
		if len(name) < 8 {
			return errRARHeader
		}
		packed |= int64(binary.LittleEndian.Uint32(name)) << 32
		size |= int64(binary.LittleEndian.Uint32(name[4:])) << 32
		name = name[8:]
	} else if size == 0xffffffff {
		size = -1
	}
	nameBytes := int(binary.LittleEndian.Uint16(h[26:]))
	if nameBytes > len(name) || packed < 0 || packed > 1<<62-b.data || size < -1 {
		return errRARHeader
	}
	b.end = b.data + packed
	f := &rarFile{
		name: rar4Name(name[:nameBytes], flags&unicode != 0), size: size, crc: &crc, kind: tutela.File,
		directory: flags&window == window, solid: flags&solid != 0, encrypted: flags&encrypted != 0,
		before: flags&before != 0, after: flags&after != 0,
		dictionary: 0x10000 << ((flags & window) >> 5),
	}
	f.times.Modified = dosTime(binary.LittleEndian.Uint16(h[22:]), binary.LittleEndian.Uint16(h[20:]))
	if version, method := h[24], h[25]; method != 0x30 && version != 20 && version != 26 && version != 29 {
		f.method = fmt.Sprintf("of version %d", version)
	}
	if madeOn := h[15]; madeOn == 3 { // Unix
		f.kind = unixKind(binary.LittleEndian.Uint32(h[28:]))
	}
	b.file = f
	return nil
}

// rar4Commented reports a header whose checksum leaves out the comment inside.
func rar4Commented(h []byte) bool { return binary.LittleEndian.Uint16(h[3:])&0x08 != 0 }

// rar4Name is the name with slashes. Where it is told twice, the second is
// packed UTF-16 that refers to the first.
func rar4Name(b []byte, unicode bool) []byte {
	plain, packed, twice := bytes.Cut(b, []byte{0})
	if unicode && twice {
		plain = rar4Unicode(plain, packed)
	}
	return bytes.ReplaceAll(plain, []byte{'\\'}, []byte{'/'})
}

// rar4Unicode unpacks a name: two bits for each step say whether a character is
// a byte, a byte with the common high byte, two bytes, or a run of the plain
// name.
func rar4Unicode(plain, packed []byte) []byte {
	if len(packed) == 0 {
		return plain
	}
	high, packed := packed[0], packed[1:]
	var out []byte // UTF-16LE
	take := func() (b byte) {
		if len(packed) > 0 {
			b, packed = packed[0], packed[1:]
		}
		return b
	}
	for len(packed) > 0 && len(out) < 1<<16 {
		steps := take()
		for shift := 6; shift >= 0 && len(packed) > 0; shift -= 2 {
			switch steps >> shift & 3 {
			case 0:
				out = append(out, take(), 0)
			case 1:
				out = append(out, take(), high)
			case 2:
				out = append(out, take(), take())
			case 3:
				out = rar4Run(out, plain, high, take)
			}
		}
	}
	return wtf8(out)
}

func rar4Run(out, plain []byte, high byte, take func() byte) []byte {
	length := take()
	correction, top := byte(0), byte(0)
	if length&0x80 != 0 {
		correction, top = take(), high
	}
	for range int(length&0x7f) + 2 {
		at := len(out) / 2
		if at >= len(plain) {
			break
		}
		out = append(out, plain[at]+correction, top)
	}
	return out
}
