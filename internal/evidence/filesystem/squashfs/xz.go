package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"

	"tutela/internal/evidence"

	"github.com/ulikunitz/xz/lzma"
)

// A packed block is an xz stream of one block ("The .xz File Format" 1.0.4). Its
// container is read here and not by a library, because the block's filters must
// be undone and the dictionary that its header asks for must be held down: more
// than a block is never needed.

const (
	xzHeaderBytes = 12
	xzFilterLZMA2 = 0x21
	xzNone        = 0
	xzCRC32       = 1
	xzCRC64       = 4
	xzSHA256      = 10
	minDictionary = 4 << 10
)

var xzMagic = []byte{0xfd, '7', 'z', 'X', 'Z', 0}

// xzFilter is one filter of a block's chain.
type xzFilter struct {
	id         uint64
	properties []byte
}

func unxz(dst, packed []byte) (int, error) {
	if len(packed) < xzHeaderBytes+8 || !bytes.HasPrefix(packed, xzMagic) {
		return 0, errPacked
	}
	check := packed[7]
	filters, size, err := xzBlockHeader(packed[xzHeaderBytes:])
	if err != nil {
		return 0, err
	}
	in := bytes.NewReader(packed[xzHeaderBytes+size:])
	r, err := lzma.Reader2Config{DictCap: max(len(dst), minDictionary)}.NewReader2(in)
	if err != nil {
		return 0, err
	}
	n, err := fill(dst, r)
	if err != nil {
		return n, err
	}
	for i := len(filters) - 2; i >= 0; i-- {
		if err := unfilter(filters[i], dst[:n]); err != nil {
			return 0, err
		}
	}
	behind := len(packed) - in.Len() - xzHeaderBytes - size
	rest := packed[len(packed)-in.Len():]
	return n, xzCheck(check, dst[:n], rest[min((4-behind%4)%4, len(rest)):])
}

// xzBlockHeader (3.1) gives the filters, of which the last is LZMA2, and how
// many bytes the header has.
func xzBlockHeader(b []byte) (filters []xzFilter, size int, err error) {
	size = (int(b[0]) + 1) * 4
	if b[0] == 0 || size > len(b) {
		return nil, 0, errPacked
	}
	if crc32.ChecksumIEEE(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:]) {
		return nil, 0, errors.New("xz: the block header's checksum is wrong")
	}
	flags := b[1]
	r := bytes.NewReader(b[2 : size-4])
	for _, present := range []byte{0x40, 0x80} { // sizes packed and expanded
		if flags&present != 0 {
			if _, err := binary.ReadUvarint(r); err != nil {
				return nil, 0, errPacked
			}
		}
	}
	for range flags&3 + 1 {
		f, err := xzReadFilter(r)
		if err != nil {
			return nil, 0, err
		}
		filters = append(filters, f)
	}
	if filters[len(filters)-1].id != xzFilterLZMA2 {
		return nil, 0, errPacked
	}
	return filters, size, nil
}

func xzReadFilter(r *bytes.Reader) (f xzFilter, err error) {
	if f.id, err = binary.ReadUvarint(r); err != nil {
		return f, errPacked
	}
	length, err := binary.ReadUvarint(r)
	if err != nil || length > uint64(r.Len()) {
		return f, errPacked
	}
	f.properties = make([]byte, length)
	_, err = io.ReadFull(r, f.properties)
	return f, err
}

// xzCheck holds the expanded bytes against the checksum behind the block.
func xzCheck(check byte, b, sum []byte) error {
	var want []byte
	switch check {
	case xzNone, xzSHA256: // mksquashfs writes CRC-32
		return nil
	case xzCRC32:
		want = binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	case xzCRC64:
		want = binary.LittleEndian.AppendUint64(nil, crc64.Checksum(b, crc64.MakeTable(crc64.ECMA)))
	default:
		return fmt.Errorf("xz: check %d not read: %w", check, evidence.ErrUnsupported)
	}
	if !bytes.HasPrefix(sum, want) {
		return errors.New("xz: the checksum is wrong")
	}
	return nil
}
