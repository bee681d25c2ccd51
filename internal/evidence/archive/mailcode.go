package archive

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// base64Reader decodes base64 as mail has it (RFC 2045 6.8): what is none of its
// letters is passed over, and what is padded may be followed by more.
type base64Reader struct {
	src *bufio.Reader
	buf [3]byte
	out []byte
	err error
}

func newBase64(r io.Reader) io.Reader { return &base64Reader{src: bufio.NewReader(r)} }

func (d *base64Reader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(d.out) > 0 {
			got := copy(p[n:], d.out)
			d.out = d.out[got:]
			n += got
			continue
		}
		if d.err != nil {
			break
		}
		d.err = d.group()
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// group decodes four letters.
func (d *base64Reader) group() error {
	var v uint32
	letters := 0
	for letters < 4 {
		c, err := d.src.ReadByte()
		switch {
		case err == io.EOF && letters > 1: // the padding is missing
			d.put(v, letters)
			return io.EOF
		case err == io.EOF && letters == 1:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case c == '=':
			d.put(v, letters)
			return nil
		}
		if x := base64Value[c]; x != noLetter {
			v = v<<6 | uint32(x)
			letters++
		}
	}
	d.put(v, 4)
	return nil
}

func (d *base64Reader) put(v uint32, letters int) {
	v <<= 6 * (4 - letters)
	d.buf = [3]byte{byte(v >> 16), byte(v >> 8), byte(v)}
	d.out = d.buf[:max(0, letters-1)]
}

const noLetter = 255

var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = noLetter
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()

// uuBegin reads "begin 644 name" (POSIX.1-2017, uuencode).
func uuBegin(line []byte) (name string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("begin "))
	if !ok || len(rest) < 5 {
		return "", false
	}
	mode, file, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(mode) < 3 || len(mode) > 4 || len(bytes.Trim(mode, "01234567")) > 0 || len(file) == 0 {
		return "", false
	}
	return string(file), true
}

var errUU = errors.New("uuencode: a line that is not as long as it says")

// uuReader decodes uuencoded lines, from "begin" to "end".
type uuReader struct {
	lines *lineReader
	begun bool
	ended bool
	out   []byte
	err   error
}

func (u *uuReader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.err = u.line()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *uuReader) line() error {
	if !u.lines.next() {
		if u.ended && u.lines.err == io.EOF {
			return io.EOF
		}
		if u.lines.err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		return u.lines.err
	}
	line := bytes.TrimRight(u.lines.line, "\r\n")
	switch {
	case !u.begun:
		_, u.begun = uuBegin(line)
	case u.ended || string(line) == "end":
		u.ended = true
	case len(line) > 0:
		return u.decode(line)
	}
	return nil
}

// decode decodes a line; spaces at its end may have been lost.
func (u *uuReader) decode(line []byte) error {
	if line[0] < ' ' || line[0] > '`' {
		return errUU
	}
	n := int(line[0]-' ') & 63
	line = line[1:]
	if len(line) > 4*(n+2)/3+4 {
		return errUU
	}
	var out []byte
	for len(out) < n {
		var v uint32
		for i := range 4 {
			c := byte(' ')
			if i < len(line) {
				c = line[i]
			}
			if c < ' ' || c > '`' {
				return errUU
			}
			v = v<<6 | uint32(c-' ')&63
		}
		line = line[min(4, len(line)):]
		out = append(out, byte(v>>16), byte(v>>8), byte(v))
	}
	u.out = out[:n]
	return nil
}
