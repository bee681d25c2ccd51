package archive

import (
	"bufio"
	"errors"
	"io"
)

// lzwReader decodes what Unix compress writes (no document but its source and
// ncompress's; "compress .Z files" of the file formats wiki describes it): codes
// of 9 to 16 bits, lowest bit first, in groups of eight that are padded where
// the width changes. There is no length and no checksum in it.
type lzwReader struct {
	src     *bufio.Reader
	maxBits uint
	clears  bool // code 256 empties the table

	bits     uint // width of a code
	group    [16]byte
	held, at uint // bits of group
	free     int  // first code not in the table
	old      int  // the code before, -1 at the beginning
	first    byte // of what the code before stood for
	prefix   [1 << 16]uint16
	suffix   [1 << 16]byte
	stack    []byte // used again for each code
	out      []byte // of stack, what was not given out yet
	err      error
}

const lzwClear = 256

var errLZW = errors.New("compress: a code that stands for nothing")

func newLZW(r io.Reader) (io.Reader, error) {
	src := bufio.NewReader(r)
	var h [3]byte
	if _, err := io.ReadFull(src, h[:]); err != nil {
		return nil, whole(err)
	}
	z := &lzwReader{src: src, maxBits: uint(h[2] & 31), clears: h[2]&0x80 != 0, bits: 9, old: -1}
	if z.maxBits < 9 || z.maxBits > 16 {
		return nil, unsupported("compress: codes of %d bits", z.maxBits)
	}
	z.reset()
	return z, nil
}

func (z *lzwReader) reset() {
	if z.free = 256; z.clears {
		z.free = 257
	}
}

func (z *lzwReader) Read(p []byte) (int, error) {
	for len(z.out) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.decode()
	}
	n := copy(p, z.out)
	z.out = z.out[n:]
	return n, nil
}

// decode puts out what the next code stands for.
func (z *lzwReader) decode() error {
	code, err := z.code()
	if err != nil {
		return err
	}
	if code == lzwClear && z.clears {
		z.free, z.bits, z.at, z.held = lzwClear, 9, 0, 0
		if code, err = z.code(); err != nil {
			return err
		}
	}
	if z.old < 0 && code > 255 || code > z.free {
		return errLZW
	}
	stack := z.stack[:0]
	at := code
	if code == z.free { // stands for the one before and its first byte again
		if z.old < 0 {
			return errLZW
		}
		stack, at = append(stack, z.first), z.old
	}
	for at > 255 {
		if at == lzwClear && z.clears {
			return errLZW
		}
		stack, at = append(stack, z.suffix[at]), int(z.prefix[at])
	}
	z.first = byte(at)
	stack = append(stack, z.first)
	if z.old >= 0 && z.free < 1<<z.maxBits {
		z.prefix[z.free], z.suffix[z.free] = uint16(z.old), z.first
		z.free++
	}
	z.old = code
	reverse(stack)
	z.stack, z.out = stack, stack
	return nil
}

// code reads the next code, after a padded group where the table has outgrown
// the width.
func (z *lzwReader) code() (int, error) {
	if z.free > 1<<z.bits-1 && z.bits < z.maxBits {
		z.bits++
		z.at, z.held = 0, 0
	}
	if z.at+z.bits > z.held {
		n, err := io.ReadFull(z.src, z.group[:z.bits])
		if n == 0 {
			return 0, err
		}
		clear(z.group[n:])
		if z.at, z.held = 0, uint(n)*8; z.held < z.bits {
			return 0, io.EOF // less than a code: padding
		}
	}
	v := 0
	for i := uint(0); i < z.bits; i += 8 {
		byteAt, shift := (z.at+i)/8, (z.at+i)%8
		b := int(z.group[byteAt]) >> shift
		if byteAt+1 < uint(len(z.group)) {
			b |= int(z.group[byteAt+1]) << (8 - shift)
		}
		v |= b & 0xff << i
	}
	z.at += z.bits
	return v & (1<<z.bits - 1), nil
}
