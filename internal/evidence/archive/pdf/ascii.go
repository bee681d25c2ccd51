package pdf

import (
	"bufio"
	"errors"
	"io"
)

var errDigits = errors.New("a character that is no digit")

// ascii85 undoes ASCII85Decode (7.4.3).
type ascii85 struct {
	src *bufio.Reader
	out []byte
	buf [4]byte
	err error
}

func (a *ascii85) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(a.out) == 0 {
			if a.err != nil {
				break
			}
			a.err = a.group()
			continue
		}
		got := copy(p[n:], a.out)
		a.out = a.out[got:]
		n += got
	}
	if n > 0 {
		return n, nil
	}
	return 0, a.err
}

// group reads five digits, or fewer at the end.
func (a *ascii85) group() error {
	var v uint32
	digits := 0
	for digits < 5 {
		c, err := a.src.ReadByte()
		switch {
		case err == io.EOF: // some writers leave the end out
			return a.rest(v, digits)
		case err != nil:
			return err
		case isSpace(c):
			continue
		case c == '~':
			return a.rest(v, digits)
		case c == 'z' && digits == 0:
			a.put(0, 4)
			return nil
		case c < '!' || c > 'u':
			return errDigits
		}
		v = v*85 + uint32(c-'!')
		digits++
	}
	a.put(v, 4)
	return nil
}

func (a *ascii85) rest(v uint32, digits int) error {
	if digits < 2 {
		return io.EOF
	}
	for range 5 - digits {
		v = v*85 + 84
	}
	a.put(v, digits-1)
	return io.EOF
}

func (a *ascii85) put(v uint32, n int) {
	a.buf = [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	a.out = a.buf[:n]
}

// asciiHex undoes ASCIIHexDecode (7.4.2).
type asciiHex struct {
	src *bufio.Reader
	err error
}

func (a *asciiHex) Read(p []byte) (n int, err error) {
	for n < len(p) && a.err == nil {
		var v, digits byte
		for digits < 2 && a.err == nil {
			c, err := a.src.ReadByte()
			switch {
			case err != nil:
				a.err = err
			case c == '>':
				a.err = io.EOF
			case isSpace(c):
			case hexDigit(c) > 15:
				a.err = errDigits
			default:
				v = v<<4 | hexDigit(c)
				digits++
			}
		}
		if digits == 0 || a.err != nil && a.err != io.EOF {
			break
		}
		p[n] = v << (4 * (2 - digits))
		n++
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, a.err
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// runLength undoes RunLengthDecode (7.4.5).
type runLength struct {
	src     *bufio.Reader
	left    int
	repeats bool
	value   byte
}

func (r *runLength) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.left == 0 {
			if err := r.head(); err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
		}
		if !r.repeats {
			if r.value, err = r.src.ReadByte(); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return n, err
			}
		}
		p[n] = r.value
		n++
		r.left--
	}
	return n, nil
}

func (r *runLength) head() error {
	c, err := r.src.ReadByte()
	if err != nil {
		return err
	}
	switch {
	case c < 128:
		r.left, r.repeats = int(c)+1, false
	case c == 128:
		r.src.Reset(eof{})
		return io.EOF
	default:
		r.left, r.repeats = 257-int(c), true
		r.value, err = r.src.ReadByte()
	}
	return err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// lzw undoes LZWDecode (7.4.4.2): codes of 9 to 12 bits, highest bit first.
type lzw struct {
	src    *bufio.Reader
	early  int // 1 if the width changes one code early
	bits   uint
	held   uint
	acc    uint32
	free   int
	old    int // -1 behind a clear
	prefix [4096]uint16
	suffix [4096]byte
	stack  [4097]byte
	out    []byte
	err    error
}

const (
	lzwClear = 256
	lzwEnd   = 257
)

var errLZW = errors.New("a code that stands for nothing")

func newLZW(r io.Reader, early bool) io.Reader {
	z := &lzw{src: bufio.NewReader(r)}
	if early {
		z.early = 1
	}
	z.clear()
	return z
}

func (z *lzw) clear() { z.bits, z.free, z.old = 9, lzwEnd+1, -1 }

func (z *lzw) Read(p []byte) (int, error) {
	for len(z.out) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.next()
	}
	n := copy(p, z.out)
	z.out = z.out[n:]
	return n, nil
}

func (z *lzw) next() error {
	for z.held < z.bits {
		c, err := z.src.ReadByte()
		if err != nil {
			return err // some writers leave the end out
		}
		z.acc = z.acc<<8 | uint32(c)
		z.held += 8
	}
	z.held -= z.bits
	code := int(z.acc >> z.held & (1<<z.bits - 1))
	switch {
	case code == lzwClear:
		z.clear()
		return nil
	case code == lzwEnd:
		return io.EOF
	case z.old < 0 && code > 255, code > z.free:
		return errLZW
	}
	z.put(code)
	if z.free+z.early >= 1<<z.bits && z.bits < 12 {
		z.bits++
	}
	return nil
}

// put gives out what a code stands for, and adds to the table.
func (z *lzw) put(code int) {
	at, i := code, len(z.stack)
	if code == z.free { // the one before, and its first byte again
		at = z.old
		i--
	}
	for at > 255 && i > 1 {
		i--
		z.stack[i], at = z.suffix[at], int(z.prefix[at])
	}
	i--
	z.stack[i] = byte(at)
	if code == z.free {
		z.stack[len(z.stack)-1] = byte(at)
	}
	if z.old >= 0 && z.free < len(z.prefix) {
		z.prefix[z.free], z.suffix[z.free] = uint16(z.old), byte(at)
		z.free++
	}
	z.old = code
	z.out = z.stack[i:]
}
